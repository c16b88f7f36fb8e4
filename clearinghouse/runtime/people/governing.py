"""What people change besides cases: grants ended, keys and credentials revoked, credentials added (rules R10, R14, R15).

Every change can be looked at before: who loses, who wins.  It is durable before it counts, and it counts before it is
answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final

from clearinghouse.clearing.cases import CaseChange, CaseState, Grant, Revocation, RevocationKind
from clearinghouse.clearing.people import Changed, KeptCredential, NotEntitled, Party, Speaker
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.vocabulary import Door, Kind, is_canonical
from clearinghouse.clearing.vocabulary import shown as escaped
from clearinghouse.errors import HolderError, MalformedRequest, PeerError, TooLarge
from clearinghouse.keynote import POLICY
from clearinghouse.keynote.octets import from_octets, to_octets
from clearinghouse.keynote.principals import normalise
from clearinghouse.runtime.asking.questions import SUBSCRIBE
from clearinghouse.runtime.people.casework import bounded, no_such
from clearinghouse.runtime.people.endings import endings
from clearinghouse.runtime.people.judging import REVOKED, Lost
from clearinghouse.runtime.people.losses import Compared, Comparison
from clearinghouse.runtime.people.rights import Rights, needs_signature
from clearinghouse.runtime.standing.beliefs import Beliefs, Supposed
from clearinghouse.runtime.standing.books import Books
from clearinghouse.storage.changes import CaseMoved, Change, CredentialAdded, CredentialWithdrawn, Revoked
from clearinghouse.storage.store import AT_RUN_TIME

MAX_CREDENTIALS: Final = 10_000
"""Credentials added at run time; whoever has more puts them into a folder."""

MAX_NAME: Final = 16_384
"""Characters of what is revoked; a certificate with an RSA-8192 key has about 6,000 in hex."""

TOPICS: Final = "topics"
"""The group whose policies say who may read: users that these name are known platforms."""

_ID = 64
"""Hexadecimal digits of a credential's id (rule R14)."""


class CannotLift(PeerError):
    """Revocations of credentials and keys stay for good: whoever is to have them again is given new ones (rule R15)."""

    code: ClassVar[str] = "cannot-lift"


class InFolder(PeerError):
    """The credential stands in a folder, which only those who run the service can change."""

    code: ClassVar[str] = "in-folder"


class BornRevoked(HolderError):
    """The credential, or its author, is revoked: it would never count."""

    code: ClassVar[str] = "revoked"


class ByTheDesk(HolderError):
    """What the desk's key signs comes from cases alone (rule R2)."""

    code: ClassVar[str] = "by-the-desk"


@dataclass(slots=True)
class Governing:
    """Makes changes; brokers are told of what is over by whoever hears the books."""

    books: Books
    rights: Rights
    beliefs: Beliefs
    comparison: Comparison
    most_credentials: int = MAX_CREDENTIALS

    # -- grants and their holders

    async def end_grant(self, who: Speaker, identity: str, *, reason: str, may_ask_again: bool, also: Sequence[Change] = ()) -> Changed:
        """End a grant at once, and whatever else its holder has at the topic unless it *may_ask_again*."""
        grant = await self.found_grant(who, identity)
        self.rights.require(who, "revoke", of=grant.request, thing=grant.id)
        if grant.ended is not None:
            raise no_such("active grant", identity)
        if not may_ask_again:
            self._require_elsewhere(who, grant)
        now, why = self.rights.chance.now(), Reason(REVOKED, bounded(reason) or "a person has ended it")
        ending = [grant] if may_ask_again else self.books.held(broker=grant.broker, node=grant.topic, jid=grant.holder)
        affiliation = "none" if may_ask_again else "outcast"
        changes = list(endings(self.books, [(each, Lost(why, affiliation)) for each in ending], at=now, by=who.person))
        if not may_ask_again:
            revocation = self._revocation(RevocationKind.HOLDER, f"{grant.holder} {grant.topic}", who, reason, now)
            changes += [Revoked(revocation), *self._disapproved(revocation, changes)]
        await self.books.write(*changes, *also)
        return Changed(tuple(each.id for each in ending), tuple(_ended(each, why) for each in ending), (), True, self._version)  # noqa: FBT003

    async def found_grant(self, who: Speaker, identity: str) -> Grant:
        """Return the one grant whose id begins with *identity* and which *who* may see."""
        grant = self.books.grants.get(identity) or (await self.books.store.grant(identity) if identity else None)
        if not self.rights.shows(who, grant) or grant is None:
            raise no_such("grant", identity)
        return self.books.grants.get(grant.id, grant)

    # -- revocations

    async def revoke(
        self, who: Speaker, kind: RevocationKind, name: str, *, reason: str, dry_run: bool, also: Sequence[Change] = ()
    ) -> Changed:
        """Revoke for good, or say who would lose by it."""
        if kind is not RevocationKind.HOLDER:
            self.check_administers(who)
            self.rights.require(who, "administer")  # before anybody learns which ids there are (rule R22)
        found = self._name(kind, name)
        self._require(who, kind, found)
        if any(each.kind is kind and each.name == found and each.lifted is None for each in self.books.revocations.values()):
            if self.beliefs.stale and not dry_run:  # it is written down already, and does not count yet
                await self.beliefs.refresh()
            return Changed((found,), (), (), not dry_run, self._version)
        revocation = self._revocation(kind, found, who, reason, self.rights.chance.now())
        if kind is RevocationKind.HOLDER:
            return await self._bar(revocation, dry_run=dry_run, also=also)
        compared = await self._compared(Supposed(revoked=(revocation,)))
        if not dry_run:
            await self._change(Revoked(revocation), *also)
        return self._changed((found,), compared, done=not dry_run)

    async def lift(self, who: Speaker, identity: str, *, also: Sequence[Change] = ()) -> Revocation:
        """Lift the bar on a holder; what was ended by it stays ended."""
        found = [each for name, each in self.books.revocations.items() if identity and name.startswith(identity)]
        if len(found) != 1 or found[0].lifted is not None:
            raise no_such("revocation that stands", identity)
        try:
            self._require(who, found[0].kind, found[0].name)
        except NotEntitled:
            raise no_such("revocation that stands", identity) from None
        if found[0].kind is not RevocationKind.HOLDER:
            raise CannotLift(
                "only the bar on a platform can be lifted", mend="issue a new credential, to a new key where a key was revoked"
            )
        lifted = replace(found[0], lifted=self.rights.chance.now())
        await self.books.write(Revoked(lifted), *also)
        return lifted

    async def _bar(self, revocation: Revocation, *, dry_run: bool, also: Sequence[Change]) -> Changed:
        """Bar a platform from a topic: its grants there end, and its cases are refused by the review."""
        jid, _, node = revocation.name.partition(" ")
        why = Reason(REVOKED, revocation.reason or "people have barred its holder")
        held = self.books.held(jid=jid, node=node)
        losing = [_ended(each, why) for each in held]
        losing += [
            Party(jid, each.request.operation, node, "ask", "deny", why.text)
            for each in self.books.cases.values()
            if each.open and (each.subject, each.topic) == (jid, node)
        ]
        if not dry_run:
            ends = list(endings(self.books, [(each, Lost(why, "outcast")) for each in held], at=revocation.at, by=revocation.by))
            await self.books.write(Revoked(revocation), *ends, *self._disapproved(revocation, ends), *also)
        return Changed((revocation.name,), tuple(losing), (), not dry_run, self._version)

    def _disapproved(self, bar: Revocation, done: Iterable[Change]) -> Iterator[Change]:
        """Yield the end of every approval of whom the *bar* names, but for what is *done*: none comes back when it is lifted."""
        moved = {each.case.id for each in done if isinstance(each, CaseMoved)}
        jid, _, node = bar.name.partition(" ")
        why = bar.reason or "people have barred this platform"
        for case in self.books.cases.values():
            if case.state is CaseState.APPROVED and (case.subject, case.topic) == (jid, node) and case.id not in moved:
                yield CaseMoved(case.moved(CaseChange.WITHDRAW, at=bar.at, by=bar.by, why=why), CaseChange.WITHDRAW, bar.at)

    # -- credentials

    async def add_credential(self, who: Speaker, raw: bytes, *, dry_run: bool, also: Sequence[Change] = ()) -> Changed:
        """Add a credential; raises `HolderError` for one that is not good."""
        self.check_administers(who)
        self.rights.require(who, "administer")  # strangers never reach admission (rule R21)
        admitted = self.beliefs.admit(raw)
        identity = admitted.name
        self.rights.require(who, "administer", thing=identity)
        self._check_counts(admitted.name, admitted.authorizer)
        if identity in self.books.credentials or any(each.name == identity for each in self.beliefs.holdings.credentials):
            return Changed((identity,), (), (), not dry_run, self._version)
        if len(self.books.credentials) >= self.most_credentials:
            raise TooLarge(f"{self.most_credentials} credentials were added already", mend="put them into the folder of credentials")
        compared = await self._compared(Supposed(more=(KeptCredential(identity, raw, AT_RUN_TIME, who.person),)))
        if not dry_run:
            await self._change(CredentialAdded(identity, raw, who.person, self.rights.chance.now()), *also)
        return self._changed((identity,), compared, done=not dry_run)

    async def withdraw_credential(self, who: Speaker, identity: str, *, dry_run: bool, also: Sequence[Change] = ()) -> Changed:
        """Withdraw a credential that was added at run time."""
        self.check_administers(who)
        self.rights.require(who, "administer")
        found = self._added(identity)
        self.rights.require(who, "administer", thing=found)
        compared = await self._compared(Supposed(less=frozenset({found})))
        if not dry_run:
            await self._change(CredentialWithdrawn(found, who.person, self.rights.chance.now()), *also)
        return self._changed((found,), compared, done=not dry_run)

    def check_administers(self, who: Speaker) -> None:
        """Raise `NeedsSignature` for a JID, whatever policy says (rule R10)."""
        if who.door is Door.CHAT:
            raise needs_signature()

    # -- parts

    def _added(self, identity: str) -> str:
        found = [name for name in self.books.credentials if identity and name.startswith(identity.lower())]
        if len(found) == 1:
            return found[0]
        standing = [each for each in self.beliefs.holdings.credentials if identity and each.name.startswith(identity.lower())]
        if not found and standing:
            raise InFolder(f"the credential stands in `{escaped(standing[0].source)}`", mend="take it away there, or revoke it")
        raise no_such("credential that was added", identity)

    def _check_counts(self, identity: str, authorizer: str | None) -> None:
        snapshot = self.rights.desk.snapshot
        gone = {normalise(to_octets(name)) for name in (*snapshot.revoked, *snapshot.below)}
        if bytes.fromhex(identity) in snapshot.withdrawn or authorizer in gone:
            raise BornRevoked("the credential or its author is revoked", mend="have it signed by a key that is not")
        if snapshot.desk and authorizer == snapshot.desk:
            raise ByTheDesk("the credential is by the desk's key", mend="approve a case instead")

    def _require(self, who: Speaker, kind: RevocationKind, name: str) -> None:
        """The bar on a holder is for those who may end its grants; everything else is administration."""
        if kind is not RevocationKind.HOLDER:
            self.check_administers(who)
            self.rights.require(who, "administer", thing=name)
            return
        for each in self._abouts(name):
            self.rights.require(who, "revoke", of=each)

    def _require_elsewhere(self, who: Speaker, grant: Grant) -> None:
        """The bar on a holder holds wherever a node has the name: whoever sets it must be entitled there as well (rule R10)."""
        for each in self._abouts(f"{grant.holder} {grant.topic}"):
            if each.observed.get("broker") != grant.broker:
                self.rights.require(who, "revoke", of=each)

    def about(self, name: str) -> Request:
        """Return a request that the bar *name*, ``jid topic``, is about: one that was granted, or else one that there might be."""
        return self._abouts(name)[0]

    def _abouts(self, name: str) -> Sequence[Request]:
        """Return such a request for each broker that has the topic; for a topic that nobody has, one without a broker."""
        jid, _, node = name.partition(" ")
        seen = {"jid": jid, "topic": node}
        found = {each.broker: each.request for each in self.books.held(jid=jid, node=node)}
        for broker, voucher in self.comparison.places_of(node):
            found.setdefault(broker, _might_be(seen | {"broker": broker, "vouched_by": voucher}))
        return tuple(found.values()) or (_might_be(seen),)

    def _name(self, kind: RevocationKind, name: str) -> str:
        """Return *name* as it is kept; raises `MalformedRequest` for what cannot be revoked."""
        if not name or len(name) > MAX_NAME:
            raise MalformedRequest("there is nothing to revoke, or its name is too long", mend="name a credential, a key, or `jid topic`")
        match kind:
            case RevocationKind.CREDENTIAL:
                return self._credential(name)
            case RevocationKind.HOLDER:
                jid, _, node = name.partition(" ")
                if not node or not is_canonical(Kind.JID, jid):
                    raise MalformedRequest(f"`{escaped(name)}` is no platform and topic", mend="write them as in `ann@a.example incidents`")
                return name
            case RevocationKind.PRINCIPAL | RevocationKind.BELOW:
                found = from_octets(normalise(to_octets(name)))
                if found == POLICY:
                    raise MalformedRequest("`POLICY` cannot be revoked", mend="take the policies away that are not to count")
                _check_spelling(found)
                return found

    def _credential(self, name: str) -> str:
        """Return a credential's whole id; one that nobody has yet can be revoked by its whole id only."""
        lower = name.lower()
        every = {each.name for each in self.beliefs.holdings.credentials} | self.books.credentials.keys()
        found = [each for each in every if each.startswith(lower)]
        if len(found) == 1:
            return found[0]
        if len(lower) != _ID or not set(lower) <= set("0123456789abcdef"):
            raise no_such("credential", name)
        return lower

    async def _change(self, *changes: Change) -> None:
        """Make changes durable, and believe what follows from them before anybody is answered."""
        await self.books.write(*changes)
        await self.beliefs.refresh()

    async def _compared(self, change: Supposed) -> Compared:
        believed = await self.beliefs.supposed(change)
        naming = (*believed.policies.get(TOPICS, ()), *self.beliefs.holdings.credentials, *believed.credentials)
        return await self.comparison.between(believed.snapshot, naming)

    def _changed(self, names: Iterable[str], compared: Compared, *, done: bool) -> Changed:
        return Changed(tuple(names), compared.losing, compared.winning, done, self._version, compared.unchecked)

    def _revocation(self, kind: RevocationKind, name: str, who: Speaker, reason: str, now: datetime) -> Revocation:
        return Revocation(self.rights.chance.new_id(), now, kind, name, who.person, bounded(reason))

    @property
    def _version(self) -> str:
        return self.rights.desk.snapshot.version


_SPELLINGS: Final = (("xmpp:", Kind.JID), ("xmpp-member:", Kind.DOMAIN))


def _check_spelling(name: str) -> None:
    """Refuse an address in another spelling than doors give it: it would be called revoked, and nobody asks with it."""
    for prefix, kind in _SPELLINGS:
        if name.startswith(prefix) and not is_canonical(kind, name.removeprefix(prefix)):
            raise MalformedRequest(f"`{escaped(name)}` is no {kind} in normal form", mend="write it in lower case, without a resource")


def _might_be(seen: Mapping[str, str]) -> Request:
    return Request("", SUBSCRIBE, Door.BROKER, (f"xmpp:{seen['jid']}",), observed=seen)


def _ended(grant: Grant, why: Reason) -> Party:
    return Party(grant.holder, grant.request.operation, grant.topic, "granted", "deny", why.text, grant.id)
