"""What every source can do, and how one says that it cannot."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final, Protocol
from xml.etree.ElementTree import Element

from clearinghouse.errors import PeerError, Unavailable

FETCH_SECONDS: Final = 60.0
"""For one document, however large: a table of 100,000 rows has 2 MB, and a thin line takes 30 s for it."""

WAIT_SECONDS: Final = 25.0
"""The longest that one question for news stays open: the clearinghouse answers after that at the latest."""


class SourceUnavailable(Unavailable):
    """A source does not answer, or refuses to."""

    code: ClassVar[str] = "source-unavailable"


class NoSuchDocument(PeerError):
    """The source has no document of this name; it may be gone, or not made yet."""

    code: ClassVar[str] = "no-such-document"
    http_status: ClassVar[int] = 404
    stanza_condition: ClassVar[str] = "item-not-found"


class CannotReport(PeerError):
    """A source takes no reports: a directory."""

    code: ClassVar[str] = "cannot-report"


class Source(Protocol):
    """One place from which documents come."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    @property
    def ahead(self) -> timedelta | None:
        """How far our clock was ahead of the source's at the last answer; ``None`` where it does not tell."""

    async def fetch(self, name: str, *, limit: int) -> bytes:
        """Return the document *name*; raises `NoSuchDocument`, `SourceUnavailable`, and `EndlessData` beyond *limit* bytes."""

    async def wait(self, view: str, after: str, seconds: float) -> None:
        """Return when *view* may have another timestamp than the one with the digest *after*, or after so many seconds.

        Raises `SourceUnavailable`.
        """

    async def report(self, sealed: bytes) -> None:
        """Hand in a signed report; raises `SourceUnavailable`, and `CannotReport` where there is nobody to take it."""

    async def join(self, sealed: bytes) -> str:
        """Hand in a signed request about our own record, and return what became of it: `done` or `waits`; raises as `report` does."""

    def hears(self, message: Element) -> bool:
        """Say whether *message*, which came to our component, is this source's word that there is something new."""

    async def close(self) -> None:
        """Let go of connections."""
