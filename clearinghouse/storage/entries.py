"""What each change says in the log (pure): the kind of entry, what it refers to, and its record.

Facts lie beside the log, unmasked and erasable; the record of a decision commits to them with a salt of
their own, so that whoever is shown a record, with its salt, cannot test guesses of what it masks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, assert_never

from clearinghouse.clearing.wire import stamp
from clearinghouse.errors import TooLarge
from clearinghouse.ledger.entry import (
    MAX_REF_CHARACTERS,
    Entry,
    Kind,
    Mask,
    act_record,
    case_record,
    commit,
    decision_record,
    grant_record,
    leaf,
    record_bytes,
    revocation_record,
)
from clearinghouse.ledger.merkle import leaf_hash
from clearinghouse.ledger.records import JIDS, without_localpart
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
from clearinghouse.storage.recorded import Event, Recorded
from clearinghouse.storage.texts import facts_bytes, facts_of

LOG_BEGINS: Final = "log-begins"
"""The event with which the log of a store begins that has decisions from before it."""

ERASED: Final = "erased"
"""The event that says what was erased."""

_JID_NAMES: Final = frozenset({"jid", "subscriber", "owner", "holder", "asker", "subject"})
"""Members of an event's detail that hold JIDs."""

_KINDS: Final = {each.value: each for each in Kind}


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that has no number yet."""

    at: datetime
    kind: Kind
    ref: str
    record: bytes
    salt: bytes

    def entry(self, number: int) -> tuple[Entry, bytes]:
        """Return the entry as number *number*, and its leaf's hash."""
        entry = Entry(number, self.at, self.kind, self.ref, commit(self.record, self.salt))
        return entry, leaf_hash(leaf(entry))


@dataclass(frozen=True, slots=True)
class Fact:
    """A decision as it is kept, with its salt, and the JSON texts of its facts."""

    recorded: Recorded
    texts: tuple[str | None, ...]

    @property
    def commitment(self) -> str | None:
        """What the record of the decision names; ``None`` for one from before the log, or once it is erased."""
        salt = self.recorded.salt
        return None if salt is None else commit(facts_bytes(self.texts), salt)


def commitment_of(recorded: Recorded) -> str | None:
    """Return the commitment to the facts of *recorded* as they are now; the log's record has what they were."""
    return Fact(recorded, facts_of(recorded)).commitment


@dataclass(frozen=True, slots=True)
class Scribe:
    """Drafts entries; ``salt`` gives 32 fresh random bytes, ``mask`` says what records do not tell."""

    salt: Callable[[], bytes]
    mask: Mask = field(default_factory=Mask)

    def fact(self, change: Decided | Journaled) -> Fact:
        """Return what is kept of a decision beside the log."""
        recorded = replace(change.recorded(), salt=self.salt())
        return Fact(recorded, facts_of(recorded))

    def decided(self, change: Decided | Journaled, fact: Fact) -> Draft:
        """Return the entry of a decision; where it would be too long, only the commitment says who asked for what."""
        decision, committed = change.decision, fact.commitment or ""
        record = decision_record(decision, took=change.took, engine=fact.recorded.engine, mask=self.mask, facts_commitment=committed)
        if isinstance(change, Journaled):
            record |= self._proven(change.kept)
        try:
            return self._draft(decision.at, Kind.DECISION, decision.id, record)
        except TooLarge:
            return self._draft(decision.at, Kind.DECISION, decision.id, record | {"attributes": {}, "requesters": []})

    def _proven(self, kept: Recorded) -> dict[str, Any]:
        """Return what the record of a decision tells of its query, where the proof is data by now."""
        chain = () if kept.proof is None else kept.proof["chain"]
        asked = self.mask.attributes(kept.decision.request.operation, kept.attributes)
        return {"attributes": asked, "proof": [each["id"] for each in chain]}

    def draft(self, change: Change) -> Draft | None:
        """Return the entry of any change but a decision; ``None`` for bookkeeping.  Raises `TooLarge`."""
        match change:
            case CaseMoved(case, did, at):
                kind = Kind.APPROVAL if case.open else Kind.CASE
                return self._draft(at, kind, case.id, case_record(case, did, mask=self.mask))
            case GrantEnded(grant):
                return self._draft(grant.ended or grant.until, Kind.GRANT_ENDED, grant.id, grant_record(grant, mask=self.mask))
            case Revoked(revocation):
                at = revocation.lifted or revocation.at
                return self._draft(at, Kind.REVOCATION, revocation.id, revocation_record(revocation, mask=self.mask))
            case CredentialAdded(identity, raw, by, at):
                told = {"credential": identity, "sha256": hashlib.sha256(raw).hexdigest()}
                return self._act(at, Kind.CREDENTIAL_ADDED, identity, by, told)
            case CredentialWithdrawn(identity, by, at):
                return self._act(at, Kind.CREDENTIAL_WITHDRAWN, identity, by, {"credential": identity})
            case Noted(event):
                return self._noted(event)
            case MemberSet() | Drafted() | DraftClosed() | Published():
                return self._federal(change)
            case Repeated(identity, decision, at):
                answers = [[each, stamp(then)] for each, then in change.each()]
                return self._draft(at, Kind.REPEATED, identity, {"answers": answers, "decision": decision})
            case Settled() | EndCarriedOut() | EnvelopeSeen() | Decided() | Journaled() | Reported():
                return None
            case _:
                assert_never(change)

    def _federal(self, change: MemberSet | Drafted | DraftClosed | Published) -> Draft | None:
        """Return the entry of what happened to a member or a table; a timestamp that is signed anew has none."""
        match change:
            case MemberSet(member, act):
                digest = hashlib.sha256(member.sealed).hexdigest()
                told = {"change": act, "member": member.domain, "serial": member.serial}
                return self._act(member.at, Kind.MEMBER, digest, member.by, told)
            case Drafted(draft):
                told = {"change": "draft", "member": draft.domain, "sha256": hashlib.sha256(draft.payload).hexdigest(), "why": draft.why}
                return self._act(draft.at, Kind.MEMBER, draft.id, draft.by, told)
            case DraftClosed(identity, by, why, at):
                return self._act(at, Kind.MEMBER, identity, by, {"change": "draft-closed", "why": why})
            case Published(at, _, _, told):
                return self._act(at, Kind.TABLE, str(told["head"]), "", dict(told)) if told else None

    def _noted(self, event: Event) -> Draft:
        """Return the entry of an event; of one that is too long for a record, its digest stands there."""
        kind = _KINDS.get(event.kind) or (Kind.ADMINISTRATION if event.detail.get("by") else Kind.SERVICE)
        after = event.detail.get("after")
        ref = after if isinstance(after, str) and len(after) <= MAX_REF_CHARACTERS else ""
        by, told = str(event.detail.get("by", "")), {"detail": self._masked("", event.detail)}
        try:
            return self._draft(event.at, kind, ref, act_record(event.kind, by=by, mask=self.mask, **told))
        except (TooLarge, ValueError):
            whole = json.dumps(told, sort_keys=True, default=str).encode()
            digest = {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
            return self._draft(event.at, kind, ref, act_record(event.kind, by=by, mask=self.mask, detail=digest))

    def _act(self, at: datetime, kind: Kind, ref: str, by: str, told: Mapping[str, Any]) -> Draft:
        return self._draft(at, kind, ref, act_record(kind.value, by=by, mask=self.mask, **told))

    def _draft(self, at: datetime, kind: Kind, ref: str, record: Mapping[str, Any]) -> Draft:
        return Draft(at, kind, ref, record_bytes(record), self.salt())

    def _masked(self, name: str, value: object) -> object:
        """Return what an event tells under *name*, with JIDs masked; lists and objects are looked through."""
        match value:
            case Mapping():
                return {str(each): self._masked(str(each), inner) for each, inner in value.items()}
            case list() | tuple():
                return [self._masked(name, each) for each in value]
            case str() if name in _JID_NAMES:
                return without_localpart(value) if self.mask.names & {name, JIDS} else value
            case str():
                return self.mask.value("", name, self.mask.principal(value))
            case _:
                return value


def erased_event(at: datetime, before: datetime, *, entries: int, decisions: int, snapshots: int) -> Event:
    """Return the event that says what was erased at *at*: all older than *before* that is not needed, in numbers."""
    counts = {"entries": entries, "decisions": decisions, "snapshots": snapshots}
    return Event(at, ERASED, {"before": stamp(before), **counts})


def at_of(change: Change) -> datetime | None:
    """Return the time that *change* lets the store see (rule R17); ``None`` where it has none, or one ahead."""
    match change:
        case Decided() | Journaled():
            return change.decision.at
        case Settled(at=at) | CaseMoved(at=at) | EndCarriedOut(at=at) | CredentialAdded(at=at) | CredentialWithdrawn(at=at):
            return at
        case GrantEnded(grant):
            return grant.ended
        case Revoked(revocation):
            return revocation.lifted or revocation.at
        case Noted(event):
            return event.at
        case MemberSet(member):
            return member.at
        case Drafted(draft):
            return draft.at
        case DraftClosed(at=at) | Published(at=at) | Repeated(at=at):
            return at
        case Reported(status):
            return status.at
        case EnvelopeSeen():
            return None
        case _:
            assert_never(change)
