"""White lists: each platform that is known is at each topic what policy says, before it asks (XEP-0060, section 4.5).

Whoever policy comes to admit is given a grant; grants that policy takes away are ended by the review, like all
others.  The broker's list is then made equal to the grants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import structlog

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.enforcement import WHITELIST
from clearinghouse.clearing.request import Place
from clearinghouse.clearing.vocabulary import Kind, is_canonical
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.errors import ClearinghouseError, MalformedRequest, Unavailable
from clearinghouse.grid.reception import PlatformAsked
from clearinghouse.runtime.asking.questions import Asking, platform_request
from clearinghouse.runtime.asking.ruling import Bench
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.standing.books import Books
from clearinghouse.runtime.topics.brokers import Seat
from clearinghouse.runtime.topics.roles import KEPT, barred, members, pardoned
from clearinghouse.storage.changes import Settled
from clearinghouse.storage.store import Effect

log = structlog.get_logger(__name__)

MAX_PLATFORMS: Final = 10_000
"""Platforms that are looked at for each topic, about 1 ms each; the rest have to ask."""

SLICE: Final = 8
"""Rulings before everybody else has a turn: about 5 ms."""

DECIDED: Final = ("subscribe", "publish")
"""What is decided about a platform that has not asked; nobody makes topics unasked."""


@dataclass(slots=True)
class Memberships:
    """Keeps the white lists; ``licensed`` yields the principals that policy names, ``platforms`` are the settings'."""

    bench: Bench
    books: Books
    chance: Chance
    platforms: tuple[str, ...]
    licensed: Callable[[], Iterable[str]]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def keep(self, seat: Seat) -> None:
        """Decide about every known platform at every topic of *seat* with a white list, and make the lists equal.

        One topic that cannot be kept keeps no other from it; raises `Unavailable` where something has to come back.
        """
        async with self._turn:
            for asking in seat.askings:
                if asking.topic.access_model == WHITELIST:
                    await self._keep(seat, asking)

    async def equal(self, seat: Seat, asking: Asking) -> None:
        """Make the broker's list for one topic what the grants say."""
        topic = asking.topic
        held = self.books.held(broker=topic.broker, node=topic.node)
        revocations = self.books.revocations.values()
        out, back = barred(revocations, topic.node), pardoned(revocations, topic.node)
        wanted = {jid: role for jid, role in members(asking.publishers, held).items() if jid not in out} | dict.fromkeys(out, "outcast")
        found = (await seat.owner.state(topic)).affiliations
        strangers = {jid for jid, role in found.items() if role not in KEPT and jid not in wanted and jid != seat.owner.us}
        wanted |= {jid: "none" for jid in strangers if found[jid] != "outcast" or jid in back}
        changes = {jid: role for jid, role in sorted(wanted.items()) if found.get(jid, "none") != role and found.get(jid) != "owner"}
        if changes:
            await seat.owner.set_members(topic, changes)
            log.info("members_set", broker=topic.broker, topic=topic.node, changes=len(changes))

    async def _keep(self, seat: Seat, asking: Asking) -> None:
        try:
            granted = [decision async for decision in self._new_members(asking)]
            await self.equal(seat, asking)
        except Unavailable:
            raise
        except ClearinghouseError as error:
            log.warning("members_not_set", broker=asking.topic.broker, topic=asking.topic.node, reason=error.message, mend=error.mend)
            return
        if granted:
            await self.books.write(*(Settled(each.id, Effect.DONE, self.chance.now()) for each in granted))

    async def _new_members(self, asking: Asking) -> AsyncIterator[Decision]:
        """Yield, recorded, each decision that admits a platform anew."""
        topic = asking.topic
        for number, (jid, operation) in enumerate(self._candidates(asking)):
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            if self.books.grant_at(operation, Place(topic.broker, topic.node, jid)) is not None:
                continue
            asked = PlatformAsked(operation, topic.broker, topic.node, read_subscriber(jid))
            decision = self.bench.ruled_for_us(platform_request(asked, asking, self.chance.new_id()))
            if decision.outcome is Outcome.GRANTED:
                await self.bench.desk.ledger.record(decision)
                yield decision

    def _candidates(self, asking: Asking) -> Iterator[tuple[str, str]]:
        topic = asking.topic
        known = dict.fromkeys(self.platforms)
        known |= dict.fromkeys(each.holder for each in self.books.held(broker=topic.broker, node=topic.node))
        known |= dict.fromkeys(jid for principal in self.licensed() if (jid := _user_in(principal)))
        if len(known) > MAX_PLATFORMS:
            log.warning("too_many_platforms", broker=topic.broker, topic=topic.node, known=len(known), looked_at=MAX_PLATFORMS)
        return ((jid, operation) for jid in list(known)[:MAX_PLATFORMS] for operation in DECIDED)


def _user_in(principal: str) -> str:
    """Return the bare JID in ``xmpp:user@domain``; empty where *principal* is anything else."""
    jid = principal.removeprefix("xmpp:")
    if jid == principal or "@" not in jid or not is_canonical(Kind.JID, jid):
        return ""
    try:
        return jid if read_subscriber(jid).full == jid else ""
    except MalformedRequest:
        return ""
