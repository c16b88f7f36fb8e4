"""Grants end: at their time by the clock, or when people or policy take them away; and then the broker is told.

What is over is written down first and told afterwards, so it is never forgotten: an end that a broker has not
heard stays owed, over restarts, until it has.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, Literal

import structlog

from clearinghouse.clearing.cases import Grant
from clearinghouse.clearing.enforcement import WHITELIST
from clearinghouse.doors.xmpp.component import back_off
from clearinghouse.enforcers.broker import TopicOwner
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.runtime.asking.questions import SUBSCRIBE
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.standing.books import Books
from clearinghouse.storage.changes import EndCarriedOut

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""The longest sleep: the time of day may jump, and no timer runs while the machine is suspended, so it is read again."""

MAX_FAILURES: Final = 16
"""Failures in a row that are told apart; the longest wait is reached before."""

AFTERWARDS: Final[tuple[Literal["none", "outcast"], ...]] = ("none", "outcast")
"""What the holder of an ended grant is to the node: whoever asks again, or whoever may not."""

_Node = tuple[str, str]


@dataclass(slots=True)
class Sunset:
    """Ends what is due and tells the brokers what is owed.

    ``look_again`` rules anew on what is due at a time, and writes down which of it goes on and which is over.
    ``mend`` makes the affiliations at a node what the books say; more than subscriptions may have ended.
    ``reachable`` says whether a broker's link is up.  Of a grant that is ``owed``, the broker has not heard yet: it is
    given up by whoever would have told, and until then there is nothing to end.
    """

    books: Books
    owners: Mapping[str, TopicOwner]
    look_again: Callable[[datetime], Awaitable[None]]
    mend: Callable[[str, str], Awaitable[None]]
    reachable: Callable[[str], bool]
    owed: Callable[[str], bool]
    chance: Chance
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _not_before: dict[str, float] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)

    def overturn(self) -> None:
        """Look at once: something is over, or a broker is back."""
        self._not_before.clear()
        self._wake.set()

    async def run(self) -> None:
        """End what is due, until cancelled."""
        while True:
            await self._pause()
            try:
                await self.look()
            except Unavailable as error:
                log.warning("ending_failed", reason=error.message, mend=error.mend)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception:  # one look must not end the next
                log.exception("failed")
                await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """End what is due now, and tell the brokers."""
        now = self.chance.now()
        if self.books.due(now) or self.books.due_cases(now):
            await self.look_again(now)
        await self.tell()

    async def tell(self) -> None:
        """Tell every broker that can be reached what is over there, each node in one pass."""
        nodes: dict[_Node, list[Grant]] = defaultdict(list)
        for grant in self.books.owed_ends():
            if not self.owed(grant.id):
                nodes[grant.broker, grant.topic].append(grant)
        for (broker, node), grants in nodes.items():
            if self.reachable(broker) and self.chance.elapsed() >= self._not_before.get(broker, 0.0):
                await self._told(broker, node, grants)

    async def _told(self, broker: str, node: str, grants: Sequence[Grant]) -> None:
        try:
            await self._end(broker, node, grants)
        except ClearinghouseError as error:
            failures = self._failures[broker] = self._failures.get(broker, 0) + 1
            self._not_before[broker] = self.chance.elapsed() + _wait(failures)
            log.warning("end_owed", broker=broker, topic=node, count=len(grants), reason=error.message, mend=error.mend)
        else:
            self._failures.pop(broker, None)
            log.info("ended", broker=broker, topic=node, count=len(grants), because=sorted({each.why.code for each in grants if each.why}))

    async def _end(self, broker: str, node: str, grants: Sequence[Grant]) -> None:
        owner = self.owners[broker]
        for affiliation in AFTERWARDS:
            ended = [each for each in grants if (each.affiliation == "outcast") == (affiliation == "outcast")]
            await self._cut(owner, broker, node, ended, affiliation)
        if any(each.affiliation != "outcast" and not _by_form(each) for each in grants):
            await self.mend(broker, node)
        await self.books.write(EndCarriedOut(tuple(each.id for each in grants), self.chance.now()))

    async def _cut(
        self, owner: TopicOwner, broker: str, node: str, ended: Iterable[Grant], affiliation: Literal["none", "outcast"]
    ) -> None:
        """End subscriptions; somebody whose right to write is over, and who may still read, keeps what it reads."""
        jids = [_written(each) for each in ended if affiliation == "outcast" or _by_form(each)]
        if jids:
            await owner.end(broker, node, list(dict.fromkeys(jids)), affiliation=affiliation)

    async def _pause(self) -> None:
        due = self.books.next_due()
        left = LOOK_SECONDS if due is None else (due - self.chance.now()).total_seconds()
        try:
            async with asyncio.timeout(min(max(left, 0.0), LOOK_SECONDS)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()


def _by_form(grant: Grant) -> bool:
    """Say whether the broker asked for this grant; all others are affiliations, which `Sunset.mend` sees to."""
    return grant.request.operation == SUBSCRIBE and grant.request.known.get("access_model") != WHITELIST


def _written(grant: Grant) -> str:
    place = grant.request.place
    return grant.holder if place is None else place.subscriber


def _wait(failures: int) -> float:
    """Return how many seconds to wait after so many failures in a row."""
    return next(islice(back_off(), min(failures, MAX_FAILURES) - 1, None))
