"""Who would lose and who would win by a change, before it is made: grants, open cases, and what known platforms may read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

from clearinghouse.clearing.cases import Case, Grant
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.enforcement import WHITELIST
from clearinghouse.clearing.people import Party
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.snapshot import Snapshot, licensed
from clearinghouse.clearing.vocabulary import OPERATIONS, Kind, is_canonical
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.grid.reception import PlatformAsked
from clearinghouse.keynote import Admitted
from clearinghouse.runtime.asking.questions import Asking, platform_request
from clearinghouse.runtime.people.judging import Holds, Judge, Lost, Unsure
from clearinghouse.runtime.people.review import SLICE_SECONDS
from clearinghouse.runtime.people.rights import Rights
from clearinghouse.runtime.standing.books import Books

MAX_PAIRS: Final = 10_000
"""What known platforms could ask about topics that is looked at, twice each: about 3 s of one processor."""

ASKED: Final = ("subscribe", "publish")
"""What a platform may come to do at every topic; `retrieve` as well where members are listed (`WHITELIST`)."""

_USER: Final = "xmpp:"


@dataclass(frozen=True, slots=True)
class Compared:
    """Parties in the order of grants, cases, platforms; ``unchecked`` pairs were too many to be looked at."""

    losing: tuple[Party, ...] = ()
    winning: tuple[Party, ...] = ()
    unchecked: int = 0


@dataclass(slots=True)
class Comparison:
    """Compares what is with what would be; ``askings`` are the topics, ``platforms`` the bare JIDs of the settings."""

    books: Books
    rights: Rights
    askings: Mapping[tuple[str, str], Asking]
    platforms: tuple[str, ...]
    most_pairs: int = MAX_PAIRS
    _since: float = field(default_factory=perf_counter)

    async def between(self, after: Snapshot, credentials: Iterable[Admitted]) -> Compared:
        """Return who loses and who wins when *after* is believed; *credentials* say which platforms are known besides."""
        before = self.rights.desk.snapshot
        now, then = self._judge(before), self._judge(after)
        losing: list[Party] = []
        winning: list[Party] = []
        for grant in list(self.books.held()):
            losing += _grant_lost(grant, then)
            await self._breathe()
        for case in [each for each in self.books.cases.values() if each.open]:
            for party in _case_changed(case, then):
                (losing if party.after == "deny" else winning).append(party)
            await self._breathe()
        pairs = self._pairs(credentials)
        for jid, operation, asking in pairs[: self.most_pairs]:
            for better, party in self._platform(jid, operation, asking, now, then):
                (winning if better else losing).append(party)
            await self._breathe()
        return Compared(tuple(losing), tuple(winning), max(0, len(pairs) - self.most_pairs))

    def places_of(self, node: str) -> Sequence[tuple[str, str]]:
        """Return each broker with a topic *node* of ours, and the host on whose word names rest there (rule R10)."""
        return [(broker, asking.voucher) for (broker, name), asking in self.askings.items() if name == node]

    def _judge(self, snapshot: Snapshot) -> Judge:
        return Judge(self.books, replace(self.rights, desk=replace(self.rights.desk, snapshot=snapshot)))

    def _pairs(self, credentials: Iterable[Admitted]) -> list[tuple[str, str, Asking]]:
        """Return what each known platform could ask about each topic, unless it is granted already or waits for people."""
        known = dict.fromkeys((*self.platforms, *_users(credentials)))
        waiting = (each.request for each in self.books.cases.values() if each.open)
        taken = {_named(request) for request in (*(each.request for each in self.books.held()), *waiting)}
        could = ((jid, operation, asking) for jid in known for asking in self.askings.values() for operation in _asked_of(asking))
        return [each for each in could if (each[0], each[1], each[2].topic.broker, each[2].topic.node) not in taken]

    def _platform(self, jid: str, operation: str, asking: Asking, now: Judge, then: Judge) -> Iterator[tuple[bool, Party]]:
        topic = asking.topic
        asked = PlatformAsked(operation, topic.broker, topic.node, read_subscriber(jid))
        request = platform_request(asked, asking, self.rights.chance.new_id())
        before, after = now.rights.ruled(request, explained=False), then.rights.ruled(request)
        if before.value != after.value:
            yield _level(after) > _level(before), _party(jid, after, before.value)

    async def _breathe(self) -> None:
        if perf_counter() - self._since > SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = perf_counter()


def _asked_of(asking: Asking) -> tuple[str, ...]:
    return (*ASKED, "retrieve") if asking.topic.access_model == WHITELIST else ASKED


def _named(request: Request) -> tuple[str, str, str, str]:
    """Return who asked what, and where."""
    seen = request.observed
    return seen.get("jid", ""), request.operation, seen.get("broker", ""), seen.get("topic", "")


def _grant_lost(grant: Grant, then: Judge) -> Iterator[Party]:
    match then.grant(grant):
        case Lost(why, _, value):
            yield Party(grant.holder, grant.request.operation, grant.topic, "granted", value, why.text, grant.id)
        case Holds() | Unsure():
            pass


def _case_changed(case: Case, then: Judge) -> Iterator[Party]:
    after = then.case(case)
    if after.value != "ask":
        yield Party(case.subject, case.request.operation, case.topic, "ask", after.value, after.reason.text)


def _party(jid: str, after: Decision, before: str) -> Party:
    request = after.request
    return Party(jid, request.operation, request.observed.get("topic", ""), before, after.value, after.reason.text)


def _level(decision: Decision) -> int:
    values = OPERATIONS[decision.request.operation].values or ()
    return values.index(decision.value) if decision.value in values else 0


def _users(credentials: Iterable[Admitted]) -> Iterator[str]:
    """Yield the users that *credentials* license by name: platforms that policy knows."""
    for each in credentials:
        for name in licensed(each):
            jid = name.removeprefix(_USER)
            if name.startswith(_USER) and "@" in jid and is_canonical(Kind.JID, jid):
                yield jid
