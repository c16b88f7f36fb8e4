"""The one connection that writes, on the driver itself: a batch of rows is a handful of statements."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clearinghouse.errors import StoreUnavailable
from clearinghouse.storage import database
from clearinghouse.storage.batch import Batch, Durable, Parameters
from clearinghouse.storage.database import SqliteFile
from clearinghouse.storage.edge import TILE, Edge, split
from clearinghouse.storage.statements import ADVANCE

CACHED: Final = 128
"""Prepared statements that are kept: each of 20 in 4 sizes, and what begins and ends a transaction."""


@dataclass(slots=True)
class WritingConnection:
    """Implements `clearinghouse.storage.writer.Target`; used by one thread at a time."""

    site: SqliteFile
    opened: tuple[int, int]
    raw: sqlite3.Connection

    @classmethod
    def open(cls, site: SqliteFile, opened: tuple[int, int]) -> WritingConnection:
        """Return the connection to the file at *site*, which was *opened* as that device and inode."""
        raw = sqlite3.connect(
            site.path, timeout=database.BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=CACHED
        )
        try:
            for pragma in database.pragmas(read_only=False):
                raw.execute(f"PRAGMA {pragma}")
        except BaseException:
            raw.close()
            raise
        return cls(site, opened, raw)

    def write(self, batch: Batch) -> Durable:
        """See `Target.write`; raises what the driver raises, and `StoreUnavailable`."""
        database.check_same(self.site.path, self.opened)
        self.raw.execute("BEGIN IMMEDIATE")
        try:
            for text, parameters in batch.steps():
                self.raw.execute(text, parameters)
            self._advance(batch)
            self.raw.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # the first error tells more, and SQLite may have rolled back itself
                self.raw.execute("ROLLBACK")
            raise
        return batch.after

    def _advance(self, batch: Batch) -> None:
        """Move the log's edge, unless somebody else has: numbers are given once."""
        before, after = batch.before.edge.tree, batch.after.edge
        if after.tree.size == before.size:
            return
        if self.raw.execute(ADVANCE, (after.tree.size, after.packed(), before.size)).rowcount != 1:
            told = f"somebody else wrote to the log in the store `{self.site.name}`"
            raise StoreUnavailable(told, mend="end the service, and start it again")

    def execute(self, text: str, parameters: Parameters) -> None:
        """Run one statement as a transaction of its own."""
        database.check_same(self.site.path, self.opened)
        self.raw.execute(text, parameters)

    def cut(self) -> None:
        """See `Target.cut`: everything is written into the file itself, and nothing is left in the write-ahead log."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)", ())

    def durable(self) -> Durable:
        """Return what the file has; raises `StoreUnavailable` where the log's edge is not that of its last entries."""
        roots = [root for (root,) in self.raw.execute("SELECT root FROM tiles ORDER BY number")]
        first = len(roots) * TILE
        rest = self.raw.execute("SELECT leaf_hash FROM entries WHERE number >= ? ORDER BY number LIMIT ?", (first, TILE))
        edge = Edge.of(roots, [hashed for (hashed,) in rest])
        kept = self.raw.execute("SELECT size, hashes FROM edge").fetchone()
        if kept is None or (kept[0], split(kept[1])) != (edge.tree.size, list(edge.tree.hashes)):
            raise self.site.damaged()
        highest = self.raw.execute("SELECT highest FROM clock").fetchone()
        return Durable(edge, highest and datetime.fromisoformat(highest[0]))

    def close(self) -> None:
        """Let go."""
        self.raw.close()
