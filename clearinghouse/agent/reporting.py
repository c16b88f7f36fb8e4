"""Tells the clearinghouse from time to time how this agent is, and the operator when it turns for the worse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.agent.status import STATUS, Health, Status
from clearinghouse.errors import ClearinghouseError

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between looks at how we are: a table that expires is told of within so much."""

REPEAT: Final = timedelta(minutes=10)
"""What is bad is said again after so long, so that it stands in any hour of the log."""

FIRST_REPORT: Final = timedelta(seconds=5)
"""After a start, until the clearinghouse hears of us: its fleet view calls stale who is silent."""

LOUD: Final = frozenset({Health.KEPT, Health.CLOSED})
MENDS: Final = {
    Health.STALE: "nothing, if it passes: nobody has said lately which table is the newest; see the sources",
    Health.APART: "see that the server runs with the module, and that the component's name and secret are right",
    Health.KEPT: "see that a source answers: rows of an expired table count, as the settings say",
    Health.CLOSED: "see that a source answers and that the clock is right; `clearinghouse agent override` admits without either",
}

Report = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class Reporter:
    """Sends the report through ``send``: soon after the start, each ``period``, and at once when it is ``due``."""

    speaker: Speaker
    status: Status
    send: Report
    period: timedelta
    last: datetime | None = None
    due: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Report until cancelled; that nobody took it is said once."""
        failed, wait = False, min(self.period, FIRST_REPORT)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait.total_seconds()):
                    await self.due.wait()
            self.due.clear()
            wait = self.period
            try:
                await self.send(self.speaker.sealed(STATUS, self.status.report()))
            except ClearinghouseError as error:
                if not failed:
                    log.warning("report_not_taken", reason=error.message, mend=error.mend)
                failed = True
            else:
                failed, self.last = False, self.speaker.now()


@dataclass(slots=True)
class Alarm:
    """Says how the agent is when that changes, and again while it is bad; ``heard`` are told of each change."""

    status: Status
    heard: list[Callable[[Health, Health], None]] = field(default_factory=list)
    said: Health = Health.GOOD
    _at: datetime | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Say what has changed, or is bad still."""
        now, health = self.status.follower.clock.now(), self.status.health()
        changed = health is not self.said
        if not changed and (health not in LOUD or (self._at is not None and abs(now - self._at) < REPEAT)):
            return
        before, self.said, self._at = self.said, health, now
        self._say(health)
        if changed:
            for told in self.heard:
                told(before, health)

    def _say(self, health: Health) -> None:
        if health is Health.GOOD:
            log.info("agent_is_well")
        elif health in LOUD:
            standing = self.status.follower.standing().value
            log.error("table_expired" if health is Health.KEPT else "server_closed", standing=standing, mend=MENDS[health])
        else:
            log.warning("agent_is_not_well", health=health.value, mend=MENDS[health])
