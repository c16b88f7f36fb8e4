"""The porter: a question at a door for servers is ruled on, recorded, and then answered.

::

    paced -> asked (levels, records) -> ruled, or known from before (rule R20) -> on the log -> does it still stand? -> answered

Whatever a peer may not be told costs the same and is answered in the same words (rule R22): denied, an unknown server,
no member any more.  Whatever fails is a refusal with a reason of its own, and never opens anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from clearinghouse.clearing.clear import Desk, Overtaken, check_clock, rule
from clearinghouse.clearing.decision import NOT_EXPLAINED, Decision, Outcome, Reason, refuse
from clearinghouse.clearing.senders import RateLimited, SenderBudgets
from clearinghouse.clearing.vocabulary import ASK
from clearinghouse.errors import ClearinghouseError, InternalError, Unavailable
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.federation.redirection.answers import ID_CHARACTERS, Answer, Redirect, Refused
from clearinghouse.federation.redirection.faults import Fault
from clearinghouse.federation.redirection.places import place_of
from clearinghouse.federation.redirection.seen import Proof, Require, Seen
from clearinghouse.runtime.asking.rates import Buckets, Pace
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.redirection.gathering import Gatherer
from clearinghouse.runtime.redirection.ground import Journal, Levels, Members
from clearinghouse.runtime.redirection.precedents import Precedent, Precedents, holds_until
from clearinghouse.runtime.redirection.questions import NotProven, Question, request_of, sender_of
from clearinghouse.settings import Redirect as Settings

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3
"""How often a question is decided anew because policy or a record changed while the decision was recorded; then nobody is sent on."""

BARE: Final = Pace(per_second=10.0, burst=1_000.0)
"""How often a peer that has proven too little is answered and recorded, all of them together: 1.6 kB each, 1.4 GB a day.

What comes beyond that hears the same bare refusal and is counted, and takes no room: not in the log, nor in the spool of a
node, which would refuse everybody once strangers have filled it.
"""


class Unexplained(SenderBudgets):
    """The budgets of a door's peers, apart from everybody else's; what a refusal lacks is not looked for while the peer waits.

    Looking takes longer than deciding, and how long would tell a peer why it was refused (rule R22).  `clearinghouse
    decisions ID` proves the decision again, and says it.
    """

    def explains(self, steps: int, now: datetime) -> bool:  # noqa: ARG002 - as it is there
        """Say no."""
        return False


@dataclass(slots=True)
class RulingPorter:
    """Implements `clearinghouse.federation.redirection.answers.Porter`.

    ``domains`` and ``addresses`` say how often a proven domain, and an address of whoever proved nothing, may ask.
    ``bare`` says how often all of those together are recorded who have proven too little.
    ``strangers`` are the precedents of peers that proved nothing: they crowd out nobody else's.  ``answers`` counts what
    was answered, by kind; ``senders`` are the budgets of those who ask.
    """

    require: Require
    desk: Desk
    journal: Journal
    members: Members
    levels: Levels
    chance: Chance
    domains: Buckets
    addresses: Buckets
    bare: Buckets
    precedents: Precedents = field(default_factory=Precedents)
    strangers: Precedents = field(default_factory=Precedents)
    answers: Counter[str] = field(default_factory=Counter)
    senders: SenderBudgets = field(default_factory=Unexplained)
    _gatherer: Gatherer = field(init=False)

    def __post_init__(self) -> None:
        self._gatherer = Gatherer(self.journal, self.chance.new_id)

    @classmethod
    def furnished(
        cls, settings: Settings, desk: Desk, *, journal: Journal, members: Members, levels: Levels, chance: Chance
    ) -> RulingPorter:
        """Return the porter of a door with these *settings*."""
        domains = Pace(settings.domain_per_second, settings.domain_burst)
        addresses = Pace(settings.address_per_second, settings.address_burst)
        buckets = Buckets(domains, chance.elapsed), Buckets(addresses, chance.elapsed), Buckets(BARE, chance.elapsed)
        return cls(settings.require, desk, journal, members, levels, chance, *buckets)

    async def answer(self, seen: Seen) -> Answer:
        """See `Porter.answer`."""
        try:
            return await self._answer(seen)
        except ClearinghouseError as error:
            return self._failed(seen, error.code)
        except Exception:  # one question must not stop the others
            log.exception("failed", claimed=seen.claimed, wanted=seen.wanted, noise=sender_of(seen))
            return self._failed(seen, InternalError.code)

    def recorded(self, domain: str) -> tuple[Endpoint, ...]:
        """See `Porter.recorded`."""
        member = self.members.member(domain)
        return () if member is None else member.endpoints

    def status(self) -> Mapping[str, object]:
        """Return how it is, for people and programs."""
        return {
            "answers": dict(self.answers),
            "limited": {"domains": self.domains.limited, "addresses": self.addresses.limited, "unproven": self.bare.limited},
            "precedents": {
                "kept": len(self.precedents) + len(self.strangers),
                "used": self.precedents.used + self.strangers.used,
            },
            "require": self.require.value,
        }

    # -- deciding

    async def _answer(self, seen: Seen) -> Answer:
        self._pace(seen)
        for _ in range(ATTEMPTS):
            now = self.chance.now()
            question, place = self._asked(seen, now)
            identity, code = await self._known(question, now) or await self._ruled(question, now)
            if self._asked(seen, now) == (question, place):
                return self._told(seen, identity, code, place)
        raise Overtaken("policy changed while this was decided", mend="nothing: it is asked again")

    def _pace(self, seen: Seen) -> None:
        (self.domains if seen.proof is not Proof.NOTHING else self.addresses).take(sender_of(seen))
        if not self.require.met_by(seen.proof):
            self.bare.take("all who have proven too little")

    def _asked(self, seen: Seen, now: datetime) -> tuple[Question, str | None]:
        """Return everything that the answer rests on, and where it would lead; the same steps whoever asks for whom."""
        claimed, wanted = seen.claimed, seen.wanted
        target = self.members.member(wanted)
        place = place_of(() if target is None else target.endpoints, (claimed, wanted), now)
        fault = Fault.NO_SUCH_MEMBER if target is None else Fault.NO_ENDPOINT if place is None else Fault.NONE
        if self.members.member(claimed) is None:
            fault = Fault.NOT_A_MEMBER
        level = self.levels.level
        return Question(seen, level(claimed), level(wanted), fault, self.desk.snapshot.version), place

    async def _known(self, question: Question, now: datetime) -> tuple[str, str] | None:
        """Return the id of a new answer as it was given before, and what is told; ``None`` where it has to be ruled on."""
        found = self._precedents_of(question).find(question, now)
        if found is None or not self._is_fit(now):
            return None
        return await self._gatherer.repeat(found.decision, now), found.code

    def _is_fit(self, now: datetime) -> bool:
        """Say whether anything may be decided now: where not, ruling on it says why."""
        try:
            check_clock(self.desk.ledger.highest_time, now)
            self.desk.fit()
        except Unavailable:
            return False
        return True

    async def _ruled(self, question: Question, now: datetime) -> tuple[str, str]:
        """Rule on *question* and record that; return the decision's id, and what is told."""
        decision = self._decided(question, now)
        until = None if _is_passing(decision) or ASK in self.desk.levels else holds_until(decision.proof, now)
        decision = self._withheld(question, decision)
        await self.journal.record(decision)
        code = _told_of(decision)
        if until is not None:
            self._precedents_of(question).keep(question, Precedent(decision.id, code, now, until))
        return decision.id, code

    def _precedents_of(self, question: Question) -> Precedents:
        return self.strangers if question.seen.proof is Proof.NOTHING else self.precedents

    def _decided(self, question: Question, now: datetime) -> Decision:
        """Return what policy says; of whoever has not proven enough, it is not asked."""
        identity, seen = self.chance.new_id(), question.seen
        request = request_of(question, identity, proven=seen.proof is not Proof.NOTHING)
        if self.require.met_by(seen.proof):
            return rule(request, replace(self.desk, senders=self.senders), now=now)
        why = f" ({seen.doubt})" if seen.doubt else ""
        error = NotProven(f"the peer has proven its name by {seen.proof}{why}, and {self.require} is demanded", mend="see `require`")
        version, lowest = self.desk.snapshot.version, self.desk.levels[0]
        return refuse(identity, request, error, value=lowest, version=version, now=now)

    def _withheld(self, question: Question, decision: Decision) -> Decision:
        """Return the refusal of what policy grants between servers of which the records say otherwise; its proof is kept on record."""
        if decision.outcome is not Outcome.GRANTED or question.fault is Fault.NONE:
            return decision
        reason = Reason(question.fault.value, f"policy grants `{decision.value}`, but {question.fault.sentence(question.seen)}")
        lowest = self.desk.levels[0]
        return replace(decision, outcome=Outcome.REFUSED, value=lowest, reason=reason, ends=None, until=None)

    # -- telling

    def _told(self, seen: Seen, identity: str, code: str, place: str | None) -> Answer:
        short = identity[:ID_CHARACTERS]
        if not self.require.met_by(seen.proof):
            return self._bare()
        if code or place is None:
            self.answers["refused"] += 1
            return Refused(f"not permitted: {code or NOT_EXPLAINED} (decision {short})")
        self.answers["redirected"] += 1
        return Redirect(place, f"the server of {seen.wanted} (decision {short})")

    def _failed(self, seen: Seen, code: str) -> Answer:
        """Return the refusal of a question on which nothing could be decided, or recorded."""
        if code == RateLimited.code:
            self.answers["limited"] += 1
        else:
            self.answers["failed"] += 1
        return Refused(f"not permitted: {code}") if self.require.met_by(seen.proof) else Refused()

    def _bare(self) -> Refused:
        """Return the refusal that says nothing."""
        self.answers["unproven"] += 1
        return Refused()


def _is_passing(decision: Decision) -> bool:
    """Say whether *decision* tells how it was at one moment: nothing could be decided, or the question was no good."""
    return decision.outcome is Outcome.UNANSWERED or (decision.proof is None and decision.reason.code != NotProven.code)


def _told_of(decision: Decision) -> str:
    """Return the code that a peer is told, empty for a redirect: one for whatever policy and records say (rule R22)."""
    match decision.outcome:
        case Outcome.GRANTED:
            return ""
        case Outcome.UNANSWERED:
            return decision.reason.code
        case Outcome.REFUSED | Outcome.PENDING:
            return NOT_EXPLAINED
