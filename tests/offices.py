"""A small office: cases, grants and revocations in dictionaries, one entitled person, the words of the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from clearinghouse.clearing.acts import Approve, read_act
from clearinghouse.clearing.cases import Approval, Case, CaseChange, Grant, Revocation, RevocationKind
from clearinghouse.clearing.dsse import REQUEST, opened
from clearinghouse.clearing.envelope import read_asked
from clearinghouse.clearing.people import (
    AlreadyApproved,
    Changed,
    KeptCredential,
    NoSuchThing,
    NotEntitled,
    Party,
    Ruling,
    Speaker,
    WrongCase,
)
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.keynote import admit

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
COMMUNITY = "csirt-net"


def a_case(identity: str = "3f2a91c4aabbccdd", *, jid: str = "ann@members.example", topic: str = "incidents") -> Case:
    """Return an open case in which *jid* asks to subscribe to *topic*."""
    return Case(identity, _request(identity, jid, topic), NOW, NOW + timedelta(days=30))


def a_grant(identity: str = "77aa00112233ffee", *, jid: str = "bob@members.example") -> Grant:
    """Return a grant that holds."""
    return Grant(identity, _request(identity, jid, "incidents"), NOW, NOW + timedelta(days=5), NOW + timedelta(days=9))


def _request(identity: str, jid: str, topic: str) -> Request:
    observed = {"jid": jid, "domain": jid.rpartition("@")[2], "broker": "pubsub.hub.example", "vouched_by": "hub.example", "topic": topic}
    return Request(identity, "subscribe", Door.BROKER, (f"xmpp:{jid}",), observed=observed)


@dataclass(slots=True)
class SmallOffice:
    """Two approvals open a case; ``entitled`` may do everything, others see nothing.  ``heard`` are all speakers."""

    entitled: frozenset[str]
    cases: dict[str, Case] = field(default_factory=dict)
    held: dict[str, Grant] = field(default_factory=dict)
    revoked: dict[str, Revocation] = field(default_factory=dict)
    kept: dict[str, KeptCredential] = field(default_factory=dict)
    heard: list[Speaker] = field(default_factory=list)
    enough: int = 1

    def _hear(self, who: Speaker) -> None:
        self.heard.append(who)
        if self.entitled.isdisjoint(who.principals):
            raise NotEntitled("policy does not let you do this", mend="ask whoever keeps the policies in `people`")

    async def pending(self, who: Speaker) -> Sequence[Case]:
        """Return what is open."""
        self._hear(who)
        return [each for each in self.cases.values() if each.open]

    async def case(self, who: Speaker, identity: str) -> Case:
        """Return one case."""
        self._hear(who)
        found = [each for name, each in self.cases.items() if identity and name.startswith(identity)]
        if len(found) != 1:
            raise NoSuchThing("no case has this id", mend="see `clearinghouse pending`")
        return found[0]

    async def approve(self, who: Speaker, identity: str, *, shown: str = "", period: timedelta | None = None) -> Ruling:
        """Count one approval."""
        case = await self.case(who, identity)
        if shown and shown != case.digest():
            raise WrongCase("the case is another one now", mend="look at it again")
        if any(each.person == who.person for each in case.approvals):
            raise AlreadyApproved("you have approved this case", mend="somebody else has to")
        approval = Approval(who.person, who.principals, NOW, who.door, who.vouched_by, case.digest(), who.envelope, period)
        case = replace(case, approvals=(*case.approvals, approval))
        missing = self.enough - len(case.approvals)
        self.cases[case.id] = case if missing else case.moved(CaseChange.APPROVE, at=NOW, by=who.person)
        return Ruling(self.cases[case.id], waits_for=f"{missing} more" if missing else "")

    async def deny(self, who: Speaker, identity: str, *, reason: str = "") -> Ruling:
        """End a case."""
        case = await self.case(who, identity)
        self.cases[case.id] = case.moved(CaseChange.DENY, at=NOW, by=who.person, why=reason)
        return Ruling(self.cases[case.id])

    async def grants(self, who: Speaker, *, ended: bool = False) -> Sequence[Grant]:
        """Return what holds."""
        self._hear(who)
        return [each for each in self.held.values() if ended or each.ended is None]

    async def end_grant(self, who: Speaker, identity: str, *, reason: str = "", may_ask_again: bool = False) -> Changed:
        """End a grant."""
        self._hear(who)
        if identity not in self.held:
            raise NoSuchThing("no grant has this id", mend="see `clearinghouse grants`")
        why = Reason("ended", reason or "somebody ended it")
        self.held[identity] = replace(self.held[identity], ended=NOW, why=why, affiliation="none" if may_ask_again else "outcast")
        return self._changed((identity,), done=True)

    async def explain(self, who: Speaker, identity: str) -> str:
        """Return words."""
        await self.case(who, identity)
        return f"case {identity}\nit waits for a person"

    async def revoke(self, who: Speaker, kind: RevocationKind, name: str, *, reason: str = "", dry_run: bool = False) -> Changed:
        """Revoke what is named; every grant that is held is lost."""
        self._hear(who)
        if not dry_run:
            self.revoked["5e"] = Revocation("5e", NOW, kind, name, who.person, reason)
        return self._changed((name,), done=not dry_run)

    async def revocations(self, who: Speaker) -> Sequence[Revocation]:
        """Return all of them."""
        self._hear(who)
        return list(self.revoked.values())

    async def lift(self, who: Speaker, identity: str) -> Revocation:
        """Lift one."""
        self._hear(who)
        if identity not in self.revoked:
            raise NoSuchThing("no revocation has this id", mend="see `clearinghouse lift`")
        self.revoked[identity] = replace(self.revoked[identity], lifted=NOW)
        return self.revoked[identity]

    async def credentials(self, who: Speaker) -> Sequence[KeptCredential]:
        """Return all of them."""
        self._hear(who)
        return list(self.kept.values())

    async def add_credential(self, who: Speaker, raw: bytes, *, dry_run: bool = False) -> Changed:
        """Add a good one."""
        self._hear(who)
        found = admit(raw)
        if not dry_run:
            self.kept[found.id.hex()] = KeptCredential(found.id.hex(), raw, "", who.person)
        return replace(self._changed((found.id.hex(),), done=not dry_run), losing=(), winning=self._parties())

    async def withdraw_credential(self, who: Speaker, identity: str, *, dry_run: bool = False) -> Changed:
        """Take one away."""
        self._hear(who)
        if identity not in self.kept:
            raise NoSuchThing("no credential has this id", mend="see `clearinghouse credentials list`")
        if not dry_run:
            del self.kept[identity]
        return self._changed((identity,), done=not dry_run)

    async def submit(self, envelope: bytes) -> Ruling | Changed:
        """Take an approval."""
        read = opened(envelope, payload_type=REQUEST)
        asked = read_asked(read, audience=COMMUNITY, now=datetime.now(UTC))
        act = read_act(asked.kind, asked.body)
        who = Speaker(read.signers[0], read.signers, Door.ENVELOPE, envelope=envelope)
        if isinstance(act, Approve):
            return await self.approve(who, act.case, shown=act.shown, period=act.period)
        self._hear(who)
        return self._changed((asked.kind,), done=True)

    def _parties(self) -> tuple[Party, ...]:
        return tuple(
            Party(each.holder, each.request.operation, each.topic, "allow", "deny", "revoked", each.id) for each in self.held.values()
        )

    def _changed(self, names: tuple[str, ...], *, done: bool) -> Changed:
        return Changed(names, self._parties(), (), done, "ab" * 32)
