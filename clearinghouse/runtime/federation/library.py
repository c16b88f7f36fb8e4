"""What agents may read and hand in: members know each other, and strangers learn nothing (rules R18 and R22)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from clearinghouse.clearing.dsse import REQUEST, Envelope, opened
from clearinghouse.clearing.envelope import Asked, read_asked
from clearinghouse.clearing.people import NoSuchThing
from clearinghouse.clearing.senders import RateLimited
from clearinghouse.clearing.vocabulary import EVERYTHING, domain_of
from clearinghouse.clearing.wire import read_object
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.membership.reception import LONGEST_WAIT, Answer, Copy, Reader
from clearinghouse.federation.names import BadName, normal
from clearinghouse.federation.published.documents import COMMUNITY
from clearinghouse.keynote import Limits
from clearinghouse.runtime.asking.rates import Pace, Rates
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.intake import KINDS, Carried, Intake
from clearinghouse.runtime.federation.relay import Relay
from clearinghouse.runtime.federation.roll import Roll
from clearinghouse.runtime.federation.shelf import Document, Shelf

FETCH: Final = "fetch"
"""The kind of an envelope that proves who reads; it may be used again until it expires, since reading changes nothing."""

_EVERYBODYS: Final = frozenset({COMMUNITY, "root", "revocations"})
"""With what the names of documents begin that every member may read."""

MAX_WAITERS_EACH: Final = 8
"""Questions for news, and for requests, that one member has open at once: an agent has one, and another while it changes networks."""

QUESTIONS: Final = Pace(20.0, 200.0)
"""Questions of one address: an agent that starts asks ten, and then two a minute."""

TOGETHER: Final = Pace(1_000.0, 10_000.0)
"""Questions of all addresses: two a second of each of 500 agents, for which one core is enough."""

QUIET: Final = Pace(0.5, 10.0)
"""Questions of one address that are answered beyond those: whoever asks all that it may gains little, and an agent needs no more."""

QUIET_TOGETHER: Final = Pace(500.0, 5_000.0)
"""Those of all addresses: a hundred that ask all that they may leave nine in ten to the others (rule R21)."""


@dataclass(slots=True)
class Stacks:
    """Implements `clearinghouse.federation.membership.reception.Library`."""

    community: str
    limits: Limits
    roll: Roll
    shelf: Shelf
    intake: Intake
    relay: Relay
    chance: Chance
    rates: Rates = field(init=False)
    quiet: Rates = field(init=False)
    _waiters: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rates = Rates(QUESTIONS, TOGETHER, self.chance.elapsed)
        self.quiet = Rates(QUIET, QUIET_TOGETHER, self.chance.elapsed)

    def paced(self, peer: str) -> None:
        """See `Library.paced`."""
        try:
            self.rates.take(peer, EVERYTHING)
        except RateLimited:
            self.quiet.take(peer, EVERYTHING)

    async def signed(self, envelope: bytes) -> Reader:
        """See `Library.signed`."""
        found, asked = self._fetch(envelope)
        wanted = asked.body.get("audience", EVERYTHING)
        owners = self.intake.owners(found)
        if not owners or wanted not in {EVERYTHING, *owners}:
            raise _nothing()
        return Reader(min(owners) if wanted == EVERYTHING else wanted)

    def _fetch(self, envelope: bytes) -> tuple[Envelope, Asked]:
        """Return a `fetch`; every signature is checked before anybody is looked up, so that all strangers wait alike (rule R22)."""
        try:
            found = opened(envelope, payload_type=REQUEST, limits=self.limits)
            asked = read_asked(found, audience=self.community, now=self.chance.now())
        except ClearinghouseError:
            raise _nothing() from None
        if asked.kind != FETCH:
            raise _nothing()
        return found, asked

    def proven(self, jid: str) -> Reader:
        """See `Library.proven`."""
        bare = jid.partition("/")[0]
        try:
            domain = normal(domain_of(bare))
        except BadName:
            raise _nothing() from None
        for name in (domain, *_parents(domain)):
            member = self.roll.member(name)
            if member is not None and bare in {name, member.component}:
                return Reader(name)
        raise _nothing()

    def copy(self, reader: Reader, name: str) -> Copy:
        """See `Library.copy`."""
        view = name.partition("/")[0]
        found = self.shelf.get(name) if view in _EVERYBODYS or view == reader.domain else None
        if found is None:
            raise _nothing()
        return _copied(found)

    async def newer(self, reader: Reader, audience: str, tag: str, seconds: float) -> Copy | None:
        """See `Library.newer`."""
        wanted = EVERYTHING if audience in {COMMUNITY, EVERYTHING} else audience
        if wanted not in {EVERYTHING, reader.domain}:
            raise _nothing()
        with self._waits(f"news/{reader.domain}"):
            found = await self.shelf.newer(wanted, tag, min(seconds, LONGEST_WAIT))
        return None if found is None else _copied(found)

    @contextmanager
    def _waits(self, name: str) -> Iterator[None]:
        """Count who waits under *name* while the block runs."""
        if self._waiters.get(name, 0) >= MAX_WAITERS_EACH:
            raise _nothing()
        self._waiters[name] = self._waiters.get(name, 0) + 1
        try:
            yield
        finally:
            self._waiters[name] -= 1
            if not self._waiters[name]:
                del self._waiters[name]

    def takes(self, envelope: bytes) -> bool:
        """See `Library.takes`."""
        try:
            payload = read_object(base64.b64decode(str(read_object(envelope).get("payload", "")), validate=True))
        except (ValueError, binascii.Error):
            return False
        return payload.get("audience") != self.community or payload.get("kind") in KINDS

    async def hand_in(
        self, envelope: bytes, *, by: Reader | None = None, speaker: str = "", peer: str = "", seconds: float = 0.0
    ) -> Answer:
        """See `Library.hand_in`."""
        found = await asyncio.to_thread(opened, envelope, payload_type=REQUEST, limits=self.limits)
        return await self.intake.take(found, envelope, Carried(by, speaker, peer), min(seconds, LONGEST_WAIT))

    async def waiting(self, reader: Reader, seconds: float) -> Mapping[str, bytes]:
        """See `Library.waiting`."""
        with self._waits(f"inbox/{reader.domain}"):
            return await self.relay.waiting(reader.domain, min(seconds, LONGEST_WAIT))

    def answered(self, reader: Reader, identity: str, answer: bytes) -> None:
        """See `Library.answered`."""
        self.relay.answered(reader.domain, identity, answer)

    async def answer(self, envelope: bytes, identity: str, seconds: float) -> bytes | None:
        """See `Library.answer`."""
        found, _ = self._fetch(envelope)
        return await self.relay.answer(frozenset(found.signers), identity, min(seconds, LONGEST_WAIT))


def _parents(domain: str) -> list[str]:
    """Return the names above *domain*, nearest first; an agent's component has a name below its member's."""
    labels = domain.split(".")
    return [".".join(labels[number:]) for number in range(1, len(labels))]


def _copied(found: Document) -> Copy:
    return Copy(found.body, found.tag)


def _nothing() -> NoSuchThing:
    """Return what everybody hears who may not have something, or asks for what is not there (rule R22)."""
    return NoSuchThing("there is no such thing", mend="ask as a member, for what members have")
