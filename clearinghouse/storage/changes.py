"""What is written: each change as data, a tuple of them as one transaction, each but bookkeeping an entry in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from clearinghouse.clearing.cases import Case, Grant, Revocation
from clearinghouse.clearing.decision import Decision
from clearinghouse.federation.membership.registry import AgentStatus, Draft, KeptMember
from clearinghouse.storage.recorded import Effect, Event, Recorded


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision was made; *took* is the time from the question's arrival until here.

    What follows from it is written with it: *opens* a case, *gives* a grant (also a renewed one, under its first id).
    """

    decision: Decision
    took: timedelta | None = None
    opens: Case | None = None
    gives: Grant | None = None

    def recorded(self) -> Recorded:
        """Return what is kept of the decision."""
        return Recorded.of(self.decision, self.took)


@dataclass(frozen=True, slots=True)
class Journaled:
    """A decision was made, and answered, while the store was away; it is written now as it was kept then.

    Nothing else follows from it: what opens cases and gives grants is not answered without a store.
    """

    kept: Recorded

    @property
    def decision(self) -> Decision:
        """The decision, of which the proof is data."""
        return self.kept.decision

    @property
    def took(self) -> timedelta | None:
        """The time from the question's arrival until it was decided."""
        return self.kept.took

    def recorded(self) -> Recorded:
        """Return what is kept of the decision."""
        return self.kept


SHARED_CHARACTERS: Final = 10
"""Characters that the ids of answers share which became durable together: 40 random bits, and 8 more tell them apart."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Questions that rest on just what an earlier one rested on were answered as that one was (rule R20).

    ``decision`` is the id of the one that was ruled on.  ``answers`` are those that became durable together, each with
    an id of its own that begins with ``id``; ``at`` is when the last of them was given.  None: one, which ``id`` names.
    """

    id: str
    decision: str
    at: datetime
    answers: tuple[tuple[str, datetime], ...] = ()

    def each(self) -> tuple[tuple[str, datetime], ...]:
        """Return every answer: its id, and when it was given."""
        return self.answers or ((self.id, self.at),)


@dataclass(frozen=True, slots=True)
class Settled:
    """The effect of a decision was carried out, or never will be; bookkeeping, no entry."""

    id: str
    effect: Effect
    at: datetime
    latency: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CaseMoved:
    """A case has new approvals, or another state; *change* says in one word what happened."""

    case: Case
    change: str
    at: datetime


@dataclass(frozen=True, slots=True)
class GrantEnded:
    """A grant is over (``ended``, ``why`` and ``affiliation`` are set); the broker has still to be told."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class EndCarriedOut:
    """The broker was told that these grants are over; bookkeeping, no entry."""

    ids: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revocation was made, or lifted."""

    revocation: Revocation


@dataclass(frozen=True, slots=True)
class CredentialAdded:
    """A credential was added at run time."""

    id: str
    raw: bytes
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CredentialWithdrawn:
    """A credential that was added at run time was withdrawn."""

    id: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """An event: policy changed, an administrative act, the service's own life."""

    event: Event


@dataclass(frozen=True, slots=True)
class EnvelopeSeen:
    """An envelope was taken; it is refused when it comes again before *until* (rule R18).  No entry of its own."""

    signer: str
    digest: str
    until: datetime


@dataclass(frozen=True, slots=True)
class MemberSet:
    """A member's record, signed by the registrar, takes the place of the one before; *act* says in one word what happened."""

    member: KeptMember
    act: str


@dataclass(frozen=True, slots=True)
class Drafted:
    """A record waits for the registrar's signature, or for a person; it takes the place of another draft about the domain."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class DraftClosed:
    """A draft was signed, dropped, or has expired; *why* says which."""

    id: str
    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """Documents take the place of those with the same names, and some go.

    *told* is what the log says: a new table; empty for what only continues, such as a timestamp that is signed anew.
    """

    at: datetime
    documents: Mapping[str, bytes] = field(repr=False)
    dropped: tuple[str, ...] = ()
    told: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reported:
    """An agent has said how it is; bookkeeping, no entry."""

    status: AgentStatus


Federal = MemberSet | Drafted | DraftClosed | Published | Reported
"""What changes of a federation."""

Change = (
    Decided
    | Journaled
    | Repeated
    | Settled
    | CaseMoved
    | GrantEnded
    | EndCarriedOut
    | Revoked
    | CredentialAdded
    | CredentialWithdrawn
    | Noted
    | EnvelopeSeen
    | MemberSet
    | Drafted
    | DraftClosed
    | Published
    | Reported
)
