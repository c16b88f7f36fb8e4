"""Step 4: a compliance value becomes a decision; failing closed lives here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from clearinghouse.clearing.facts import Facts
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.soundness import Proven, Reason
from clearinghouse.clearing.vocabulary import ASK
from clearinghouse.errors import BudgetExhausted, ClearinghouseError, TooLarge, Unavailable
from clearinghouse.keynote import Budget, Missing, Proof
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.missing import CONSIDERED

__all__ = ["ASK", "Decision", "Outcome", "Reason", "certain_end", "decide", "grant_end", "lowest", "outcome_of", "reason_of", "refuse"]


class Outcome(StrEnum):
    """What follows from a decision."""

    GRANTED = "granted"
    PENDING = "pending"
    """A person decides: the value is `ask`."""
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    """Nothing could be decided, and asking again may help: this is no denial."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A ruling on one request.

    ``id`` is random and tells a stranger nothing.  ``ends`` is when a grant has to be looked at again, ``until``
    when it ends for certain (decision 10 in ``docs/decisions``); both are ``None`` for anything but a grant.
    ``version`` names the snapshot that was used.  ``proof`` is ``None`` where none could be made;
    ``missing`` is what stronger values would need, empty also where there was no time to look for it.
    """

    id: str
    request: Request
    outcome: Outcome
    value: str
    reason: Reason
    version: str
    at: datetime
    ends: datetime | None
    proof: Proof | None
    missing: tuple[Missing, ...] = ()
    until: datetime | None = None


NOT_EXPLAINED = "not-granted"
"""The reason code of a refusal that there was no time to explain: it says nothing about the policy."""

_KINDS = {"condition": "condition-failed", "licence": "no-licence"}
"""Reason codes of what is missing; a `revoked` step keeps its name."""

_EXPLAINING = 400
"""Steps to explain one assertion at most; the longest of the examples takes 30."""
_EXPLAINED_EACH = 40
"""Steps to explain an assertion of our own, measured at 75 us."""


def decide(
    identity: str,
    request: Request,
    facts: Facts,
    proven: Proven,
    *,
    version: str,
    now: datetime,
    cap: timedelta,
    explains: Callable[[int], bool] = lambda _: True,
) -> Decision:
    """Return the decision on a proven value; a proof that is not sound refuses.

    *explains* says whether there is time for so many steps of saying what is missing.
    """
    proof = proven.proof
    if proven.flaw is not None:
        return Decision(identity, request, Outcome.REFUSED, lowest(proof), proven.flaw, version, now, None, proof)
    outcome = outcome_of(proof)
    until = certain_end(facts, proven, now=now, cap=cap) if outcome is Outcome.GRANTED else None
    missing = _missing(proven, explains) if outcome is Outcome.REFUSED else ()
    reason = reason_of(outcome, proof, missing)
    ends = until and grant_end(until, proven)
    return Decision(identity, request, outcome, proof.value, reason, version, now, ends, proof, missing or (), until)


def refuse(identity: str, request: Request, error: ClearinghouseError, *, value: str, version: str, now: datetime) -> Decision:
    """Return the decision that nothing could be decided: the lowest value, with a reason of its own.

    What is nobody's fault (a budget used up, a clock that is behind) is no answer, and no denial.
    """
    outcome = Outcome.UNANSWERED if isinstance(error, Unavailable) else Outcome.REFUSED
    return Decision(identity, request, outcome, value, Reason(error.code, str(error)), version, now, None, None)


def outcome_of(proof: Proof) -> Outcome:
    """The weakest value refuses, `ask` waits for a person, every other one grants what it names."""
    if proof.level == 0:
        return Outcome.REFUSED
    return Outcome.PENDING if proof.value == ASK else Outcome.GRANTED


def reason_of(outcome: Outcome, proof: Proof, missing: Sequence[Missing] | None) -> Reason:
    """Return what an operator wants to read first; *missing* is ``None`` where there was no time to look for it."""
    if outcome is Outcome.GRANTED:
        count = len(proof.chain)
        return Reason("granted", f"{count} assertion{'s carry' if count > 1 else ' carries'} `{proof.value}`")
    if outcome is Outcome.PENDING:
        return Reason("pending", "policy leaves this to a person")
    if missing is None:
        return Reason(NOT_EXPLAINED, "policy does not grant this; `clearinghouse decisions ID` says what is missing")
    if not missing:
        return Reason("nothing-granted", "no policy grants this to anybody")
    kind = missing[-1].steps[0].kind
    return Reason(_KINDS.get(kind, kind), missing[-1].sentence())


def _work(proof: Proof) -> int:
    """Return the steps that saying what is missing may take; a stranger's conditions may take all that they are given."""
    sizes = [len(layer.by_licensee) for layer in proof.held.layers]
    loaded, handed_in = sum(sizes[: proof.held.loaded]), sum(sizes[proof.held.loaded :])
    return _EXPLAINED_EACH * min(CONSIDERED, loaded) + _EXPLAINING * handed_in


def _missing(proven: Proven, explains: Callable[[int], bool]) -> tuple[Missing, ...] | None:
    """Return what stronger values would need, or to be left to people; explaining has a budget of its own for each assertion."""
    proof, context = proven.proof, proven.proof.context
    bounded = Context(context.requesters, context.action, context.scale, context.limits, Budget(_EXPLAINING))
    with suppress(BudgetExhausted, TooLarge):
        if explains(_work(proof)):
            found = Proof(proof.held, bounded, proof.settled, proof.level).missing
            to_ask = tuple(each for each in found if each.value == ASK) if proven.approvable else ()
            return to_ask or found
    return None


def lowest(proof: Proof) -> str:
    """Return the weakest value of the proof's query."""
    return proof.context.scale.names[0]


def certain_end(facts: Facts, proven: Proven, *, now: datetime, cap: timedelta) -> datetime:
    """R17: a grant ends after the period asked for, with the approvals, or at the cap."""
    asked = now + timedelta(seconds=int(facts.attributes["ValidityPeriod"]))
    return min(each for each in (asked, proven.approved_until, now + cap) if each is not None)


def grant_end(until: datetime, proven: Proven) -> datetime:
    """R2, R17: it is looked at again when the clock can change what either query answers."""
    changes = (proof.stable_until for proof in (proven.proof, proven.first) if proof is not None)
    return min(each for each in (until, *changes) if each is not None)
