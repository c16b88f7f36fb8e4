"""Requests that policy leaves to the site's people: they wait here, and an approval is a credential by the site's desk key.

Approving never goes round the policy: who approves is asked of the group ``people``, and then the request is ruled on
again, by two queries (rules R2 to R4).  Both are asked again for as long as the grant holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final

from clearinghouse.agent.granting.authority import Authority
from clearinghouse.clearing.approvals import check_desk_text, contributes, counted, desk_text
from clearinghouse.clearing.cases import Approval, Case, CaseChange, CaseState
from clearinghouse.clearing.clear import rule
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.people import AlreadyApproved, NotEntitled, Speaker
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import EVERYTHING, Door
from clearinghouse.errors import PeerError, Unavailable
from clearinghouse.keynote import Limits
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.signing import sign
from clearinghouse.storage.changes import CaseMoved, Change

WAIT: Final = timedelta(days=7)
"""How long a request waits for people: its signer will have asked again by then."""
MAX_CASES: Final = 1_000
"""Requests that wait together; those who ask for more are told to ask later."""
LONGEST_APPROVAL: Final = timedelta(days=31)
"""How long one approval holds at most; what lasts longer is a credential."""


class NoSuchCase(PeerError):
    """No request that waits has an id that begins so, or several have."""

    code: ClassVar[str] = "no-such-case"
    http_status: ClassVar[int] = 404


class NobodyDecides(Unavailable):
    """Policy leaves the request to people, and this site has no desk key, or too many requests wait already."""

    code: ClassVar[str] = "nobody-decides"


@dataclass(slots=True)
class Cases:
    """The requests that wait, and the approved ones while their grants hold.

    ``key`` is the site's desk key: without one nothing waits, and `ask` is an answer like `deny`.
    """

    authority: Authority
    new_id: Callable[[], str]
    key: PrivateKey | None = None
    _all: dict[str, Case] = field(default_factory=dict)

    def restore(self, cases: Sequence[Case]) -> None:
        """Take back what the store had."""
        self._all = {each.id: each for each in cases}

    def waiting(self) -> Sequence[Case]:
        """Return what waits, oldest first."""
        now = self.authority.now()
        return [each for each in self._all.values() if each.open and each.expires > now]

    def put(self, case: Case) -> None:
        """Take a case as it is now; one that is over is forgotten."""
        self._all.pop(case.id, None)
        if case.state in {CaseState.PENDING, CaseState.APPROVED}:
            self._all[case.id] = case

    def over(self, identity: str, change: CaseChange, why: str) -> Sequence[Change]:
        """Return what is written when the grant of case *identity* is over, or nobody decided in time."""
        case, now = self._all.get(identity), self.authority.now()
        return () if case is None else (CaseMoved(case.moved(change, at=now, why=why), change, now),)

    def expired(self) -> Sequence[Change]:
        """Return what is written about the cases that nobody decided in time."""
        now = self.authority.now()
        late = [each.id for each in self._all.values() if each.open and each.expires <= now]
        return [change for each in late for change in self.over(each, CaseChange.EXPIRE, "nobody decided in time")]

    def opened_by(self, decision: Decision) -> Case | None:
        """Return the case that *decision* opens, unless the same waits already; raises `NobodyDecides`."""
        if decision.outcome is not Outcome.PENDING or any(_same(each.request, decision.request) for each in self.waiting()):
            return None
        if self.key is None or len(self._all) >= MAX_CASES:
            raise NobodyDecides("a person would decide this, and nobody can now", mend="ask who runs the agent, or again later")
        return Case(decision.id, replace(decision.request, approvals=()), decision.at, decision.at + WAIT)

    def found(self, prefix: str) -> Case:
        """Return the case that waits and whose id begins with *prefix*; raises `NoSuchCase`."""
        found = [each for each in self.waiting() if prefix and each.id.startswith(prefix)]
        if len(found) != 1:
            raise NoSuchCase("no such request waits, or several do", mend="`clearinghouse agent pending` lists their ids")
        return found[0]

    # -- what people decide

    def approved(self, case: Case, who: Speaker, period: timedelta | None) -> tuple[Case, Decision | None]:
        """Return *case* with the approval of *who*, and the decision on its request once enough people have approved.

        Raises `NotEntitled` for somebody who has no say, `AlreadyApproved`, and what signing raises.
        """
        now = self.authority.now()
        approval = Approval(who.person, who.principals, now, who.door, who.vouched_by, case.digest(), period=period)
        if any(each.person == who.person for each in case.approvals):
            raise AlreadyApproved("you have approved this already", mend="somebody else has to as well")
        more = replace(case, approvals=(*case.approvals, approval))
        if not self._may(case, (approval,), alone=False):
            raise NotEntitled("policy gives you no say in this", mend="see the group `people` of this site's policies")
        if not self._may(more, more.approvals):
            return more, None
        signed = self._signed(more, now)
        return self._ruled(signed)

    def denied(self, case: Case, who: Speaker, reason: str) -> Case:
        """Return *case* denied by *who*: whoever may use the agent's socket may say no (authority, keys: a local deny)."""
        return case.moved(CaseChange.DENY, at=self.authority.now(), by=who.person, why=reason)

    def stands(self, request: Request, identity: str) -> Request:
        """Return *request* with what the desk signed for case *identity*, while those who approved it may still (rule R3)."""
        case = self._all.get(identity)
        if case is None or not case.credential or not self._may(case, case.approvals):
            return replace(request, approvals=())
        return replace(request, approvals=(case.credential,))

    # -- inside

    def _ruled(self, case: Case) -> tuple[Case, Decision | None]:
        decision = self.authority.ruled_for_us(replace(case.request, approvals=(case.credential,)))
        change = CaseChange.APPROVE if decision.outcome is Outcome.GRANTED else CaseChange.CANCEL
        return case.moved(change, at=decision.at, why=decision.reason.text), decision

    def _signed(self, case: Case, now: datetime) -> Case:
        if self.key is None:
            raise NobodyDecides("this site has no desk key", mend="name one in [requests] `desk_key_file`")
        period = min((each.period for each in case.approvals if each.period is not None), default=LONGEST_APPROVAL)
        until, desk = now + min(period, LONGEST_APPROVAL), self.key.principal
        asked = replace(case, request=self.authority.with_records(case.request))
        text = desk_text(asked, desk=desk, until=until, serial=f"approval-{self.new_id()}", community=self.authority.desk.community)
        check_desk_text(text, desk, now=now, longest=LONGEST_APPROVAL)
        return replace(case, credential=sign(text, self.key, limits=Limits.local()))

    def _may(self, case: Case, approvals: Sequence[Approval], *, alone: bool = True) -> bool:
        """Say whether all who have approved may do so together; not *alone*: whether this one has any say (rule R3)."""
        brought = counted(case, approvals, ())
        names = tuple(dict.fromkeys(name for each in brought for name in each.principals))
        if not names:
            return False
        about = {"subject": case.request.claims.get("domain", EVERYTHING), "case": case.id, "asked": case.request.operation}
        question = Request(self.new_id(), "approve", Door.DESK, names, claims=about | {"topic": EVERYTHING})
        decision = rule(question, self.authority.desk, now=self.authority.now())
        return decision.outcome is Outcome.GRANTED or (not alone and _contributes(decision, names))


def _same(one: Request, other: Request) -> bool:
    return (one.requesters, one.claims, one.validity) == (other.requesters, other.claims, other.validity)


def _contributes(decision: Decision, names: Sequence[str]) -> bool:
    return decision.proof is not None and contributes(decision.proof, names)
