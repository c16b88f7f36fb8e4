"""What people or a review decided is carried out at the broker, or stays owed until it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from clearinghouse.clearing.cases import CaseChange, CaseState
from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.decision import Decision, Reason
from clearinghouse.clearing.enforcement import LeavePending, Nothing, enforcement_of
from clearinghouse.enforcers.broker import NothingPending
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.standing.books import Books
from clearinghouse.storage.changes import CaseMoved, Change, EndCarriedOut, GrantEnded, Settled
from clearinghouse.storage.store import Effect
from clearinghouse.telemetry import decision_level, decision_line

log = structlog.get_logger(__name__)

GONE = Reason("left", "the broker knew of no such request any more")


@dataclass(frozen=True, slots=True)
class Carrier:
    """``behind`` is told of a broker at which something was left undone, which is then tried again."""

    desk: Desk
    books: Books
    chance: Chance
    behind: Callable[[str], None]

    async def carry_out(self, decision: Decision) -> bool:
        """Carry out a decision that is durable, and say whether that is done; raises `StoreUnavailable`."""
        log.log(decision_level(decision), decision.outcome.value, **decision_line(decision))
        enforcement, place = enforcement_of(decision), decision.request.place
        if place is None or isinstance(enforcement, Nothing | LeavePending):
            return True
        if decision.version != self.desk.snapshot.version or self.books.is_over(decision.id):
            self.behind(place.broker)  # policy has changed, or people were faster: whether it still holds is decided again
            return False
        try:
            await self.desk.enforcer.carry_out(enforcement)
        except NothingPending:
            await self.books.write(*self._gone(decision))
            return False
        except Unavailable as error:
            log.warning("owed", broker=place.broker, topic=place.node, reason=error.message, mend=error.mend)
            self.behind(place.broker)
            return False
        except ClearinghouseError as error:
            log.error("not_carried_out", broker=place.broker, topic=place.node, reason=error.message, mend=error.mend)  # noqa: TRY400
            return False
        await self.books.write(Settled(decision.id, Effect.DONE, self.chance.now()))
        return True

    def _gone(self, decision: Decision) -> tuple[Change, ...]:
        """Return what follows where the requester did not wait: nobody has what was granted, and the broker need not be told."""
        now = self.chance.now()
        changes: list[Change] = [Settled(decision.id, Effect.DROPPED, now)]
        grant = self.books.grants.get(decision.id)
        if grant is None or grant.ended is not None:
            return tuple(changes)
        changes += [GrantEnded(replace(grant, ended=now, why=GONE)), EndCarriedOut((grant.id,), now)]
        case = self.books.cases.get(grant.case)
        if case is not None and case.state is CaseState.APPROVED:
            changes.append(CaseMoved(case.moved(CaseChange.FAIL, at=now, why=GONE.text), CaseChange.FAIL, now))
        return tuple(changes)
