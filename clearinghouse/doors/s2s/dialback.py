"""Dialback keys are verified at the addresses in the signed member record (XEP-0220).

Never through DNS: there the member's name leads to the door itself.  So host names in a record are passed over, and an
address that is the door's own, or that means no single host, is never asked.  Another door of the community, which only
DNS could tell apart from a server, answers that it can verify nothing, as this one does.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

import structlog

from clearinghouse.doors.s2s.asking import asked_at
from clearinghouse.doors.s2s.events import DialbackAsked
from clearinghouse.doors.s2s.tls import Certificates
from clearinghouse.doors.s2s.verifying import Question
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.telemetry import NOISE

log = structlog.get_logger(__name__)

VERIFYING_SECONDS: Final = 8.0
"""For a key altogether, at all addresses."""

ENDPOINTS: Final = 3
"""Addresses of one member that are tried, in recorded order."""

VERIFYING: Final = 64
"""Keys that are verified at one time; each is a connection of ours that a stranger has caused."""

VERIFYING_EACH: Final = 4
"""Keys of one domain that are verified at one time, more than a server has open with one peer."""

Address = IPv4Address | IPv6Address


class Place(NamedTuple):
    """An address of a member's server that may be asked."""

    address: str
    port: int
    direct: bool


class Dialback:
    """Verifies keys; each key of a pair once at a time, however often it is shown."""

    def __init__(self, recorded: Callable[[str], Sequence[Endpoint]], certificates: Certificates, name: str) -> None:
        """Ask at what is *recorded* of a domain, as *name*."""
        self._recorded, self._certificates, self._name = recorded, certificates, name
        self._ours: set[tuple[Address, int]] = set()
        self._running: dict[DialbackAsked, asyncio.Task[bool]] = {}
        self._busy: Counter[str] = Counter()

    def not_at(self, places: Iterable[tuple[str, int]]) -> None:
        """Never ask at *places*, where doors are."""
        self._ours.update((_plain(ip_address(host)), port) for host, port in places)

    async def verify(self, asked: DialbackAsked) -> bool:
        """Say whether the recorded server of the domain that is claimed knows the key as its own; raises nothing."""
        running = self._running.get(asked)
        if running is None:
            if len(self._running) >= VERIFYING or self._busy[asked.claimed] >= VERIFYING_EACH:
                log.warning("dialback_busy", claimed=asked.claimed, **{NOISE: asked.claimed})
                return False
            running = self._running[asked] = asyncio.create_task(self._verified(asked))
            self._busy[asked.claimed] += 1
            running.add_done_callback(lambda _: self._done(asked))
        return await asyncio.shield(running)

    def _done(self, asked: DialbackAsked) -> None:
        del self._running[asked]
        self._busy[asked.claimed] -= 1
        if not self._busy[asked.claimed]:
            del self._busy[asked.claimed]

    async def _verified(self, asked: DialbackAsked) -> bool:
        question, reason = Question(asked.claimed, asked.wanted, asked.id, asked.key), "no-address"
        try:
            async with asyncio.timeout(VERIFYING_SECONDS):
                for place in self._places(asked.claimed):
                    found = await asked_at(place.address, place.port, question, self._certificates, self._name, direct=place.direct)
                    if not found.reason:
                        return found.valid
                    reason = found.reason
        except TimeoutError:
            reason = "timeout"
        log.info("dialback_unverified", claimed=asked.claimed, because=reason, **{NOISE: asked.claimed})
        return False

    def _places(self, domain: str) -> list[Place]:
        return list(self._usable(domain))[:ENDPOINTS]

    def _usable(self, domain: str) -> Iterator[Place]:
        for each in self._recorded(domain):
            try:
                address = _plain(ip_address(each.host))
            except ValueError:
                continue  # a name: only DNS knows where it is
            if _is_one_host(address) and not self._is_ours(address, each.port):
                yield Place(str(address), each.port, each.tls == "direct")

    def _is_ours(self, address: Address, port: int) -> bool:
        """Say whether a door listens there: at that address, or at all addresses of a machine that has it."""
        if (address, port) in self._ours:
            return True
        return any(port == other and place.is_unspecified for place, other in self._ours) and _is_local(address)

    async def end(self) -> None:
        """Stop verifying."""
        running = list(self._running.values())
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


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
