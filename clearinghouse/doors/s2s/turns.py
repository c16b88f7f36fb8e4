"""Whose turn it is to have done what its bytes ask for: each address in turn, and never for long at once.

Whoever sends much, or what is dear to read, such as handshakes, waits for his own; everybody else waits for one step of
each other address.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

SLICE_SECONDS: Final = 0.01
"""How long work is done before everything else has its turn: some twenty handshakes."""

WINDOW_SECONDS: Final = 0.02
"""In so long at most one slice is done at once; what is more waits until everything else that is ready had its turn."""

Step = Callable[[], None]
"""A step; it raises nothing."""


class Turns:
    """Does steps at once while there is time, and in turn by address when there is not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work in *loop*."""
        self._loop = loop
        self._since = self._spent = 0.0
        self._waiting: dict[str, deque[Step]] = {}
        self.waited = 0

    def take(self, address: str, step: Step) -> bool:
        """Do *step* of *address* now and say so, or in its turn."""
        began = self._loop.time()
        if began - self._since > WINDOW_SECONDS and not self._waiting:
            self._since, self._spent = began, 0.0
        if self._waiting or self._spent > SLICE_SECONDS:
            self._wait(address, step)
            return False
        step()
        self._spent += self._loop.time() - began
        return True

    def _wait(self, address: str, step: Step) -> None:
        self.waited += 1
        if not self._waiting:
            self._loop.call_soon(self._work)
        self._waiting.setdefault(address, deque()).append(step)

    def _work(self) -> None:
        """Do a slice of what waits, each address in turn, and the next after everything else that is ready."""
        began = self._loop.time()
        try:
            while self._waiting and self._loop.time() - began <= SLICE_SECONDS:
                self._next()()
        finally:  # whatever one of them raises, the others have their turn
            if self._waiting:
                self._loop.call_soon(self._work)
            else:
                self._since, self._spent = self._loop.time(), 0.0

    def _next(self) -> Step:
        """Take the next step; who has more waits behind all others."""
        address = next(iter(self._waiting))
        steps = self._waiting.pop(address)
        step = steps.popleft()
        if steps:
            self._waiting[address] = steps
        return step
