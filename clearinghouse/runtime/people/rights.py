"""What people may do: each right is one KeyNote query of the group `people`, and there is no other (rules R3, R10, R22)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

from clearinghouse.clearing.approvals import approve_request, asked_by, contributes, counted, reaches
from clearinghouse.clearing.cases import Approval, Case, Grant
from clearinghouse.clearing.clear import Desk, rule
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.people import NeedsSignature, NotEntitled, Speaker
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.senders import SenderBudgets
from clearinghouse.clearing.vocabulary import EVERYTHING, Door
from clearinghouse.errors import Unavailable
from clearinghouse.runtime.chance import Chance

MAX_GUISES: Final = 100
"""Names by which persons are known that are tried to say who could approve as well; each takes about 0.2 ms."""

SIGN: Final = "sign it with a key: `clearinghouse approve --key`, or the command that you want with `--key`"


class NotNow(Unavailable):
    """Whether somebody may do this could not be decided: the clock is behind, or the work was too much."""

    code = "not-now"


class _Silent(SenderBudgets):
    """Leaves no time to say what is missing: that takes ten times as long as the answer, and most questions need none."""

    def explains(self, steps: int, now: datetime) -> bool:  # noqa: ARG002 - as it is there
        """Say no."""
        return False


@dataclass(frozen=True, slots=True)
class Rights:
    """Asks the engine what people may do.

    ``people`` gives the persons behind a request, ``guises`` everybody as whom each person may come, ``approver``
    the name that who gave an approval has today (see `speakers`).
    """

    desk: Desk
    chance: Chance
    people: Callable[[Request], frozenset[str]]
    guises: Callable[[str], Iterable[Speaker]] = lambda _: ()
    approver: Callable[[Approval], str] = lambda approval: approval.person

    def ruled(self, request: Request, *, explained: bool = True) -> Decision:
        """Rule on *request* for ourselves: at nobody's expense, with nothing recorded; a refusal says why only if *explained*."""
        return rule(request, replace(self.desk, senders=SenderBudgets() if explained else _Silent()), now=self.chance.now())

    def asks(self, who: Speaker, operation: str, *, of: Request | None = None, thing: str = EVERYTHING) -> Decision:
        """Return the decision whether *who* may do *operation* to *thing*, the id of a case or grant that is *of* a request."""
        return self.ruled(asked_by(who, operation, self.chance.new_id(), of=of, thing=thing), explained=False)

    def may(self, who: Speaker, operation: str, *, of: Request | None = None, thing: str = EVERYTHING) -> bool:
        """Say whether *who* may."""
        return self.asks(who, operation, of=of, thing=thing).outcome is Outcome.GRANTED

    def require(self, who: Speaker, operation: str, *, of: Request | None = None, thing: str = EVERYTHING) -> None:
        """Raise `NotEntitled` where *who* may not, `NeedsSignature` where a JID's word is not enough, `NotNow`."""
        self.check_word(who, of)
        decision = self.asks(who, operation, of=of, thing=thing)
        if decision.outcome is Outcome.UNANSWERED:
            raise NotNow(decision.reason.text, mend="try again in some seconds")
        if decision.outcome is not Outcome.GRANTED:
            raise NotEntitled("policy does not let you do this", mend="ask whoever keeps the policies in `people`")

    def check_word(self, who: Speaker, of: Request | None) -> None:
        """Raise `NeedsSignature` where *who* is a JID and the effect is elsewhere than at the host that vouches for it (rule R10)."""
        if who.door is Door.CHAT and (of is None or not reaches(who, of)):
            raise needs_signature()

    def as_signer(self, who: Speaker) -> Sequence[Speaker]:
        """Return who somebody at a chat would be with each of their keys, for saying that a signature would do."""
        if who.door is not Door.CHAT:
            return ()
        return [each for each in self.guises("") if each.person == who.person and each.door is Door.ENVELOPE]

    def sees(self, who: Speaker, request: Request, identity: str, case: Case | None = None) -> bool:
        """Say whether *who* may see this case, grant or decision: by `explain`, or because their approval of *case* would count."""
        if self.may(who, "explain", of=request, thing=identity):
            return True
        return case is not None and case.open and self.would_count(case, who)

    def shows(self, who: Speaker, found: Case | Grant | None) -> bool:
        """Say as `sees` whether *who* may see *found*; what is not there takes as long as what may not be seen (rule R22).

        Raises `NeedsSignature` for somebody at a chat who could see it with a key of theirs.
        """
        if found is None:
            self.may(who, "explain")
            return False
        case = found if isinstance(found, Case) else None
        if self.sees(who, found.request, found.id, case):
            return True
        if any(self.sees(each, found.request, found.id, case) for each in self.as_signer(who)):
            raise needs_signature()
        return False

    def approved(self, case: Case, approvals: Sequence[Approval]) -> tuple[Decision | None, tuple[Approval, ...]]:
        """Return what the `approve` query says to all *approvals* that count, and these; ``None`` where none counts."""
        counting = counted(case, (replace(each, person=self.approver(each)) for each in approvals), self.people(case.request))
        if not counting:
            return None, ()
        return self.ruled(approve_request(case, counting, self.chance.new_id()), explained=False), counting

    def who_could_join(self, case: Case) -> tuple[tuple[str, ...], bool]:
        """Return the persons whose approval would have a part in a yes to *case*, and whether any one of them would be enough."""
        done = {each.person for each in case.approvals} | self.people(case.request)
        others = (each for each in self.guises(case.request.observed.get("vouched_by", "")) if each.person not in done)
        enough: dict[str, None] = {}
        more: dict[str, None] = {}
        for who in islice(others, MAX_GUISES):
            given = approval_of(who, case, self.chance)
            decision, counting = self.approved(case, (*case.approvals, given))
            ours = next((each for each in counting if each.person == who.person), None)
            if decision is not None and ours is not None and entitled(decision, ours):
                (enough if decision.outcome is Outcome.GRANTED else more)[who.person] = None
        return tuple(enough or more), bool(enough)

    def would_count(self, case: Case, who: Speaker) -> bool:
        """Say whether the approval of *who* would have a part in a yes to *case*."""
        decision, counting = self.approved(case, (approval_of(who, case, self.chance),))
        return decision is not None and entitled(decision, counting[0])


def approval_of(who: Speaker, case: Case, chance: Chance) -> Approval:
    """Return the approval that *who* gives to *case* now."""
    return Approval(who.person, who.principals, chance.now(), who.door, who.vouched_by, case.digest(), who.envelope)


def entitled(decision: Decision, approval: Approval) -> bool:
    """Say whether *approval* has a part in what the `approve` query came to, though others may have to join (2-of)."""
    return decision.outcome is Outcome.GRANTED or (decision.proof is not None and contributes(decision.proof, approval.principals))


def needs_signature() -> NeedsSignature:
    """Return what somebody at a chat is told whose JID is not enough (rule R10)."""
    return NeedsSignature("the word of your server is not enough for this", mend=SIGN)
