"""What the writer executes: SQL texts made once from the tables, for as many rows as there are.

SQLite and PostgreSQL understand the same ones, but for how a parameter is marked.

In SQLite a batch is one statement for up to `MOST_ROWS` rows instead of one for each: the interpreter's lock is let go
and taken again around every step of SQLite, and whoever takes it waits for everything else that runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Final

from sqlalchemy import Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Insert

from clearinghouse.storage import schema
from clearinghouse.storage.schema import (
    agents,
    cases,
    checkpoints,
    credentials,
    decisions,
    documents,
    drafts,
    grants,
    members,
    revocations,
    seen,
    snapshots,
)

SIZES: Final = (64, 16, 4, 1)
"""Rows that one statement takes; SQLite allows 32,766 parameters, and a decision has 28."""

MOST_ROWS: Final = SIZES[0]

Row = tuple[object, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Statement:
    """One SQL text around a list of rows; ``rank`` says which statements of a transaction come first."""

    rank: int
    head: str
    row: str
    tail: str

    def runs(self, rows: Sequence[Row]) -> Iterator[tuple[str, list[object]]]:
        """Yield texts and their parameters for all *rows*, in order."""
        at = 0
        for size in SIZES:
            while len(rows) - at >= size:
                yield self.text(size), [value for row in rows[at : at + size] for value in row]
                at += size

    def text(self, rows: int) -> str:
        """Return SQLite's text for so many *rows*."""
        return _text(self, rows)

    @property
    def single(self) -> str:
        """PostgreSQL's text for one row: its driver marks a parameter otherwise, and sends many rows at once by itself."""
        return _single(self)

    @property
    def copy(self) -> str:
        """PostgreSQL's quickest way for many rows; empty where a row may be there already."""
        return "" if self.tail or not self.head.startswith(_INSERT) else f"COPY {self.head[len(_INSERT) : -len(_INTO)]} FROM STDIN"


@cache
def _text(statement: Statement, rows: int) -> str:
    return statement.head + ", ".join([statement.row] * rows) + statement.tail


@cache
def _single(statement: Statement) -> str:
    return (statement.head + statement.row + statement.tail).replace("?", "%s")


_INSERT: Final = "INSERT INTO "
_INTO: Final = " VALUES "
_VALUES = re.compile(r"(?P<head>.* VALUES )(?P<row>\([?, ]+\))(?P<tail>.*)", re.DOTALL).fullmatch


def _compiled(rank: int, made: Insert) -> Statement:
    text = str(made.compile(dialect=sqlite.dialect(paramstyle="qmark")))
    found = _VALUES(text)
    if found is None:
        raise ValueError(f"no list of rows in {text}")
    return Statement(rank, found["head"], found["row"], found["tail"])


def _columns(table: Table) -> tuple[str, ...]:
    """Return the columns that are written, in their order: all but the number that SQLite counts itself."""
    return tuple(each.name for each in table.c if each.autoincrement is not True)


def _inserting(rank: int, table: Table) -> Statement:
    return _compiled(rank, insert(table).values(dict.fromkeys(_columns(table))))


def _putting(rank: int, table: Table) -> Statement:
    """Return the statement that writes a row over the one that has the same key; its place in the order stays."""
    made = sqlite.insert(table).values(dict.fromkeys(_columns(table)))
    key = [each.name for each in table.primary_key]
    changes = {name: made.excluded[name] for name in _columns(table) if name not in key}
    return _compiled(rank, made.on_conflict_do_update(index_elements=key, set_=changes))


def _seeing() -> Statement:
    made = sqlite.insert(schema.clock).values(id=1, highest=None)
    changes = {"highest": made.excluded.highest}
    return _compiled(99, made.on_conflict_do_update(index_elements=["id"], set_=changes))


DECIDE: Final = _inserting(0, decisions)
SETTLE: Final = Statement(
    1,
    "UPDATE decisions SET effect = done.column2, effect_done_at = done.column3, latency_ms = done.column4 FROM (VALUES ",
    "(?, ?, ?, CAST(? AS FLOAT))",
    ") AS done WHERE decisions.id = done.column1",
)
PUT_CASE: Final = _putting(2, cases)
PUT_GRANT: Final = _putting(3, grants)
TELL_END: Final = Statement(
    4, "UPDATE grants SET told = done.column2 FROM (VALUES ", "(?, ?)", ") AS done WHERE grants.id = done.column1 AND ended IS NOT NULL"
)
PUT_REVOCATION: Final = _putting(5, revocations)
DROP_CREDENTIAL: Final = Statement(6, "DELETE FROM credentials WHERE id IN (", "?", ")")
PUT_CREDENTIAL: Final = _putting(7, credentials)
FORGET_SEEN: Final = Statement(8, "DELETE FROM seen WHERE until <= ", "?", "")
SEE: Final = _inserting(9, seen)
NOTE: Final = _inserting(10, schema.events)
ARCHIVE: Final = _putting(11, snapshots)
KEEP_CHECKPOINT: Final = _inserting(12, checkpoints)
APPEND: Final = _inserting(13, schema.entries)
TILE: Final = _inserting(14, schema.tiles)
PUT_MEMBER: Final = _putting(15, members)
DROP_DRAFT: Final = Statement(16, "DELETE FROM drafts WHERE id IN (", "?", ")")
PUT_DRAFT: Final = _putting(17, drafts)
DROP_DOCUMENT: Final = Statement(18, "DELETE FROM documents WHERE name IN (", "?", ")")
PUT_DOCUMENT: Final = _putting(19, documents)
PUT_AGENT: Final = _putting(20, agents)
SEEN_TIME: Final = _seeing()

BESIDE: Final = frozenset({DECIDE, NOTE})
"""What nodes beside the main service write, besides the log itself and its clock."""

ADVANCE: Final = "UPDATE edge SET size = ?, hashes = ? WHERE id = 1 AND size = ?"
"""Moves the log's edge, if it stands where we know it to stand."""


def row(table: Table, values: Mapping[str, object]) -> Row:
    """Return *values* in the order in which the statements of *table* take them."""
    return _picks[table.name](values)


_picks: Final[Mapping[str, Callable[[Mapping[str, object]], Row]]] = {
    each.name: itemgetter(*_columns(each)) for each in schema.metadata.sorted_tables
}
