"""Whether what was granted still holds, and what an open case would come to: both queries, with approvals counted anew.

Rules R2 and R3.  Nothing is written here, so the same judge says what is and what would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeAlias

from clearinghouse.clearing.cases import Barred, Case, Grant
from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.decision import Decision, Outcome, refuse
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.vocabulary import lowest_of
from clearinghouse.errors import BadPrincipal
from clearinghouse.keynote.octets import to_octets
from clearinghouse.keynote.principals import normalise
from clearinghouse.runtime.people.rights import Rights
from clearinghouse.runtime.standing.books import Books

VALIDITY: Final = Reason("validity", "the time is over for which it was granted")
EXPIRED_CHAIN: Final = "expired-chain"
REVOKED: Final = "revoked"
WITHDRAWN: Final = Reason("approval-withdrawn", "those who approved it may not approve it any more")
NO_LONGER: Final = "no-longer-granted"


@dataclass(frozen=True, slots=True)
class Holds:
    """It is granted still; ``ends`` is when it has to be looked at again, never after its own end."""

    decision: Decision
    ends: datetime


@dataclass(frozen=True, slots=True)
class Lost:
    """It is over: why, what its holder is to the node then, and what policy answers now."""

    why: Reason
    affiliation: str = "none"
    value: str = "deny"


@dataclass(frozen=True, slots=True)
class Unsure:
    """There is no answer now, and that is no denial."""

    why: Reason


Judgement: TypeAlias = Holds | Lost | Unsure


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a request's approvals stands: what the desk signed, until when, and whether some fell."""

    signed: tuple[bytes, ...] = ()
    until: datetime | None = None
    fallen: tuple[Case, ...] = ()
    unsure: Reason | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges by the snapshot of ``rights.desk``."""

    books: Books
    rights: Rights

    def grant(self, grant: Grant) -> Judgement:
        """Return whether *grant* holds now."""
        now, request = self.rights.chance.now(), grant.request
        if now >= grant.until:
            return Lost(VALIDITY)
        if (over := self.taken_away(grant)) is not None:
            return over
        stands = self.approvals(request)
        if stands.unsure is not None:
            return Unsure(stands.unsure)
        decision = self.rights.ruled(replace(request, approvals=stands.signed))
        match decision.outcome:
            case Outcome.GRANTED:
                ends = (grant.until, decision.ends, stands.until)
                return Holds(decision, min(each for each in ends if each is not None))
            case Outcome.UNANSWERED:
                return Unsure(decision.reason)
            case Outcome.PENDING | Outcome.REFUSED:
                return Lost(_why(grant, decision, fallen=bool(stands.fallen), now=now), value=decision.value)

    def case(self, case: Case) -> Decision:
        """Return what policy says to an open *case* without people, or with what they approved of the same before."""
        bar = self.books.barred(case.subject, case.topic)
        if bar is not None:
            error = Barred("people have barred this platform from the topic", mend="ask those who decide about the topic")
            return self.refused(case.request, error)
        return self.rights.ruled(replace(case.request, approvals=self.approvals(case.request).signed))

    def refused(self, request: Request, error: Barred) -> Decision:
        """Return the refusal of *request* for a reason that no query gives."""
        chance, desk = self.rights.chance, self.rights.desk
        value = lowest_of(request.operation, desk.levels)
        return refuse(chance.new_id(), request, error, value=value, version=desk.snapshot.version, now=chance.now())

    def approvals(self, request: Request) -> Standing:
        """Count anew who approved exactly *request*: what the desk signed stands while they may approve it (rule R3)."""
        signed, ends, fallen = [], [], []
        for case in self.books.approved(request):
            decision, _ = self.rights.approved(case, case.approvals)
            if decision is not None and decision.outcome is Outcome.UNANSWERED:
                return Standing(unsure=decision.reason)
            if decision is None or decision.outcome is not Outcome.GRANTED:
                fallen.append(case)
            else:
                signed.append(case.credential)
                ends.append(None if decision.proof is None else decision.proof.stable_until)
        return Standing(tuple(signed), min((each for each in ends if each is not None), default=None), tuple(fallen))

    def taken_away(self, grant: Grant) -> Lost | None:
        """Return the end of a grant whose holder is barred, or asked with a principal that is revoked (rule R15)."""
        bar = self.books.barred(grant.holder, grant.topic)
        if bar is not None:
            return Lost(Reason(REVOKED, bar.reason or "people have barred its holder"), "outcast")
        if revoked_among(grant.request.requesters, self.rights.desk):
            return Lost(Reason(REVOKED, "who asked for it is revoked"), "outcast")
        return None


def revoked_among(requesters: Iterable[str], desk: Desk) -> Sequence[str]:
    """Return those *requesters* that are revoked."""
    revoked = _normal_all(desk.snapshot.revoked)
    return [name for name in requesters if _normal(name) in revoked] if revoked else []


@lru_cache(maxsize=4)  # what is, and what a dry run supposes
def _normal_all(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_normal, names))


def _normal(name: str) -> str:
    try:
        return normalise(to_octets(name))
    except BadPrincipal:
        return name


def _why(grant: Grant, decision: Decision, *, fallen: bool, now: datetime) -> Reason:
    """Return why a grant is over that policy does not give any more."""
    if fallen:
        return WITHDRAWN
    if decision.reason.code == REVOKED:
        return decision.reason
    if grant.ends <= now:
        return Reason(EXPIRED_CHAIN, f"what carried it has expired: {decision.reason.text}")
    return Reason(NO_LONGER, f"policy does not grant it any more: {decision.reason.text}")
