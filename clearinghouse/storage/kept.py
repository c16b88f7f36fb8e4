"""All that a store keeps beside the log, in dictionaries, and what each change does to it (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, assert_never

from clearinghouse.clearing.cases import Case, CaseState, Grant, Revocation
from clearinghouse.clearing.envelope import Replayed
from clearinghouse.clearing.people import KeptCredential
from clearinghouse.errors import StoreUnavailable
from clearinghouse.federation.membership.registry import AgentStatus, Draft, KeptMember
from clearinghouse.federation.membership.registry import Kept as KeptFederation
from clearinghouse.storage.archive import Archive
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
    Federal,
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
from clearinghouse.storage.entries import ERASED, Fact
from clearinghouse.storage.recorded import Effect, Event, Recorded
from clearinghouse.storage.store import AT_RUN_TIME

STANDING: Final = frozenset({CaseState.PENDING, CaseState.APPROVED})
"""States in which a case is not over."""


class Again(NamedTuple):
    """An answer that repeats a decision: its id, the decision's, when it was given, and the time of its entry."""

    id: str
    decision: str
    at: datetime
    entered: datetime


@dataclass(slots=True)
class Kept:
    """Each dictionary is in the order in which things came to be; ``told`` has the ends that the broker knows of."""

    decisions: dict[str, Recorded] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    told: dict[str, datetime] = field(default_factory=dict)
    revocations: dict[str, Revocation] = field(default_factory=dict)
    credentials: dict[str, KeptCredential] = field(default_factory=dict)
    seen: dict[tuple[str, str], EnvelopeSeen] = field(default_factory=dict)
    archives: dict[str, tuple[datetime, Archive]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    members: dict[str, KeptMember] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    agents: dict[str, AgentStatus] = field(default_factory=dict)
    repeated: list[Again] = field(default_factory=list)

    def check(self, changes: Iterable[Change], now: datetime | None) -> None:
        """Raise where a change cannot be made: `StoreUnavailable` for an id that there is, `Replayed`.

        Envelopes that have expired by *now* are forgotten first.
        """
        self.seen = {name: each for name, each in self.seen.items() if now is None or each.until > now}
        ids, envelopes = set(self.decisions), set(self.seen)
        for change in changes:
            match change:
                case Decided() | Journaled():
                    identity = change.decision.id
                    if identity in ids:
                        raise StoreUnavailable(f"decision `{identity}` is recorded already", mend="report this: ids are random")
                    ids.add(identity)
                case EnvelopeSeen(signer, digest):
                    if (signer, digest) in envelopes:
                        raise taken_already()
                    envelopes.add((signer, digest))
                case _:
                    pass

    def apply(self, change: Change, facts: Mapping[str, Fact]) -> None:
        """Make *change*, which was checked; *facts* are the decisions as they are kept, by id."""
        if isinstance(change, Federal):
            self._federal(change)
            return
        match change:
            case Decided() | Journaled():
                self._decide(change, facts[change.decision.id].recorded)
            case Settled():
                self._settle(change)
            case CaseMoved(case):
                self.cases[case.id] = case
            case GrantEnded(grant):
                self._put(grant)
            case EndCarriedOut(ids, at):
                self.told |= {each: at for each in ids if each in self.grants and self.grants[each].ended is not None}
            case Revoked(revocation):
                self.revocations[revocation.id] = revocation
            case CredentialAdded() | CredentialWithdrawn():
                self._credential(change)
            case Noted(event):
                self.events.append(event)
            case EnvelopeSeen(signer, digest):
                self.seen[signer, digest] = change
            case Repeated():
                self.repeated += (Again(identity, change.decision, at, change.at) for identity, at in change.each())
            case _:
                assert_never(change)

    def _credential(self, change: CredentialAdded | CredentialWithdrawn) -> None:
        match change:
            case CredentialAdded(identity, raw, by):
                self.credentials[identity] = KeptCredential(identity, raw, AT_RUN_TIME, by)
            case CredentialWithdrawn(identity):
                self.credentials.pop(identity, None)

    def _federal(self, change: Federal) -> None:
        match change:
            case MemberSet(member):
                self.members[member.domain] = member
            case Drafted(draft):
                self.drafts[draft.domain] = draft
            case DraftClosed(identity):
                self.drafts = {name: each for name, each in self.drafts.items() if each.id != identity}
            case Published(_, documents, dropped):
                self.documents = {name: body for name, body in self.documents.items() if name not in dropped} | dict(documents)
            case Reported(status):
                self.agents[status.domain] = status

    def federation(self) -> KeptFederation:
        """Return all that lasts of a federation."""
        return KeptFederation([*self.members.values()], [*self.drafts.values()], dict(self.documents), [*self.agents.values()])

    def _decide(self, change: Decided | Journaled, recorded: Recorded) -> None:
        self.decisions[recorded.decision.id] = recorded
        if isinstance(change, Journaled):
            return
        if change.opens is not None:
            self.cases[change.opens.id] = change.opens
        if change.gives is not None:
            self._put(change.gives)

    def _settle(self, change: Settled) -> None:
        if change.id in self.decisions:
            self.decisions[change.id] = self.decisions[change.id].settled(change.effect, at=change.at, latency=change.latency)

    def _put(self, grant: Grant) -> None:
        """Keep *grant*, of whose end, if there is one, the broker has still to be told."""
        self.grants[grant.id] = grant
        self.told.pop(grant.id, None)

    def standing_grants(self) -> list[Grant]:
        """Return the grants that are active, or over and the broker has not been told."""
        return [each for each in self.grants.values() if each.id not in self.told]

    def standing_cases(self) -> list[Case]:
        """Return the cases that are open or approved."""
        return [each for each in self.cases.values() if each.state in STANDING]

    def forget(self, before: datetime, at: datetime) -> tuple[int, int]:
        """Erase what is older than *before* and no longer needed; return how many decisions and snapshots that were."""
        cases = {each.id for each in self.standing_cases()} | {each.case for each in self.standing_grants()}
        grants = {each.id for each in self.standing_grants()}
        old = [each for each in self.decisions.values() if _is_old(each, before) and each.decision.id not in cases | grants]
        self.decisions |= {each.decision.id: each.forgotten(at) for each in old}
        self.cases = {name: each for name, each in self.cases.items() if name in cases or each.closed is None or each.closed >= before}
        self.grants = {name: each for name, each in self.grants.items() if name in grants or each.ended is None or each.ended >= before}
        self.told = {name: each for name, each in self.told.items() if name in self.grants}
        self.revocations = {name: each for name, each in self.revocations.items() if each.lifted is None or each.lifted >= before}
        self.events = [each for each in self.events if each.at >= before or each.kind == ERASED]
        self.repeated = [each for each in self.repeated if each.entered >= before]
        return len(old), self._forget_archives(before)

    def newest(self) -> str | None:
        """Return the version that was archived last."""
        return next(reversed(self.archives), None)

    def _forget_archives(self, before: datetime) -> int:
        """Drop the archived snapshots that no decision with its facts names, but never the one that counts now."""
        used = {each.decision.version for each in self.decisions.values() if each.erased is None}
        newest = self.newest()
        kept = {name: each for name, each in self.archives.items() if name in used or name == newest or each[0] >= before}
        dropped, self.archives = len(self.archives) - len(kept), kept
        return dropped


def taken_already() -> Replayed:
    """Return what whoever sends an envelope twice is told (rule R18)."""
    return Replayed("the envelope was taken once already", mend="sign a new one")


def _is_old(recorded: Recorded, before: datetime) -> bool:
    return recorded.decision.at < before and recorded.erased is None and recorded.effect is not Effect.OWED
