"""Changes of every kind, for tests of what lasts and of its log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from clearinghouse.clearing.cases import Approval, Case, CaseChange, Grant, Revocation, RevocationKind
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.storage.changes import (
    CaseMoved,
    Change,
    CredentialAdded,
    CredentialWithdrawn,
    Decided,
    EndCarriedOut,
    EnvelopeSeen,
    GrantEnded,
    Noted,
    Revoked,
    Settled,
)
from clearinghouse.storage.store import Effect, Event
from tests.storage.conftest import Decisions
from tests.world import NOON

APPROVAL = Approval(
    "bob",
    ("xmpp:bob@a.example", "unix:bob"),
    NOON + timedelta(minutes=1),
    Door.CHAT,
    "a.example",
    "5e" * 32,
    b'{"payload": "\xc3\xbc\x00\xff"}',
)
DAY = timedelta(days=1)


def case_of(decision: Decision) -> Case:
    """Return the case that *decision* opens; its request has all that a request can have."""
    request = replace(decision.request, credentials=(b"one\xff",), approvals=(b"two",), validity=3600, sender="xmpp:hub.example")
    return Case(decision.id, request, decision.at, decision.at + 30 * DAY)


def grant_of(decision: Decision, *, case: str = "") -> Grant:
    """Return the grant that *decision* gives."""
    return Grant(decision.id, decision.request, decision.at, decision.at + DAY, decision.at + 90 * DAY, case)


def ended(grant: Grant, at: datetime) -> Grant:
    """Return *grant* once it is over."""
    return replace(grant, ended=at, why=Reason("revoked", "its key was revoked"), affiliation="outcast")


def revocation(number: int, kind: RevocationKind = RevocationKind.PRINCIPAL, name: str = "xmpp:eve@c.example") -> Revocation:
    return Revocation(f"{number:032x}", NOON, kind, name, "xmpp:ann@a.example", "lost its laptop")


def every_kind(decide: Decisions) -> list[Change]:
    """Return one change of each kind, in an order in which they can happen."""
    pending, granted = decide.pending(), decide.granted()
    case, grant = case_of(pending), grant_of(granted)
    approved = replace(case, approvals=(APPROVAL,))
    return [
        Decided(pending, timedelta(milliseconds=3), opens=case),
        Decided(granted, gives=grant),
        Settled(granted.id, Effect.DONE, NOON),
        CaseMoved(approved, "approval", APPROVAL.at),
        CaseMoved(approved.moved(CaseChange.APPROVE, at=NOON, by="bob"), CaseChange.APPROVE, NOON),
        GrantEnded(ended(grant, NOON + DAY)),
        EndCarriedOut((grant.id,), NOON + DAY),
        Revoked(revocation(1)),
        CredentialAdded("c1", b"KeyNote-Version: 2\n", "xmpp:ann@a.example", NOON),
        CredentialWithdrawn("c1", "xmpp:ann@a.example", NOON),
        Noted(Event(NOON, "policy-changed", {"before": "1" * 64, "after": "2" * 64})),
        EnvelopeSeen("ed25519-hex:00", "ab" * 32, NOON + 2 * DAY),
    ]
