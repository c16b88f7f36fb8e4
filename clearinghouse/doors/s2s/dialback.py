"""Dialback keys are verified at the addresses in the signed member record (XEP-0220).

Never through DNS: there the member's name leads to the door itself.  So host names in a record are passed over, and an
address that is the door's own, or that means no single host, is never asked.  Another door of the community, which only
DNS could tell apart from a server, answers that it can verify nothing, as this one does.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

import structlog

from clearinghouse.doors.s2s.asking import asked_at
from clearinghouse.doors.s2s.events import DialbackAsked
from clearinghouse.doors.s2s.tls import Certificates
from clearinghouse.doors.s2s.verifying import Question, Verified
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.telemetry import NOISE

log = structlog.get_logger(__name__)

VERIFYING_SECONDS: Final = 8.0
"""For a key at all addresses, each of which has its part: one that is silent leaves time for the next.  As long it waits for its turn."""

ENDPOINTS: Final = 3
"""Addresses of one member that are tried, in recorded order."""

VERIFYING: Final = 64
"""Keys that are verified at one time; each is a connection of ours that a stranger has caused."""

VERIFYING_EACH: Final = 4
"""Keys of one domain that are verified at one time, more than a server has open with one peer; others wait for their turn."""

NOT_IN_TIME: Final = Verified(valid=False, reason="timeout")

Address = IPv4Address | IPv6Address


class Place(NamedTuple):
    """An address of a member's server that may be asked."""

    address: str
    port: int
    direct: bool


class Slots:
    """Lets *most* in at one time; others wait, each address in turn, so that nobody waits for all of somebody else's."""

    def __init__(self, most: int) -> None:
        """Let so many in."""
        self._most = self._free = most
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def idle(self) -> bool:
        """Whether nobody is in."""
        return self._free == self._most

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Be in while the block runs."""
        await self._enter(address)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, address: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had come just then
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            address = next(iter(self._waiting))
            turns = self._waiting.pop(address)
            turn = turns.popleft()
            if turns:
                self._waiting[address] = turns  # behind all others
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Dialback:
    """Verifies keys: a few at one time, so that no stranger has us knock at a member's door all the time."""

    def __init__(
        self, recorded: Callable[[str], Sequence[Endpoint]], certificates: Certificates, name: str, patience: float = VERIFYING_SECONDS
    ) -> None:
        """Ask at what is *recorded* of a domain, as *name*, for *patience* seconds."""
        self._recorded, self._certificates, self._name, self._patience = recorded, certificates, name, patience
        self._ours: set[tuple[Address, int]] = set()
        self._slots = Slots(VERIFYING)
        self._domains: dict[str, Slots] = {}

    def not_at(self, places: Iterable[tuple[str, int]]) -> None:
        """Never ask at *places*, where doors are."""
        self._ours.update((_plain(ip_address(host)), port) for host, port in places)

    async def verify(self, asked: DialbackAsked, address: str) -> bool:
        """Say whether the recorded server of the domain that is claimed knows the key as its own; *address* has caused it.

        Raises `asyncio.CancelledError` only.
        """
        places, reason = self._places(asked.claimed), "no-address"
        if places:
            async with self._turn(asked.claimed, address) as its_turn:
                found = await self._verified(asked, places) if its_turn else Verified(valid=False, reason="busy")
            if not found.reason:
                return found.valid
            reason = found.reason
        log.info("dialback_unverified", claimed=asked.claimed, because=reason, **{NOISE: address})
        return False

    @asynccontextmanager
    async def _turn(self, domain: str, address: str) -> AsyncIterator[bool]:
        """Wait for the turn of *address*, and say whether it has come in time."""
        own = self._domains.setdefault(domain, Slots(VERIFYING_EACH))
        try:
            async with AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout(self._patience):
                        await stack.enter_async_context(own.turn(address))
                        await stack.enter_async_context(self._slots.turn(address))
                except TimeoutError:
                    yield False
                else:
                    yield True
        finally:
            if own.idle:
                self._domains.pop(domain, None)

    async def _verified(self, asked: DialbackAsked, places: Sequence[Place]) -> Verified:
        """Return what the first server says that says something."""
        question, found = Question(asked.claimed, asked.wanted, asked.id, asked.key), NOT_IN_TIME
        for place in places:
            try:
                async with asyncio.timeout(self._patience / len(places)):
                    found = await asked_at(place.address, place.port, question, self._certificates, self._name, direct=place.direct)
            except TimeoutError:
                found = NOT_IN_TIME
            if not found.reason:
                break
        return found

    def _places(self, domain: str) -> list[Place]:
        return list(self._usable(domain))[:ENDPOINTS]

    def _usable(self, domain: str) -> Iterator[Place]:
        for each in self._recorded(domain):
            try:
                address = _plain(ip_address(each.host))
            except ValueError:
                continue  # a name: only DNS knows where it is
            if _is_one_host(address) and self._is_elsewhere(address) and not self._is_ours(address, each.port):
                yield Place(str(address), each.port, each.tls == "direct")

    def _is_elsewhere(self, address: Address) -> bool:
        """Say whether *address* is no loopback one: nothing of a record stands there, but the services of our own machine.

        A door that is itself on loopback has its members there.
        """
        return not address.is_loopback or not self._ours or any(place.is_loopback for place, _ in self._ours)

    def _is_ours(self, address: Address, port: int) -> bool:
        """Say whether a door listens there: at that address, or at all addresses of a machine that has it."""
        if (address, port) in self._ours:
            return True
        return any(port == other and place.is_unspecified for place, other in self._ours) and _is_local(address)


def _plain(address: Address) -> Address:
    """Return *address* in its one form: an IPv4 address that is written as one of IPv6 is the same host."""
    return getattr(address, "ipv4_mapped", None) or address


def _is_one_host(address: Address) -> bool:
    return not (address.is_unspecified or address.is_multicast or address.is_reserved or getattr(address, "scope_id", None))


def _is_local(address: Address) -> bool:
    """Say whether this machine has *address*, which is whether one can listen there; loopback has them all."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - of the protocol
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True
