"""Follows the table: fetches what is new, has it verified, keeps it, and tells whoever applies it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from clearinghouse.agent.clock import Clock
from clearinghouse.agent.keeping import StateDirectory, StateUnavailable
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.agent.sources.source import NoSuchDocument
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.documents import COMMUNITY, MAX_ROOT_BYTES, digest, root_name, timestamp_name
from clearinghouse.federation.refusals import DocumentRefused
from clearinghouse.federation.trust import Standing, Trusted
from clearinghouse.settings.agent import AgentSettings

log = structlog.get_logger(__name__)

FOLDER: Final = "trusted"
"""Where, in the state directory, the documents lie that are believed."""

MAX_DOCUMENTS: Final = 1_000
"""Documents of one round: 900 deltas, some roots and the rest; what is left comes in the next one."""

PAUSE_SECONDS: Final = 1.0
"""At least, between two rounds: a source that always says that there is news is not asked more often."""

Told = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Follower:
    """Keeps ``trusted`` the newest that may be believed; ``changed`` is awaited after each round that brought something.

    ``error`` is what went wrong in the last round, ``None`` where nothing did; ``unkept`` says that the disk does not
    have what we believe.  ``wake`` begins a round at once; ``looked`` is set once there was one.
    """

    settings: AgentSettings
    sources: Failover
    state: StateDirectory
    clock: Clock
    changed: list[Told] = field(default_factory=list)
    trusted: Trusted | None = None
    error: ClearinghouseError | None = None
    unkept: bool = False
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _disk: dict[str, bytes] = field(default_factory=dict)
    _newest: str = ""

    @property
    def audience(self) -> str:
        """Whose table is followed, as documents write it."""
        return EVERYTHING if self.settings.view == COMMUNITY else self.settings.domain

    def restore(self) -> None:
        """Believe again what the disk has, once it was verified anew."""
        kept = self.state.kept(FOLDER)
        if not kept:
            return
        settings = self.settings
        try:
            self.trusted = Trusted.restored(kept, settings.root_digest, audience=self.audience, community=settings.community)
        except ClearinghouseError as error:
            log.error("state_not_believed", reason=error.message, mend="nothing: it is fetched again")  # noqa: TRY400 - see above
            return
        self._disk = kept
        self.clock.see(self.trusted.seen)

    def standing(self) -> Standing:
        """Say how far what is believed holds now."""
        return Standing.EXPIRED if self.trusted is None else self.trusted.standing(self.clock.now())

    async def run(self) -> None:
        """Follow until cancelled: when a source says that there is news, and from time to time."""
        while True:
            await self.round()
            await asyncio.sleep(PAUSE_SECONDS)
            await self._news()

    async def round(self) -> None:
        """Fetch and believe what there is; never raises for what sources give, or do not give."""
        before = _state(self.trusted)
        try:
            await self._update()
        except StateUnavailable:
            raise
        except ClearinghouseError as error:
            self._refused(error)
        else:
            self.error = None
        finally:
            self.looked.set()
        self.clock.compare(self.sources.ahead)
        self.clock.see()
        if self.unkept:
            self._keep()
        if self.standing() is not Standing.FRESH:
            self.sources.blame()
        if _state(self.trusted) != before:
            for told in self.changed:
                await told()

    async def _update(self) -> None:
        """One update has one time, and everything that was accepted before something is refused stays (TUF, section 5)."""
        if behind := self.clock.behind():
            raise behind
        now = self.clock.now()
        trusted = self.trusted or await self._pinned(now)
        trusted.begin()
        for _ in range(MAX_DOCUMENTS):
            name = trusted.wanted()
            if name is None:
                break
            await self._step(trusted, name, now)

    async def _pinned(self, now: datetime) -> Trusted:
        settings = self.settings
        name = root_name(settings.root_generation)
        raw = await self.sources.fetch(name, limit=MAX_ROOT_BYTES)
        self.trusted = Trusted.pinned(raw, settings.root_digest, now, audience=self.audience, community=settings.community)
        self._accepted(name)
        return self.trusted

    async def _step(self, trusted: Trusted, name: str, now: datetime) -> None:
        try:
            raw = await self.sources.fetch(name, limit=trusted.limit(name))
        except NoSuchDocument:
            trusted.absent(name)
            return
        before = _state(trusted)
        trusted.update(name, raw, now)
        if name == timestamp_name(self.audience):
            self._newest = digest(raw)
        if _state(trusted) != before:
            self._accepted(name)

    def _accepted(self, name: str) -> None:
        log.debug("document_accepted", name=name, source=self.sources.place)
        self._keep()

    def _keep(self) -> None:
        """Keep what is believed on disk.

        Where the disk takes nothing it is believed all the same, loudly: what a newer table takes away must not
        go on for want of room.  What the disk has stays whole, and a restart begins there.
        """
        if self.trusted is None:
            return
        kept = self.trusted.kept()
        try:
            self.state.keep(FOLDER, kept, self._disk)
        except StateUnavailable as error:
            self.unkept = True
            log.error("state_not_kept", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
        else:
            self.unkept, self._disk = False, kept

    def _refused(self, error: ClearinghouseError) -> None:
        self.error = error
        if isinstance(error, DocumentRefused):
            self.sources.blame()
            log.error("document_refused", code=error.code, reason=error.message, source=self.sources.place, mend=error.mend)
        else:
            log.warning("not_followed", code=error.code, reason=error.message, mend=error.mend)

    async def _news(self) -> None:
        """Return when there may be something new, when somebody wakes us, and after the poll period at the latest."""
        seconds = self.settings.poll.total_seconds()
        waits = [
            asyncio.ensure_future(self.sources.wait(self.settings.view, self._newest, seconds)),
            asyncio.ensure_future(self.wake.wait()),
        ]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self.wake.clear()


def _state(trusted: Trusted | None) -> object:
    """Return what tells one state from another."""
    if trusted is None:
        return None
    return trusted.root, trusted.timestamp, trusted.revocations, trusted.head, id(trusted.members)
