"""What a receiver has verified so far, as one immutable value (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from clearinghouse.federation.published.members import Member
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.tables import Table
from clearinghouse.federation.published.timestamps import Timestamp
from clearinghouse.federation.roles.entitlement import Entitlement

Signers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stamped:
    """The timestamp that is believed, its bytes, and who signed it."""

    timestamp: Timestamp
    raw: bytes = field(repr=False)
    signers: Signers = ()


@dataclass(frozen=True, slots=True)
class Revoked:
    """The revocation set that is believed, with its payload's digest."""

    revocations: RevocationSet
    digest: str
    raw: bytes = field(repr=False)
    signers: Signers = ()


@dataclass(frozen=True, slots=True)
class Tabled:
    """The table that is believed, and the sealed head that it came with."""

    table: Table
    head: bytes = field(repr=False)
    signers: Signers = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """One member's record, its digest as an envelope's payload, and who signed it."""

    member: Member
    digest: str
    signers: Signers = ()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The members that are believed.

    ``digest`` is that of the whole document, empty where something in it is not believed any more.  ``records``
    are by their bytes, so that each is verified once.  ``serials`` is the highest serial that was ever seen of a
    domain, and the payload that had it: what leaves the list and comes back must not come back older.
    """

    digest: str = ""
    records: Mapping[bytes, Recorded] = field(default_factory=dict, repr=False)
    serials: Mapping[str, tuple[int, str]] = field(default_factory=dict, repr=False)
    members: Mapping[str, Member] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class State:
    """Everything that is believed; ``roots`` are the sealed generations from the pinned one on, the last is in force.

    ``underway`` is where deltas have led so far.  Nobody but the table's key says that there was such a table, so it
    is not believed before it is the one that the timestamp names: a stolen table key alone must admit nobody.
    """

    audience: str
    roots: tuple[bytes, ...] = field(repr=False)
    rights: Entitlement = field(repr=False)
    seen: datetime
    stamped: Stamped | None = None
    revoked: Revoked | None = None
    enrolled: Enrolled = Enrolled()
    tabled: Tabled | None = None
    underway: Tabled | None = None

    @property
    def named(self) -> Timestamp | None:
        """The timestamp that is believed."""
        return None if self.stamped is None else self.stamped.timestamp

    @property
    def latest(self) -> Tabled | None:
        """The table at which the next delta has to begin."""
        return self.underway or self.tabled

    def has_table(self) -> bool:
        """Say whether the table is the one that the timestamp names."""
        return self.named is not None and self.tabled is not None and self.tabled.table.digest == self.named.head

    def has_revocations(self) -> bool:
        """Say whether the revocation set is the one that the timestamp names."""
        return self.named is not None and self.revoked is not None and self.revoked.digest == self.named.revocations_digest

    def has_members(self) -> bool:
        """Say whether the list of members is the one that the timestamp names."""
        return self.named is not None and self.enrolled.digest == self.named.members_digest

    def is_whole(self) -> bool:
        """Say whether everything is what the timestamp names."""
        return self.has_table() and self.has_revocations() and self.has_members()


def without_what_is_gone(state: State, *, now: datetime) -> State:
    """Return *state* less everything whose signers may not sign it any more; what was not licensed is not believed (rule R15)."""
    rights, audience = state.rights, state.audience
    stamped, revoked, tabled = state.stamped, state.revoked, state.tabled
    if stamped is not None and not rights.allows("publish-timestamp", stamped.signers, now=now, audience=audience):
        stamped = None
    if tabled is not None and not rights.allows("publish-table", tabled.signers, now=now, audience=audience):
        tabled = None
    kept = {raw: each for raw, each in state.enrolled.records.items() if _still(rights, each, now)}
    enrolled = state.enrolled if len(kept) == len(state.enrolled.records) else enrolled_of("", kept, state.enrolled.serials)
    return replace(state, stamped=stamped, revoked=revoked, tabled=tabled, underway=None, enrolled=enrolled)


def enrolled_of(digest: str, records: Mapping[bytes, Recorded], serials: Mapping[str, tuple[int, str]]) -> Enrolled:
    """Return the members of *records*; those that were removed are none."""
    members = {each.member.domain: each.member for each in records.values() if not each.member.removed}
    return Enrolled(digest, records, serials, members)


def _still(rights: Entitlement, recorded: Recorded, now: datetime) -> bool:
    return rights.allows("publish-member", recorded.signers, now=now, member=recorded.member.domain)
