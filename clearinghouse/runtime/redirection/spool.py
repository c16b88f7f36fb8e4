"""The spool: what a node decided while the store was away, one line each, on the disk before anybody was answered.

::

    <CRC-32 of the text, 8 hexadecimal digits> <text>

A line that was half written when the machine stopped was never answered, so it is cut off when the file is
opened again.  One process holds the file (`flock(2)`); the kernel lets go of it when that one dies.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import structlog

from clearinghouse.errors import BadSettings, StoreUnavailable, UnsafeFile

log = structlog.get_logger(__name__)

MAX_SPOOL_BYTES: Final = 1 << 28
"""Bytes of the spool: 100 decisions a second for the usual quarter of an hour, 3 kB each."""

MAX_LINE_BYTES: Final = 1 << 22
"""Bytes of one decision: its record in the log has an eighth at most, and its proof names a hundred assertions that were skipped."""

ASIDE: Final = ".aside"
"""What is added to the spool's name for the file with decisions that the log would not take."""

_may_begin = re.compile(rb"[0-9a-f]{0,8}|[0-9a-f]{8} |\0+").fullmatch
"""How the first line begins, also one that was half written; a machine that stopped may have left zeros instead."""

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_HEAD: Final = 9
"""Characters before the text: the check sum and a space."""
_AT_ONCE: Final = 2 * MAX_LINE_BYTES
"""Bytes that are read at once: one line at least is whole in them."""


class SpoolFull(StoreUnavailable):
    """The store is away, and what is decided cannot be journaled either: nothing is answered but this."""

    code: ClassVar[str] = "spool-full"


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands in the spool; ``end`` is where the next one begins, ``text`` is ``None`` for one that was spoilt."""

    end: int
    text: str | None


@dataclass(slots=True)
class Spool:
    """The file at *path*, used by one thread at a time; made by `opened`.

    ``size`` are the bytes of whole lines, ``taken`` how many of them are in the log by now.
    """

    path: Path
    file: int
    most: int = MAX_SPOOL_BYTES
    size: int = 0
    taken: int = 0
    _untidy: bool = False

    @property
    def empty(self) -> bool:
        """Whether the log has everything."""
        return self.taken >= self.size

    def append(self, texts: Sequence[str]) -> None:
        """Make *texts* durable, all or none; raises `SpoolFull`."""
        lines = list(map(_line, texts))
        if max(map(len, lines), default=0) > MAX_LINE_BYTES or self.size + sum(map(len, lines)) > self.most:
            raise SpoolFull(f"the spool `{self.path}` is full", mend=f"bring the store back: {self.most} bytes are kept at most")
        try:
            self._cut()
            self._untidy = True
            _write(self.file, b"".join(lines), self.size)
            os.fdatasync(self.file)
        except OSError as error:
            with suppress(OSError):
                self._cut()
            raise SpoolFull(f"the spool `{self.path}` takes nothing ({error.strerror})", mend="make room on its disk") from None
        self._untidy = False
        self.size += sum(map(len, lines))

    def _cut(self) -> None:
        """Remove what was written without success: nobody was answered by it."""
        if self._untidy:
            os.ftruncate(self.file, self.size)
            self._untidy = False

    def next(self, most: int) -> list[Line]:
        """Return the lines that the log has not, *most* of them, oldest first."""
        raw = os.pread(self.file, min(_AT_ONCE, self.size - self.taken), self.taken)
        found, end = [], self.taken
        for line in raw.split(b"\n")[:-1][:most]:
            end += len(line) + 1
            found.append(Line(end, _text(line)))
        return found or ([Line(self.taken + len(raw), None)] if raw else [])

    def take(self, end: int) -> None:
        """Note that the log has everything before *end*; with the last line the file becomes empty."""
        self.taken = end
        if self.empty:
            os.ftruncate(self.file, 0)
            self.size = self.taken = 0

    def set_aside(self, text: str) -> None:
        """Keep *text*, which the log would not take, in a file of its own beside the spool."""
        file = os.open(f"{self.path}{ASIDE}", _FLAGS | os.O_APPEND, 0o600)
        try:
            os.write(file, _line(text))
            os.fsync(file)
        finally:
            os.close(file)


@contextmanager
def opened(path: Path, most: int = MAX_SPOOL_BYTES) -> Iterator[Spool]:
    """Hold the spool at *path*, made if need be, mode 0600; raises `BadSettings` and `UnsafeFile`."""
    try:
        file = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        mend = "make its directory and let us write there, or name another `spool_file` in [redirect]"
        raise BadSettings(f"the spool `{path}` cannot be opened ({error.strerror})", mend=mend) from None
    try:
        _check(path, os.fstat(file))
        _claim(path, file)
        yield Spool(path, file, most, _whole(path, file))
    finally:
        os.close(file)


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(f"`{path}` is not a regular file", mend="name another `spool_file` in [redirect]")
    if status.st_uid != os.geteuid():
        raise UnsafeFile(f"`{path}` belongs to user {status.st_uid}", mend="run as that user, or name another `spool_file` in [redirect]")
    if status.st_mode & 0o077:
        raise UnsafeFile(f"`{path}` can be reached by others (mode {stat.S_IMODE(status.st_mode):04o})", mend=f"chmod 600 {path}")


def _claim(path: Path, file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        mend = "end that one, or give each node a `spool_file` of its own"
        raise BadSettings(f"another node works with the spool `{path}`", mend=mend) from None
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)  # a spool that was made just now must be found again
    finally:
        os.close(directory)


def _whole(path: Path, file: int) -> int:
    """Return how many bytes of the file are whole lines, and cut off what follows them; raises `BadSettings`."""
    size = os.fstat(file).st_size
    if not _may_begin(os.pread(file, _HEAD, 0)) and all(_text(each) is None for each in os.pread(file, _AT_ONCE, 0).split(b"\n")):
        # A key, say, that is named by mistake: its lines would be taken for spoilt ones, and removed.
        raise BadSettings(f"`{path}` is no spool", mend="name another `spool_file` in [redirect]")
    first = max(0, size - _AT_ONCE)
    end = first + os.pread(file, _AT_ONCE, first).rfind(b"\n") + 1
    if end == first > 0:
        raise BadSettings(f"`{path}` is no spool", mend="name another `spool_file` in [redirect]")
    if end < size:
        log.warning("spool_cut", file=str(path), bytes=size - end, mend="nothing: it was half written, and nobody was answered by it")
        os.ftruncate(file, end)
    return end


def _line(text: str) -> bytes:
    raw = text.encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(raw), raw)


def _text(line: bytes) -> str | None:
    raw = line[_HEAD:]
    return raw.decode("ascii") if line[:_HEAD] == b"%08x " % zlib.crc32(raw) else None


def _write(file: int, content: bytes, at: int) -> None:
    """Write all of *content*: a disk that becomes full takes a part and says nothing."""
    view = memoryview(content)
    while view:
        done = os.pwrite(file, view, at)
        view, at = view[done:], at + done
