"""Cases and the people who decide them: approvals counted, the desk's signature, the second ruling (rules R2, R3, R4, R10).

Each step is durable before the next begins, and each can be done again: an approval that is recorded is counted
again after a crash, a case is closed in the transaction that has its decision, and an effect is owed until it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final, Protocol

from clearinghouse.clearing.approvals import desk_text
from clearinghouse.clearing.cases import Approval, Barred, Case, CaseChange, CaseClosed, CaseState
from clearinghouse.clearing.consequences import consequences
from clearinghouse.clearing.decision import Decision, Outcome, refuse
from clearinghouse.clearing.people import AlreadyApproved, NoSuchThing, NotEntitled, OwnRequest, Ruling, Speaker, WrongCase
from clearinghouse.clearing.vocabulary import lowest_of
from clearinghouse.clearing.vocabulary import shown as escaped
from clearinghouse.errors import PeerError, Unavailable
from clearinghouse.keynote import Limits, admit
from clearinghouse.runtime.people.carrying import Carrier
from clearinghouse.runtime.people.rights import NotNow, Rights, entitled, needs_signature
from clearinghouse.runtime.people.turns import Turns
from clearinghouse.runtime.standing.books import Books, Crossed
from clearinghouse.storage.changes import CaseMoved, Change, Decided

MAX_REASON: Final = 1_000
"""Characters of a reason that people give; it is kept with the case and shown in lists."""

MAX_NAMED: Final = 10
"""Persons that are named as those who could approve as well."""

_TRIES: Final = 3
"""Times that an approval is written anew because another of the same case was written first."""


ASK: Final = "ask the people who decide about the topic"


class NoDesk(Unavailable):
    """There is no key that signs what people approve."""

    code: ClassVar[str] = "no-desk"


class Denied(PeerError):
    """Somebody who may decide about the topic has denied the request."""

    code: ClassVar[str] = "denied"


class DeskSigner(Protocol):
    """What signs approvals: a process of its own, or a key in tests (`clearinghouse.signer`)."""

    @property
    def principal(self) -> str:
        """The key's principal, in normal form."""

    async def sign_credential(self, text: bytes) -> bytes:
        """Return the credential that *text* becomes; raises `Unavailable` while nobody signs."""


@dataclass(slots=True)
class Casework:
    """Decides cases.

    ``longest`` is how long one approval holds at most.  ``signer`` is ``None`` where there is no desk.
    ``stuck`` are the ids of cases that could not be concluded for reasons of ours: they are tried again.
    """

    books: Books
    rights: Rights
    carrier: Carrier
    longest: timedelta
    signer: DeskSigner | None = None
    stuck: set[str] = field(default_factory=set)
    _turns: Turns = field(default_factory=Turns)

    # -- finding

    async def found(self, who: Speaker, identity: str) -> Case:
        """Return the one case, open or closed, whose id begins with *identity* and which *who* may see (rule R22)."""
        case = self.books.cases.get(identity) or (await self.books.store.case(identity) if identity else None)
        if not self.rights.shows(who, case) or case is None:
            raise no_such("case", identity)
        return case

    # -- deciding

    async def approve(
        self, speakers: Sequence[Speaker], identity: str, *, shown: str, period: timedelta | None, also: Sequence[Change] = ()
    ) -> Ruling:
        """Count the approvals of all *speakers*, written with *also*; once there are enough, sign, rule again and carry out."""
        if self.signer is None:
            raise NoDesk("there is no desk that signs approvals", mend="give `[desk]` a key in the settings")
        for_whom = [await self.found(each, identity) for each in speakers]
        async with self._turns.on(for_whom[0].id):
            case = await self._recorded(speakers, for_whom[0].id, shown, period, also)
            return await self._concluded(case)

    async def deny(self, who: Speaker, identity: str, *, reason: str, also: Sequence[Change] = ()) -> Ruling:
        """End an open case with a no, on the word of *who*."""
        found = await self.found(who, identity)
        async with self._turns.on(found.id):
            case = self._open(found)
            self.rights.require(who, "revoke", of=case.request, thing=case.id)
            error = Denied("a person has denied it", mend=ASK)
            decision = self._refused(case, error)
            moved = case.moved(CaseChange.DENY, at=decision.at, by=who.person, why=bounded(reason))
            await self.books.write(Decided(decision), CaseMoved(moved, CaseChange.DENY, decision.at), *also)
        await self.carrier.carry_out(decision)
        return Ruling(moved, decision)

    async def conclude(self, case: Case) -> Ruling:
        """Go on with an open case where it was left: enough people may have approved it already."""
        async with self._turns.on(case.id):
            return await self._concluded(self._open(case))

    # -- approving, step by step

    async def _recorded(
        self, speakers: Sequence[Speaker], identity: str, shown: str, period: timedelta | None, also: Sequence[Change]
    ) -> Case:
        """Step 1: the approvals are durable, each by somebody who may give it."""
        for _ in range(_TRIES):
            case = self._open(self.books.cases.get(identity) or await self.books.store.case(identity))
            approved = self._counted(case, speakers, shown, period)
            try:
                await self.books.write(CaseMoved(approved, "approval", self._now()), *also)
            except Crossed:
                continue
            return approved
        raise Crossed(f"case {identity[:8]} is approved by many at once", mend="approve it again")

    def _counted(self, case: Case, speakers: Sequence[Speaker], shown: str, period: timedelta | None) -> Case:
        given = tuple(self._approval(case, each, period) for each in speakers)
        if shown and shown != case.digest():
            raise WrongCase(f"what you were shown is not case {case.id[:8]} as it is", mend="look at it again, and approve that")
        for each in given:
            self._check_new(case, each)
        decision, counting = self.rights.approved(case, (*case.approvals, *given))
        if decision is not None and decision.outcome is Outcome.UNANSWERED:
            raise NotNow(decision.reason.text, mend="try again in some seconds")
        ours = {each.person for each in given}
        if decision is None or not all(entitled(decision, each) for each in counting if each.person in ours):
            if any(self.rights.would_count(case, key) for each in speakers for key in self.rights.as_signer(each)):
                raise needs_signature()
            raise NotEntitled("policy does not let you approve this", mend="ask whoever keeps the policies in `people`")
        return replace(case, approvals=(*case.approvals, *given))

    def _approval(self, case: Case, who: Speaker, period: timedelta | None) -> Approval:
        self.rights.check_word(who, case.request)
        return Approval(who.person, who.principals, self._now(), who.door, who.vouched_by, case.digest(), who.envelope, period)

    def _check_new(self, case: Case, approval: Approval) -> None:
        if approval.person in self.rights.people(case.request):
            raise OwnRequest("nobody approves their own request", mend="ask somebody else who may approve it")
        if any(self.rights.approver(each) == approval.person for each in case.approvals):
            raise AlreadyApproved(f"`{escaped(approval.person)}` has approved this already", mend="nothing: it counts")

    async def _concluded(self, case: Case) -> Ruling:
        self.stuck.discard(case.id)
        try:
            return await self._went_on(case)
        except Unavailable:
            self.stuck.add(case.id)
            raise

    async def _went_on(self, case: Case) -> Ruling:
        """Steps 2 to 5: all approvals together are asked about; the desk signs; both queries are made; it takes effect."""
        asked, _ = self.rights.approved(case, case.approvals)
        if asked is None or asked.outcome is not Outcome.GRANTED:
            return Ruling(case, waits_for=self._waits_for(case, asked))
        until = self._until(case)
        credential = await self._signed(case, until)
        if self.books.barred(case.subject, case.topic) is not None:  # the review, which closes it, may not have come so far
            return await self._closed(case, self._refused(case, Barred("people have barred this platform from the topic", mend=ASK)))
        decision = self.rights.ruled(replace(case.request, approvals=(credential,)))
        match decision.outcome:
            case Outcome.UNANSWERED:
                raise NotNow(decision.reason.text, mend="nothing: it is tried again, and the approval is kept")
            case Outcome.PENDING:
                text = "people have approved it, and policy leaves it to people even with the desk's signature"
                return Ruling(case, waits_for=f'{text}: write `Licensees: "..." && "{self._desk()}"` with `-> "allow"`')
            case Outcome.REFUSED:
                return await self._closed(case, decision)
            case Outcome.GRANTED:
                return await self._granted(case, decision, credential, until, asked)

    async def _granted(self, case: Case, decision: Decision, credential: bytes, until: datetime, asked: Decision) -> Ruling:
        """Step 4: the decision, its grant and the case's end are one transaction; step 5: the broker is told."""
        _, grant = consequences(decision)
        stable = None if asked.proof is None else asked.proof.stable_until
        if grant is not None:
            grant = replace(grant, case=case.id, ends=min(each for each in (grant.ends, stable) if each is not None))
        by = ", ".join(each.person for each in case.approvals)
        approved = replace(case.moved(CaseChange.APPROVE, at=decision.at, by=by), credential=credential, expires=until)
        await self.books.write(Decided(decision, gives=grant), CaseMoved(approved, CaseChange.APPROVE, decision.at))
        done = await self.carrier.carry_out(decision)
        return Ruling(self.books.cases.get(case.id, approved), decision, "" if done else "the broker, which is told as soon as it can be")

    async def _closed(self, case: Case, decision: Decision) -> Ruling:
        """The requester's own chain has gone meanwhile: people cannot give what policy does not leave to them."""
        moved = case.moved(CaseChange.CANCEL, at=decision.at, by="policy", why=decision.reason.text)
        await self.books.write(Decided(decision), CaseMoved(moved, CaseChange.CANCEL, decision.at))
        await self.carrier.carry_out(decision)
        return Ruling(moved, decision)

    async def _signed(self, case: Case, until: datetime) -> bytes:
        if self.signer is None:
            raise NoDesk("there is no desk that signs approvals", mend="give `[desk]` a key in the settings")
        rights = self.rights
        text = desk_text(case, desk=self.signer.principal, until=until, serial=rights.chance.new_id(), community=rights.desk.community)
        signed = await self.signer.sign_credential(text)
        admit(signed, limits=Limits.local(), learn=False)  # what it returns is looked at before it is believed
        return signed

    def _waits_for(self, case: Case, asked: Decision | None) -> str:
        """Return in words who has to approve as well."""
        if asked is not None and asked.outcome is Outcome.UNANSWERED:
            return f"an answer: {asked.reason.text}"
        names, enough = self.rights.who_could_join(case)
        if not names:
            return f"somebody else who may approve it ({len(case.approvals)} so far)"
        listed = ", ".join(map(escaped, names[:MAX_NAMED])) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
        return f"{'one' if enough else 'more than one'} of {listed}"

    def _until(self, case: Case) -> datetime:
        periods = (each.period for each in case.approvals if each.period is not None)
        return self._now() + min((self.longest, *periods))

    def _desk(self) -> str:
        return "" if self.signer is None else self.signer.principal

    def _open(self, case: Case | None) -> Case:
        """Return the case as it is now; raises `CaseClosed` unless it waits, and is in time."""
        case = None if case is None else self.books.cases.get(case.id, case)
        if case is None:
            raise CaseClosed("the case is closed", mend="see `clearinghouse pending`")
        if case.state is not CaseState.PENDING:
            raise CaseClosed(f"case {case.id[:8]} is {case.state}", mend="see `clearinghouse pending`")
        if self._now() >= case.expires:
            raise CaseClosed(f"case {case.id[:8]} has expired", mend="it has to be asked for again")
        return case

    def _refused(self, case: Case, error: PeerError) -> Decision:
        rights = self.rights
        value = lowest_of(case.request.operation, rights.desk.levels)
        version = rights.desk.snapshot.version
        return refuse(rights.chance.new_id(), case.request, error, value=value, version=version, now=self._now())

    def _now(self) -> datetime:
        return self.rights.chance.now()


def no_such(what: str, identity: str) -> NoSuchThing:
    """Return the answer about what is not there, and about what may not be seen (rule R22)."""
    return NoSuchThing(
        f"`{escaped(identity[:64])}` names no single {what}", mend="give an id of the list, or as much of it as no other has"
    )


def bounded(reason: str) -> str:
    """Return a reason that people give, cut where it is longer than anybody reads."""
    return reason if len(reason) <= MAX_REASON else f"{reason[: MAX_REASON - 1]}…"
