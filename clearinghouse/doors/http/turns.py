"""Who reads a body now: so many together, in all and of one address."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

BODIES: Final = 64
"""Bodies that are read together; with the largest 16 MB."""

BODIES_EACH: Final = 8
"""Bodies of one address that are read together; whoever sends slowly keeps only himself waiting."""


@dataclass(slots=True)
class Turns:
    """Who reads a body now: so many together, and so many of one address."""

    _all: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BODIES))
    _each: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _waiting: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def of(self, peer: str) -> AsyncIterator[None]:
        """Wait for a turn of *peer*, and have it while the block runs."""
        self._waiting[peer] += 1
        each = self._each.setdefault(peer, asyncio.Semaphore(BODIES_EACH))
        try:
            async with each, self._all:
                yield
        finally:
            self._waiting[peer] -= 1
            if not self._waiting[peer]:
                del self._waiting[peer], self._each[peer]
