"""The roll: members and drafts as they stand, with what was read of each record once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

import structlog

from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.membership.registry import Draft, Kept, KeptMember
from clearinghouse.federation.published.members import Member, read_member
from clearinghouse.storage.changes import Change, DraftClosed, Drafted, MemberSet

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Enlisted:
    """A member and its record as it is kept; ``member.removed`` says that it is none any more."""

    member: Member
    kept: KeptMember


@dataclass(slots=True)
class Roll:
    """Members by domain in normal form, so that no two have one name; drafts likewise.

    ``heard`` are told when a record has changed; ``changes`` counts them.  Somebody has to let it hear the books (`hear`).
    """

    heard: list[Callable[[], None]] = field(default_factory=list)
    changes: int = 0
    _members: dict[str, Enlisted] = field(default_factory=dict)
    _drafts: dict[str, Draft] = field(default_factory=dict)
    _keys: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def opened(cls, kept: Kept) -> Roll:
        """Return what the store says stands; a record that cannot be read any more is named, and counts for nothing."""
        roll = cls(_drafts={each.domain: each for each in kept.drafts})
        for each in kept.members:
            roll.take(each)
        return roll

    def take(self, kept: KeptMember) -> None:
        """Take a record that stands in the store; one that cannot be read is named, and its domain is no member."""
        try:
            self._put(kept)
        except ClearinghouseError as error:
            self._members.pop(kept.domain, None)
            log.error("member_left_out", domain=kept.domain, reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames

    @property
    def members(self) -> Mapping[str, Enlisted]:
        """Every record, those of former members included."""
        return MappingProxyType(self._members)

    @property
    def drafts(self) -> Mapping[str, Draft]:
        """Every draft, by domain."""
        return MappingProxyType(self._drafts)

    def present(self) -> dict[str, Member]:
        """Return the members of today, by domain."""
        return {name: each.member for name, each in self._members.items() if not each.member.removed}

    def member(self, domain: str) -> Member | None:
        """Return the member *domain*, a name in normal form, unless it is none, or none any more."""
        found = self._members.get(domain)
        return None if found is None or found.member.removed else found.member

    def record(self, domain: str) -> Member | None:
        """Return the record of *domain*, also of one that was removed."""
        found = self._members.get(domain)
        return None if found is None else found.member

    def owners(self, keys: tuple[str, ...]) -> frozenset[str]:
        """Return the members in whose records one of *keys* stands."""
        return frozenset(domain for key in keys for domain in self._keys.get(key, ()))

    def expired(self, now: datetime) -> Iterator[Draft]:
        """Yield the drafts whose time is over."""
        return (each for each in self._drafts.values() if each.expires <= now)

    def hear(self, change: Change) -> None:
        """Take a change that is durable."""
        match change:
            case MemberSet(member):
                self._put(member)
                for told in self.heard:
                    told()
            case Drafted(draft):
                self._drafts[draft.domain] = draft
            case DraftClosed(identity):
                self._drafts = {name: each for name, each in self._drafts.items() if each.id != identity}
            case _:
                pass

    def _put(self, kept: KeptMember) -> None:
        member = read_member(kept.sealed).member
        before = self._members.get(member.domain)
        for key in before.member.keys if before is not None else ():
            self._keys.get(key, set()).discard(member.domain)
        self._members[member.domain] = Enlisted(member, kept)
        self.changes += 1
        for key in () if member.removed else member.keys:
            self._keys.setdefault(key, set()).add(member.domain)
