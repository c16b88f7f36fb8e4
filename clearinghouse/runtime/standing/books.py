"""The standing state in memory: what waits, what holds, what is revoked; each change durable before it counts.

The service is the only writer, and all writing goes through `Books.write`: so what is read here is what the
store has, without asking it.  Two writers that cross, such as an approval and a denial of one case, take
turns, and the second is told that it came too late: a case is decided once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Final, assert_never

from clearinghouse.clearing.cases import NEXT, Case, CaseChange, CaseClosed, Grant, Revocation, RevocationKind
from clearinghouse.clearing.people import KeptCredential
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.soundness import Reason
from clearinghouse.errors import Unavailable
from clearinghouse.runtime.standing.shelves import Agenda, Cases, Grants, slot_of
from clearinghouse.storage.changes import (
    CaseMoved,
    Change,
    CredentialAdded,
    CredentialWithdrawn,
    Decided,
    DraftClosed,
    Drafted,
    EndCarriedOut,
    EnvelopeSeen,
    GrantEnded,
    Journaled,
    MemberSet,
    Noted,
    Published,
    Repeated,
    Reported,
    Revoked,
    Settled,
)
from clearinghouse.storage.store import AT_RUN_TIME, Store

SUPERSEDED: Final = Reason("superseded", "the same was granted anew")
ASKED_ANEW: Final = "it was asked for anew"


class Crossed(Unavailable):
    """What was to be changed was changed by somebody else meanwhile: whoever wanted it looks again."""

    code: ClassVar[str] = "crossed"


@dataclass(slots=True)
class Books:
    """Made by `opened`; mappings are by id, and hold what the contract of `Store.standing` names.

    ``heard`` are told of each change once it is durable and counts here; they return at once and raise nothing.
    """

    store: Store
    heard: list[Callable[[Change], None]] = field(default_factory=list)
    _cases: Cases = field(default_factory=Cases)
    _grants: Grants = field(default_factory=Grants)
    _revocations: dict[str, Revocation] = field(default_factory=dict)
    _barred: dict[str, Revocation] = field(default_factory=dict)
    _credentials: dict[str, KeptCredential] = field(default_factory=dict)
    _seen: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _expiring: Agenda[tuple[str, str]] = field(default_factory=Agenda)
    _in_hand: dict[object, asyncio.Future[None]] = field(default_factory=dict)

    @classmethod
    async def opened(cls, store: Store, *, now: datetime) -> Books:
        """Return what *store* says stands at *now*; raises `StoreUnavailable`."""
        books, standing = cls(store), await store.standing()
        for case in standing.cases:
            books._cases.put(case)
        for grant in standing.grants:
            books._grants.put(grant)
        for revocation in standing.revocations:
            books._revoke(revocation)
        for credential in standing.credentials:
            books._credentials[credential.id] = credential
        for seen in standing.seen:
            if seen.until > now:
                books._see(seen)
        return books

    # -- what stands

    @property
    def cases(self) -> Mapping[str, Case]:
        """Cases that are open or approved."""
        return MappingProxyType(self._cases.all)

    @property
    def grants(self) -> Mapping[str, Grant]:
        """Grants that are active, or over while the broker has not been told."""
        return MappingProxyType(self._grants.all)

    @property
    def revocations(self) -> Mapping[str, Revocation]:
        """All revocations, the lifted ones included."""
        return MappingProxyType(self._revocations)

    @property
    def credentials(self) -> Mapping[str, KeptCredential]:
        """Credentials that were added at run time, by id in hex."""
        return MappingProxyType(self._credentials)

    def case_at(self, place: Place, operation: str = "subscribe") -> Case | None:
        """Return the open case about *place*; the broker's name of the request (``subid``) is not compared."""
        return self._cases.open_at(slot_of(operation, place))

    def grant_at(self, operation: str, place: Place) -> Grant | None:
        """Return the active grant of *operation* at *place*, the subscriber exactly as written."""
        return self._grants.active_at(slot_of(operation, place))

    def held(self, *, broker: str = "", node: str = "", jid: str = "") -> Sequence[Grant]:
        """Return the active grants at *broker*, about *node*, of the bare *jid*; empty: any."""
        return self._grants.held(broker, node, jid)

    def due(self, now: datetime) -> Sequence[Grant]:
        """Return the active grants that have to be looked at again by *now*, earliest first."""
        return [self._grants.all[each] for each in self._grants.due.until(now)]

    def due_cases(self, now: datetime) -> Sequence[Case]:
        """Return the cases whose time is over by *now*: open ones, and approved ones whose approvals have ended."""
        return [self._cases.all[each] for each in self._cases.due.until(now)]

    def next_due(self) -> datetime | None:
        """Return when the next grant or case is due; ``None`` where none ever is."""
        return min((each for each in (self._grants.due.next(), self._cases.due.next()) if each is not None), default=None)

    def owed_ends(self) -> Sequence[Grant]:
        """Return the grants that are over and of which the broker has not been told, in the order in which they ended."""
        return tuple(self._grants.owed.values())

    def approvals_for(self, request: Request) -> tuple[bytes, ...]:
        """Return what the desk has signed for exactly *request*: same requesters, same facts, same place (rule R4)."""
        return tuple(each.credential for each in self.approved(request) if each.credential)

    def approved(self, request: Request) -> Sequence[Case]:
        """Return the approved cases of exactly *request*."""
        return self._cases.approved_for(request)

    def barred(self, jid: str, node: str) -> Revocation | None:
        """Return the revocation that bars the bare *jid* from *node*, unless it was lifted."""
        return self._barred.get(f"{jid} {node}")

    def is_over(self, identity: str) -> bool:
        """Say whether the grant that decision *identity* gave is over, or its holder barred, though nobody was told yet."""
        grant = self._grants.all.get(identity)
        return grant is not None and (grant.ended is not None or self.barred(grant.holder, grant.topic) is not None)

    def seen(self, signer: str, digest: str, now: datetime) -> bool:
        """Say whether an envelope with this payload by *signer* was taken already, and is not expired (rule R18)."""
        for old in self._expiring.until(now):
            self._expiring.drop(old)
            self._seen.pop(old, None)
        return (signer, digest) in self._seen

    # -- what changes

    async def write(self, *changes: Change) -> None:
        """Make *changes* durable in one transaction, and then true here.

        Whatever stood in the place of a new case or grant ends with it.  Raises `StoreUnavailable`, and then
        nothing has changed; `CaseClosed` and `Crossed` where somebody else was faster.
        """
        keys = frozenset(key for each in changes for key in _keys(each) if key is not None)
        while busy := {self._in_hand[key] for key in keys & self._in_hand.keys()}:
            await asyncio.wait(busy)
        self._check(changes)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._in_hand |= dict.fromkeys(keys, done)
        # Whoever waits for it may be cancelled, but not what is being written: it would be durable and not known here.
        await asyncio.shield(asyncio.ensure_future(self._commit((*self._superseded(changes), *changes), keys, done)))

    async def _commit(self, changes: Sequence[Change], keys: Iterable[object], done: asyncio.Future[None]) -> None:
        try:
            await self.store.write(*changes)
            for each in changes:
                self._apply(each)
        finally:
            for key in keys:
                del self._in_hand[key]
            done.set_result(None)
        for each in changes:
            for told in self.heard:
                told(each)

    def _check(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case CaseMoved(case):
                    _check_moved(self._cases.all.get(case.id), case)
                case GrantEnded(grant):
                    self._check_active(grant)
                case Decided(decision, gives=Grant() as grant) if grant.id != decision.id:
                    self._check_active(grant)
                case _:
                    pass

    def _check_active(self, grant: Grant) -> None:
        if grant.id not in self._grants.all or grant.id in self._grants.owed:
            raise Crossed(f"grant {grant.id[:8]} is over already", mend="nothing: see `clearinghouse grants --ended`")

    def _superseded(self, changes: Iterable[Change]) -> Iterator[Change]:
        """Yield the ends of what stands where something new comes to stand; the broker need not hear of them."""
        for change in changes:
            if not isinstance(change, Decided):
                continue
            at, opens, gives = change.decision.at, change.opens, change.gives
            if opens is not None and (waits := self._cases.open_at(slot_of(opens.request.operation, opens.request.place))) is not None:
                yield CaseMoved(waits.moved(CaseChange.CANCEL, at=at, why=ASKED_ANEW), CaseChange.CANCEL, at)
            if gives is None:
                continue
            old = [each for each in self._grants.at(slot_of(gives.request.operation, gives.request.place)) if each.id != gives.id]
            yield from (GrantEnded(replace(each, ended=at, why=SUPERSEDED)) for each in old if each.ended is None)
            if old:
                yield EndCarriedOut(tuple(each.id for each in old), at)

    def _apply(self, change: Change) -> None:
        match change:
            case Decided(opens=opens, gives=gives):
                if opens is not None:
                    self._cases.put(opens)
                if gives is not None:
                    self._grants.put(gives)
            case CaseMoved(case):
                self._cases.put(case)
            case GrantEnded(grant):
                self._grants.put(grant)
            case EndCarriedOut(ids):
                self._grants.forget(ids)
            case Revoked(revocation):
                self._revoke(revocation)
            case CredentialAdded(identity, raw, by):
                self._credentials[identity] = KeptCredential(identity, raw, AT_RUN_TIME, by)
            case CredentialWithdrawn(identity):
                self._credentials.pop(identity, None)
            case EnvelopeSeen():
                self._see(change)
            case Journaled() | Repeated() | Settled() | Noted() | MemberSet() | Drafted() | DraftClosed() | Published() | Reported():
                pass  # of members and tables, the federation itself keeps what stands
            case _:
                assert_never(change)

    def _revoke(self, revocation: Revocation) -> None:
        self._revocations[revocation.id] = revocation
        if revocation.kind is not RevocationKind.HOLDER:
            return
        if revocation.lifted is None:
            self._barred[revocation.name] = revocation
        elif (found := self._barred.get(revocation.name)) is not None and found.id == revocation.id:
            del self._barred[revocation.name]

    def _see(self, seen: EnvelopeSeen) -> None:
        self._seen[seen.signer, seen.digest] = seen.until
        self._expiring.put((seen.signer, seen.digest), seen.until)


def _keys(change: Change) -> Iterator[object]:
    """Yield what *change* must have to itself while it is written."""
    match change:
        case Decided(opens=opens, gives=gives):
            yield from (slot_of(each.request.operation, each.request.place) for each in (opens, gives) if each is not None)
            yield from (("case", each.id) for each in (opens,) if each is not None)
            yield from (("grant", each.id) for each in (gives,) if each is not None)
        case CaseMoved(case):
            yield slot_of(case.request.operation, case.request.place)
            yield "case", case.id
        case GrantEnded(grant):
            yield slot_of(grant.request.operation, grant.request.place)
            yield "grant", grant.id
        case EndCarriedOut(ids):
            yield from (("grant", each) for each in ids)
        case EnvelopeSeen(signer, digest):
            yield "envelope", signer, digest
        case MemberSet(member):
            yield "member", member.domain
        case Drafted(draft):
            yield "member", draft.domain
        case (
            Revoked()
            | CredentialAdded()
            | CredentialWithdrawn()
            | Settled()
            | Noted()
            | Journaled()
            | Repeated()
            | DraftClosed()
            | Published()
            | Reported()
        ):
            pass
        case _:
            assert_never(change)


def _check_moved(before: Case | None, after: Case) -> None:
    """Raise `CaseClosed` unless *after* follows from *before*, with every approval that *before* has."""
    if before is None:
        raise CaseClosed(f"case {after.id[:8]} is closed", mend="it was decided meanwhile; see `clearinghouse pending`")
    same = after.state is before.state
    follows = same or after.state in {NEXT.get((before.state, change)) for change in CaseChange}
    if not follows:
        raise CaseClosed(f"case {after.id[:8]} is {before.state}", mend="it was decided meanwhile; see `clearinghouse pending`")
    if after.approvals[: len(before.approvals)] != before.approvals:
        raise Crossed(f"case {after.id[:8]} was approved by somebody else meanwhile", mend="nothing: it is looked at again")
