"""What people can do, put together: implements `clearinghouse.clearing.people.Office` for every door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import perf_counter
from typing import Final, Self, TypeVar

from clearinghouse.clearing.cases import Case, Grant, Revocation, RevocationKind
from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.people import Changed, KeptCredential, NeedsSignature, NotEntitled, Ruling, Speaker
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.runtime.asking.questions import Asking
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.people.carrying import Carrier
from clearinghouse.runtime.people.casework import Casework, DeskSigner, no_such
from clearinghouse.runtime.people.explaining import explained
from clearinghouse.runtime.people.governing import Governing
from clearinghouse.runtime.people.judging import Judge
from clearinghouse.runtime.people.losses import Comparison
from clearinghouse.runtime.people.petitions import Petitions
from clearinghouse.runtime.people.review import SLICE_SECONDS, Review
from clearinghouse.runtime.people.rights import Rights
from clearinghouse.runtime.people.speakers import approver, guises, requester_people
from clearinghouse.runtime.standing.beliefs import Beliefs
from clearinghouse.runtime.standing.books import Books
from clearinghouse.settings import Settings

MAX_LISTED: Final = 1_000
"""Cases or grants in one list; whoever looks for another gives its id."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Hall:
    """The office and the review, which share their parts; made by `furnished`."""

    office: Clerks
    review: Review
    casework: Casework
    carrier: Carrier
    rights: Rights

    @classmethod
    def furnished(
        cls,
        settings: Settings,
        desk: Desk,
        books: Books,
        beliefs: Beliefs,
        chance: Chance,
        *,
        signer: DeskSigner | None,
        askings: Mapping[tuple[str, str], Asking],
        overturn: Callable[[], None],
        behind: Callable[[str], None],
    ) -> Self:
        """Put the parts together.

        *overturn* is told that the end of a grant is owed to its broker, *behind* at which broker something else was
        left undone.  The review is woken by `Beliefs` and by what the books hear; somebody has to run it.
        """
        rights = Rights(desk, chance, partial(requester_people, settings), partial(guises, settings), partial(approver, settings))
        carrier = Carrier(desk, books, chance, behind)
        casework = Casework(books, rights, carrier, settings.desk.approval_period, signer)
        governing = Governing(books, rights, beliefs, Comparison(books, rights, askings, settings.platforms))
        review = Review(books, Judge(books, rights), carrier, casework, overturn)
        beliefs.heard.append(review.wake)
        return cls(Clerks(books, rights, casework, governing, Petitions(settings, casework, governing)), review, casework, carrier, rights)


@dataclass(frozen=True, slots=True)
class Clerks:
    """Implements `Office`."""

    books: Books
    rights: Rights
    casework: Casework
    governing: Governing
    petitions: Petitions

    # -- cases

    async def pending(self, who: Speaker) -> Sequence[Case]:
        """See `Office.pending`; at most `MAX_LISTED`."""
        waiting = [each for each in self.books.cases.values() if each.open]
        return [each async for each in self._seen(who, waiting, lambda case: (case.request, case.id, case))]

    async def case(self, who: Speaker, identity: str) -> Case:
        """See `Office.case`."""
        return await self.casework.found(who, identity)

    async def approve(self, who: Speaker, identity: str, *, shown: str = "", period: timedelta | None = None) -> Ruling:
        """See `Office.approve`."""
        return await self.casework.approve((who,), identity, shown=shown, period=period)

    async def deny(self, who: Speaker, identity: str, *, reason: str = "") -> Ruling:
        """See `Office.deny`."""
        return await self.casework.deny(who, identity, reason=reason)

    # -- grants

    async def grants(self, who: Speaker, *, ended: bool = False) -> Sequence[Grant]:
        """See `Office.grants`; at most `MAX_LISTED`, the latest."""
        found = await self.books.store.grants(MAX_LISTED, ended=True) if ended else self.books.held()
        return [each async for each in self._seen(who, found, lambda grant: (grant.request, grant.id, None))]

    async def end_grant(self, who: Speaker, identity: str, *, reason: str = "", may_ask_again: bool = False) -> Changed:
        """See `Office.end_grant`."""
        return await self.governing.end_grant(who, identity, reason=reason, may_ask_again=may_ask_again)

    async def explain(self, who: Speaker, identity: str) -> str:
        """See `Office.explain`."""
        store = self.books.store
        recorded, case, grant = (
            (await store.decision(identity), await store.case(identity), await store.grant(identity)) if identity else (None, None, None)
        )
        known = (case and case.request, grant and grant.request, recorded and recorded.decision.request)
        request, thing = next((each for each in known if each), None), recorded.decision.id if recorded else identity
        if not self.rights.may(who, "explain", of=request, thing=thing) or request is None:
            raise no_such("decision", identity)
        return explained(recorded, case, grant)

    # -- keys and credentials

    async def revoke(self, who: Speaker, kind: RevocationKind, name: str, *, reason: str = "", dry_run: bool = False) -> Changed:
        """See `Office.revoke`."""
        return await self.governing.revoke(who, kind, name, reason=reason, dry_run=dry_run)

    async def revocations(self, who: Speaker) -> Sequence[Revocation]:
        """See `Office.revocations`."""
        every = sorted(self.books.revocations.values(), key=lambda each: each.at)
        bars = [each for each in every if each.kind is RevocationKind.HOLDER]
        mine = [each async for each in self._seen(who, bars, lambda each: (self.governing.about(each.name), EVERYTHING, None))]
        if not mine or len(mine) < len(every):
            with suppress(NotEntitled, NeedsSignature):
                self._check_may_look(who)
                return every
        return mine

    async def lift(self, who: Speaker, identity: str) -> Revocation:
        """See `Office.lift`."""
        return await self.governing.lift(who, identity)

    async def credentials(self, who: Speaker) -> Sequence[KeptCredential]:
        """See `Office.credentials`."""
        self._check_may_look(who)
        in_folders = (KeptCredential(each.name, each.raw, each.source) for each in self.governing.beliefs.holdings.credentials)
        return [*self.books.credentials.values(), *in_folders]

    async def add_credential(self, who: Speaker, raw: bytes, *, dry_run: bool = False) -> Changed:
        """See `Office.add_credential`."""
        return await self.governing.add_credential(who, raw, dry_run=dry_run)

    async def withdraw_credential(self, who: Speaker, identity: str, *, dry_run: bool = False) -> Changed:
        """See `Office.withdraw_credential`."""
        return await self.governing.withdraw_credential(who, identity, dry_run=dry_run)

    async def submit(self, envelope: bytes) -> Ruling | Changed:
        """See `Office.submit`."""
        return await self.petitions.submit(envelope)

    # -- parts

    def _check_may_look(self, who: Speaker) -> None:
        """Lists of keys and credentials are for those who may explain anything, or administer."""
        if not self.rights.may(who, "explain"):
            self.rights.require(who, "administer")

    async def _seen(self, who: Speaker, things: Iterable[_T], facts: Callable[[_T], tuple[Request, str, Case | None]]) -> AsyncIterator[_T]:
        """Yield what *who* may see, giving way to everybody else between slices of work."""
        since, listed = perf_counter(), 0
        for each in things:
            request, identity, case = facts(each)
            if self.rights.sees(who, request, identity, case):
                yield each
                listed += 1
            if listed >= MAX_LISTED:
                return
            if perf_counter() - since > SLICE_SECONDS:
                await asyncio.sleep(0)
                since = perf_counter()
