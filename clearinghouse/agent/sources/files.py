"""A directory as source: what was carried there by hand, or is shared by a file system."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from clearinghouse.agent.sources.source import CannotReport, NoSuchDocument, SourceUnavailable
from clearinghouse.federation.published.documents import timestamp_name
from clearinghouse.federation.published.refusals import EndlessData

LOOK_SECONDS: Final = 1.0
"""Between looks at the newest timestamp, each of which costs 5 us."""

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not stop us


@dataclass(slots=True)
class Files:
    """The documents below *directory*, as ``clearinghouse federation export`` writes them."""

    directory: Path
    ahead: timedelta | None = None
    _seen: tuple[int, int, int] | None = None

    @property
    def place(self) -> str:
        """The directory."""
        return str(self.directory)

    async def fetch(self, name: str, *, limit: int) -> bytes:
        """See `Source.fetch`."""
        return await asyncio.to_thread(self._read, name, limit)

    async def wait(self, view: str, after: str, seconds: float) -> None:
        """See `Source.wait`; what we have is not looked at, only whether the timestamp is another file."""
        del after
        path = self.directory / timestamp_name(view)
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            now = _stamp(path)
            if now != self._seen:
                self._seen = now
                return
            await asyncio.sleep(min(LOOK_SECONDS, left))

    async def report(self, sealed: bytes) -> None:
        """See `Source.report`."""
        del sealed
        raise CannotReport(f"nobody takes reports at `{self.directory}`", mend="add a source of the kind `https` or `xmpp`")

    async def join(self, sealed: bytes) -> str:
        """See `Source.join`."""
        del sealed
        raise CannotReport(f"nobody takes requests at `{self.directory}`", mend="add a source of the kind `https` or `xmpp`")

    def hears(self, message: Element) -> bool:
        """See `Source.hears`."""
        del message
        return False

    async def close(self) -> None:
        """See `Source.close`."""

    def _read(self, name: str, limit: int) -> bytes:
        path = self.directory / name
        try:
            descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            if not self.directory.is_dir():
                raise SourceUnavailable(f"there is no directory `{self.directory}`", mend="mount it, or make it") from None
            raise NoSuchDocument(f"there is no `{path}`", mend="export the community's documents again") from None
        except OSError as error:
            mend = "put the file itself there, and let us read it"
            raise SourceUnavailable(f"`{path}` cannot be read ({error.strerror})", mend=mend) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SourceUnavailable(f"`{path}` is no file", mend="put the file itself there")
        with os.fdopen(descriptor, "rb") as file:
            return _bounded(file.read(limit + 1), limit, name)


def _bounded(content: bytes, limit: int, name: str) -> bytes:
    if len(content) > limit:
        raise EndlessData(f"`{name}` has more than {limit} bytes", mend="export the community's documents again")
    return content


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
