"""A waiting line in which nobody can crowd out the others: domains take turns, and in each its senders."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class FairQueue(Generic[T]):
    """At most *most* items that wait.

    When it is full, an item of whoever has the most waiting gives way to a newcomer with fewer, so that a
    thousand questions of one domain leave room for the first one of another.
    """

    most: int
    _lines: OrderedDict[str, OrderedDict[str, deque[T]]] = field(default_factory=OrderedDict)
    _counts: dict[str, int] = field(default_factory=dict)
    _length: int = 0
    _ready: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def __len__(self) -> int:
        """Return how many wait."""
        return self._length

    def put(self, item: T, domain: str, sender: str) -> T | None:
        """Add *item* of *sender* in *domain*; return the item that had to give way, which may be *item* itself."""
        gone = self._give_way(domain, sender) if self._length >= self.most else None
        if self._length >= self.most:
            return item
        self._lines.setdefault(domain, OrderedDict()).setdefault(sender, deque()).append(item)
        self._counts[domain] = self._counts.get(domain, 0) + 1
        self._length += 1
        if gone is None:  # the place of what gave way was announced before
            self._ready.release()
        return gone

    async def get(self) -> T:
        """Return the next item, once there is one: that of the domain and the sender that waited longest for a turn."""
        await self._ready.acquire()
        domain, senders = next(iter(self._lines.items()))
        sender, items = next(iter(senders.items()))
        item = items.popleft()
        senders.move_to_end(sender)
        self._lines.move_to_end(domain)
        self._taken(domain, sender)
        return item

    def _give_way(self, domain: str, sender: str) -> T | None:
        """Take away the last item of the longest line, unless the newcomer's own would be as long."""
        longest = max(self._counts, key=self._counts.__getitem__)
        if self._counts[longest] <= self._counts.get(domain, 0) + 1:
            longest = domain
        senders = self._lines.get(longest, OrderedDict())
        crowd = max(senders, key=lambda each: len(senders[each]), default="")
        if crowd not in senders or (longest == domain and len(senders[crowd]) <= len(senders.get(sender, ())) + 1):
            return None
        gone = senders[crowd].pop()
        self._taken(longest, crowd)
        return gone

    def _taken(self, domain: str, sender: str) -> None:
        senders = self._lines[domain]
        if not senders[sender]:
            del senders[sender]
        if not senders:
            del self._lines[domain]
        self._counts[domain] -= 1
        if not self._counts[domain]:
            del self._counts[domain]
        self._length -= 1
