"""What is read from the database, also while a service writes to it: the same queries for every kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Executable, Row, RowMapping, Select, Table, false, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from clearinghouse.clearing.cases import Case, Grant
from clearinghouse.clearing.people import KeptCredential
from clearinghouse.clearing.request import Place
from clearinghouse.clearing.wire import read_canonical, read_stamp
from clearinghouse.federation.membership.registry import Kept, KeptMember
from clearinghouse.ledger.entry import Kind
from clearinghouse.ledger.merkle import Frontier
from clearinghouse.storage import erasing
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.batch import Durable
from clearinghouse.storage.changes import SHARED_CHARACTERS, EnvelopeSeen
from clearinghouse.storage.edge import TILE, Edge, path, split
from clearinghouse.storage.federal import agent_in, draft_in, member_in
from clearinghouse.storage.following import News
from clearinghouse.storage.lasting import case_in, grant_in, revocation_in
from clearinghouse.storage.rows import entry_in, recorded_in
from clearinghouse.storage.schema import (
    agents,
    cases,
    checkpoints,
    clock,
    credentials,
    decisions,
    documents,
    drafts,
    edge,
    entries,
    events,
    grants,
    members,
    revocations,
    seen,
    snapshots,
    tiles,
)
from clearinghouse.storage.site import Site
from clearinghouse.storage.store import AT_RUN_TIME, Effect, Event, KeptEntry, Recorded, Standing
from clearinghouse.storage.texts import instant

T = TypeVar("T")

CASE_STANDS = cases.c.state.in_(["pending", "approved"])
"""Cases that are not over, as the index has them."""

_ORDER: ColumnElement[int] = literal_column("rowid")
"""The order in which rows came to be; a row that is written again keeps its place."""


@dataclass(slots=True)
class Reader:
    """The reading half of `clearinghouse.storage.store.Store`."""

    site: Site
    engine: AsyncEngine

    # -- what lasts

    async def standing(self) -> Standing:
        """See `Store.standing`."""
        kept = await self._rows(select(credentials).order_by(_ORDER))
        now = func.coalesce(select(clock.c.highest).scalar_subquery(), literal_column("''"))
        fresh = await self._rows(select(seen).where(seen.c.until > now).order_by(seen.c.until))
        return Standing(
            await self._all(case_in, select(cases).where(CASE_STANDS).order_by(_ORDER)),
            await self._all(grant_in, select(grants).where(grants.c.told.is_(None)).order_by(_ORDER)),
            await self._all(revocation_in, select(revocations).order_by(_ORDER)),
            [KeptCredential(row.id, row.raw, AT_RUN_TIME, row.by) for row in kept],
            [EnvelopeSeen(row.signer, row.digest, row.until) for row in fresh],
        )

    async def federation(self) -> Kept:
        """See `Store.federation`."""
        return Kept(
            await self._all(member_in, select(members).order_by(_ORDER)),
            await self._all(draft_in, select(drafts).order_by(_ORDER)),
            {row.name: row.body for row in await self._rows(select(documents).order_by(_ORDER))},
            await self._all(agent_in, select(agents).order_by(_ORDER)),
        )

    async def case(self, prefix: str) -> Case | None:
        """See `Store.case`."""
        return await self._only(case_in, cases, prefix)

    async def cases(self, last: int) -> Sequence[Case]:
        """See `Store.cases`."""
        return (await self._all(case_in, select(cases).order_by(_ORDER.desc()).limit(last)))[::-1]

    async def grant(self, prefix: str) -> Grant | None:
        """See `Store.grant`."""
        return await self._only(grant_in, grants, prefix)

    async def grants(self, last: int, *, ended: bool) -> Sequence[Grant]:
        """See `Store.grants`."""
        which = select(grants) if ended else select(grants).where(grants.c.ended.is_(None))
        return (await self._all(grant_in, which.order_by(_ORDER.desc()).limit(last)))[::-1]

    # -- for whoever follows

    async def news(self, size: int) -> News:
        """See `Followed.news`."""
        newest = select(snapshots.c.digest).order_by(snapshots.c.at.desc()).limit(1).scalar_subquery()
        found = await self._rows(select(edge.c.size, select(clock.c.highest).scalar_subquery().label("highest"), newest.label("newest")))
        if not found:
            raise self.site.damaged()
        [now] = found
        new = entries.c.number.between(size, now.size - 1) & entries.c.kind.not_in([Kind.DECISION.value, Kind.REPEATED.value])
        since = await self._rows(select(entries.c.kind, func.min(entries.c.at).label("at")).where(new).group_by(entries.c.kind))
        return News(now.newest or "", now.size, now.highest, {Kind(row.kind): row.at for row in since})

    async def archived_last(self) -> datetime | None:
        """Return the time of the snapshot that was archived last."""
        [row] = await self._rows(select(func.max(snapshots.c.at).label("at")))
        found: datetime | None = row.at
        return found

    async def members_since(self, at: datetime) -> Sequence[KeptMember]:
        """See `Followed.members_since`."""
        return await self._all(member_in, select(members).where(members.c.at >= at))

    async def document(self, name: str) -> bytes | None:
        """See `Followed.document`."""
        rows = await self._rows(select(documents.c.body).where(documents.c.name == name))
        return rows[0].body if rows else None

    async def known(self, identities: Iterable[str]) -> frozenset[tuple[str, datetime]]:
        """See `Followed.known`."""
        which = entries.c.ref.in_([*identities]) & entries.c.kind.in_([Kind.DECISION.value, Kind.REPEATED.value])
        return frozenset((row.ref, row.at) for row in await self._rows(select(entries.c.ref, entries.c.at).where(which)))

    # -- decisions

    async def owed(self) -> Sequence[Recorded]:
        """See `Store.owed`."""
        where = decisions.c.effect == literal_column(f"'{Effect.OWED.value}'")  # written out, so that the index serves it
        return await self._all(recorded_in, select(decisions).where(where).order_by(decisions.c.number))

    async def ruled(self, place: Place) -> Recorded | None:
        """See `Store.ruled`."""
        where = {"broker": place.broker, "node": place.node, "subscriber": place.subscriber, "subid": place.subid}
        found = await self._all(recorded_in, select(decisions).filter_by(**where).order_by(decisions.c.number.desc()).limit(1))
        return found[0] if found else None

    async def decision(self, identity: str) -> Recorded | None:
        """See `Store.decision`."""
        return await self._only(recorded_in, decisions, identity) or await self._repeated(identity)

    async def _repeated(self, identity: str) -> Recorded | None:
        """Return the decision that was repeated as the one whose id begins with *identity*, more than what it shares with others."""
        if len(identity) < SHARED_CHARACTERS:
            return None
        which = (entries.c.kind == Kind.REPEATED.value) & _begins(entries.c.ref, identity[:SHARED_CHARACTERS])
        kept = await self._all(entry_in, select(entries).where(which))
        told = [read_canonical(each.record) for each in kept if each.record is not None]
        found = [(each["decision"], *answer) for each in told for answer in each["answers"] if answer[0].startswith(identity)]
        if len(found) != 1:
            return None
        [(decision, own, at)] = found
        first = await self._all(recorded_in, select(decisions).where(decisions.c.id == decision))
        return first[0].again(own, read_stamp(at)) if first else None

    async def decisions(self, last: int) -> Sequence[Recorded]:
        """See `Store.decisions`."""
        return (await self._all(recorded_in, select(decisions).order_by(decisions.c.number.desc()).limit(last)))[::-1]

    async def archived(self, version: str) -> Archive | None:
        """See `Store.archived`."""
        rows = await self._rows(select(snapshots.c.texts).where(snapshots.c.digest == version))
        return Archive.unpack(version, rows[0].texts) if rows else None

    async def events(self, last: int) -> Sequence[Event]:
        """See `Store.events`."""
        rows = await self._rows(select(events).order_by(events.c.number.desc()).limit(last))
        return [Event(row.at, row.kind, row.detail) for row in reversed(rows)]

    # -- the log

    async def entries(self, first: int, last: int) -> Sequence[KeptEntry]:
        """See `Store.entries`."""
        return await self._all(entry_in, select(entries).where(entries.c.number.between(first, last)).order_by(entries.c.number))

    async def leaf_hashes(self, size: int) -> Sequence[bytes]:
        """See `Store.leaf_hashes`."""
        whole = await self._rows(select(tiles.c.leaves).where(tiles.c.number * TILE < size).order_by(tiles.c.number))
        found = [hashed for row in whole for hashed in split(row.leaves)]
        rest = entries.c.number.between(len(found), size - 1)
        found += (row.leaf_hash for row in await self._rows(select(entries.c.leaf_hash).where(rest).order_by(entries.c.number)))
        return found[:size]

    async def inclusion(self, number: int, size: int) -> tuple[bytes, ...]:
        """See `Store.inclusion`."""
        whole = size // TILE
        roots = await self._rows(select(tiles.c.root).where(tiles.c.number < whole).order_by(tiles.c.number))
        near = entries.c.number.between(first := number - number % TILE, min(first + TILE, size) - 1)
        last = entries.c.number.between(whole * TILE, size - 1)
        rows = await self._rows(select(entries.c.number, entries.c.leaf_hash).where(near | last))
        return path([row.root for row in roots], {row.number: row.leaf_hash for row in rows}, number, size)

    async def entry_of(self, ref: str) -> KeptEntry | None:
        """See `Store.entry_of`."""
        found = await self._all(entry_in, select(entries).where(entries.c.ref == ref).order_by(entries.c.number).limit(1))
        return found[0] if found else None

    async def checkpoints(self) -> Sequence[bytes]:
        """See `Store.checkpoints`."""
        return [row.sealed for row in await self._rows(select(checkpoints.c.sealed).order_by(checkpoints.c.number))]

    # -- for the writing half

    async def durable(self) -> Durable:
        """Return where the log and the clock stand, without the leaves that a writer needs."""
        query = select(edge.c.size, edge.c.hashes, select(clock.c.highest).scalar_subquery().label("highest"))
        for row in await self._rows(query):
            return Durable(Edge(Frontier(row.size, tuple(split(row.hashes)))), row.highest)
        raise self.site.damaged()

    async def count_decisions(self) -> int:
        """Return how many decisions there are."""
        [row] = await self._rows(select(func.count().label("total")).select_from(decisions))
        return int(row.total)

    async def old(self, before: datetime) -> erasing.Old:
        """Return what the retention rule lets go."""
        entries, decisions, snapshots = [
            (await self._rows(text(query), before=instant(before)))[0]
            for query in (erasing.FIND_ENTRIES, erasing.FIND_DECISIONS, erasing.FIND_SNAPSHOTS)
        ]
        return erasing.Old(before, erasing.Span(*entries), erasing.Span(*decisions), snapshots[0])

    # -- inside

    async def _only(self, read: Callable[[RowMapping], T], table: Table, prefix: str) -> T | None:
        """Return the one thing whose id begins with *prefix*."""
        found = await self._all(read, select(table).where(_begins(table.c.id, prefix)).limit(2))
        return found[0] if len(found) == 1 else None

    async def _all(self, read: Callable[[RowMapping], T], query: Select[Any]) -> list[T]:
        return [read(_mapping(row)) for row in await self._rows(query)]

    async def _rows(self, query: Executable, **parameters: str) -> Sequence[Row[Any]]:
        async with self.site.errors(), self.engine.connect() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(query, parameters)).all()
        return rows


def _begins(identity: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Return the condition that an id begins with *prefix*, as a range that the index serves."""
    if not prefix.isascii():
        return false()
    return identity.between(prefix, prefix + "\U0010ffff")


def _mapping(row: Row[Any]) -> RowMapping:
    return row._mapping  # noqa: SLF001 - public in spite of its name: a row's columns are its attributes
