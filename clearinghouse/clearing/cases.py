"""What lasts beyond a decision: a case that waits for people, a grant that holds for a time, a revocation (pure).

A *case* is a request that policy leaves to people.  Its states are one table, `NEXT`; a pair that is not
there is a mistake of whoever asks for it and raises `CaseClosed`, never a silent default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

from clearinghouse.clearing.request import Request
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.vocabulary import Door, shown_whole
from clearinghouse.errors import PeerError

# -- cases --------------------------------------------------------------------------------------------


class CaseClosed(PeerError):
    """The case is not in a state in which this can happen to it: it was decided, taken back, or has expired."""

    code: ClassVar[str] = "case-closed"
    stanza_condition: ClassVar[str] = "unexpected-request"


class CaseState(StrEnum):
    """Where a request stands that policy leaves to people (design, section 2)."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    """Nobody decided in time."""
    CANCELLED = "cancelled"
    """The requester took it back, or policy came to answer it without people."""
    FAILED = "failed"
    """It was approved, and the broker knew of no such request any more."""
    WITHDRAWN = "withdrawn"
    """It was approved, and the approvals or the requester's own chain no longer hold (rules R2 and R3)."""


class CaseChange(StrEnum):
    """What happens to a case."""

    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"
    CANCEL = "cancel"
    FAIL = "fail"
    WITHDRAW = "withdraw"


NEXT: Final[Mapping[tuple[CaseState, CaseChange], CaseState]] = MappingProxyType(
    {
        (CaseState.PENDING, CaseChange.APPROVE): CaseState.APPROVED,
        (CaseState.PENDING, CaseChange.DENY): CaseState.DENIED,
        (CaseState.PENDING, CaseChange.EXPIRE): CaseState.EXPIRED,
        (CaseState.PENDING, CaseChange.CANCEL): CaseState.CANCELLED,
        (CaseState.APPROVED, CaseChange.FAIL): CaseState.FAILED,
        (CaseState.APPROVED, CaseChange.WITHDRAW): CaseState.WITHDRAWN,
        (CaseState.APPROVED, CaseChange.EXPIRE): CaseState.EXPIRED,
    }
)
"""The whole state machine of a case."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes to one case.

    ``person`` is the settings' name for them, or their principal: whatever keys and JIDs somebody holds,
    they count once (rule R3).  ``principals`` are what this approval brings to the `approve` query.
    ``vouched_by`` is the host on whose word a JID rests, empty for a key or a local user (rule R10).
    ``shown`` is the digest of what they were shown; ``envelope`` is what they signed, if they signed.
    ``period`` is how long it holds at most, ``None`` for as long as the settings allow.
    """

    person: str
    principals: tuple[str, ...]
    at: datetime
    door: Door
    vouched_by: str
    shown: str
    envelope: bytes = b""
    period: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A request that waits for people, or once did.

    ``id`` is the id of the decision that left it to them.  ``expires`` is when nobody may approve it any
    more; of an approved one, when the approvals end.  ``credential`` is what the desk signed when enough
    people had approved.
    """

    id: str
    request: Request
    opened: datetime
    expires: datetime
    state: CaseState = CaseState.PENDING
    approvals: tuple[Approval, ...] = ()
    credential: bytes = b""
    closed: datetime | None = None
    by: str = ""
    why: str = ""

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        return self.state is CaseState.PENDING

    @property
    def subject(self) -> str:
        """Who asked: a bare JID."""
        return self.request.observed.get("jid", "")

    @property
    def topic(self) -> str:
        """What was asked for: a node."""
        return self.request.observed.get("topic", "")

    def moved(self, change: CaseChange, *, at: datetime, by: str = "", why: str = "") -> Case:
        """Return the case after *change*; raises `CaseClosed` where that cannot happen to it now."""
        after = NEXT.get((self.state, change))
        if after is None:
            raise CaseClosed(f"case {self.id[:8]} is {self.state}", mend=f"it cannot {change} any more; see `clearinghouse pending`")
        return replace(self, state=after, closed=at, by=by, why=why)

    def summary(self) -> str:
        """Return what an approver is shown, one fact a line; hostile text is escaped, and shown to its end (rule R4)."""
        return "\n".join(f"{name}: {shown_whole(value)}" for name, value in self._facts())

    def digest(self) -> str:
        """Return the SHA-256 of `summary`, which an approval and the desk's credential name (rule R4)."""
        return hashlib.sha256(self.summary().encode()).hexdigest()

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "case", self.id
        yield "operation", self.request.operation
        yield from sorted({**self.request.claims, **self.request.known, **self.request.observed}.items())
        for principal in self.request.requesters:
            yield "requester", principal
        yield "seconds", str(self.request.validity or "as long as may be")


# -- grants -------------------------------------------------------------------------------------------

LASTING: Final = frozenset({"create", "publish", "subscribe", "retrieve"})
"""Operations whose grants change something at the broker that has to be changed back when they end."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What was granted, for as long as it holds.

    ``id`` is the id of the decision that gave it first.  ``ends`` is when it has to be looked at again
    (rule R17: the period asked for, the first instant at which the clock can change the answer, or the cap);
    ``until`` is when it ends for certain.  ``case`` names the case in which people approved it, if they did.
    ``ended`` and ``why`` are set once it is over; ``affiliation`` is what its holder is to the node then.
    """

    id: str
    request: Request
    since: datetime
    ends: datetime
    until: datetime
    case: str = ""
    ended: datetime | None = None
    why: Reason | None = None
    affiliation: str = "none"

    @property
    def holder(self) -> str:
        """Who holds it: a bare JID."""
        return self.request.observed.get("jid", "")

    @property
    def topic(self) -> str:
        """The node that it is about."""
        return self.request.observed.get("topic", "")

    @property
    def broker(self) -> str:
        """The publish-subscribe service of the node."""
        return self.request.observed.get("broker", "")


# -- revocations --------------------------------------------------------------------------------------


class Barred(PeerError):
    """Somebody who may decide about the topic has barred the platform from it (`RevocationKind.HOLDER`)."""

    code: ClassVar[str] = "revoked"
    http_status: ClassVar[int] = 403
    stanza_condition: ClassVar[str] = "forbidden"


class StaysRevoked(PeerError):
    """What has been revoked can be issued anew, and never be lifted; only a platform's bar from a topic can (rule R15)."""

    code: ClassVar[str] = "stays-revoked"
    http_status: ClassVar[int] = 409
    stanza_condition: ClassVar[str] = "not-allowed"


class RevocationKind(StrEnum):
    """What a revocation takes away before anything is evaluated (rule R15)."""

    CREDENTIAL = "credential"
    """One credential, by its id."""
    PRINCIPAL = "principal"
    """A key or an opaque principal: as author, as licensee, and as requester."""
    BELOW = "below"
    """Everything that a key has delegated or will delegate; the key itself may go on asking."""
    HOLDER = "holder"
    """One platform at one topic, barred by a person; named as `jid topic`.  The only kind that can be lifted."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is revoked; ``name`` is the credential's id in hex, the principal in normal form, or ``jid topic``."""

    id: str
    at: datetime
    kind: RevocationKind
    name: str
    by: str
    reason: str = ""
    lifted: datetime | None = None

    def lift(self, *, at: datetime) -> Revocation:
        """Return the revocation lifted; raises `StaysRevoked` for every kind but `RevocationKind.HOLDER`."""
        if self.kind is not RevocationKind.HOLDER:
            raise StaysRevoked(
                f"revocation {self.id[:8]} is of a {self.kind}, which stays revoked", mend="issue a new credential, or make a new key"
            )
        return replace(self, lifted=at)
