"""Whoever is concerned is told by chat message: people when something waits for them, requesters what came of it.

Messages are a courtesy: none is kept, and whoever misses one finds everything with `pending` and `grants`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import structlog

from clearinghouse.clearing.cases import Case, CaseState
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.request import LOCAL_USER
from clearinghouse.clearing.vocabulary import Door, domain_of
from clearinghouse.errors import ClearinghouseError
from clearinghouse.grid.notices import case_closed, case_waits, grant_ended, ruled
from clearinghouse.runtime.books import ASKED_ANEW, SUPERSEDED, Books
from clearinghouse.runtime.rights import Rights
from clearinghouse.settings import Settings
from clearinghouse.settings.people import Person
from clearinghouse.storage.changes import CaseMoved, Change, Decided, GrantEnded

log = structlog.get_logger(__name__)

MAX_UNTOLD: Final = 1_000
"""Cases of which people have still to be told; in a flood the oldest are left to the list of what is pending."""

_SILENT: Final = frozenset({SUPERSEDED.code, "left", "overtaken"})
"""Ends that their holder brought about, or that take nothing away."""

_TOLD: Final = frozenset({CaseState.DENIED, CaseState.EXPIRED, CaseState.CANCELLED, CaseState.FAILED})


@dataclass(slots=True)
class Notices:
    """Hears the books.  ``notify`` sends a text to a bare JID; ``us`` is where our commands are, by broker."""

    settings: Settings
    books: Books
    rights: Rights
    notify: Callable[[str, str], None]
    us: Callable[[str], str]
    _opened: OrderedDict[str, Case] = field(default_factory=OrderedDict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.books.heard.append(self._hear)

    async def run(self) -> None:
        """Tell people what waits for them, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._opened:
                await self.tell()

    async def tell(self) -> None:
        """Tell those who may see the oldest case that nobody was told of, if it still waits."""
        _, case = self._opened.popitem(last=False)
        text = case_waits(case, self.us(case.request.observed.get("broker", "")))
        for person in self.settings.person:
            if case.id in self.books.cases and any(self.rights.sees(each, case.request, case.id, case) for each in _guises(person, case)):
                for jid in person.jids:
                    self._send(jid, text)
            await asyncio.sleep(0)

    def _hear(self, change: Change) -> None:
        match change:
            case Decided(opens=Case() as case):
                self._opened[case.id] = case
                if len(self._opened) > MAX_UNTOLD:
                    self._opened.popitem(last=False)
                self._wake.set()
            case Decided(decision, gives=grant) if grant is not None and grant.case and grant.id == decision.id:
                self._send(grant.holder, ruled(decision))
            case CaseMoved(case) if case.closed is not None:
                self._closed(case)
            case GrantEnded(grant) if grant.why is not None and grant.why.code not in _SILENT:
                self._send(grant.holder, grant_ended(grant))
            case _:
                pass

    def _closed(self, case: Case) -> None:
        """Tell the requester, and those who approved, what came of a case; what ends with its grant is told with that."""
        over = case.state in _TOLD and case.why != ASKED_ANEW and not case.credential
        if over:
            self._send(case.subject, case_closed(case))
        if over or case.state is CaseState.APPROVED:
            for jid in _approvers(self.settings, case):
                self._send(jid, f"case {case.id} is {case.state}\nsubject: {case.subject}\ntopic: {case.topic}")

    def _send(self, jid: str, text: str) -> None:
        try:
            self.notify(jid, text)
        except ClearinghouseError as error:
            log.info("not_notified", reason=error.message, noise=jid)


def _guises(person: Person, case: Case) -> Iterator[Speaker]:
    """Yield everything as which *person* may come to decide *case*."""
    host = case.request.observed.get("vouched_by", "")
    yield from (Speaker(person.name, (f"xmpp:{jid}", f"xmpp-member:{domain_of(jid)}"), Door.CHAT, host) for jid in person.jids)
    yield from (Speaker(person.name, (key,), Door.ENVELOPE) for key in person.keys)
    yield from (Speaker(person.name, (f"{LOCAL_USER}{user}",), Door.OPERATOR) for user in person.local)


def _approvers(settings: Settings, case: Case) -> Iterator[str]:
    names = {each.person for each in case.approvals}
    yield from (jid for person in settings.person if person.name in names for jid in person.jids)
