"""What is written in one transaction (pure): changes as rows, and the log's entries with their numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, assert_never

from clearinghouse.storage import statements
from clearinghouse.storage.changes import (
    CaseMoved,
    Change,
    CredentialAdded,
    CredentialWithdrawn,
    Decided,
    DraftClosed,
    Drafted,
    EndCarriedOut,
    EnvelopeSeen,
    GrantEnded,
    Journaled,
    MemberSet,
    Noted,
    Published,
    Repeated,
    Reported,
    Revoked,
    Settled,
)
from clearinghouse.storage.edge import Edge
from clearinghouse.storage.entries import Draft, Scribe, at_of
from clearinghouse.storage.federal import rows_of
from clearinghouse.storage.lasting import row_of_case, row_of_grant, row_of_revocation
from clearinghouse.storage.rows import maybe, milliseconds, row_of, row_of_entry, row_of_event
from clearinghouse.storage.statements import Row, Statement
from clearinghouse.storage.texts import instant

Parameters = Sequence[object] | Mapping[str, object]
Step = tuple[str, Parameters]
"""An SQL text and its parameters."""


@dataclass(slots=True)
class Prepared:
    """What one caller writes: all of it or nothing.

    ``rows`` are grouped by statement; statements of different tables may run in any order.  ``at`` is the
    highest time that it lets the store see.  ``apart`` wants a transaction of its own, because its statements
    on one table depend on the order in which callers came.
    """

    rows: dict[Statement, list[Row]] = field(default_factory=lambda: defaultdict(list))
    drafts: list[Draft] = field(default_factory=list)
    at: datetime | None = None
    decisions: int = 0
    apart: bool = False

    @classmethod
    def of(cls, changes: Iterable[Change], scribe: Scribe) -> Prepared:
        """Return *changes* as rows and drafts; raises `TooLarge`."""
        made = cls()
        for each in changes:
            made.add(each, scribe)
            made.saw(at_of(each))
        return made

    def add(self, change: Change, scribe: Scribe) -> None:
        """Add one change, and its entry unless it is bookkeeping."""
        if isinstance(change, Decided | Journaled):
            self._decided(change, scribe)
        else:
            if isinstance(change, CredentialWithdrawn):  # also one that was added a moment ago
                self.rows[statements.PUT_CREDENTIAL] = [row for row in self.rows[statements.PUT_CREDENTIAL] if row[0] != change.id]
            for statement, row in _rows(change):
                self.rows[statement].append(row)
            if (draft := scribe.draft(change)) is not None:
                self.drafts.append(draft)
            self.apart |= isinstance(change, CredentialAdded | CredentialWithdrawn | Drafted | DraftClosed | Published)

    def _decided(self, change: Decided | Journaled, scribe: Scribe) -> None:
        fact = scribe.fact(change)
        self.rows[statements.DECIDE].append(row_of(fact))
        self.drafts.append(scribe.decided(change, fact))
        self.decisions += 1
        if isinstance(change, Journaled):
            return
        if change.opens is not None:
            self.rows[statements.PUT_CASE].append(row_of_case(change.opens))
        if change.gives is not None:
            self.rows[statements.PUT_GRANT].append(row_of_grant(change.gives))

    def saw(self, at: datetime | None) -> None:
        """Let the store see a time."""
        if at is not None and (self.at is None or at > self.at):
            self.at = at


def _rows(change: Change) -> Iterator[tuple[Statement, Row]]:
    """Yield what any change but a decision writes."""
    match change:
        case Settled(identity, effect, at, latency):
            yield statements.SETTLE, (identity, effect.value, instant(at), milliseconds(latency))
        case CaseMoved(case):
            yield statements.PUT_CASE, row_of_case(case)
        case GrantEnded(grant):
            yield statements.PUT_GRANT, row_of_grant(grant)
        case EndCarriedOut(ids, at):
            yield from ((statements.TELL_END, (each, instant(at))) for each in ids)
        case Revoked(revocation):
            yield statements.PUT_REVOCATION, row_of_revocation(revocation)
        case CredentialAdded(identity, raw, by, at):
            yield statements.PUT_CREDENTIAL, (identity, raw, by, instant(at))
        case CredentialWithdrawn(identity):
            yield statements.DROP_CREDENTIAL, (identity,)
        case Noted(event):
            yield statements.NOTE, row_of_event(event)
        case EnvelopeSeen(signer, digest, until):
            yield statements.SEE, (signer, digest, instant(until))
        case MemberSet() | Drafted() | DraftClosed() | Published() | Reported():
            yield from rows_of(change)
        case Decided() | Journaled() | Repeated():
            return
        case _:
            assert_never(change)


@dataclass(frozen=True, slots=True)
class Durable:
    """What is on the disk: the edge of the log, and the highest time that was ever seen (rule R17)."""

    edge: Edge = field(default_factory=Edge)
    highest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction: the ``rows`` of each statement in order, and what is durable ``before`` and ``after`` it."""

    parts: Sequence[Prepared]
    rows: Sequence[tuple[Statement, Sequence[Row]]]
    before: Durable
    after: Durable

    @classmethod
    def of(cls, parts: Sequence[Prepared], before: Durable) -> Batch:
        """Return the transaction that writes *parts* in their order."""
        rows: dict[Statement, list[Row]] = defaultdict(list)
        for part in parts:
            for statement, found in part.rows.items():
                rows[statement] += found
        for statement in _BY_ID & rows.keys():
            rows[statement] = [*{row[0]: row for row in rows[statement]}.values()]
        edge = _append(rows, [draft for part in parts for draft in part.drafts], before.edge)
        highest = max((at for at in (before.highest, *(part.at for part in parts)) if at is not None), default=None)
        if highest != before.highest:
            rows[statements.SEEN_TIME].append((1, maybe(highest)))
        if statements.SEE in rows and highest is not None:
            rows[statements.FORGET_SEEN].append((instant(highest),))
        ordered = sorted(rows.items(), key=lambda each: each[0].rank)
        return cls(parts, ordered, before, Durable(edge, highest))

    def steps(self) -> Iterator[Step]:
        """Yield the statements for many rows at a time."""
        for statement, rows in self.rows:
            yield from statement.runs(rows)

    def on(self, before: Durable) -> Batch:
        """Return the same, to be written where *before* is durable: entries get other numbers."""
        return self if before == self.before else Batch.of(self.parts, before)


_BY_ID: Final = frozenset({statements.SETTLE, statements.TELL_END})
"""Statements to which a database may give any of several rows about one thing: they are given the last one alone."""


def _append(rows: dict[Statement, list[Row]], drafts: Sequence[Draft], edge: Edge) -> Edge:
    """Give the *drafts* their numbers and put them into *rows*; return the edge of the log with them."""
    if not drafts:
        return edge
    made = [row_of_entry(draft, number) for number, draft in enumerate(drafts, edge.tree.size)]
    extended, tiles = edge.extended([hashed for _, hashed in made])
    rows[statements.APPEND] += (row for row, _ in made)
    rows[statements.TILE] += tiles
    return extended
