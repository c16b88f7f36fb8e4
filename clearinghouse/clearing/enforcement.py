"""Step 5: a decision becomes what must now be true outside, as data that the edges carry out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.request import Place

WHITELIST: Final = "whitelist"
"""The access model in which a broker lets members in without asking anybody (XEP-0060, section 4.5)."""


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
class AdmitMember:
    """The bare JID of the place becomes a member of the node: it may subscribe there, and retrieve items."""

    place: Place
    decision: str


@dataclass(frozen=True, slots=True)
class AdmitPublisher:
    """The bare JID of the place becomes a publisher at the node."""

    place: Place
    decision: str


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """The node comes to be, owned by us alone, with the bare JID of the place as a publisher.

    ``payload_type`` is the XML namespace of its items; ``title`` is what people read, empty for the node's name.
    """

    place: Place
    payload_type: str
    title: str
    decision: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing outside changes: the answer itself is all that was asked for."""


Enforcement = ApproveSubscription | RefuseSubscription | LeavePending | AdmitMember | AdmitPublisher | CreateTopic | Nothing


def enforcement_of(decision: Decision) -> Enforcement:
    """Return what follows from *decision*, and no more than it covers (rule R5)."""
    place, request = decision.request.place, decision.request
    if place is None:
        return Nothing()
    if request.operation == "subscribe" and request.known.get("access_model") != WHITELIST:
        return _answer(decision, place)
    return _grant(decision, place) if decision.outcome is Outcome.GRANTED else Nothing()


def _answer(decision: Decision, place: Place) -> Enforcement:
    """Return the answer to a form: the broker itself waits for it."""
    match decision.outcome:
        case Outcome.GRANTED:
            return ApproveSubscription(place, decision.id)
        case Outcome.PENDING | Outcome.UNANSWERED:
            return LeavePending(place, decision.id)
        case Outcome.REFUSED:
            return RefuseSubscription(place, decision.id)


def _grant(decision: Decision, place: Place) -> Enforcement:
    """Return what a platform becomes that asked us, and not the broker."""
    request = decision.request
    match request.operation:
        case "subscribe" | "retrieve":
            return AdmitMember(place, decision.id)
        case "publish":
            return AdmitPublisher(place, decision.id)
        case "create":
            return CreateTopic(place, request.known.get("payload_type", ""), request.claims.get("title", ""), decision.id)
        case _:
            return Nothing()
