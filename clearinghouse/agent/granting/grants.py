"""What this server has granted on request, for as long as it holds: each opens a little of the server, and goes away by itself.

A decision, its grant and its entry in the log are one transaction, so a crash leaves all or nothing.  The
server module knows until when each may count and needs nobody to end it; what is restored after a crash is looked at
anew, and what has ended meanwhile never comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import ClassVar, Final

import structlog

from clearinghouse.agent.granting.authority import Authority
from clearinghouse.agent.granting.cases import Cases
from clearinghouse.agent.granting.standing import Held, Standing
from clearinghouse.clearing.cases import Case, CaseChange, Grant
from clearinghouse.clearing.clear import ClockBehind, check_clock
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.envelope import Replayed
from clearinghouse.clearing.soundness import Reason
from clearinghouse.errors import ClearinghouseError, PeerError, StoreUnavailable, Unavailable
from clearinghouse.federation.enforced import image
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.storage.changes import CaseMoved, Change, Decided, EndCarriedOut, EnvelopeSeen, GrantEnded
from clearinghouse.storage.store import Store

log = structlog.get_logger(__name__)

MAX_EACH: Final = 200
"""Grants for one domain: a user each, of a site whose table gives it nothing."""
TOGETHER: Final = 64
"""Grants that are looked at, and written, in one go; whoever asks waits for one go at most, which takes 20 ms."""
SLICE_SECONDS: Final = 0.02
"""Work on grants before everybody else has a turn."""
AGAIN_SECONDS: Final = 5.0
"""Until a grant is looked at again that could not be judged, and the longest that a change of the clock goes unseen."""

KEEPING: Final = timedelta(days=400)
"""How long it is kept who asked for what: the longest that an audit looks back, as at a clearinghouse."""
ERASING: Final = timedelta(days=1)
"""Between looks for what is older than that."""

VALIDITY: Final = Reason("validity", "the time is over for which it was granted")
SUPERSEDED: Final = Reason("superseded", "the same was granted anew")
NO_LONGER: Final = "no-longer-granted"


class TooManyGrants(Unavailable):
    """There are as many grants at this server, or for one domain at it, as there may be."""

    code: ClassVar[str] = "too-many-grants"


class NoSuchGrant(PeerError):
    """There is no active grant whose id begins so, or there are several."""

    code: ClassVar[str] = "no-such-grant"
    http_status: ClassVar[int] = 404


@dataclass(slots=True)
class Grants:
    """The grants of one server, and the requests that wait for its people; made by `opened`.

    Whoever is in ``heard`` is told when `live` may have changed.
    """

    store: Store
    authority: Authority
    cases: Cases
    heard: list[Callable[[], None]] = field(default_factory=list)
    most_each: int = MAX_EACH
    _held: Standing = field(default_factory=Standing)
    _seen: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _looked: bool = False
    _erased: datetime | None = None

    @classmethod
    async def opened(cls, store: Store, authority: Authority, *, desk: PrivateKey | None = None) -> Grants:
        """Return the grants that *store* has; none counts before it was looked at anew.  Raises `StoreUnavailable`.

        Where it is not known yet who is a member and what is revoked, that is once it is.
        """
        grants, standing = cls(store, authority, Cases(authority, authority.desk.new_id, desk)), await store.standing()
        grants.cases.restore(standing.cases)
        for grant in standing.grants:
            if grant.ended is None:
                grants._held.put(Held.of(grant))
        grants._seen = {(each.signer, each.digest): each.until for each in standing.seen}
        authority.heard.append(grants.wake)
        await grants.review()
        return grants

    # -- what holds

    def live(self, now: datetime) -> tuple[image.Grant, ...]:
        """Return what the server module has to know at *now*; nothing while the clock is behind what was recorded (rule R17)."""
        if not self._looked:
            return ()
        try:
            check_clock(self.store.highest_time, now)
        except ClockBehind as error:
            log.error("grants_closed", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
            return ()
        seconds = now.timestamp()
        return tuple(each.told for each in self._held if each.told.until > seconds)

    def active(self) -> Sequence[Held]:
        """Return the grants that were not ended, oldest first."""
        return tuple(self._held)

    def found(self, prefix: str) -> Held:
        """Return the grant whose id begins with *prefix*; raises `NoSuchGrant`."""
        found = [each for each in self._held if prefix and each.grant.id.startswith(prefix)]
        if len(found) != 1:
            raise NoSuchGrant("there is no such grant, or there are several", mend="`clearinghouse agent grants` lists their ids")
        return found[0]

    def check_new(self, prints: Sequence[tuple[str, str]], now: datetime) -> None:
        """Raise `Replayed` where an envelope with one of these fingerprints was taken already (rule R18)."""
        self._seen = {name: until for name, until in self._seen.items() if until > now}
        if any(each in self._seen for each in prints):
            raise Replayed("the envelope was taken already", mend="sign a new one")

    def check_room(self, remote: str) -> None:
        """Raise `TooManyGrants` where no further one may be given."""
        if len(self._held) >= image.MAX_GRANTS or self._held.count(remote) >= self.most_each:
            raise TooManyGrants("there are as many grants as there may be", mend="wait until some have ended, or have them ended")

    # -- what changes

    async def record(self, decision: Decision, seen: Sequence[EnvelopeSeen] = (), *, case: Case | None = None) -> Grant | None:
        """Make *decision* durable with what follows from it, and let that count; raises `Replayed`, `StoreUnavailable`.

        *case* is the one that people approved, where they did.
        """
        async with self._turn:
            grant, opens = _given(decision, case), self.cases.opened_by(decision)
            held = None if grant is None else Held.of(grant)
            ends = [] if held is None else [*self._superseded(held, decision.at)]
            moved = [] if case is None else [CaseMoved(case, CaseChange.APPROVE, decision.at)]
            await self.authority.keep()
            await self.store.write(*seen, Decided(decision, opens=opens, gives=grant), *moved, *_told(ends, decision.at))
            self._seen |= {(each.signer, each.digest): each.until for each in seen}
            for each in (opens, case):
                if each is not None:
                    self.cases.put(each)
            if held is None:
                return None
            self._forget(ends)
            self._held.put(held)
        self._tell()
        if decision.version != self.authority.desk.snapshot.version:  # policy changed while it was written
            await self.review()
        return grant

    async def move(self, case: Case, change: CaseChange) -> None:
        """Make durable what happened to a *case* that gives nothing, or not yet."""
        async with self._turn:
            await self.store.write(CaseMoved(case, change, self.authority.now()))
            self.cases.put(case)

    async def end(self, prefix: str, reason: Reason) -> Grant:
        """End a grant now, whoever holds it; raises `NoSuchGrant`."""
        async with self._turn:
            ended = replace(self.found(prefix).grant, ended=self.authority.now(), why=reason)
            await self._write([*self._end(ended, CaseChange.WITHDRAW)])
        return ended

    def wake(self) -> None:
        """Look at every grant again soon."""
        self._wake.set()

    async def watch(self) -> None:
        """Look at grants again when policy changed, and when their time has come, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            except TimeoutError:
                pass
            every = self._wake.is_set()
            self._wake.clear()
            try:
                await self.review(every=every)
                await self._erase()
            except ClearinghouseError as error:
                log.error("grants_not_reviewed", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
                await asyncio.sleep(AGAIN_SECONDS)

    async def _erase(self) -> None:
        now = self.authority.now()
        if self._erased is None or now - self._erased >= ERASING:
            self._erased = now
            await self.store.erase(now - KEEPING)

    async def review(self, *, every: bool = True) -> None:
        """Look at the grants again whose time has come, or at *every* one; end those that do not hold any more.

        What has to end counts no more at once, be the disk full; what goes on is durable before it counts longer.
        """
        if not self.authority.informed:
            return
        now = self.authority.now()
        every |= not self._looked
        looked = [each.grant.id for each in self._held if every or each.grant.ends <= now]
        failure: StoreUnavailable | None = None
        for first in range(0, len(looked), TOGETHER):
            async with self._turn:
                changes = await self._judged_all(looked[first : first + TOGETHER], now)
                try:
                    await self._write(changes)
                except StoreUnavailable as error:  # the others have to be looked at all the same
                    failure = error
        if failure is not None:
            raise failure
        async with self._turn:
            if late := self.cases.expired():
                await self._write(late)
        if not self._looked:
            self._looked = True
            self._tell()

    async def _judged_all(self, looked: Sequence[str], now: datetime) -> Sequence[Change]:
        changes: list[Change] = []
        since = perf_counter()
        for identity in looked:
            held = self._held.get(identity)
            changes += () if held is None else self._judged(held.grant, now)
            if perf_counter() - since > SLICE_SECONDS:
                await asyncio.sleep(0)
                since = perf_counter()
        return changes

    # -- inside

    def _judged(self, grant: Grant, now: datetime) -> list[Change]:
        """Return what has to be written about *grant* now: its end, its renewal, or nothing."""
        if now >= grant.until:
            return [*self._end(replace(grant, ended=now, why=VALIDITY), CaseChange.EXPIRE)]
        decision = self.authority.ruled_for_us(self.cases.stands(grant.request, grant.case))
        match decision.outcome:
            case Outcome.GRANTED if decision.ends is not None:
                ends = min(decision.ends, grant.until)
                return [] if ends == grant.ends else [Decided(decision, gives=replace(grant, ends=ends))]
            case Outcome.UNANSWERED:
                return []  # no denial; it goes on until it has to be looked at, and not longer
            case _:
                why = Reason(NO_LONGER, f"policy does not grant it any more: {decision.reason.text}")
                return [*self._end(replace(grant, ended=now, why=why), CaseChange.WITHDRAW)]

    def _end(self, ended: Grant, change: CaseChange) -> Iterator[Change]:
        yield GrantEnded(ended)
        if ended.case:
            yield from self.cases.over(ended.case, change, "" if ended.why is None else ended.why.text)

    async def _write(self, changes: Sequence[Change]) -> None:
        """Let ends count, make *changes* durable, and let the rest count."""
        if not changes:
            return
        self._forget(changes)
        self._tell()
        await self.authority.keep()
        await self.store.write(*_told(changes, self.authority.now()))
        for change in changes:
            if isinstance(change, Decided) and change.gives is not None:
                self._held.put(Held.of(change.gives))
        self._tell()

    def _forget(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, CaseMoved):
                self.cases.put(change.case)
            if isinstance(change, GrantEnded):
                self._held.drop(change.grant.id)
                why = change.grant.why
                log.info("grant_ended", grant=change.grant.id, reason="" if why is None else why.code)

    def _superseded(self, new: Held, at: datetime) -> Iterator[Change]:
        old = self._held.like(new.same)
        if old is not None:
            yield from self._end(replace(old.grant, ended=at, why=SUPERSEDED), CaseChange.EXPIRE)

    def _pause(self) -> float:
        """Return the seconds until the next grant has to be looked at."""
        now = self.authority.now()
        due = min((each.grant.ends - now for each in self._held), default=timedelta(seconds=AGAIN_SECONDS))
        return min(max(due.total_seconds(), 0.05), AGAIN_SECONDS)

    def _tell(self) -> None:
        for told in self.heard:
            told()


def _told(changes: Sequence[Change], at: datetime) -> Iterator[Change]:
    """Yield *changes*, and that their ends were carried out.

    The server is told by the image that it has to have, which is pushed until it has it: nothing more is owed.
    """
    yield from changes
    ended = tuple(each.grant.id for each in changes if isinstance(each, GrantEnded))
    if ended:
        yield EndCarriedOut(ended, at)


def _given(decision: Decision, case: Case | None) -> Grant | None:
    if decision.outcome is not Outcome.GRANTED or decision.ends is None or decision.until is None:
        return None
    request = replace(decision.request, approvals=())
    return Grant(decision.id, request, decision.at, decision.ends, decision.until, "" if case is None else case.id)
