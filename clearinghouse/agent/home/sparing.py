"""What goes wrong each second is said when it begins, and from time to time while it lasts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

REPEAT_SECONDS: Final = 600.0
"""Until the same is said again: it stands in any hour of the log, and fills no disk in a night without a network."""


@dataclass(slots=True)
class Sparing:
    """Remembers what was said, by a name that we give it: never by words of somebody else, which have no end."""

    clock: Callable[[], float] = time.monotonic
    _said: dict[str, float] = field(default_factory=dict)

    def says(self, what: str) -> bool:
        """Whether *what* is to be said now, and remember that it was."""
        now, before = self.clock(), self._said.get(what)
        if before is not None and now - before < REPEAT_SECONDS:
            return False
        self._said[what] = now
        return True

    def over(self, what: str | None = None) -> bool:
        """Forget that *what*, or anything, was said, since it is over; whether there was something."""
        if what is not None:
            return self._said.pop(what, None) is not None
        there = bool(self._said)
        self._said.clear()
        return there
