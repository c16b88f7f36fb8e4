"""Everything that stands is looked at again: at each new snapshot all of it, and at its time each part that is due.

Rules R2, R3 and R17.  A grant that still holds goes on; one that does not is written down as ended, and the
broker is told by whoever tells them.  An open case that policy comes to answer by itself is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import ClassVar, Final

import structlog

from clearinghouse.clearing.cases import Case, CaseChange, CaseClosed, CaseState, Grant, RevocationKind
from clearinghouse.clearing.clear import check_clock
from clearinghouse.clearing.consequences import consequences
from clearinghouse.clearing.decision import Decision, Outcome, Reason, refuse
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import lowest_of
from clearinghouse.errors import PeerError, Unavailable
from clearinghouse.runtime.people.carrying import Carrier
from clearinghouse.runtime.people.casework import Casework
from clearinghouse.runtime.people.endings import CLOCK, POLICY, endings
from clearinghouse.runtime.people.judging import NO_LONGER, Holds, Judge, Judgement, Lost, Unsure
from clearinghouse.runtime.standing.books import Books, Crossed
from clearinghouse.storage.changes import CaseMoved, Change, Decided, GrantEnded, Revoked, Settled
from clearinghouse.storage.store import Effect

log = structlog.get_logger(__name__)

SLICE_SECONDS: Final = 0.005
"""Work in one go before everybody else has a turn: questions are answered within 20 ms also while all is reviewed."""

BATCH: Final = 200
"""Ends in one transaction; each is an entry of the log of about 1 kB."""

RETRY_SECONDS: Final = 5.0
"""Between a review that could not be finished, because the store or the clock failed, and the next try."""


class Expired(PeerError):
    """Nobody decided in the time for which a request waits."""

    code: ClassVar[str] = "expired"


@dataclass(slots=True)
class Review:
    """``overturn`` is told that something is over; the books are heard, so that nothing escapes a review that runs.

    ``pause`` is how many seconds pass before what could not be done is tried again.
    """

    books: Books
    judge: Judge
    carrier: Carrier
    casework: Casework
    overturn: Callable[[], None]
    pause: float = RETRY_SECONDS
    _all: bool = False
    _late: set[str] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _since: float = 0.0

    def __post_init__(self) -> None:
        self.books.heard.append(self._hear)

    def wake(self) -> None:
        """Review everything soon, or again from the beginning: there is a new snapshot, or the service starts."""
        self._all = True
        self._wake.set()

    async def run(self) -> None:
        """Review whenever woken, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.pause):  # something may have got stuck since the last look, which tells nobody
                    await self._wake.wait()
            try:
                await self.look()
            except Unavailable as error:
                log.warning("review_failed", reason=error.message, mend=error.mend)
                await self._again()
            except Exception:  # one review must not end the next
                log.exception("failed")
                await self._again()

    async def look(self) -> None:
        """Review what has to be reviewed now: everything, or what was decided late and what is stuck."""
        self._wake.clear()
        if self._all:
            self._all = False
            self._late.clear()
            await self.everything()
        else:
            late, self._late = self._late | self.casework.stuck, set()
            await self._grants([self.books.grants[each] for each in late & self.books.grants.keys()], None)
            await self._cases([self.books.cases[each] for each in late & self.books.cases.keys()], None)

    def _hear(self, change: Change) -> None:
        """Note what a review that is under way may have passed already: decided from another snapshot, or barred since."""
        late: set[str] = set()
        match change:
            case Decided(decision, opens=opens, gives=gives):
                given = [each for each in (opens, gives) if each is not None]
                rests = bool(decision.request.approvals) and gives is not None and not gives.case  # on approvals counted long ago
                if rests or decision.version != self._version or any(self._barred(each.request) for each in given):
                    late = {each.id for each in given}
            case Revoked(revocation) if revocation.kind is RevocationKind.HOLDER and revocation.lifted is None:
                jid, _, node = revocation.name.partition(" ")
                late = {each.id for each in self.books.cases.values() if (each.subject, each.topic) == (jid, node)}
                late |= {each.id for each in self.books.held(jid=jid, node=node)}
            case GrantEnded():
                self.overturn()
            case _:
                pass
        if late:
            self._late |= late
            self._wake.set()

    def _barred(self, request: Request) -> bool:
        return self.books.barred(request.observed.get("jid", ""), request.observed.get("topic", "")) is not None

    async def everything(self) -> bool:
        """Review all grants and cases; say whether one snapshot was all that it saw: a newer one begins anew, and says no."""
        self._check_clock()
        version, began = self._version, perf_counter()
        grants = await self._most_urgent_first(list(self.books.held()))
        finished = await self._grants(grants, version) and await self._cases(list(self.books.cases.values()), version)
        log.info("reviewed", version=version[:12], finished=finished, seconds=round(perf_counter() - began, 3))
        return finished

    async def look_again(self, now: datetime) -> None:
        """Rule anew on what is due at *now*: each grant goes on or is over after it; cases that waited too long expire.

        Raises `StoreUnavailable`, and `ClockBehind` while nobody knows the time: then all is as it was.
        """
        self._check_clock()
        await self._grants(self.books.due(now), None)
        for case in self.books.due_cases(now):
            await self._expire(case)
            await self._breathe()

    @property
    def _version(self) -> str:
        return self.judge.rights.desk.snapshot.version

    def _check_clock(self) -> None:
        rights = self.judge.rights
        check_clock(rights.desk.ledger.highest_time, rights.chance.now())

    async def _again(self) -> None:
        await asyncio.sleep(self.pause)
        self.wake()

    async def _breathe(self) -> None:
        if perf_counter() - self._since > SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = perf_counter()

    def _overtaken(self, version: str | None) -> bool:
        if version is None or version == self._version:
            return False
        self.wake()
        return True

    # -- grants

    async def _most_urgent_first(self, grants: Sequence[Grant]) -> list[Grant]:
        """Whoever is revoked or barred is cut off before anything else is looked at: that takes no query."""
        urgent: list[Grant] = []
        others: list[Grant] = []
        for grant in grants:
            (others if self.judge.taken_away(grant) is None else urgent).append(grant)
            await self._breathe()
        return urgent + others

    async def _grants(self, grants: Iterable[Grant], version: str | None) -> bool:
        """Review *grants*; ``False`` where another snapshot than *version* came meanwhile (``None``: any will do)."""
        lost: list[tuple[Grant, Lost]] = []
        try:
            for grant in grants:
                if self._overtaken(version):
                    return False
                if self.books.grants.get(grant.id) is grant and grant.ended is None:
                    await self._judged(grant, self.judge.grant(grant), lost)
                await self._breathe()
        finally:
            await self._end(lost)
        return True

    async def _judged(self, grant: Grant, judgement: Judgement, lost: list[tuple[Grant, Lost]]) -> None:
        due = grant.ends <= self.judge.rights.chance.now()
        match judgement:
            case Holds(decision, ends):
                if due or ends < grant.ends:
                    await self._renew(grant, decision, ends)
            case Lost():
                lost.append((grant, judgement))
            case Unsure(why) if due:
                # Its time is over, and nothing proves that it goes on: nothing means no.
                lost.append((grant, Lost(Reason(NO_LONGER, f"it could not be proven any more: {why.text}"))))
            case Unsure(why):
                log.warning("not_reviewed", grant=grant.id, reason=why.text, mend="nothing: it is looked at again")
        if len(lost) >= BATCH:
            await self._end(lost)

    async def _renew(self, grant: Grant, decision: Decision, ends: datetime) -> None:
        """Write down that a grant goes on until *ends*; the broker knows of it already."""
        renewed = Decided(decision, gives=replace(grant, ends=ends))
        await self._wrote((renewed, Settled(decision.id, Effect.DONE, decision.at)))

    async def _end(self, lost: list[tuple[Grant, Lost]]) -> None:
        """Write down all that is over at once; where some of it crossed with somebody else, one by one."""
        if not lost:
            return
        over, now = list(lost), self.judge.rights.chance.now()
        lost.clear()
        if not await self._wrote(tuple(endings(self.books, over, at=now))):
            for each in over:
                await self._wrote(tuple(endings(self.books, [each], at=now)))

    async def _wrote(self, changes: Sequence[Change]) -> bool:
        """Write *changes*, unless somebody else was faster: then what they did stands."""
        try:
            await self.books.write(*changes)
        except (Crossed, CaseClosed) as error:
            log.info("crossed", reason=error.message)
            return False
        return True

    # -- cases

    async def _cases(self, cases: Iterable[Case], version: str | None) -> bool:
        for case in cases:
            if self._overtaken(version):
                return False
            if self.books.cases.get(case.id) is case:
                await (self._reopened(case) if case.open else self._recounted(case))
            await self._breathe()
        return True

    async def _recounted(self, case: Case) -> None:
        """Withdraw what the desk signed where those who approved may not approve any more (rule R3)."""
        if case in self.judge.approvals(case.request).fallen:
            now = self.judge.rights.chance.now()
            moved = case.moved(CaseChange.WITHDRAW, at=now, by=POLICY, why="those who approved it may not approve it any more")
            await self._wrote((CaseMoved(moved, CaseChange.WITHDRAW, now),))

    async def _reopened(self, case: Case) -> None:
        """Decide an open case that policy answers without people now, or for which enough of them have approved."""
        decision = self.judge.case(case)
        match decision.outcome:
            case Outcome.GRANTED | Outcome.REFUSED:
                await self._close(case, decision, CaseChange.CANCEL, POLICY)
            case Outcome.PENDING if case.approvals:
                await self._concluded(case)
            case Outcome.PENDING | Outcome.UNANSWERED:
                pass

    async def _concluded(self, case: Case) -> None:
        try:
            await self.casework.conclude(case)
        except (CaseClosed, Crossed) as error:
            log.info("crossed", reason=error.message)
        except Unavailable as error:
            log.warning("not_concluded", case=case.id, reason=error.message, mend=error.mend)

    async def _expire(self, case: Case) -> None:
        now = self.judge.rights.chance.now()
        if case.state is CaseState.APPROVED:
            await self._wrote((CaseMoved(case.moved(CaseChange.EXPIRE, at=now, by=CLOCK), CaseChange.EXPIRE, now),))
            return
        rights = self.judge.rights
        error = Expired("nobody decided in time", mend="ask again, and the people who decide")
        value, version = lowest_of(case.request.operation, rights.desk.levels), self._version
        decision = refuse(rights.chance.new_id(), case.request, error, value=value, version=version, now=now)
        await self._close(case, decision, CaseChange.EXPIRE, CLOCK)

    async def _close(self, case: Case, decision: Decision, change: CaseChange, by: str) -> None:
        """Write down a decision that answers *case*, and what it gives, and carry it out."""
        _, gives = consequences(decision)
        moved = case.moved(change, at=decision.at, by=by, why=f"decision {decision.id[:8]}: {decision.reason.text}")
        if await self._wrote((Decided(decision, gives=gives), CaseMoved(moved, change, decision.at))):
            await self.carrier.carry_out(decision)
