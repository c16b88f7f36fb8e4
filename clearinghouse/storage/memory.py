"""The store in dictionaries, for tests and demonstrations: nothing survives the process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.request import Place
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.store import Effect, Event, Recorded


@dataclass(slots=True)
class MemoryStore:
    """Implements `clearinghouse.storage.store.Store`."""

    _decisions: dict[str, Recorded] = field(default_factory=dict)
    _archives: dict[str, Archive] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)
    _highest: datetime | None = None

    @property
    def highest_time(self) -> datetime | None:
        """The highest time that anything recorded had."""
        return self._highest

    async def record(self, decision: Decision) -> None:
        """See `Ledger.record`."""
        self._decisions[decision.id] = Recorded.of(decision)
        self._saw(decision.at)

    async def settle(self, identity: str, effect: Effect, *, at: datetime, latency: timedelta | None = None) -> None:
        """See `Store.settle`."""
        self._decisions[identity] = self._decisions[identity].settled(effect, at=at, latency=latency)

    async def owed(self) -> Sequence[Recorded]:
        """See `Store.owed`."""
        return [each for each in self._decisions.values() if each.effect is Effect.OWED]

    async def ruled(self, place: Place) -> Recorded | None:
        """See `Store.ruled`."""
        return next((each for each in reversed(self._decisions.values()) if each.decision.request.place == place), None)

    async def decision(self, identity: str) -> Recorded | None:
        """See `Store.decision`."""
        found = [each for name, each in self._decisions.items() if name.startswith(identity)]
        return found[0] if len(found) == 1 else None

    async def decisions(self, last: int) -> Sequence[Recorded]:
        """See `Store.decisions`."""
        return list(self._decisions.values())[-last:]

    async def archive(self, archive: Archive, *, at: datetime) -> None:
        """See `Store.archive`."""
        self._archives.setdefault(archive.version, archive)
        self._saw(at)

    async def archived(self, version: str) -> Archive | None:
        """See `Store.archived`."""
        return self._archives.get(version)

    async def note(self, event: Event) -> None:
        """See `Store.note`."""
        self._events.append(event)
        self._saw(event.at)

    async def events(self, last: int) -> Sequence[Event]:
        """See `Store.events`."""
        return self._events[-last:]

    async def close(self) -> None:
        """See `Store.close`."""

    def _saw(self, now: datetime) -> None:
        self._highest = now if self._highest is None else max(self._highest, now)
