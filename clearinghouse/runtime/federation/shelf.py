"""The shelf: every document that is published, by name, and who waits for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from clearinghouse.federation.published.documents import digest, timestamp_name

Told = Callable[[str], None]
"""Is told of an audience with a new timestamp; returns at once and raises nothing."""


@dataclass(frozen=True, slots=True)
class Document:
    """What stands under a name; ``tag`` is the SHA-256 of its bytes."""

    name: str
    body: bytes = field(repr=False)
    tag: str

    @classmethod
    def of(cls, name: str, body: bytes) -> Document:
        """Return *body* under *name*."""
        return cls(name, body, digest(body))


@dataclass(slots=True)
class Shelf:
    """What all ways out give away, so that each gives the same bytes.  ``heard`` are told of each new timestamp."""

    heard: list[Told] = field(default_factory=list)
    _documents: dict[str, Document] = field(default_factory=dict)
    _news: dict[str, asyncio.Event] = field(default_factory=dict)

    @classmethod
    def opened(cls, documents: Mapping[str, bytes]) -> Shelf:
        """Return what was published before."""
        shelf = cls()
        shelf._documents = {name: Document.of(name, body) for name, body in documents.items()}
        return shelf

    @property
    def documents(self) -> Mapping[str, Document]:
        """Everything, by name; a copy, which stays as it is."""
        return dict(self._documents)

    def get(self, name: str) -> Document | None:
        """Return the document *name*, if there is one."""
        return self._documents.get(name)

    def timestamp(self, audience: str) -> Document | None:
        """Return the newest timestamp for *audience*, a domain or `*`."""
        return self._documents.get(timestamp_name(audience))

    def put(self, documents: Mapping[str, bytes], dropped: tuple[str, ...], audience: str) -> None:
        """Give away *documents* from now on, and no more those that are *dropped*; wake whoever waits for *audience*."""
        for name in dropped:
            self._documents.pop(name, None)
        self._documents |= {name: Document.of(name, body) for name, body in documents.items()}
        waiting = self._news.pop(audience, None)
        if waiting is not None:
            waiting.set()
        for told in self.heard:
            told(audience)

    async def newer(self, audience: str, tag: str, seconds: float) -> Document | None:
        """Return the timestamp for *audience* once it is another than *tag*; ``None`` when that takes more than *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                while (found := self.timestamp(audience)) is None or found.tag == tag:
                    await self._news.setdefault(audience, asyncio.Event()).wait()
        except TimeoutError:
            return None
        return found
