"""Several sources as one: the first that answers is asked, and the next where it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar
from xml.etree.ElementTree import Element

import structlog

from clearinghouse.agent.home.sparing import Sparing
from clearinghouse.agent.sources.source import CannotReport, Source, SourceUnavailable
from clearinghouse.errors import ClearinghouseError

log = structlog.get_logger(__name__)

T = TypeVar("T")

AGAIN_SECONDS: Final = 30.0
"""After which a source that did not answer is asked first again, where it stands first."""


@dataclass(slots=True)
class Failover:
    """Asks *sources* in their order, those last that did not answer lately.

    A source that gave something which was refused has its turn after the others: `blame` says so.
    """

    sources: Sequence[Source]
    used: Source | None = None
    _out: dict[int, float] = field(default_factory=dict)
    _sparing: Sparing = field(default_factory=Sparing)

    @property
    def place(self) -> str:
        """Where the last answer came from."""
        return self.used.place if self.used is not None else ""

    @property
    def ahead(self) -> timedelta | None:
        """How far our clock was ahead of that source's."""
        return self.used.ahead if self.used is not None else None

    async def fetch(self, name: str, *, limit: int) -> bytes:
        """See `Source.fetch`; raises what the last source raised where none answers."""
        failure: SourceUnavailable | None = None
        for number, source in self._in_order():
            try:
                found = await source.fetch(name, limit=limit)
            except SourceUnavailable as error:
                self._put_out(number, error.message)
                failure = error
            else:
                self.used = source
                self._sparing.over(f"{number} away")
                return found
        raise failure or SourceUnavailable("there is no source", mend="describe one: [[source]]")

    async def wait(self, view: str, after: str, seconds: float) -> None:
        """See `Source.wait`; where no source can wait, the time goes by."""
        for number, source in self._in_order()[:1]:
            try:
                await source.wait(view, after, seconds)
            except SourceUnavailable as error:
                self._put_out(number, error.message)
                await asyncio.sleep(min(seconds, 1.0))
            return
        await asyncio.sleep(seconds)

    async def report(self, sealed: bytes) -> None:
        """Hand in a signed report to the first that takes one; raises what the last one raised."""
        await self._handed_in(lambda source: source.report(sealed))

    async def join(self, sealed: bytes) -> str:
        """Hand in a request about our own record to the first that takes one; see `Source.join`."""
        return await self._handed_in(lambda source: source.join(sealed)) or ""

    async def _handed_in(self, hand_in: Callable[[Source], Awaitable[T]]) -> T | None:
        failure: ClearinghouseError | None = None
        for number, source in self._in_order():
            try:
                return await hand_in(source)
            except SourceUnavailable as error:
                self._put_out(number, error.message)
                failure = error
            except CannotReport as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return None

    def hears(self, message: Element) -> bool:
        """See `Source.hears`."""
        return any(each.hears(message) for each in self.sources)

    async def close(self) -> None:
        """See `Source.close`."""
        for each in self.sources:
            await each.close()

    def blame(self) -> None:
        """Ask the others first from now on: what this source gave was refused."""
        for number, source in enumerate(self.sources):
            if source is self.used and len(self.sources) > 1:
                self._put_out(number, "what it gave was refused", "refused")

    def _in_order(self) -> list[tuple[int, Source]]:
        now = _clock()
        self._out = {number: since for number, since in self._out.items() if now - since < AGAIN_SECONDS}
        return sorted(enumerate(self.sources), key=lambda each: (self._out.get(each[0], 0.0), each[0]))

    def _put_out(self, number: int, why: str, kind: str = "away") -> None:
        self._out[number] = _clock()
        if self._sparing.says(f"{number} {kind}"):
            log.warning("source_unavailable", source=self.sources[number].place, reason=why)


def _clock() -> float:
    return asyncio.get_running_loop().time()
