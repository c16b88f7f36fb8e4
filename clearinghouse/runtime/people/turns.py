"""Acts on one thing, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


@dataclass(slots=True)
class Turns:
    """Lets the acts on each name take turns; a name that nobody acts on takes no memory."""

    _turns: dict[str, _Turn] = field(default_factory=dict)

    @asynccontextmanager
    async def on(self, name: str) -> AsyncIterator[None]:
        """Wait until every act on *name* has ended that began before."""
        turn = self._turns.setdefault(name, _Turn())
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[name]
