"""The federation's parts put together, and what people can do about members: implements `Registry`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog

from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.envelope import Asked
from clearinghouse.clearing.people import Changed, Office, Speaker
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.clearing.wire import stamp
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.membership.enrolment import Act
from clearinghouse.federation.membership.registry import Draft, Enrolled, Kept
from clearinghouse.federation.published.members import as_members
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation import levels
from clearinghouse.runtime.federation.announcing import Announcer
from clearinghouse.runtime.federation.ceremony import Ceremony
from clearinghouse.runtime.federation.exporting import Exporter
from clearinghouse.runtime.federation.fleet import Fleet
from clearinghouse.runtime.federation.intake import Intake
from clearinghouse.runtime.federation.library import Stacks
from clearinghouse.runtime.federation.press import Press
from clearinghouse.runtime.federation.registrar import Registrar
from clearinghouse.runtime.federation.relay import Relay
from clearinghouse.runtime.federation.revoked import RevokedSets
from clearinghouse.runtime.federation.roll import Roll
from clearinghouse.runtime.federation.sealing import Seals
from clearinghouse.runtime.federation.shelf import Shelf
from clearinghouse.runtime.people.petitions import Other
from clearinghouse.runtime.people.rights import Rights
from clearinghouse.runtime.standing.books import Books
from clearinghouse.runtime.topics.brokers import Seat
from clearinghouse.settings import Federation, Settings
from clearinghouse.settings.federation import MEMBERS
from clearinghouse.signer.client import Signers
from clearinghouse.storage.changes import Change, DraftClosed, EnvelopeSeen, Revoked

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 3_600.0
"""Between looks for drafts whose time is over: they wait for a month."""


@dataclass(slots=True)
class House:
    """The clearinghouse's side of a federation; made by `furnished`."""

    settings: Federation
    books: Books
    rights: Rights
    roll: Roll
    shelf: Shelf
    press: Press
    registrar: Registrar
    fleet_book: Fleet
    relay: Relay
    library: Stacks
    chance: Chance
    announcer: Announcer | None = None

    @classmethod
    def furnished(
        cls, settings: Settings, kept: Kept, *, desk: Desk, books: Books, rights: Rights, office: Office, signers: Signers, chance: Chance
    ) -> Self:
        """Put the parts together, from what the store has *kept*; raises `BadSettings` where there is no federation."""
        found = settings.federation
        if found is None:
            raise BadSettings("there is no [federation]", mend="add the section")
        roll, shelf, seals = Roll.opened(kept), Shelf.opened(kept.documents), Seals(signers)
        revoked = RevokedSets(settings.community, found.epoch, found.table_lifetime, books, shelf, seals, signs=signers.revoker is not None)
        revoked.restore()
        ceremony = Ceremony(found.root_directory, settings.community)
        press = Press(settings.community, settings.levels, found, levels.Kept(desk), books, roll, shelf, seals, revoked, ceremony, chance)
        press.restore()
        registrar = Registrar(
            settings.community,
            books,
            roll,
            rights,
            levels.OneByOne(desk),
            chance,
            signers.registrar,
            press.entitlement,
            (EVERYTHING, *(() if found.views == MEMBERS else found.views)),
        )
        fleet, relay = Fleet.opened(kept, books, roll, press), Relay(chance)
        intake = Intake(desk, office, roll, fleet, relay, chance, registrar.join)
        library = Stacks(settings.community, settings.limits, roll, shelf, intake, relay, chance)
        house = cls(found, books, rights, roll, shelf, press, registrar, fleet, relay, library, chance)
        books.heard.append(house.hear)
        roll.heard.append(press.wake)
        return house

    def hear(self, change: Change) -> None:
        """Follow what the books say."""
        self.roll.hear(change)
        if isinstance(change, Revoked):
            self.press.wake()

    def petitions(self) -> dict[str, Other]:
        """Return what signed envelopes may ask for about members, by kind."""
        return {f"member-{act}": self._petition(act) for act in Act}

    def _petition(self, act: Act) -> Other:
        async def petition(asked: Asked, who: Speaker, seen: tuple[EnvelopeSeen, ...]) -> Changed:
            return await self.registrar.enrol(who, act, asked.body, also=seen)

        return petition

    def announce_at(self, seat: Seat) -> None:
        """Have the broker at *seat* tell agents of each new table."""
        self.announcer = Announcer(seat, self.settings.broker or "", self.roll, self.shelf)

    def work(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what has to run for as long as the service does."""
        yield self.press.run()
        yield self.tidy()
        if self.settings.export_directory is not None:
            yield Exporter(self.settings.export_directory, self.shelf).run()
        if self.announcer is not None:
            yield self.announcer.run()

    async def tidy(self) -> None:
        """Close drafts whose time is over, until cancelled."""
        while True:
            now = self.chance.now()
            for each in [*self.roll.expired(now)]:
                try:
                    await self.books.write(DraftClosed(each.id, "", "expired", now))
                except ClearinghouseError as error:
                    log.warning("draft_not_closed", reason=error.message, mend=error.mend)
            await asyncio.sleep(LOOK_SECONDS)

    # -- people

    async def enrol(self, who: Speaker, act: str, words: Mapping[str, str], *, dry_run: bool = False) -> Enrolled:
        """See `Registry.enrol`."""
        return await self.registrar.enrol(who, act, words, dry_run=dry_run)

    async def accept(self, who: Speaker, identity: str, *, dry_run: bool = False) -> Enrolled:
        """See `Registry.accept`."""
        return await self.registrar.accept(who, identity, dry_run=dry_run)

    async def drop(self, who: Speaker, identity: str) -> Enrolled:
        """See `Registry.drop`."""
        return await self.registrar.drop(who, identity)

    async def signed(self, sealed: bytes) -> Enrolled:
        """See `Registry.signed`."""
        return await self.registrar.signed(sealed)

    def members(self, who: Speaker) -> Sequence[Mapping[str, Any]]:
        """See `Registry.members`."""
        self._check_may_look(who)
        last = self.press.views[EVERYTHING].table
        lowest = self.press.views[EVERYTHING].publisher.levels[0]
        rows = {} if last is None else last.rows
        return [
            {**as_members(each.member), "level": rows.get(name, lowest), "by": each.kept.by, "at": stamp(each.kept.at)}
            for name, each in sorted(self.roll.members.items())
        ]

    def drafts(self, who: Speaker) -> Sequence[Draft]:
        """See `Registry.drafts`."""
        self._check_may_look(who)
        return [self.roll.drafts[name] for name in sorted(self.roll.drafts)]

    def fleet(self, who: Speaker) -> Sequence[Mapping[str, Any]]:
        """See `Registry.fleet`."""
        self._check_may_look(who)
        return self.fleet_book.listed(self.chance.now())

    def published(self) -> Mapping[str, Any]:
        """See `Registry.published`."""
        problem, root = self.press.problem, self.press.root
        views = {}
        for audience, view in self.press.views.items():
            last = view.table
            if last is not None and view.timestamp is not None:
                views[audience] = {
                    "version": last.head.version,
                    "count": last.head.count,
                    "issued": stamp(last.head.issued),
                    "expires": stamp(last.head.expires),
                    "timestamp_expires": stamp(view.timestamp.expires),
                }
        return {
            "epoch": self.settings.epoch,
            "root": None if root is None else {"generation": root.generation, "expires": stamp(root.expires)},
            "root_days": None if root is None else (root.expires - self.chance.now()).days,
            "members": len(self.roll.present()),
            "drafts": len(self.roll.drafts),
            "views": views,
            "problem": None if problem is None else problem.as_json(),
        }

    def _check_may_look(self, who: Speaker) -> None:
        """Lists of members are for those who may explain anything, or administer."""
        if not self.rights.may(who, "explain"):
            self.rights.require(who, "administer")
