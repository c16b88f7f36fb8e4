"""The registrar's desk: records of members are wanted, decided about, signed or kept as drafts (rules R5, R8 and R10).

Nobody's word but the registrar's signature makes a record.  Where its key is not online, or a person has still to
look, what would be signed waits as a draft.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Final

import structlog

from clearinghouse.clearing.clear import rule
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.dsse import Envelope, fingerprint
from clearinghouse.clearing.envelope import Asked, Replayed
from clearinghouse.clearing.people import NoSuchThing, NotEntitled, Party, Speaker
from clearinghouse.clearing.request import Request, signers
from clearinghouse.clearing.vocabulary import EVERYTHING, Door
from clearinghouse.errors import MalformedRequest, PeerError, Unavailable
from clearinghouse.federation.membership.enrolment import Act, Change, Wanted, applied, change_between, read_wanted, wanted_words
from clearinghouse.federation.membership.registry import REGISTRAR, Draft, Enrolled, KeptMember, Source
from clearinghouse.federation.published.members import Member, read_member, read_payload, written
from clearinghouse.federation.roles.entitlement import Entitlement
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.ceremony import NoRoot
from clearinghouse.runtime.federation.levels import OneByOne
from clearinghouse.runtime.federation.roll import Roll
from clearinghouse.runtime.people.rights import NotNow, Rights
from clearinghouse.runtime.standing.books import Books
from clearinghouse.signer.client import Sealer
from clearinghouse.storage.changes import Change as Written
from clearinghouse.storage.changes import DraftClosed, Drafted, EnvelopeSeen, MemberSet

log = structlog.get_logger(__name__)

DRAFT_LIFE: Final = timedelta(days=30)
"""How long a draft waits, as a case does: a holiday, and a week to catch up."""

MAX_DRAFTS: Final = 1_000
"""Drafts that wait together; one domain has one, so that only as many domains as these can fill the list."""

MAX_LETTERS: Final = 200
"""Drafts among them that domains have left themselves: whoever has a thousand names keeps nobody else's draft from waiting."""

UNKNOWN: Final = "unknown.invalid"
"""What is asked about where no draft has an id, so that whoever may see none hears the same (rule R22)."""

_LEAST: Final = {Act.ADD: Change.ADD, Act.CHANGE: Change.CONTACT, Act.REMOVE: Change.REMOVE}
"""What an act is at the least, before it is known what it changes."""

PERSON: Final = "a person who may `enrol`: `clearinghouse member accept`"


class TooManyDrafts(Unavailable):
    """So many drafts wait for people that no more are kept."""

    code: ClassVar[str] = "too-many-drafts"


class DraftWaits(PeerError):
    """A record that somebody has decided about waits for its signature, and nobody's proposal takes its place."""

    code: ClassVar[str] = "draft-waits"


class OldRecord(PeerError):
    """A record with this serial, or a later one, is known already."""

    code: ClassVar[str] = "old-record"


@dataclass(slots=True)
class Registrar:
    """Decides about records; ``key`` signs them, unless that happens elsewhere.

    ``entitlement`` is what the newest root metadata says, ``views`` the audiences whose levels a dry run tells of.
    """

    community: str
    books: Books
    roll: Roll
    rights: Rights
    levels: OneByOne
    chance: Chance
    key: Sealer | None
    entitlement: Callable[[], Entitlement | None]
    views: Sequence[str] = (EVERYTHING,)
    _given: dict[str, int] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    # -- people

    async def enrol(
        self, who: Speaker, act: str, words: Mapping[str, str], *, dry_run: bool = False, also: Sequence[Written] = ()
    ) -> Enrolled:
        """See `Registry.enrol`."""
        wanted = read_wanted(act, words)
        async with self._turn:
            before = self.roll.record(wanted.domain)
            self._require(who, wanted.domain, _LEAST[wanted.act])  # before anybody learns who is a member (rule R22)
            after = self._applied(wanted, before, f"{who.door} {who.person}")
            self._require(who, wanted.domain, change_between(before, after))
            if dry_run:
                return self._told(after, done=False)
            if who.door is Door.CHAT:
                return await self._draft(after, Source.CHAT, who.person, PERSON, also)
            return await self._finish(after, Source.PERSON, who.person, also)

    async def accept(self, who: Speaker, identity: str, *, dry_run: bool = False) -> Enrolled:
        """See `Registry.accept`."""
        async with self._turn:
            draft = self._named(who, identity)
            if who.door is Door.CHAT:
                raise self.rights_needed()
            wanted = read_payload(draft.payload)
            after = self._renewed(wanted)
            self._require(who, wanted.domain, change_between(self.roll.record(wanted.domain), after))
            if dry_run:
                return self._told(after, done=False)
            return await self._finish(after, draft.source, who.person, ())

    async def drop(self, who: Speaker, identity: str) -> Enrolled:
        """See `Registry.drop`."""
        async with self._turn:
            draft = self._named(who, identity)
            await self.books.write(DraftClosed(draft.id, who.person, "dropped", self.chance.now()))
            return Enrolled((draft.domain, draft.id), (), (), True, self._version)  # noqa: FBT003 - it is done

    async def signed(self, sealed: bytes, also: Sequence[Written] = ()) -> Enrolled:
        """See `Registry.signed`."""
        read = read_member(sealed)
        member = read.member
        if member.community != self.community:
            raise MalformedRequest(f"the record is of the community `{member.community}`", mend=f"this one is `{self.community}`")
        self._check_registrar(member.domain, read.signers)
        async with self._turn:
            before = self.roll.record(member.domain)
            if before is not None and member.serial <= before.serial:
                mend = f"sign one whose serial is above {before.serial}"
                raise OldRecord(f"a record of `{member.domain}` with serial {before.serial} is known", mend=mend)
            change, found = change_between(before, member), self._told(member, done=True)
            await self._set(member, sealed, change, read.signers[0], also)
            return found

    def rights_needed(self) -> NotEntitled:
        """Return what somebody at a chat hears who would have a record signed (rule R10)."""
        return NotEntitled("the word of your server is not enough for this", mend="do it with a key, or on the clearinghouse's own host")

    # -- the member itself

    async def join(self, asked: Asked, envelope: Envelope, speaker: str, sender: str) -> Enrolled:
        """Take a request of a domain about its own record, handed in by the JID *speaker* or by nobody that is known.

        Whatever it costs is at the expense of *sender*, an address or a domain: keys are free, and strangers have many (rule R21).
        """
        prints = fingerprint(envelope)
        if any(self.books.seen(signer, digest, self.chance.now()) for signer, digest in prints):
            raise Replayed("the envelope was taken already", mend="sign a new one")
        seen = tuple(EnvelopeSeen(signer, digest, asked.expires) for signer, digest in prints)
        async with self._turn:
            wanted = self._wanted(asked, envelope.signers)
            before = self.roll.record(wanted.domain)
            after = self._applied(wanted, before, "join")
            change = change_between(before, after)
            own = before is not None and not before.removed and not set(before.keys).isdisjoint(envelope.signers)
            proven = speaker.partition("/")[0] == wanted.domain
            decision = await self._ruled(asked, envelope, sender, after.domain, _known(change, proven=proven, own=own))
            self._check_own(before, after, envelope.signers, own=own)
            return await self._came_to(decision, after, proven=proven, prints=seen)

    def _wanted(self, asked: Asked, who: Sequence[str]) -> Wanted:
        """Return what is wanted; whether it is a new record is ours to know, and a newcomer's keys are its signers unless it says more."""
        words = {name: text for name, text in asked.body.items() if name not in {"act", "source"}}
        if asked.body.get("act") == Act.REMOVE:
            wanted = read_wanted(Act.REMOVE, words)
            if self.roll.member(wanted.domain) is None:
                raise _nobody()
            return wanted
        wanted = read_wanted(Act.ADD, words)
        if self.roll.member(wanted.domain) is not None:
            return Wanted(Act.CHANGE, wanted.domain, wanted.words)
        return wanted if "keys" in words else Wanted(Act.ADD, wanted.domain, {**wanted.words, "keys": " ".join(who)})

    async def _came_to(self, decision: Decision, after: Member, *, proven: bool, prints: Sequence[Written]) -> Enrolled:
        by = decision.request.requesters[0]
        match decision.outcome:
            case Outcome.GRANTED:
                return await self._finish(after, Source.JOIN, by, prints)
            case Outcome.UNANSWERED:
                raise NotNow(decision.reason.text, mend="try again in some seconds")
            case Outcome.PENDING:
                return await self._draft(after, Source.JOIN, by, PERSON, prints)
            case Outcome.REFUSED if proven and self.roll.record(after.domain) is None:
                # Nothing is granted to it; but whoever has shown that the name is theirs may leave a letter.
                return await self._draft(after, Source.JOIN, by, PERSON, prints)
            case _:
                raise _nobody()

    async def _ruled(self, asked: Asked, envelope: Envelope, sender: str, domain: str, known: Mapping[str, str]) -> Decision:
        texts = tuple(each.encode() for each in asked.credentials)
        request = Request(
            self.chance.new_id(),
            "join",
            Door.ENVELOPE,
            signers(envelope.signers),
            known=known,
            claims={"member": domain},
            credentials=texts,
            sender=sender,
        )
        decision = rule(request, self.rights.desk, now=self.chance.now())
        await self.rights.desk.ledger.record(decision)
        return decision

    def _check_own(self, before: Member | None, after: Member, who: Sequence[str], *, own: bool) -> None:
        """A record that there is changes by its own key alone, and a key comes in by a signature of its own (rules R5 and R10)."""
        if before is not None and not before.removed and not own:
            raise _nobody()
        added = set(after.keys) - (set(before.keys) if before is not None and not before.removed else set())
        if not added <= set(who):
            raise MalformedRequest("a key that is to be recorded has not signed", mend="sign the request with each new key as well")

    # -- parts

    def _applied(self, wanted: Wanted, before: Member | None, source: str) -> Member:
        serial = max(before.serial if before is not None else 0, self._given.get(wanted.domain, 0)) + 1
        return applied(wanted, before, community=self.community, serial=serial, now=self.chance.now(), source=source)

    def _renewed(self, draft: Member) -> Member:
        """Return what a draft would be if it were wanted now."""
        words = {name: text for name, text in wanted_words(draft).items() if text or name != "source"}  # what it takes away stays away
        before = self.roll.record(draft.domain)
        there = before is not None and not before.removed
        act = Act.REMOVE if draft.removed else Act.CHANGE if there else Act.ADD
        kept = {"domain", "note", "source"} if act is Act.REMOVE else words.keys()
        return self._applied(read_wanted(act, {name: words[name] for name in kept if name in words}), before, draft.source)

    def _require(self, who: Speaker, domain: str, change: Change) -> None:
        seen = {"vouched_by": who.vouched_by} if who.door is Door.CHAT else {}
        claims = {"member": domain, "change": change.value}
        request = Request(self.chance.new_id(), "enrol", who.door, who.principals, observed=seen, claims=claims)
        decision = self.rights.ruled(request, explained=False)
        if decision.outcome is Outcome.UNANSWERED:
            raise NotNow(decision.reason.text, mend="try again in some seconds")
        if decision.outcome is not Outcome.GRANTED:
            raise NotEntitled("policy does not let you do this", mend="ask whoever keeps the policies in `people`")

    def _named(self, who: Speaker, identity: str) -> Draft:
        found = [each for each in self.roll.drafts.values() if identity and each.id.startswith(identity)]
        if len(found) != 1:
            self._require(who, UNKNOWN, Change.CONTACT)
            raise NoSuchThing(f"{len(found) or 'no'} drafts have this id", mend="see `clearinghouse member list`")
        self._require(who, found[0].domain, Change.CONTACT)
        return found[0]

    async def _finish(self, member: Member, source: Source, by: str, also: Sequence[Written]) -> Enrolled:
        """Have the record signed where the key is online; else it waits for the registrar."""
        if self.key is None:
            return await self._draft(member, source, by, REGISTRAR, also)
        payload = written(member)
        sealed = await self.key.sealed(payload)
        self._given[member.domain] = member.serial  # a serial that was signed is not given again, whatever becomes of it
        self._check_registrar(member.domain, (self.key.principal,))
        change, found = change_between(self.roll.record(member.domain), member), self._told(member, done=True)
        await self._set(member, sealed, change, by, also)
        return found

    async def _set(self, member: Member, sealed: bytes, change: Change, by: str, also: Sequence[Written]) -> None:
        now = self.chance.now()
        kept = KeptMember(member.domain, member.serial, sealed, now, by, member.removed)
        draft = self.roll.drafts.get(member.domain)
        closing = () if draft is None else (DraftClosed(draft.id, by, "signed", now),)
        await self.books.write(MemberSet(kept, change.value), *closing, *also)
        log.info("member_set", domain=member.domain, change=change.value, serial=member.serial)

    async def _draft(self, member: Member, source: Source, by: str, why: str, also: Sequence[Written]) -> Enrolled:
        now = self.chance.now()
        self._check_room(member.domain, letter=source is Source.JOIN and why == PERSON)
        waiting = self.roll.drafts.get(member.domain)
        if waiting is not None and waiting.accepted and why != REGISTRAR:  # a letter must not be signed in the place of a decision
            raise DraftWaits(f"a record of `{member.domain}` waits for the registrar", mend="wait until it is signed or dropped")
        draft = Draft(self.chance.new_id(), member.domain, written(member), source, by, now, now + DRAFT_LIFE, why)
        await self.books.write(Drafted(draft), *also)
        log.info("member_drafted", domain=member.domain, draft=draft.id, waits_for=why)
        return Enrolled((member.domain, draft.id), (), (), False, self._version, waits_for=why)  # noqa: FBT003 - it waits

    def _check_room(self, domain: str, *, letter: bool) -> None:
        drafts = self.roll.drafts
        letters = sum(each.source is Source.JOIN and not each.accepted for each in drafts.values()) if letter else 0
        if domain not in drafts and (len(drafts) >= MAX_DRAFTS or letters >= MAX_LETTERS):
            raise TooManyDrafts("too many drafts wait", mend="have some of them signed or dropped: `clearinghouse member list`")

    def _check_registrar(self, domain: str, who: tuple[str, ...]) -> None:
        entitlement = self.entitlement()
        if entitlement is None:
            raise NoRoot("there is no root metadata that names a registrar", mend="make it in a key ceremony first")
        entitlement.check("publish-member", who, now=self.chance.now(), member=domain)

    def _told(self, member: Member, *, done: bool) -> Enrolled:
        """Return whose level the record changes, in each view; a record concerns its own domain alone."""
        losing: list[Party] = []
        winning: list[Party] = []
        scale = self.levels.desk.levels
        for audience in self.views:
            before, after = (self._level(each, audience) for each in (self.roll.member(member.domain), member))
            if before != after:
                why = f"its record {'goes' if member.removed else 'changes'}"
                party = Party(member.domain, "federate", audience, before, after, why)
                (winning if scale.index(after) > scale.index(before) else losing).append(party)
        return Enrolled((member.domain,), tuple(losing), tuple(winning), done, self._version)

    def _level(self, member: Member | None, audience: str) -> str:
        lowest = self.levels.desk.levels[0]
        if member is None or member.removed:
            return lowest
        return self.levels.of(audience, {member.domain: member}, self.chance.now()).rows.get(member.domain, lowest)

    @property
    def _version(self) -> str:
        return self.rights.desk.snapshot.version


def _known(change: Change, *, proven: bool, own: bool) -> dict[str, str]:
    """Return what we know about a request to join, as policies read it."""
    return {"change": change.value, "domain_proven": _yes(proven), "key_recorded": _yes(own)}


def _yes(truth: bool) -> str:  # noqa: FBT001 - of an attribute
    return "yes" if truth else "no"


def _nobody() -> NoSuchThing:
    return NoSuchThing("there is no such thing", mend="ask with an invitation, as the domain itself, or with the key of your record")
