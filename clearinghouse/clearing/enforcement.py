"""Step 5: a decision becomes what must now be true outside, as data that the edges carry out."""

from __future__ import annotations

from dataclasses import dataclass

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.request import Place


@dataclass(frozen=True, slots=True)
class ApproveSubscription:
    """The subscriber, exactly as it asked, becomes subscribed to the node."""

    place: Place
    decision: str


@dataclass(frozen=True, slots=True)
class RefuseSubscription:
    """The pending subscription ends."""

    place: Place
    decision: str


@dataclass(frozen=True, slots=True)
class LeavePending:
    """The subscription goes on waiting: for a person, or until there is an answer."""

    place: Place
    decision: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing outside changes: the answer itself is all that was asked for."""


Enforcement = ApproveSubscription | RefuseSubscription | LeavePending | Nothing


def enforcement_of(decision: Decision) -> Enforcement:
    """Return what follows from *decision*, and no more than it covers (rule R5)."""
    place = decision.request.place
    if place is None or decision.request.operation != "subscribe":
        return Nothing()
    match decision.outcome:
        case Outcome.GRANTED:
            return ApproveSubscription(place, decision.id)
        case Outcome.PENDING | Outcome.UNANSWERED:
            return LeavePending(place, decision.id)
        case Outcome.REFUSED:
            return RefuseSubscription(place, decision.id)
