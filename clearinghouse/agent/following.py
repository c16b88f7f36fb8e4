"""Follows the table: fetches what is new, has it verified, keeps it, and tells whoever applies it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from clearinghouse.agent.home.clock import Clock
from clearinghouse.agent.home.keeping import StateDirectory, StateUnavailable
from clearinghouse.agent.home.sparing import Sparing
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.agent.sources.source import NoSuchDocument
from clearinghouse.clearing.clear import ClockBehind
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.errors import ClearinghouseError, InternalError, Unavailable
from clearinghouse.federation.published.documents import COMMUNITY, MAX_ROOT_BYTES, digest, root_name, timestamp_name
from clearinghouse.federation.published.refusals import EndlessData
from clearinghouse.federation.trust.trusted import Standing, Trusted
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
    have what we believe.  ``wake`` begins a round at once; ``looked`` is set once there was one, and
    ``caught_up`` once one went well: what we have is then not only what the disk had.
    """

    settings: AgentSettings
    sources: Failover
    state: StateDirectory
    clock: Clock
    changed: list[Told] = field(default_factory=list)
    trusted: Trusted | None = None
    error: ClearinghouseError | None = None
    unkept: bool = False
    pause: float = PAUSE_SECONDS
    caught_up: bool = False
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _newest: str = ""
    _sparing: Sparing = field(default_factory=Sparing)

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
        self.clock.see(self.trusted.seen)

    def standing(self) -> Standing:
        """Say how far what is believed holds now."""
        return Standing.EXPIRED if self.trusted is None else self.trusted.standing(self.clock.now())

    async def run(self) -> None:
        """Follow until cancelled: when a source says that there is news, and from time to time."""
        while True:
            await self.round()
            await asyncio.sleep(self.pause)
            await self._news()

    async def round(self) -> None:
        """Fetch and believe what there is; never raises for what sources give, or do not give.

        A round has one time, and what it leads to counts as a whole: between two documents a table may be gone.
        """
        self.error = None
        try:
            await self._update()
        except ClearinghouseError as error:
            self._refused(error)
        except Exception as error:
            # A mistake of ours about what a source gives must not be a way to end the agent: others are asked.
            log.exception("round_failed")
            self._refused(InternalError(f"the round failed ({type(error).__name__})", mend="its log has the trace; report it"))
        self.clock.compare(self.sources.ahead)
        self.clock.see()
        if self.standing() is not Standing.FRESH:
            self.sources.blame()
        self.looked.set()
        if not self._failed() and self._sparing.over():
            log.info("followed_again", source=self.sources.place)
        if not (self.caught_up or self._failed()):
            self.caught_up = True
            await self._tell()

    async def _update(self) -> None:
        if behind := self.clock.behind():
            raise behind
        now = self.clock.now()
        trusted = self.trusted.copy() if self.trusted is not None else await self._pinned(now)
        before = _state(self.trusted)
        trusted.begin()
        try:
            await self._steps(trusted, now)
        finally:
            # Of the pinned root metadata alone nothing is kept: what it was read at would count as a time that was seen.
            if trusted.timestamp is not None and (self.unkept or _state(trusted) != before):
                await self._adopt(trusted, told=_state(trusted) != before)

    async def _pinned(self, now: datetime) -> Trusted:
        settings = self.settings
        raw = await self.sources.fetch(root_name(settings.root_generation), limit=MAX_ROOT_BYTES)
        return Trusted.pinned(raw, settings.root_digest, now, audience=self.audience, community=settings.community)

    async def _steps(self, trusted: Trusted, now: datetime) -> None:
        """Take the documents that are wanted, one by one; where one is refused there may be a way round it."""
        for _ in range(MAX_DOCUMENTS):
            name = trusted.wanted()
            if name is None:
                return
            try:
                raw = await self.sources.fetch(name, limit=trusted.limit(name))
            except NoSuchDocument as error:
                trusted.absent(name)
                if not _may_be_absent(name):
                    self._refused(error)
                continue
            except EndlessData as error:
                trusted.absent(name)
                self._refused(error)
                continue
            self._take(trusted, name, raw, now)

    def _take(self, trusted: Trusted, name: str, raw: bytes, now: datetime) -> None:
        try:
            trusted.update(name, raw, now)
        except ClockBehind:
            raise
        except ClearinghouseError as error:
            self._refused(error)
        else:
            log.debug("document_accepted", name=name, source=self.sources.place)
            if name == timestamp_name(self.audience):
                self._newest = digest(raw)

    async def _adopt(self, trusted: Trusted, *, told: bool) -> None:
        """Let what was believed count, once the disk has it.

        Where the disk takes nothing it counts all the same, loudly: what a newer table takes away must not go on for
        want of room.  What the disk has stays whole, and a restart begins there.
        """
        try:
            await asyncio.to_thread(self._keep, trusted)
        except StateUnavailable as error:
            self.unkept = True
            log.error("state_not_kept", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
        else:
            self.unkept = False
        self.trusted = trusted
        if told:
            await self._tell()

    def _failed(self) -> bool:
        """Say whether anything went wrong in this round."""
        return self.error is not None

    async def _tell(self) -> None:
        for tell in self.changed:
            await tell()

    def _keep(self, trusted: Trusted) -> None:
        self.state.keep(FOLDER, trusted.kept())

    def _refused(self, error: ClearinghouseError) -> None:
        self.error = error
        self.sources.blame()
        if not self._sparing.says(error.code):
            return
        if isinstance(error, Unavailable | NoSuchDocument):
            log.warning("not_followed", code=error.code, reason=error.message, mend=error.mend)
        else:
            log.error("document_refused", code=error.code, reason=error.message, source=self.sources.place, mend=error.mend)

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


def _may_be_absent(name: str) -> bool:
    """Say whether there is a way round *name*, or there need not be such a document yet."""
    return name.startswith("root/") or name.split("/")[-2:-1] == ["delta"]


def _state(trusted: Trusted | None) -> object:
    """Return what tells one state from another."""
    if trusted is None:
        return None
    return trusted.root, trusted.timestamp, trusted.revocations, trusted.head, id(trusted.members)
