"""Follows what other nodes write: told at once by NOTIFY, and looking by itself every few seconds all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import psycopg
import structlog

from clearinghouse.ledger.merkle import Frontier
from clearinghouse.storage.batch import Durable
from clearinghouse.storage.edge import Edge, split
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.links import AsyncLink, listening
from clearinghouse.storage.postgres.session import CHANNEL

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 2.0
"""Between two looks, should no notification come: some proxies of PostgreSQL keep them back."""

_LOOK: Final = "SELECT size, hashes, (SELECT highest FROM clock) FROM edge"


@dataclass(slots=True)
class Hearing:
    """Knows how far all nodes together have come; ``told`` are called when there may be something new."""

    address: Address
    saw: Callable[[Durable], None]
    told: set[Callable[[], None]] = field(default_factory=set)

    async def run(self) -> None:
        """Listen until cancelled; a connection that is lost is opened again."""
        heard = True
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError, ValueError) as error:
                if heard:
                    told = " ".join(str(error).split())
                    log.warning("store_not_heard", store=self.address.name, reason=told, mend=self.address.mend(error))
                heard = False
            self._tell()
            await asyncio.sleep(LOOK_SECONDS)

    async def _listen(self) -> None:
        """Tell of what is new for as long as the connection lasts."""
        async with await listening(self.address) as link:
            await link.execute(f"LISTEN {CHANNEL}".encode())
            while True:
                await self._look(link)
                self._tell()
                async for _ in link.notifies(timeout=LOOK_SECONDS, stop_after=1):
                    pass

    async def _look(self, link: AsyncLink) -> None:
        row = await (await link.execute(_LOOK)).fetchone()
        if row is not None:
            size, hashes, highest = row
            self.saw(Durable(Edge(Frontier(size, tuple(split(hashes)))), highest and datetime.fromisoformat(highest)))

    def _tell(self) -> None:
        for each in tuple(self.told):
            each()

    async def listen(self, told: Callable[[], None]) -> None:
        """Call *told* whenever there may be something new, until cancelled."""
        self.told.add(told)
        try:
            await asyncio.Event().wait()
        finally:
            with suppress(KeyError):
                self.told.remove(told)
