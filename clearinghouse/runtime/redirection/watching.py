"""Watches a node's store: looks what is new, says when it is away, and lets the log catch up when it is back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import structlog

from clearinghouse.clearing.wire import stamp
from clearinghouse.errors import ClearinghouseError
from clearinghouse.runtime.redirection.contact import Contact
from clearinghouse.runtime.redirection.following import Follower
from clearinghouse.runtime.redirection.ledger import NodeLedger

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 2.0
"""Between looks where the store tells of nothing: each proves that it is there, and finds what a lost message did not tell."""

LEAST_SECONDS: Final = 0.05
"""Between looks however much the store tells of: a hundred decisions a second are no hundred looks."""


class Standing(StrEnum):
    """How a node is, in one word."""

    GOOD = "good"
    BEHIND = "behind"
    """The store can be read, and takes nothing: decisions are journaled."""
    CUT_OFF = "cut-off"
    """The store does not answer: decisions rest on the last snapshot, and are journaled."""
    REFUSING = "refusing"
    """It has not answered for longer than the settings allow: nobody is sent anywhere."""


@dataclass(slots=True)
class Watch:
    """``name`` is the door's; ``error`` is what went wrong in the last look, ``None`` where nothing did."""

    name: str
    follower: Follower
    ledger: NodeLedger
    contact: Contact
    error: str | None = None
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _cut: bool = False
    _refusing: bool = False
    _unwritten: bool = False
    _catching: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.ledger.troubled = self.wake

    @property
    def standing(self) -> Standing:
        """Return the worst that is true."""
        if self.contact.over:
            return Standing.REFUSING
        if self._cut:
            return Standing.CUT_OFF
        return Standing.BEHIND if self.ledger.behind else Standing.GOOD

    def wake(self) -> None:
        """Look at once: something has changed, or failed."""
        self._woken.set()

    async def begin(self) -> int:
        """Look for the first time, and append what an earlier process has left; return how many decisions that were.

        Raises `StoreUnavailable` and ``TimeoutError``: a node that has never seen its store has nothing to answer from.
        """
        began = self.contact.moment()
        await self.follower.look()
        self.contact.made(began)
        self.ledger.see(self.follower.highest)
        return await self.ledger.catch_up({"node": self.name})

    async def run(self) -> None:
        """Look whenever something is told, and often enough to know that the store is there; until cancelled."""
        try:
            while True:
                await self._pause()
                await self._look()
        finally:
            if self._catching is not None:
                self._catching.cancel()
                await asyncio.wait([self._catching])

    async def _pause(self) -> None:
        await asyncio.sleep(LEAST_SECONDS)
        try:
            async with asyncio.timeout(POLL_SECONDS - LEAST_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _look(self) -> None:
        began = self.contact.moment()
        try:
            await self.follower.look()
        except Exception as error:  # noqa: BLE001 - whatever it is, what we believe may be old, and the next look may succeed
            self._missed(error)
            return
        self.contact.made(began)
        self.ledger.see(self.follower.highest)
        self.error = None
        if self.ledger.behind:
            self._begin_to_catch_up()
        elif self._cut:
            self._back(0)

    def _begin_to_catch_up(self) -> None:
        """Let the log catch up, which may take minutes: what has changed must not wait for it."""
        if self._catching is None or self._catching.done():
            self._catching = asyncio.create_task(self._catch_up(), name="catch-up")

    async def _catch_up(self) -> None:
        try:
            count = await self.ledger.catch_up({"node": self.name})
        except Exception as error:  # noqa: BLE001 - as above: what was journaled waits on
            self.error = _told(error)
            if not self._unwritten:
                self._unwritten = True
                log.warning("not_recording", reason=self.error, mend="decisions are journaled meanwhile; look why the store takes nothing")
            return
        self._back(count)

    def _missed(self, error: Exception) -> None:
        self.error = _told(error)
        self.ledger.part()
        since, until = stamp(self.contact.at), stamp(self.contact.until)
        if not self._cut:
            self._cut = True
            log.warning("cut_off", since=since, until=until, reason=self.error, mend="bring the store back before that time")
        if self.contact.over and not self._refusing:
            self._refusing = True
            log.error("refusing", since=since, reason=self.error, mend="bring the store back: until then nobody is sent anywhere")

    def _back(self, count: int) -> None:
        if self._cut or self._unwritten:
            log.info("back", appended=count)
        elif count:  # it was slow once, and nobody need look
            log.debug("caught_up", appended=count)
        self._cut = self._refusing = self._unwritten = False


def _told(error: Exception) -> str:
    if isinstance(error, ClearinghouseError):
        return error.message
    return "it did not answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
