"""The connection of a node that writes: one transaction at a time of all nodes together, and each of them once.

A transaction begins with the edge of the log as it is now.  Where another node has moved it, the batch gets
other numbers.  Where the connection was lost and nobody knows whether the transaction was committed, the next
connection looks for its first entry before anything is written again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import psycopg
import structlog
from psycopg import errors
from psycopg.rows import TupleRow

from clearinghouse.errors import StoreUnavailable
from clearinghouse.ledger.merkle import Frontier
from clearinghouse.storage import statements
from clearinghouse.storage.batch import Batch, Durable, Parameters, Prepared
from clearinghouse.storage.edge import TILE, Edge, split
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.links import Link
from clearinghouse.storage.postgres.session import CHANNEL, QUEUE, Session
from clearinghouse.storage.schema import entries
from clearinghouse.storage.statements import Row, Statement

log = structlog.get_logger(__name__)

TRIES: Final = 3
"""Connections or transactions that a batch may use up: the lost one, the next, and one that crosses with another node."""

COPIED: Final = 16
"""Rows from which on COPY is quicker than as many INSERTs, although it waits for the server once more."""

NUL_SHOWN: Final = "\N{SYMBOL FOR NULL}"
"""What stands for the character 0, which PostgreSQL's texts cannot hold; JSON and the log's records keep it."""

CAUGHT_UP: Final = 16 * TILE
"""Entries of other nodes that are gone through one by one; of more, whole tiles are taken."""

TOLD: Final = frozenset(
    {
        statements.ARCHIVE,
        statements.PUT_MEMBER,
        statements.PUT_DOCUMENT,
        statements.DROP_DOCUMENT,
        statements.PUT_REVOCATION,
        statements.PUT_CREDENTIAL,
        statements.DROP_CREDENTIAL,
    }
)
"""Statements that other nodes are told of: what they decide by has changed."""

_CLOCK: Final = "SELECT highest FROM clock"
_BEGIN: Final = f"""BEGIN; {QUEUE};
 SELECT size, hashes, pg_current_xact_id()::text FROM edge WHERE id = 1 FOR UPDATE; {_CLOCK}""".encode()  # noqa: S608 - constants
"""Waits until no other node has a transaction that writes, whoever came first goes first, and asks how things stand then."""
_ADVANCE: Final = "UPDATE edge SET size = %s, hashes = %s WHERE id = 1"
_NOTIFY: Final = f"NOTIFY {CHANNEL}"
_LEAVES: Final = "SELECT leaf_hash FROM entries WHERE number >= %s AND number < %s ORDER BY number"
_COMMITTED: Final = "SELECT CASE WHEN %(it)s::xid8 < pg_current_xact_id() THEN pg_xact_status(%(it)s::xid8) = 'committed' END"
"""A standby that has taken over may not have come as far as that number."""

_LEAF_HASH: Final = entries.c.keys().index("leaf_hash")
_NAMED: Final = re.compile(r":(\w+)")


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A transaction that may have been committed: what it wrote, its number, and its first entry with its leaf's hash."""

    parts: Sequence[Prepared]
    transaction: str
    first: tuple[object, object] | None

    @classmethod
    def of(cls, batch: Batch, transaction: str) -> _Doubt:
        """Return what to look for, should nobody hear whether *batch* was committed."""
        appended = next((rows for statement, rows in batch.rows if statement is statements.APPEND), ())
        return cls(batch.parts, transaction, next(((row[0], row[_LEAF_HASH]) for row in appended), None))


@dataclass(slots=True)
class PostgresTarget:
    """Implements `clearinghouse.storage.writer.Target`; used by one thread at a time."""

    session: Session
    doubt: _Doubt | None = None

    @property
    def site(self) -> Address:
        """See `Target.site`."""
        return self.session.address

    def write(self, batch: Batch) -> Durable:
        """See `Target.write`; raises what the driver raises, and `StoreUnavailable`."""
        for left in reversed(range(TRIES)):
            try:
                return self._written(batch)
            except psycopg.Error as error:
                batch, mended = _without_nul(batch) if isinstance(error, errors.DataError) else (batch, False)
                if not left or not (mended or self._again(error)):
                    raise
        raise AssertionError  # the last try has returned or raised

    def execute(self, text: str, parameters: Parameters) -> None:
        """Run one statement with named parameters as a transaction of its own; no other node writes meanwhile."""
        raw = self.session.link()
        try:
            raw.execute(_BEGIN, prepare=False)
            with raw.pipeline():
                raw.execute(_NAMED.sub(r"%(\1)s", text).encode(), parameters)
                raw.execute("COMMIT")
        except BaseException:
            self.session.rolled_back()
            raise

    def cut(self) -> None:
        """See `Target.cut`: what PostgreSQL keeps of replaced rows goes when it sees fit (VACUUM)."""

    def durable(self) -> Durable:
        """Return what the database has; raises `StoreUnavailable` where the log's edge is not that of its last entries."""
        raw = self.session.link()
        try:
            raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            kept = raw.execute("SELECT size, hashes FROM edge").fetchone()
            highest = raw.execute(_CLOCK).fetchone()
            edge = self._whole(raw)
            raw.execute("COMMIT")
        except BaseException:
            self.session.rolled_back()
            raise
        if kept is None or (kept[0], split(kept[1])) != (edge.tree.size, list(edge.tree.hashes)):
            raise self.site.damaged()
        return Durable(edge, _instant(highest))

    def close(self) -> None:
        """Let go."""
        self.session.close()

    # -- inside

    def _again(self, error: psycopg.Error) -> bool:
        """Say whether what failed with *error* can succeed at once: on another connection, or without crossing another one."""
        return self.session.lost or isinstance(error, errors.SerializationFailure | errors.DeadlockDetected)

    def _written(self, batch: Batch) -> Durable:
        raw = self.session.link()
        try:
            before, transaction = self._locked(raw, batch.before)
            if self._is_there(raw, batch):
                raw.execute("ROLLBACK")
                return before
            made = batch.on(before)
        except BaseException:
            self.session.rolled_back()
            raise
        self.doubt = _Doubt.of(made, transaction)
        try:
            self._send(raw, made)
        except BaseException:
            if self.session.rolled_back():
                self.doubt = None
            raise
        self.doubt = None
        return made.after

    def _locked(self, raw: Link, known: Durable) -> tuple[Durable, str]:
        """Begin a transaction that no other node's comes between; return what is durable now, and the transaction's number."""
        answers = raw.execute(_BEGIN, prepare=False).results()
        _, _, at, clock = (each.fetchone() if each.description else None for each in answers)
        if at is None:
            raise self.site.damaged()
        size, hashes, transaction = at
        tree = Frontier(size, tuple(split(hashes)))
        edge = known.edge if tree == known.edge.tree else self._moved(raw, known.edge, tree)
        return Durable(edge, _instant(clock)), transaction

    def _moved(self, raw: Link, known: Edge, tree: Frontier) -> Edge:
        """Return the edge of the log that has become *tree*; raises unless that goes on from what is *known*."""
        if tree.size < known.tree.size:
            mend = "end every service that works with it, and start them again"
            raise StoreUnavailable(f"the log in the store `{self.site.name}` has become shorter: it was restored", mend=mend)
        if tree.size - known.tree.size > CAUGHT_UP:
            edge = self._whole(raw)
        else:
            rows = raw.execute(_LEAVES, (known.tree.size, tree.size))
            edge, _ = known.extended([hashed for (hashed,) in rows])
        if edge.tree != tree:
            raise self.site.damaged()
        return edge

    @staticmethod
    def _whole(raw: Link) -> Edge:
        """Return the edge over all entries."""
        roots = [root for (root,) in raw.execute("SELECT root FROM tiles ORDER BY number")]
        first = len(roots) * TILE
        return Edge.of(roots, [hashed for (hashed,) in raw.execute(_LEAVES, (first, first + TILE))])

    def _is_there(self, raw: Link, batch: Batch) -> bool:
        """Say whether *batch* was written on a connection that was lost; of another one that was in doubt, tell what became of it."""
        doubt = self.doubt
        if doubt is None:
            return False
        if doubt.first is not None:
            number, hashed = doubt.first
            found = raw.execute("SELECT leaf_hash = %s FROM entries WHERE number = %s", (hashed, number)).fetchone()
        else:  # bookkeeping
            found = raw.execute(_COMMITTED, {"it": doubt.transaction}).fetchone()
        there, self.doubt = bool(found and found[0]), None
        if doubt.parts is batch.parts:
            return there
        log.warning("store_doubt_settled", recorded=there, mend="nothing: whoever asked was told that the store was not available")
        return False

    def _send(self, raw: Link, batch: Batch) -> None:
        """Write *batch* and commit: all that can go at once does."""
        few: list[tuple[Statement, Sequence[Row]]] = []
        for statement, rows in batch.rows:
            if statement.copy and len(rows) >= COPIED:
                with raw.pipeline():
                    _execute(raw, few)
                few = []
                _copy(raw, statement, rows)
            else:
                few.append((statement, rows))
        with raw.pipeline():
            _execute(raw, few)
            if batch.after.edge is not batch.before.edge:
                raw.execute(_ADVANCE, (batch.after.edge.tree.size, batch.after.edge.packed()))
            if any(statement in TOLD for statement, _ in batch.rows):
                raw.execute(_NOTIFY)
            raw.execute("COMMIT")


def _without_nul(batch: Batch) -> tuple[Batch, bool]:
    """Return *batch* with `NUL_SHOWN` for each character 0 in a text, and whether there was any."""
    parts = [replace(part, rows={each: [*map(_shown, rows)] for each, rows in part.rows.items()}) for part in batch.parts]
    return Batch.of(parts, batch.before), any(new.rows != old.rows for new, old in zip(parts, batch.parts, strict=True))


def _shown(row: Row) -> Row:
    return tuple(value.replace("\0", NUL_SHOWN) if isinstance(value, str) else value for value in row)


def _execute(raw: Link, steps: Iterable[tuple[Statement, Sequence[Row]]]) -> None:
    for statement, rows in steps:
        if len(rows) == 1:
            raw.execute(statement.single.encode(), rows[0])
        else:
            raw.cursor().executemany(statement.single.encode(), rows)


def _copy(raw: Link, statement: Statement, rows: Sequence[Row]) -> None:
    with raw.cursor() as cursor, cursor.copy(statement.copy.encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _instant(row: TupleRow | None) -> datetime | None:
    return None if row is None else datetime.fromisoformat(row[0])
