"""The retention rule: which facts are old and needed by nothing any more, and the SQL that erases them.

What goes is overwritten in the file (``secure_delete``), slice by slice, so that decisions wait for no more
than one slice; the entry that says what goes is written first.  Copies of the file, and what a file system
or a disk keeps of blocks that it has replaced, are out of reach from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clearinghouse.storage.batch import Step
from clearinghouse.storage.entries import ERASED, erased_event
from clearinghouse.storage.recorded import Event
from clearinghouse.storage.store import FINE
from clearinghouse.storage.texts import instant

SLICE: Final = 1_000
"""Rows by number that one transaction goes through: measured at 3 to 10 ms, which decisions wait for at most."""

_ENTRIES: Final = "at < :before AND record IS NOT NULL"
_DECISIONS: Final = """at < :before AND erased IS NULL AND effect <> 'owed'
 AND id NOT IN (SELECT id FROM cases WHERE state IN ('pending', 'approved'))
 AND id NOT IN (SELECT id FROM grants WHERE told IS NULL)
 AND id NOT IN (SELECT "case" FROM grants WHERE told IS NULL)"""
_SNAPSHOTS: Final = "at < :before AND at < (SELECT max(at) FROM snapshots)"
_NAMED: Final = f"SELECT snapshot FROM decisions WHERE erased IS NULL AND NOT ({_DECISIONS})"  # noqa: S608 - constants

FIND_ENTRIES: Final = f"SELECT count(*), min(number), max(number) FROM entries WHERE {_ENTRIES}"  # noqa: S608 - constants
FIND_DECISIONS: Final = f"SELECT count(*), min(number), max(number) FROM decisions WHERE {_DECISIONS}"  # noqa: S608 - constants
FIND_SNAPSHOTS: Final = f"SELECT count(*) FROM snapshots WHERE {_SNAPSHOTS} AND digest NOT IN ({_NAMED})"  # noqa: S608 - constants

_FORGET_ENTRIES: Final = f"UPDATE entries SET salt = NULL, record = NULL WHERE number BETWEEN :first AND :last AND {_ENTRIES}"  # noqa: S608
_FORGET_DECISIONS: Final = f"""UPDATE decisions SET erased = :at, requesters = '[]', attributes = '{{}}', scale = '[]', proof = NULL,
 approvals = NULL, salt = NULL, reason_text = '', broker = NULL, node = NULL, subscriber = NULL, subid = NULL
 WHERE number BETWEEN :first AND :last AND {_DECISIONS}"""  # noqa: S608 - constants
_DROPS: Final = (
    """DELETE FROM cases WHERE closed < :before AND state NOT IN ('pending', 'approved')
 AND id NOT IN (SELECT "case" FROM grants WHERE told IS NULL)""",
    "DELETE FROM grants WHERE ended < :before AND told IS NOT NULL",
    "DELETE FROM revocations WHERE lifted < :before",
    f"DELETE FROM events WHERE at < :before AND kind <> '{ERASED}'",  # noqa: S608 - constants
    "DELETE FROM seen WHERE until < :before AND until <= (SELECT highest FROM clock)",
    f"DELETE FROM snapshots WHERE {_SNAPSHOTS} AND digest NOT IN (SELECT snapshot FROM decisions WHERE erased IS NULL)",  # noqa: S608
)

_THIN: Final = "DELETE FROM checkpoints WHERE at < :fine AND number NOT IN (SELECT max(number) FROM checkpoints GROUP BY substr(at, 1, 13))"
"""Leaves the last checkpoint of each hour: 13 characters of an instant tell it."""


@dataclass(frozen=True, slots=True)
class Span:
    """How many rows there are, and the first and last number among them."""

    count: int = 0
    first: int | None = None
    last: int | None = None

    def slices(self) -> Iterator[dict[str, object]]:
        """Yield the parameters of statements that go through it."""
        if self.first is not None and self.last is not None:
            for first in range(self.first, self.last + 1, SLICE):
                yield {"first": first, "last": min(first + SLICE - 1, self.last)}


@dataclass(frozen=True, slots=True)
class Old:
    """What is older than ``before`` and to be erased."""

    before: datetime
    entries: Span
    decisions: Span
    snapshots: int

    @property
    def nothing(self) -> bool:
        """Whether there is nothing that the log should tell."""
        return not (self.entries.count or self.decisions.count or self.snapshots)

    def event(self, at: datetime) -> Event:
        """Return what the log tells."""
        return erased_event(at, self.before, entries=self.entries.count, decisions=self.decisions.count, snapshots=self.snapshots)

    def steps(self, at: datetime) -> Iterator[Step]:
        """Yield the statements that erase it, each a transaction of its own."""
        yield _THIN, {"fine": instant(at - FINE)}
        if self.nothing:
            return
        before: dict[str, object] = {"before": instant(self.before)}
        for part in self.entries.slices():
            yield _FORGET_ENTRIES, before | part
        for part in self.decisions.slices():
            yield _FORGET_DECISIONS, before | part | {"at": instant(at)}
        for drop in _DROPS:
            yield drop, before
