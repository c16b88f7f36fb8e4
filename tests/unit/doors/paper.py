"""An office and a reception that keep everything on paper: no policy, no keys, and the same answers as real ones give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from clearinghouse.clearing.cases import Approval, Case, CaseChange, Grant, Revocation, RevocationKind
from clearinghouse.clearing.decision import Decision, Outcome, Reason
from clearinghouse.clearing.people import (
    AlreadyApproved,
    Changed,
    KeptCredential,
    NeedsSignature,
    NoSuchThing,
    NotEntitled,
    OwnRequest,
    Party,
    Ruling,
    Speaker,
    WrongCase,
)
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import ClearinghouseError, MalformedRequest
from clearinghouse.grid.namespaces import IODEF
from clearinghouse.grid.paging import PageAsked, page_of
from clearinghouse.grid.reception import MAX_PAGE, PlatformAnswered, PlatformAsked, TopicPage
from clearinghouse.grid.topics import Subscriber, Topic

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BROKER = "broker.example.net"


def case_of(jid: str, topic: str = "incidents", *, identity: str = "") -> Case:
    """A request that waits."""
    request = Request(
        id=uuid4().hex,
        operation="subscribe",
        door=Door.BROKER,
        requesters=(f"xmpp:{jid}",),
        observed={"jid": jid, "topic": topic, "broker": BROKER},
        known={"payload_type": IODEF},
        place=Place(BROKER, topic, jid),
    )
    return Case(identity or uuid4().hex, request, NOON, NOON + timedelta(days=30))


def grant_of(case: Case) -> Grant:
    """What a request came to."""
    return Grant(case.id, case.request, NOON, NOON + timedelta(days=1), NOON + timedelta(days=90), case=case.id)


def decision_on(case: Case, outcome: Outcome = Outcome.GRANTED) -> Decision:
    """A ruling without a proof."""
    granted = outcome is Outcome.GRANTED
    return Decision(
        id=uuid4().hex,
        request=case.request,
        outcome=outcome,
        value="allow" if granted else "deny",
        reason=Reason("granted", "2 assertions carry `allow`"),
        version="v1",
        at=NOON,
        ends=NOON + timedelta(days=1) if granted else None,
        proof=None,
    )


@dataclass(slots=True)
class PaperOffice:
    """Implements `Office`; ``needed`` people have to approve; ``barred`` people are entitled to nothing."""

    cases: dict[str, Case] = field(default_factory=dict)
    held: dict[str, Grant] = field(default_factory=dict)
    kept: dict[str, KeptCredential] = field(default_factory=dict)
    revoked: list[Revocation] = field(default_factory=list)
    needed: int = 1
    barred: frozenset[str] = frozenset()
    failing: ClearinghouseError | None = None
    done: list[tuple[str, ...]] = field(default_factory=list)

    def open(self, *cases: Case) -> None:
        self.cases |= {case.id: case for case in cases}

    async def pending(self, who: Speaker) -> Sequence[Case]:
        self._check(who)
        return [case for case in self.cases.values() if case.open]

    async def case(self, who: Speaker, identity: str) -> Case:
        self._check(who)
        return self.cases[_named(self.cases, identity)]

    async def approve(self, who: Speaker, identity: str, *, shown: str = "", period: timedelta | None = None) -> Ruling:
        case = await self.case(who, identity)
        if shown not in ("", case.digest()):
            raise WrongCase("you were shown another request", mend="look at it again")
        if who.person == case.subject:
            raise OwnRequest("this is your own request", mend="let somebody else approve it")
        if who.person in {each.person for each in case.approvals}:
            raise AlreadyApproved("you have approved it", mend="wait for the others")
        approval = Approval(who.person, who.principals, NOON, who.door, who.vouched_by, shown)
        case = self.cases[case.id] = replace(case, approvals=(*case.approvals, approval))
        self.done.append(("approve", who.person, case.id, str(period or "")))
        if len(case.approvals) < self.needed:
            return Ruling(case, waits_for=f"{self.needed - len(case.approvals)} more owner")
        case = self.cases[case.id] = case.moved(CaseChange.APPROVE, at=NOON, by=who.person)
        return Ruling(case, decision_on(case))

    async def deny(self, who: Speaker, identity: str, *, reason: str = "") -> Ruling:
        case = await self.case(who, identity)
        case = self.cases[case.id] = case.moved(CaseChange.DENY, at=NOON, by=who.person, why=reason)
        self.done.append(("deny", who.person, case.id, reason))
        return Ruling(case, decision_on(case, Outcome.REFUSED))

    async def grants(self, who: Speaker, *, ended: bool = False) -> Sequence[Grant]:
        self._check(who)
        return [grant for grant in self.held.values() if ended or not grant.ended]

    async def end_grant(self, who: Speaker, identity: str, *, reason: str = "", may_ask_again: bool = False) -> Changed:
        grant = self.held.pop(_named(self.held, identity))
        self.done.append(("end", who.person, grant.id, reason, str(may_ask_again)))
        return Changed((grant.id,), (_loser(grant),), (), done=True, version="v2")

    async def explain(self, who: Speaker, identity: str) -> str:
        self._check(who)
        return f"decision {_named(self.cases, identity)}\n\tby POLICY\n\u202eevil\x1b[1m"

    async def revoke(self, who: Speaker, kind: RevocationKind, name: str, *, reason: str = "", dry_run: bool = False) -> Changed:
        self._check(who)
        if not name.startswith("ed25519-hex:"):
            raise MalformedRequest("that is no key", mend="give one")
        if not dry_run:
            raise NeedsSignature("this needs the signature of a key", mend="use `clearinghouse revoke --key`")
        self.done.append(("revoke", who.person, kind.value, name, reason))
        return Changed((name,), tuple(_loser(grant) for grant in self.held.values()), (), done=False, version="v2")

    async def revocations(self, who: Speaker) -> Sequence[Revocation]:
        self._check(who)
        return self.revoked

    async def lift(self, who: Speaker, identity: str) -> Revocation:
        raise NoSuchThing(f"{who.person} lifts {identity}", mend="nothing is barred")

    async def credentials(self, who: Speaker) -> Sequence[KeptCredential]:
        self._check(who)
        return list(self.kept.values())

    async def add_credential(self, who: Speaker, raw: bytes, *, dry_run: bool = False) -> Changed:
        self._check(who)
        if b"Authorizer:" not in raw:
            raise MalformedRequest("that is no credential", mend="paste all of it")
        added = KeptCredential(uuid4().hex, raw, "run time", who.person)
        if not dry_run:
            self.kept[added.id] = added
        return Changed(
            (added.id,), (), (Party("a@b.example", "subscribe", "incidents", "deny", "allow", ""),), done=not dry_run, version="v3"
        )

    async def withdraw_credential(self, who: Speaker, identity: str, *, dry_run: bool = False) -> Changed:
        kept = self.kept[_named(self.kept, identity)]
        if kept.source != "run time":
            raise MalformedRequest("it lies in a folder", mend="take it away there")
        if not dry_run:
            del self.kept[kept.id]
            self.done.append(("withdraw", who.person, kept.id))
        return Changed((kept.id,), (), (), done=not dry_run, version="v4")

    async def submit(self, envelope: bytes) -> Ruling | Changed:
        if envelope != b"signed":
            raise MalformedRequest(f"the envelope {envelope!r} is none", mend="sign it")
        case = next(iter(self.cases.values()))
        return Ruling(case, decision_on(case))

    def _check(self, who: Speaker) -> None:
        if self.failing is not None:
            raise self.failing
        if who.person in self.barred:
            raise NotEntitled("policy does not let you do this", mend="ask for it")


@dataclass(slots=True)
class PaperReception:
    """Implements `Reception`: the people are known by their bare JIDs, and everybody may discover ``topics``."""

    office: PaperOffice
    people: dict[str, str] = field(default_factory=dict)
    topics: tuple[Topic, ...] = ()
    asked: list[PlatformAsked] = field(default_factory=list)
    failing: Exception | None = None
    brought: list[Subscriber] = field(default_factory=list)

    def person(self, jid: str) -> Speaker | None:
        name = self.people.get(jid)
        return None if name is None else Speaker(name, (f"xmpp:{jid}",), Door.CHAT, vouched_by="example.net")

    def paced(self, asker: Subscriber) -> None:
        if self.failing is not None:
            raise self.failing
        self.brought.append(asker)

    async def platform_asked(self, asked: PlatformAsked) -> PlatformAnswered:
        if self.failing is not None:
            raise self.failing
        self.asked.append(asked)
        if asked.topic not in {topic.node for topic in self.topics}:
            return PlatformAnswered(uuid4().hex, "refused", "deny", "not-granted")
        return PlatformAnswered(uuid4().hex, "granted", "allow", "granted", NOON, b"receipt" if asked.receipt else b"")

    async def topics_for(self, asker: Subscriber, *, after: str = "", before: str | None = None, limit: int = MAX_PAGE) -> TopicPage:
        visible = [topic for topic in self.topics if asker.domain != "evil.example"]
        return page_of(visible, PageAsked(after, before, limit))


def _named(things: dict[str, Case] | dict[str, Grant] | dict[str, KeptCredential], beginning: str) -> str:
    found = [each for each in things if each.startswith(beginning)]
    if len(found) != 1:
        raise NoSuchThing("nothing has this id", mend="look at the list")
    return found[0]


def _loser(grant: Grant) -> Party:
    return Party(grant.holder, grant.request.operation, grant.topic, "allow", "deny", "revoked", grant.id)
