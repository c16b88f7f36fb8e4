"""The press: publishes a new table when levels change, and a new timestamp when anything did, or its time is half over.

Whatever is published was made durable first, together with its entry in the log, so a version is never given
twice.  Nothing is published while the clock is behind (rule R17), or without root metadata.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from clearinghouse.clearing.clear import check_clock
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.clearing.wire import read_object
from clearinghouse.errors import BadSettings, ClearinghouseError, InternalError
from clearinghouse.federation.published import timestamps
from clearinghouse.federation.published.documents import digest, members_name, root_name, timestamp_name
from clearinghouse.federation.published.members import Member
from clearinghouse.federation.published.publishing import Edition, Publisher
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.roles.entitlement import Entitlement
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.ceremony import Ceremony, Found
from clearinghouse.runtime.federation.levels import Levelled, Levels
from clearinghouse.runtime.federation.revoked import RevokedSets
from clearinghouse.runtime.federation.roll import Roll
from clearinghouse.runtime.federation.sealing import Seals
from clearinghouse.runtime.federation.shelf import Document, Shelf
from clearinghouse.runtime.federation.views import View, outdated, visible
from clearinghouse.runtime.standing.books import Books
from clearinghouse.settings import Federation
from clearinghouse.settings.federation import MAX_VIEWS, MEMBERS
from clearinghouse.signer.roles import SignerUnavailable
from clearinghouse.storage.changes import Noted, Published
from clearinghouse.storage.store import Event

log = structlog.get_logger(__name__)

LONGEST_SLEEP: Final = 60.0
"""Seconds before the time of day is read again, as a suspended machine has no timers."""

SHORTEST_SLEEP: Final = 0.005
"""Seconds that changes which come together have to be published together."""

RETRY_SECONDS: Final = 2.0
"""Before what could not be published is tried again, then twice as long each time; a signer comes back within a second."""


class WrongEpochHere(BadSettings):
    """The settings name another epoch than the newest root metadata."""


@dataclass(slots=True)
class Press:
    """Publishes for each of ``views``, by audience; ``scale`` are all levels, weakest first.

    ``problem`` is what kept the last attempt from publishing, ``rounds`` counts attempts.
    """

    community: str
    scale: tuple[str, ...]
    settings: Federation
    levels: Levels
    books: Books
    roll: Roll
    shelf: Shelf
    seals: Seals
    revoked: RevokedSets
    ceremony: Ceremony
    chance: Chance
    views: dict[str, View] = field(default_factory=dict)
    problem: ClearinghouseError | None = None
    rounds: int = 0
    _found: Found = field(default_factory=Found)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: bool = True
    _entitled: Entitlement | None = None
    _failures: int = 0
    _listed: dict[str, tuple[int, frozenset[str], Document | None]] = field(default_factory=dict)

    def restore(self) -> None:
        """Begin where the shelf says that publishing ended."""
        self._make_views(self.roll.present())

    def _make_views(self, members: Mapping[str, Member]) -> tuple[str, ...]:
        """Have a view for everybody who gets one, and return for whom there is none any more."""
        wanted = self._audiences(members)
        fresh = [audience for audience in wanted if audience not in self.views]
        documents = {name: each.body for name, each in self.shelf.documents.items()} if fresh else {}
        for audience in fresh:
            publisher = Publisher(self.community, audience, self.settings.epoch, self.scale)
            self.views[audience] = View.restored(publisher, documents)
        return tuple(audience for audience in self.views if audience not in wanted)

    def _audiences(self, members: Mapping[str, Member]) -> Mapping[str, None]:
        named = self.settings.views
        if named == MEMBERS and len(members) > MAX_VIEWS:
            log.warning("no_views", members=len(members), mend=f"name at most {MAX_VIEWS} of them in `views`, or take `[]`")
            named = ()
        return dict.fromkeys((EVERYTHING, *(members if named == MEMBERS else named)))

    async def _end_views(self, gone: tuple[str, ...], now: datetime) -> None:
        """Give away no more what was published for former members."""
        names = tuple(name for name in self.shelf.documents if name.partition("/")[0] in gone)
        if names:
            await self.books.write(Published(now, {}, names))
            self.shelf.put({}, names, "")
        for audience in gone:
            del self.views[audience]
            self._listed.pop(audience, None)

    def wake(self) -> None:
        """Look again: policy, members or what is revoked have changed."""
        self._changed = True
        self._woken.set()

    async def run(self) -> None:
        """Publish whatever is due, until cancelled."""
        while True:
            await asyncio.sleep(SHORTEST_SLEEP)
            self._woken.clear()
            pause = await self._tried()
            self.rounds += 1
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _tried(self) -> float:
        """Publish; return in how many seconds something is due again."""
        try:
            await self.publish()
        except Exception as failure:  # noqa: BLE001 - what keeps one table from being made must not end the service
            error = _as_ours(failure)
            if self.problem is None or self.problem.message != error.message:
                log.error("not_published", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
            self.problem, self._changed = error, True
            self._failures += 1
            return float(min(LONGEST_SLEEP, RETRY_SECONDS * 2 ** min(self._failures - 1, 5)))
        self.problem, self._failures = None, 0
        now = self.chance.now()
        return max(SHORTEST_SLEEP, min(LONGEST_SLEEP, (self.next_due(now) - now).total_seconds()))

    def next_due(self, now: datetime) -> datetime:
        """Return when the clock alone makes something due."""
        found = [now + self.settings.timestamp_period]
        for view in self.views.values():
            found += [each for each in (view.stable_until,) if each is not None]
            if view.timestamp is not None:
                found.append(view.timestamp.issued + self.settings.timestamp_period)
        return min(found)

    async def publish(self) -> None:
        """Publish what has changed, or is due; raises `NoRoot`, `ClockBehind`, and what signers and store raise."""
        now = self.chance.now()
        check_clock(self.books.store.highest_time, now)
        self._found = self.ceremony.found(now)
        self._check_epoch()
        await self._adopt_roots(now)
        changed, self._changed = self._changed, False
        fresh = await self.revoked.current(self._found, now)
        members = self.roll.present()
        await self._end_views(self._make_views(members), now)
        for audience, view in [*self.views.items()]:
            due = changed or (view.stable_until is not None and view.stable_until <= now)
            found = self.levels.of(audience, members, now) if due else _as_it_is(view)
            await self._publish(view, found, now, forced=fresh or changed)

    @property
    def root(self) -> Root | None:
        """The newest root metadata that was read."""
        return self._found.root if self._found.roots else None

    def entitlement(self) -> Entitlement | None:
        """Return who may sign what by the newest root metadata in the directory; ``None`` where there is none."""
        found = self.ceremony.found(self.chance.now())
        if not found.roots:
            return None
        root = found.root
        if self._entitled is None or self._entitled.root != root:
            self._entitled = Entitlement.of(root)
        return self._entitled

    async def _publish(self, view: View, found: Levelled, now: datetime, *, forced: bool) -> None:
        """Publish a new table where rows differ or it grows old, and a new timestamp where anything is new or its time is half over."""
        edition, publisher = self._edition(view, found, now)
        records = self._records(view.audience, found)
        last = view.timestamp
        due = last is None or now >= last.issued + self.settings.timestamp_period
        same = last is not None and last.members_digest == records.tag and not forced
        if edition is None and same and not due:
            self.views[view.audience] = replace(view, stable_until=found.stable_until)
            return
        stamp = self._timestamp(publisher, records.body, now)
        try:
            documents = (
                {} if edition is None else edition.documents(self._entitled_to("table", view, await self.seals.table(edition.payload), now))
            )
            documents[members_name(view.audience, stamp.members_digest)] = records.body
            sealed = await self.seals.timestamp(timestamps.written(stamp))
            documents[timestamp_name(view.audience)] = self._entitled_to("timestamp", view, sealed, now)
            dropped = outdated(view.audience, self.shelf.documents, stamp.version, stamp.members_digest)
            await self.books.write(Published(now, self._new(documents), dropped, _told(edition)))
        except ClearinghouseError as error:
            if edition is not None and not isinstance(error, SignerUnavailable):  # the number may be signed, or was before we started
                self.views[view.audience] = replace(view, publisher=publisher, burnt=True)
            raise
        self.views[view.audience] = View(publisher, stamp, publisher.last, found.stable_until)
        self.shelf.put(documents, dropped, view.audience)
        if edition is not None:
            log.info("table_published", audience=view.audience, version=stamp.version, count=len(found.rows))

    def _records(self, audience: str, found: Levelled) -> Document:
        """Return the list of records for *audience*, made anew only where members have changed, or who has a level in its view."""
        names = frozenset[str]() if audience == EVERYTHING else frozenset(found.rows)
        changes, before, kept = self._listed.get(audience, (-1, names, None))
        if kept is None or changes != self.roll.changes or before != names:
            kept = Document.of("", visible(audience, found.rows, self.roll.members))
            self._listed[audience] = (self.roll.changes, names, kept)
        return kept

    def _entitled_to(self, what: str, view: View, sealed: bytes, now: datetime) -> bytes:
        """Return *sealed* if agents would take it from who signed it; raises `DocumentRefused`: a signer may be away (k-of-n)."""
        entitlement = self.entitlement()
        if entitlement is not None:
            signers = tuple(str(each["keyid"]) for each in read_object(sealed)["signatures"])
            entitlement.check(f"publish-{what}", signers, now=now, audience=view.audience)
        return sealed

    def _edition(self, view: View, found: Levelled, now: datetime) -> tuple[Edition | None, Publisher]:
        publisher, expires = view.publisher, now + self.settings.table_lifetime
        edition = publisher.edition(found.rows, now=now, expires=expires)
        last = publisher.last
        old = last is not None and now >= last.head.issued + self.settings.table_lifetime / 2
        if edition is None and (old or view.burnt):
            edition = publisher.renewed(now=now, expires=expires)
        return edition, publisher if edition is None else publisher.after(edition)

    def _timestamp(self, publisher: Publisher, records: bytes, now: datetime) -> timestamps.Timestamp:
        expires = now + self.settings.timestamp_lifetime
        root = self._found.root.generation
        return publisher.timestamp(now=now, expires=expires, root=root, revocations=self.revoked.named, members=records)

    def _new(self, documents: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return what is not on the shelf already."""
        return {name: body for name, body in documents.items() if (old := self.shelf.get(name)) is None or old.body != body}

    def _check_epoch(self) -> None:
        root = self._found.root
        if root.epoch != self.settings.epoch:
            raise WrongEpochHere(f"the newest root is of epoch {root.epoch}", mend=f"set `epoch = {root.epoch}` in [federation]")

    async def _adopt_roots(self, now: datetime) -> None:
        """Give away root metadata that is new, with an entry in the log."""
        for root, sealed in self._found.roots:
            name = root_name(root.generation)
            old = self.shelf.get(name)
            if old is not None and old.body == sealed:
                continue
            told = {"after": digest(sealed), "generation": root.generation, "epoch": root.epoch}
            await self.books.write(Published(now, {name: sealed}), Noted(Event(now, "root-adopted", told)))
            self.shelf.put({name: sealed}, (), "")
            self._changed = True


def _as_ours(failure: Exception) -> ClearinghouseError:
    """Return an error of our tree; of a mistake of ours, the trace goes to the log."""
    if isinstance(failure, ClearinghouseError):
        return failure
    log.error("press_failed", exc_info=failure)
    return InternalError(f"making the table failed ({type(failure).__name__})", mend="report the trace that the log has of it")


def _as_it_is(view: View) -> Levelled:
    last = view.publisher.last
    return Levelled({} if last is None else last.rows, view.stable_until)


def _told(edition: Edition | None) -> dict[str, str | int]:
    if edition is None:
        return {}
    head = edition.table.head
    return {"audience": head.audience, "count": head.count, "epoch": head.epoch, "head": edition.table.digest, "version": head.version}
