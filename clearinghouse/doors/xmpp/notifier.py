"""Sends chat messages, and few enough of them that people read them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import uuid4
from xml.etree.ElementTree import Element

import structlog

from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid.notices import Digest, held_back, write_notice

log = structlog.get_logger(__name__)

Write: TypeAlias = Callable[[Element], None]


@dataclass(slots=True)
class Notifier:
    """Writes to people and platforms as *us*; ``write`` is as for `Exchange`."""

    us: str
    write: Write
    _digest: Digest = field(default_factory=Digest)
    _timer: asyncio.TimerHandle | None = None

    def notify(self, to: str, body: str) -> None:
        """Send *body* to *to* unless there were many in the last minute: then one message tells how many more there are.

        Never raises for what happens on the way.  A message that finds no session is told of in the same way.
        """
        now = asyncio.get_running_loop().time()
        if self._digest.may_send(to, now=now):
            self._send(to, body, 1, now)
        self._wait(now)

    def close(self) -> None:
        """Forget what was held back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self, to: str, body: str, stands_for: int, now: float) -> None:
        message = write_notice(to, body, uuid4().hex)
        message.set("from", self.us)
        try:
            self.write(message)
        except BrokerUnavailable:
            self._digest.failed(to, stands_for, now=now)

    def _wait(self, now: float) -> None:
        due = self._digest.next_due()
        if self._timer is None and due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._tell)

    def _tell(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for to, number in self._digest.due(now=now):
            self._send(to, held_back(number), number, now)
        if self._digest.unsaid:
            log.warning("notices_lost", messages=self._digest.unsaid, mend="look at the commands `pending` and `grants` instead")
            self._digest.unsaid = 0
        self._wait(now)
