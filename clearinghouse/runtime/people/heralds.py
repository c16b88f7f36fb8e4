"""Who is written to about what happened: people when a request waits for them, requesters when it was decided.

Nothing waits for a message, and a message is no record: where there are too many, some are left out and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from clearinghouse.clearing.cases import Case, CaseState, Grant
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import ClearinghouseError
from clearinghouse.grid import notices
from clearinghouse.runtime.people.rights import Rights
from clearinghouse.settings import Person
from clearinghouse.storage.changes import CaseMoved, Change, Decided, GrantEnded

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 1_000
"""News that wait to be told, about 2 kB each; finding out who may decide one case takes some milliseconds."""

TOLD_STATES: Final = frozenset({CaseState.DENIED, CaseState.EXPIRED, CaseState.FAILED, CaseState.WITHDRAWN})
"""States of a case of which its requester learns from us; of all others the broker tells, or they asked anew themselves."""

UNTOLD: Final = frozenset({"left", "superseded", "overtaken"})
"""Codes why a grant is over whose holder knows it already, or never had it."""


@dataclass(frozen=True, slots=True)
class Station:
    """Through whom we write: our component *us*, hosted by *voucher*, and its way to send (address, text)."""

    us: str
    voucher: str
    notify: Callable[[str, str], None]


@dataclass(slots=True)
class Herald:
    """Hears the books, and writes; ``station`` gives the component that reaches a broker."""

    rights: Rights
    persons: Sequence[Person]
    station: Callable[[str], Station | None]
    unsaid: int = 0
    _news: deque[Case | Grant | Decided] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, change: Change) -> None:
        """Take note of what was written (see `Books.heard`)."""
        match change:
            case Decided(opens=Case() as case):
                self._keep(case)
            case Decided(gives=Grant() as grant) if grant.case and grant.id == change.decision.id:
                self._keep(change)
            case CaseMoved(case) if case.state in TOLD_STATES:
                self._keep(case)
            case GrantEnded(grant) if grant.why is None or grant.why.code not in UNTOLD:
                self._keep(grant)
            case _:
                pass

    async def run(self) -> None:
        """Write, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._news:
                try:
                    self._tell(self._news.popleft())
                except ClearinghouseError as error:
                    log.warning("not_told", reason=error.message, mend=error.mend)
                except Exception:  # one message must not stop the others
                    log.exception("failed")
                await asyncio.sleep(0)

    def _keep(self, news: Case | Grant | Decided) -> None:
        if len(self._news) >= MAX_WAITING:
            self.unsaid += 1
            return
        self._news.append(news)
        self._wake.set()

    def _tell(self, news: Case | Grant | Decided) -> None:
        match news:
            case Case() if news.open:
                self._tell_people(news)
            case Case():
                self._write(news.request.observed, notices.case_closed(news))
            case Grant():
                self._write(news.request.observed, notices.grant_ended(news))
            case Decided(decision):
                self._write(decision.request.observed, notices.ruled(decision))

    def _write(self, observed: Mapping[str, str], text: str) -> None:
        station = self.station(observed.get("broker", ""))
        if station is not None and observed.get("jid"):
            station.notify(observed["jid"], text)

    def _tell_people(self, case: Case) -> None:
        """Write to everybody who may see *case*, as the case's own host vouches for them or with a key of theirs (rule R10)."""
        station = self.station(case.request.observed.get("broker", ""))
        if station is None:
            return
        for person in self.persons:
            for jid in person.jids:
                who = Speaker(person.name, (f"xmpp:{jid}",), Door.CHAT, station.voucher)
                if any(self.rights.sees(each, case.request, case.id, case) for each in (who, *self.rights.as_signer(who))):
                    station.notify(jid, notices.case_waits(case, station.us))
