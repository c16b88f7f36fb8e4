"""The agent's own log: what it applied, what was overridden, how it was; in the store, beside the decisions about grants."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from clearinghouse.errors import StoreUnavailable
from clearinghouse.storage.store import Event, Store

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 1_000
"""Events that wait for the store; what is more is told in the log's lines alone."""


@dataclass(slots=True)
class Journal:
    """Keeps events in ``store`` in their order, without anybody waiting for it."""

    store: Store
    _waiting: asyncio.Queue[Event] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))

    def note(self, at: datetime, kind: str, told: Mapping[str, Any]) -> None:
        """Have an event kept."""
        try:
            self._waiting.put_nowait(Event(at, kind, dict(told)))
        except asyncio.QueueFull:
            log.error("event_not_kept", kind=kind)  # noqa: TRY400 - nobody wants the frames

    async def run(self) -> None:
        """Keep events until cancelled."""
        while True:
            await self._keep(await self._waiting.get())

    async def finish(self) -> None:
        """Keep what is left."""
        while not self._waiting.empty():
            await self._keep(self._waiting.get_nowait())

    async def _keep(self, event: Event) -> None:
        try:
            await self.store.note(event)
        except StoreUnavailable as error:
            log.error("event_not_kept", kind=event.kind, reason=error.message)  # noqa: TRY400 - the reason is all there is
