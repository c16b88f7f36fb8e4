"""The fleet: what each agent said last about itself, and which of them are stale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final

from clearinghouse.clearing.envelope import Asked
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.clearing.wire import stamp
from clearinghouse.errors import PeerError, TooLarge
from clearinghouse.federation.membership.registry import AgentStatus, Kept
from clearinghouse.federation.published.documents import COMMUNITY
from clearinghouse.runtime.federation.press import Press
from clearinghouse.runtime.federation.roll import Roll
from clearinghouse.runtime.standing.books import Books
from clearinghouse.storage.changes import Reported

REPORT: Final = (
    "age",
    "dialback",
    "domain",
    "doors",
    "epoch",
    "error",
    "mode",
    "module",
    "retry",
    "server",
    "skew",
    "standing",
    "table",
    "version",
    "view",
)
"""The members of a report; an agent may leave any of them out."""

MAX_REPORT_CHARACTERS: Final = 1_000
"""Characters of one member of a report; an error is two sentences."""


class OldReport(PeerError):
    """A later report of the agent is known already."""

    code: ClassVar[str] = "old-report"


@dataclass(slots=True)
class Fleet:
    """What the store has of agents, in memory; ``press`` says what they should have."""

    books: Books
    roll: Roll
    press: Press
    agents: dict[str, AgentStatus] = field(default_factory=dict)

    @classmethod
    def opened(cls, kept: Kept, books: Books, roll: Roll, press: Press) -> Fleet:
        """Return what was reported before."""
        return cls(books, roll, press, {each.domain: each for each in kept.agents})

    async def report(self, domain: str, asked: Asked) -> None:
        """Keep what the agent of *domain* says; raises `TooLarge`, `OldReport`."""
        last = self.agents.get(domain)
        if last is not None and asked.issued < last.at:
            raise OldReport("a later report is known", mend="nothing")
        found = {name: asked.body[name] for name in REPORT if name in asked.body}
        if any(len(value) > MAX_REPORT_CHARACTERS for value in found.values()):
            raise TooLarge("the report is too long", mend=f"each member has at most {MAX_REPORT_CHARACTERS} characters")
        status = AgentStatus(domain, asked.issued, found)
        await self.books.write(Reported(status))
        self.agents[domain] = status

    def listed(self, now: datetime) -> Sequence[Mapping[str, Any]]:
        """Return how each member's agent is, by domain, the silent ones included."""
        return [self._told(domain, now) for domain in sorted(self.roll.present())]

    def _told(self, domain: str, now: datetime) -> dict[str, Any]:
        status = self.agents.get(domain)
        faults = [*self._faults(status, now)]
        told: dict[str, Any] = {"domain": domain, "stale": bool(faults), "why": faults}
        if status is not None:
            told |= {"reported": stamp(status.at), **status.report, "domain": domain}
        return told

    def _faults(self, status: AgentStatus | None, now: datetime) -> Iterator[str]:
        """Yield why an agent is not where it should be, in words."""
        if status is None:
            yield "has never reported"
            return
        lifetime, period = self.press.settings.timestamp_lifetime, self.press.settings.timestamp_period
        if now - status.at > lifetime:
            yield f"has not reported for {int((now - status.at).total_seconds())} seconds"
        if (standing := status.report.get("standing", "fresh")) != "fresh":
            yield f"says that its table is {standing}"
        newest = self._newest(status)
        if newest is not None and status.report.get("table", "") != str(newest[0]) and now - newest[1] > period:
            yield f"has table {status.report.get('table', '') or 'none'}, and {newest[0]} is the newest"

    def _newest(self, status: AgentStatus) -> tuple[int, datetime] | None:
        """Return version and time of the newest table for an agent's view."""
        view = status.report.get("view", COMMUNITY)
        found = self.press.views.get(EVERYTHING if view in {COMMUNITY, EVERYTHING} else view)
        last = None if found is None else found.table
        return None if last is None else (last.head.version, last.head.issued)
