"""How many questions are answered at the same time, so that nobody keeps the others from an answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar, Final

from clearinghouse.errors import Unavailable
from clearinghouse.grid.topics import Subscriber

MAX_TOGETHER: Final = 256
"""Questions in work together.  One takes about 5 ms, most of it waiting for the disk that all of them share."""

MAX_EACH: Final = 16
"""Of one bare JID: as many as a platform asks before it waits for an answer."""

MAX_DOMAIN: Final = 64
"""Of one domain, whose users cost it nothing: four domains have to flood us together before others wait."""


class TooManyQuestions(Unavailable):
    """So many questions wait for their answer that this one is not even begun."""

    code: ClassVar[str] = "too-many-questions"


@dataclass(slots=True)
class Crowd:
    """Who is being answered now."""

    together: int = MAX_TOGETHER
    _count: int = 0
    _each: Counter[str] = field(default_factory=Counter)
    _domains: Counter[str] = field(default_factory=Counter)

    def enter(self, asker: Subscriber) -> None:
        """Begin one question of *asker*; raises `TooManyQuestions`."""
        if self._count >= self.together or self._each[asker.bare] >= MAX_EACH or self._domains[asker.domain] >= MAX_DOMAIN:
            raise TooManyQuestions("too many questions at once", mend="wait for the answers to those before")
        self._count += 1
        self._each[asker.bare] += 1
        self._domains[asker.domain] += 1

    def leave(self, asker: Subscriber) -> None:
        """End one question of *asker*, and keep nobody in memory who is not being answered."""
        self._count -= 1
        for counter, key in ((self._each, asker.bare), (self._domains, asker.domain)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
