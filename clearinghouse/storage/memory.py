"""The store in dictionaries, for tests and demonstrations: nothing survives the process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from clearinghouse.clearing.cases import Case, Grant
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.request import Place
from clearinghouse.federation.membership.registry import Kept as KeptFederation
from clearinghouse.federation.membership.registry import KeptMember
from clearinghouse.ledger.entry import SALT_BYTES, Kind
from clearinghouse.ledger.merkle import Frontier, inclusion_proof
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import SHARED_CHARACTERS, Change, Decided, Journaled, Noted, Settled
from clearinghouse.storage.entries import Draft, Fact, Scribe, at_of, erased_event
from clearinghouse.storage.following import News
from clearinghouse.storage.kept import Kept
from clearinghouse.storage.recorded import Effect, Event, Recorded
from clearinghouse.storage.store import FINE, KeptEntry, Standing

T = TypeVar("T")


@dataclass(slots=True)
class MemoryStore:
    """Implements `clearinghouse.storage.store.Store`."""

    scribe: Scribe = field(default_factory=lambda: Scribe(partial(secrets.token_bytes, SALT_BYTES)))
    _kept: Kept = field(default_factory=Kept)
    _entries: list[KeptEntry] = field(default_factory=list)
    _edge: Frontier = field(default_factory=Frontier)
    _checkpoints: list[tuple[datetime, bytes]] = field(default_factory=list)
    _highest: datetime | None = None

    @property
    def highest_time(self) -> datetime | None:
        """The highest time that anything recorded had."""
        return self._highest

    # -- writing

    async def write(self, *changes: Change) -> None:
        """See `Store.write`."""
        self._kept.check(changes, max((at for at in (self._highest, *map(at_of, changes)) if at is not None), default=None))
        facts: dict[str, Fact] = {}
        drafts = [draft for each in changes if (draft := self._draft(each, facts)) is not None]
        for each in changes:
            self._kept.apply(each, facts)
            self._saw(at_of(each))
        for draft in drafts:
            self._append(draft)

    async def record(self, decision: Decision) -> None:
        """See `Ledger.record`."""
        await self.write(Decided(decision))

    async def settle(self, identity: str, effect: Effect, *, at: datetime, latency: timedelta | None = None) -> None:
        """See `Store.settle`."""
        await self.write(Settled(identity, effect, at, latency))

    async def note(self, event: Event) -> None:
        """See `Store.note`."""
        await self.write(Noted(event))

    async def archive(self, archive: Archive, *, at: datetime) -> None:
        """See `Store.archive`."""
        self._kept.archives.pop(archive.version, None)
        self._kept.archives[archive.version] = (at, archive)
        self._saw(at)

    async def close(self) -> None:
        """See `Store.close`."""

    # -- what lasts

    async def standing(self) -> Standing:
        """See `Store.standing`."""
        now, kept = self._highest, self._kept
        seen = [each for each in kept.seen.values() if now is None or each.until > now]
        return Standing(kept.standing_cases(), kept.standing_grants(), [*kept.revocations.values()], [*kept.credentials.values()], seen)

    async def federation(self) -> KeptFederation:
        """See `Store.federation`."""
        return self._kept.federation()

    async def case(self, prefix: str) -> Case | None:
        """See `Store.case`."""
        return _only(self._kept.cases, prefix)

    async def cases(self, last: int) -> Sequence[Case]:
        """See `Store.cases`."""
        return _last(self._kept.cases.values(), last)

    async def grant(self, prefix: str) -> Grant | None:
        """See `Store.grant`."""
        return _only(self._kept.grants, prefix)

    async def grants(self, last: int, *, ended: bool) -> Sequence[Grant]:
        """See `Store.grants`."""
        return _last((each for each in self._kept.grants.values() if ended or each.ended is None), last)

    # -- for whoever follows

    async def news(self, size: int) -> News:
        """See `Followed.news`."""
        new = [each.entry for each in self._entries[max(0, size) :] if each.entry.kind not in {Kind.DECISION, Kind.REPEATED}]
        since = {kind: min(each.at for each in new if each.kind is kind) for kind in {each.kind for each in new}}
        return News(self._kept.newest() or "", self._edge.size, self._highest, since)

    async def members_since(self, at: datetime) -> Sequence[KeptMember]:
        """See `Followed.members_since`."""
        return [each for each in self._kept.members.values() if each.at >= at]

    async def document(self, name: str) -> bytes | None:
        """See `Followed.document`."""
        return self._kept.documents.get(name)

    async def known(self, identities: Iterable[str]) -> frozenset[tuple[str, datetime]]:
        """See `Followed.known`."""
        kinds, wanted = {Kind.DECISION, Kind.REPEATED}, set(identities)
        return frozenset((each.entry.ref, each.entry.at) for each in self._entries if each.entry.kind in kinds and each.entry.ref in wanted)

    async def listen(self, told: Callable[[], None]) -> None:  # noqa: ARG002 - nobody else writes to it
        """See `Followed.listen`."""
        await asyncio.Event().wait()

    # -- decisions

    async def owed(self) -> Sequence[Recorded]:
        """See `Store.owed`."""
        return [each for each in self._kept.decisions.values() if each.effect is Effect.OWED]

    async def ruled(self, place: Place) -> Recorded | None:
        """See `Store.ruled`."""
        return next((each for each in reversed(self._kept.decisions.values()) if each.decision.request.place == place), None)

    async def decision(self, identity: str) -> Recorded | None:
        """See `Store.decision`."""
        if (found := _only(self._kept.decisions, identity)) is not None:
            return found
        again = [each for each in self._kept.repeated if each.id.startswith(identity) and len(identity) >= SHARED_CHARACTERS]
        if len(again) != 1 or again[0].decision not in self._kept.decisions:
            return None
        return self._kept.decisions[again[0].decision].again(again[0].id, again[0].at)

    async def decisions(self, last: int) -> Sequence[Recorded]:
        """See `Store.decisions`."""
        return _last(self._kept.decisions.values(), last)

    async def archived(self, version: str) -> Archive | None:
        """See `Store.archived`."""
        return self._kept.archives[version][1] if version in self._kept.archives else None

    async def events(self, last: int) -> Sequence[Event]:
        """See `Store.events`."""
        return _last(self._kept.events, last)

    # -- the log

    @property
    def log_size(self) -> int:
        """See `Store.log_size`."""
        return self._edge.size

    @property
    def log_root(self) -> bytes:
        """See `Store.log_root`."""
        return self._edge.root()

    async def entries(self, first: int, last: int) -> Sequence[KeptEntry]:
        """See `Store.entries`."""
        return self._entries[max(0, first) : last + 1]

    async def leaf_hashes(self, size: int) -> Sequence[bytes]:
        """See `Store.leaf_hashes`."""
        return [each.leaf_hash for each in self._entries[:size]]

    async def inclusion(self, number: int, size: int) -> tuple[bytes, ...]:
        """See `Store.inclusion`."""
        return inclusion_proof([each.leaf_hash for each in self._entries], number, size)

    async def entry_of(self, ref: str) -> KeptEntry | None:
        """See `Store.entry_of`."""
        return next((each for each in self._entries if each.entry.ref == ref), None)

    async def keep_checkpoint(self, sealed: bytes, size: int, at: datetime) -> None:  # noqa: ARG002 - told in the seal, too
        """See `Store.keep_checkpoint`."""
        self._checkpoints.append((at, sealed))
        self._saw(at)

    async def checkpoints(self) -> Sequence[bytes]:
        """See `Store.checkpoints`."""
        return [sealed for _, sealed in self._checkpoints]

    async def erase(self, before: datetime) -> int:
        """See `Store.erase`."""
        at = self._highest or before
        last_of_hour = {f"{each:%Y%m%d%H}": each for each, _ in self._checkpoints}.values()
        self._checkpoints = [each for each in self._checkpoints if each[0] >= at - FINE or each[0] in last_of_hour]
        old = [each for each in self._entries if each.entry.at < before and each.record is not None]
        decisions, snapshots = self._kept.forget(before, at)
        for each in old:
            self._entries[each.entry.number] = replace(each, salt=None, record=None)
        if old or decisions or snapshots:
            await self.note(erased_event(at, before, entries=len(old), decisions=decisions, snapshots=snapshots))
        return len(old)

    # -- inside

    def _draft(self, change: Change, facts: dict[str, Fact]) -> Draft | None:
        """Return the entry of *change*, and put the decision that it has into *facts*."""
        if not isinstance(change, Decided | Journaled):
            return self.scribe.draft(change)
        fact = facts[change.decision.id] = self.scribe.fact(change)
        return self.scribe.decided(change, fact)

    def _append(self, draft: Draft) -> None:
        entry, hashed = draft.entry(self._edge.size)
        self._entries.append(KeptEntry(entry, hashed, draft.salt, draft.record))
        self._edge = self._edge.append(hashed)

    def _saw(self, now: datetime | None) -> None:
        if now is not None:
            self._highest = now if self._highest is None else max(self._highest, now)


def _only(kept: Mapping[str, T], prefix: str) -> T | None:
    found = [each for name, each in kept.items() if name.startswith(prefix)]
    return found[0] if len(found) == 1 else None


def _last(kept: Iterable[T], last: int) -> list[T]:
    return list(kept)[-last:] if last > 0 else []
