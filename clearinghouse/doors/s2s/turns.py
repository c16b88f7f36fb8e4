"""Whose turn it is to have dear work done, a step of a TLS handshake: each address in turn, and never for long at once.

A handshake costs a hundred times what the other steps of a connection cost.  Whoever sends many at once waits for his
own, and everybody else for one of each other address.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

SLICE_SECONDS: Final = 0.01
"""How long dear work is done before everything else has its turn: some twenty handshakes."""

Step = Callable[[], None]
"""A step; it raises nothing."""


class Turns:
    """Does steps at once while there is time, and in turn by address when there is not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work in *loop*."""
        self._loop = loop
        self._spent, self._counting = 0.0, False
        self._waiting: dict[str, deque[Step]] = {}
        self.waited = 0

    def take(self, address: str, step: Step) -> bool:
        """Do *step* of *address* now and say so, or in its turn."""
        if self._waiting or self._spent > SLICE_SECONDS:
            self._waiting.setdefault(address, deque()).append(step)
            self.waited += 1
            return False
        self._do(step)
        return True

    def _do(self, step: Step) -> None:
        began = self._loop.time()
        step()
        self._spent += self._loop.time() - began
        if not self._counting:
            self._counting = True
            self._loop.call_soon(self._again)

    def _again(self) -> None:
        """Begin another slice, after everything else that was ready had its turn."""
        self._counting, self._spent = False, 0.0
        while self._waiting and self._spent <= SLICE_SECONDS:
            address = next(iter(self._waiting))
            steps = self._waiting.pop(address)
            step = steps.popleft()
            if steps:
                self._waiting[address] = steps  # behind all others
            self._do(step)
