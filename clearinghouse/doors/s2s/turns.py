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
    """Does steps at once while there is time, and in turn by address when there is not.

    Of those who wait, every other turn is of an address that is known: so many strangers may come, from so many addresses,
    that waiting for one step of each would take seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, knows: Callable[[str], bool] = lambda _: False) -> None:
        """Work in *loop*; *knows* says which addresses are known."""
        self._loop, self._knows = loop, knows
        self._since = self._spent = 0.0
        self._lanes: tuple[dict[str, deque[Step]], dict[str, deque[Step]]] = {}, {}
        self._lane = False
        self.waited = 0

    @property
    def _waiting(self) -> bool:
        return bool(self._lanes[0] or self._lanes[1])

    def take(self, address: str, step: Step) -> bool:
        """Do *step* of *address* now and say so, or in its turn."""
        began, waiting = self._loop.time(), self._waiting
        if began - self._since > WINDOW_SECONDS and not waiting:
            self._since, self._spent = began, 0.0
        if waiting or self._spent > SLICE_SECONDS:
            self._wait(address, step)
            return False
        step()
        self._spent += self._loop.time() - began
        return True

    def _wait(self, address: str, step: Step) -> None:
        self.waited += 1
        if not self._waiting:
            self._loop.call_soon(self._work)
        self._lanes[self._knows(address)].setdefault(address, deque()).append(step)

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
        self._lane = not self._lane
        lane = self._lanes[self._lane] or self._lanes[not self._lane]
        address = next(iter(lane))
        steps = lane.pop(address)
        step = steps.popleft()
        if steps:
            lane[address] = steps
        return step
