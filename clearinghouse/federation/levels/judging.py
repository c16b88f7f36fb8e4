"""The level of one member for one audience, by the ordinary path: facts, proof, and whether it is sound (pure).

This is what a table means.  `clearinghouse.federation.levels.book` finds the same for a hundred thousand members at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clearinghouse.clearing.facts import gather
from clearinghouse.clearing.proof import prove
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.soundness import Proven, Reason
from clearinghouse.clearing.vocabulary import EVERYTHING, Door
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Admissions, Budget, Limits

FEDERATE: Final = "federate"
"""The operation that levels are values of, and its group."""

COMMUNITY: Final = EVERYTHING
"""The audience of the table that the whole community may see."""

PATIENCE: Final = 1 << 60
"""Steps of one member's level: the assertions are the community's own, and were bounded when they were admitted."""

_NOTHING_HANDED_IN: Final = Admissions(0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Whose levels they are, and what they are called, weakest first."""

    community: str
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A level, the proof that carries it, and why there is none where a proof was not to be had or must not count."""

    level: str
    proven: Proven | None
    reason: Reason | None


def request_about(domain: str, keys: Iterable[str], audience: str = COMMUNITY) -> Request:
    """Return the question at which level *domain*, with the keys of its signed record, may reach *audience* (rule R9)."""
    return Request("", FEDERATE, Door.TABLE, requesters=(f"xmpp:{domain}", *keys), observed={"from_domain": domain, "to_domain": audience})


def judge(request: Request, snapshot: Snapshot, scale: Scale, *, now: datetime) -> Judged:
    """Return what *snapshot* gives a member; nothing that goes wrong gives more than the lowest level."""
    try:
        facts = gather(request, community=scale.community, now=now)
        proven = prove(
            facts, snapshot, scale.levels, credentials=(), admissions=_NOTHING_HANDED_IN, budget=Budget(PATIENCE), limits=Limits()
        )
    except ClearinghouseError as error:
        return Judged(scale.levels[0], None, Reason(error.code, str(error)))
    level = scale.levels[0] if proven.flaw is not None else proven.proof.value
    return Judged(level, proven, proven.flaw)
