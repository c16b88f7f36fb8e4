"""Dialback keys are verified at the addresses in the signed member record, never through DNS, which names the door itself (XEP-0220)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

import structlog

from clearinghouse.doors.s2s.events import DialbackAsked
from clearinghouse.doors.s2s.tls import Certificates
from clearinghouse.federation.published.members import Endpoint

log = structlog.get_logger(__name__)

VERIFYING_SECONDS: Final = 8.0
"""For a key altogether, at all addresses."""

ENDPOINTS: Final = 3
"""Addresses of one member that are tried, in recorded order."""

VERIFYING: Final = 64
"""Keys that are verified at one time; each is a connection of ours that a stranger has caused."""

VERIFYING_EACH: Final = 4
"""Keys of one domain that are verified at one time: more than a server ever has open with one peer."""


class Place(NamedTuple):
    """An address of a member's server that may be asked."""

    address: IPv4Address | IPv6Address
    port: int
    direct: bool


class Dialback:
    """Verifies keys; each key of a pair once at a time, whoever shows it."""

    def __init__(self, recorded: Callable[[str], Sequence[Endpoint]], certificates: Certificates) -> None:
        """Ask at what is *recorded* of a domain."""
        self._recorded, self._certificates = recorded, certificates
        self._ours: set[tuple[str, int]] = set()
        self._running: dict[DialbackAsked, asyncio.Task[bool]] = {}

    def not_at(self, places: Iterable[tuple[str, int]]) -> None:
        """Never ask at *places*, where we are ourselves."""
        self._ours.update(places)

    async def verify(self, asked: DialbackAsked) -> bool:
        """Say whether the recorded server of the domain that is claimed knows the key as its own; raises nothing."""
        return asked in self._running

    async def end(self) -> None:
        """Stop verifying."""
