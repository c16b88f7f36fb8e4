"""Rules on requests as `clear` does, with what the books add: approvals that stand, and bars that people have set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from clearinghouse.clearing.cases import Barred
from clearinghouse.clearing.clear import Desk, clear, rule
from clearinghouse.clearing.decision import Decision, refuse
from clearinghouse.clearing.enforcement import enforcement_of
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.senders import SenderBudgets
from clearinghouse.clearing.vocabulary import lowest_of
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.standing.books import Books


@dataclass(frozen=True, slots=True)
class Bench:
    """Where rulings are made; every one uses the time and the snapshot of its own moment."""

    desk: Desk
    books: Books
    chance: Chance

    async def cleared(self, request: Request) -> Decision:
        """Rule on *request*, record it, and carry it out; raises what `clear` raises."""
        decision = self._bar(request)
        if decision is None:
            return await clear(self._stated(request), self.desk, now=self.chance.now())
        await self.desk.ledger.record(decision)
        await self.desk.enforcer.carry_out(enforcement_of(decision))
        return decision

    def ruled(self, request: Request) -> Decision:
        """Rule on *request*; nothing is recorded, and nothing follows."""
        return self._bar(request) or rule(self._stated(request), self.desk, now=self.chance.now())

    def ruled_for_us(self, request: Request) -> Decision:
        """Rule on *request* as `ruled` does, at nobody's expense: the question is our own."""
        desk = replace(self.desk, senders=SenderBudgets())
        return self._bar(request) or rule(self._stated(request), desk, now=self.chance.now())

    def _stated(self, request: Request) -> Request:
        approvals = self.books.approvals_for(request)
        return replace(request, approvals=approvals) if approvals else request

    def _bar(self, request: Request) -> Decision | None:
        """Refuse whoever people have barred, before anything is evaluated."""
        bar = self.books.barred(request.observed.get("jid", ""), request.observed.get("topic", ""))
        if bar is None:
            return None
        error = Barred(f"revocation {bar.id[:8]} bars this platform from the topic", mend="ask those who decide about the topic")
        version, now = self.desk.snapshot.version, self.chance.now()
        return refuse(self.chance.new_id(), request, error, value=lowest_of(request.operation), version=version, now=now)
