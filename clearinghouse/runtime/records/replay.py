"""A decision proven again, from the archived snapshot and the attributes of then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clearinghouse.clearing.clear import Desk, rule
from clearinghouse.clearing.decision import NOT_EXPLAINED, Decision, Outcome
from clearinghouse.clearing.enforcement import Enforcement
from clearinghouse.federation.redirection.faults import Fault
from clearinghouse.storage.holdings import Holdings
from clearinghouse.storage.store import Recorded, Store


@dataclass(frozen=True, slots=True)
class Replayed:
    """The decision with its proof, and what was loaded; ``agrees`` unless the engine answers otherwise today."""

    decision: Decision
    holdings: Holdings
    agrees: bool


async def replay(recorded: Recorded, store: Store) -> Replayed | None:
    """Prove *recorded* again; ``None`` where nothing was proven, or the snapshot was not archived."""
    if recorded.proof is None:
        return None
    archive = await store.archived(recorded.decision.version)
    return None if archive is None else proven_again(recorded, archive.holdings())


def proven_again(recorded: Recorded, holdings: Holdings) -> Replayed:
    """Prove *recorded*, of which something was proven, again by the *holdings* of its snapshot."""
    then = recorded.decision
    desk = Desk(recorded.attributes["community"], holdings.snapshot, _Nowhere(), _Nowhere(), new_id=lambda: then.id, levels=recorded.values)
    again = rule(then.request, desk, now=then.at)
    withheld = then.reason.code in _WITHHELD and again.outcome is Outcome.GRANTED
    same_reason = again.reason.code == then.reason.code or NOT_EXPLAINED in {again.reason.code, then.reason.code}
    return Replayed(again, holdings, withheld or ((again.value, again.outcome) == (then.value, then.outcome) and same_reason))


_WITHHELD: Final = frozenset(each.value for each in Fault if each)
"""Reasons of refusals of what policy granted: records of members are no part of what is proven again."""


class _Nowhere:
    """Records nothing and does nothing: what is proven again has no effect."""

    highest_time: datetime | None = None

    async def record(self, decision: Decision) -> None:
        """Record nothing."""

    async def carry_out(self, enforcement: Enforcement) -> None:
        """Do nothing."""
