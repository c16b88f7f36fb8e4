"""Tells agents through the broker that there is something new: the newest timestamp is the item of a node for each view."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.doors.xmpp.component import back_off
from clearinghouse.doors.xmpp.documents import TABLES, publish_timestamp
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.published.documents import timestamp_name, view_of
from clearinghouse.grid.namespaces import CLEARINGHOUSE
from clearinghouse.grid.topics import Topic
from clearinghouse.runtime.federation.roll import Roll
from clearinghouse.runtime.federation.shelf import Document, Shelf
from clearinghouse.runtime.topics.brokers import Seat

log = structlog.get_logger(__name__)

READER: Final = "member"
"""The affiliation with which a white list lets somebody read (XEP-0060, section 4.5)."""


@dataclass(slots=True)
class Announcer:
    """Publishes at the *broker* of *seat*: only members' agents may read a node, each its own view and the community's."""

    seat: Seat
    broker: str
    roll: Roll
    shelf: Shelf
    _due: set[str] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _readers: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shelf.heard.append(self.hear)
        self.seat.link.connected.append(self._greet)

    def hear(self, audience: str) -> None:
        """Note that there is a new timestamp for *audience*."""
        if audience:
            self._due.add(audience)
            self._news.set()

    async def _greet(self) -> None:
        """Begin anew with a session: what was told in the last one may have been lost."""
        self._readers.clear()
        self._due |= {EVERYTHING, *(name for name in self.roll.present() if self.shelf.timestamp(name) is not None)}
        self._news.set()

    async def run(self) -> None:
        """Tell whatever is new, until cancelled; what cannot be told now is told later."""
        waits = back_off()
        while True:
            await self._news.wait()
            await self.seat.link.ready.wait()
            self._news.clear()
            if await self._told():
                waits = back_off()
            else:
                self._news.set()
                await asyncio.sleep(next(waits))

    async def _told(self) -> bool:
        """Tell of every view that is due; whether none is left."""
        for audience in sorted(self._due):
            self._due.discard(audience)
            found = self.shelf.timestamp(audience)
            if found is None:
                continue
            try:
                await self._tell(audience, found)
            except ClearinghouseError as error:
                log.warning("not_announced", broker=self.broker, audience=audience, reason=error.message, mend=error.mend)
                self._due.add(audience)
                return False
        return True

    async def _tell(self, audience: str, found: Document) -> None:
        view = view_of(audience)
        topic = Topic(self.broker, f"{TABLES}{view}", CLEARINGHOUSE, f"levels for {view}", max_items=1, access_model="whitelist")
        readers = self._agents(audience)
        if self._readers.get(audience) != readers:
            if audience not in self._readers:
                await self.seat.owner.ensure_topics([topic])
            await self._admit(topic, readers)
            self._readers[audience] = readers
        payload = publish_timestamp(view, timestamp_name(audience), found.body, found.tag)
        await self.seat.link.exchange.ask(self.broker, "set", payload)

    async def _admit(self, topic: Topic, readers: frozenset[str]) -> None:
        held = (await self.seat.owner.state(topic)).affiliations
        wanted = {jid: READER for jid in sorted(readers) if held.get(jid) != READER}
        wanted |= {jid: "none" for jid, role in sorted(held.items()) if role == READER and jid not in readers}
        if wanted:
            await self.seat.owner.set_members(topic, wanted)

    def _agents(self, audience: str) -> frozenset[str]:
        """Return the addresses of the agents that may read the view of *audience*."""
        members = self.roll.present()
        found = members.values() if audience == EVERYTHING else [members[audience]] if audience in members else []
        return frozenset(each.component or each.domain for each in found)
