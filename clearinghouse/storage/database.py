"""The SQLite file: opened so that what is committed is durable, and brought to today's layout."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from typing_extensions import override

from clearinghouse.errors import BadSettings, StoreUnavailable, UnsafeFile
from clearinghouse.storage.site import Site

log = structlog.get_logger(__name__)

BUSY_SECONDS: Final = 3.0
"""How long a write waits for another process that holds the file; longer, and the question is left open."""

_MENDS: Final = {
    "SQLITE_BUSY": "another process holds it: end that one, or wait",
    "SQLITE_LOCKED": "another process holds it: end that one, or wait",
    "SQLITE_READONLY": "let us write the file and its directory",
    "SQLITE_FULL": "make room on its disk",
    "SQLITE_IOERR": "look at its disk and at the system's log",
    "SQLITE_CANTOPEN": "make its directory, and let us write there",
    "SQLITE_PERM": "let us write the file and its directory",
    "SQLITE_CORRUPT": "restore it from a backup",
    "SQLITE_NOTADB": "it is no SQLite database: name another file in [store], or restore this one",
}


_GONE: Final = "end the service, put the old store back, and start it again"


def pragmas(*, read_only: bool) -> tuple[str, ...]:
    """Return what every connection is told first: commits wait for the disk, and what is erased is overwritten."""
    return "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", f"query_only={int(read_only)}"


def create_engine(path: Path, *, read_only: bool = False) -> AsyncEngine:
    """Return an engine that reads; `writing` gives the one that brings an older file to today's layout."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver would begin transactions when it sees fit; `_begin` does.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas(read_only=read_only):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later can be refused in between; one that only reads must not wait.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine


def writing(engine: AsyncEngine) -> AsyncEngine:
    """Return *engine* with transactions that hold the file for writing from their beginning."""
    return engine.execution_options(writes=True)


@dataclass(frozen=True, slots=True)
class SqliteFile(Site):
    """The file at *path*."""

    raised = (sqlite3.Error,)
    ours = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.NotSupportedError, sqlite3.ProgrammingError)

    path: Path

    @property
    @override
    def name(self) -> str:
        """See `Site.name`."""
        return str(self.path)

    @override
    def mend(self, error: BaseException) -> str:
        """See `Site.mend`."""
        name: str = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
        return next((mend for prefix, mend in _MENDS.items() if name.startswith(prefix)), "see the message, and the system's log")

    @override
    def replayed(self, error: BaseException | None) -> bool:
        """See `Site.replayed`."""
        return isinstance(error, sqlite3.IntegrityError) and "seen." in str(error)


@contextmanager
def claimed(path: Path) -> Iterator[tuple[int, int]]:
    """Hold the store at *path* for one service alone, made if need be; gives the `identity` of its file.

    The lock is a file of its own beside it: SQLite locks the database for each transaction, not for a service.
    """
    lock = _opened(path, path.resolve().with_name(f"{path.resolve().name}.lock"), os.O_NOFOLLOW)
    try:
        _lock(path, lock)
        _make(path)
        yield identity(path)
    finally:
        os.close(lock)


def identity(path: Path) -> tuple[int, int]:
    """Return the device and the inode of the file; raises `StoreUnavailable` where there is none."""
    try:
        status = path.stat()
    except OSError as error:
        raise StoreUnavailable(f"the store `{path}` is gone ({error.strerror})", mend=_GONE) from None
    return status.st_dev, status.st_ino


def check_same(path: Path, opened: tuple[int, int]) -> None:
    """Raise `StoreUnavailable` unless the file at *path* is the one that was *opened*: what is written to another is lost."""
    if identity(path) != opened:
        raise StoreUnavailable(f"the store `{path}` was replaced while it was in use", mend=_GONE)


def _lock(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SqliteFile(path).taken() from None


def _make(path: Path) -> None:
    """Make the file, mode 0600, or see that it is ours alone: it says who asked for what."""
    try:
        os.close(_opened(path, path, os.O_EXCL))
    except FileExistsError:
        check_ours(path)
    else:
        log.warning("store_made", file=str(path), mend="nothing at the first start; later, end the service and restore the old store")


def _opened(store: Path, path: Path, flags: int) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    except FileExistsError:
        raise
    except OSError as error:
        mend = "make its directory and let us write there, or name another file in [store]"
        raise StoreUnavailable(f"the store `{store}` cannot be made ({error.strerror})", mend=mend) from None


def check_ours(path: Path) -> None:
    """Raise unless *path* is a database file that others can neither read nor write."""
    try:
        status = path.stat()
    except OSError as error:
        raise BadSettings(f"there is no store `{path}` ({error.strerror})", mend="it is made when the service starts") from None
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(f"`{path}` is not a regular file", mend="name a file in [store]")
    if status.st_uid != os.geteuid():
        raise UnsafeFile(f"`{path}` belongs to user {status.st_uid}", mend="run as that user, or name another file in [store]")
    if status.st_mode & 0o077:
        raise UnsafeFile(f"`{path}` can be reached by others (mode {stat.S_IMODE(status.st_mode):04o})", mend=f"chmod 600 {path}")
