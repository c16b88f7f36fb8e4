"""The gate before a listener: how many connections there are together, in all and from one address.

A connection counts from the moment that it is taken, so that one which says nothing of TLS, or says it slowly, is one too.
"""

from __future__ import annotations

import resource
import socket
from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final

SPARE_FILES: Final = 256
"""Open files that connections leave to everything else: the store, policies, links to brokers."""

DROPPED_TOGETHER: Final = 64
"""Connections too many that are ended in one go, before others have a turn."""


def address_of(host: str) -> str:
    """Return who is at *host*, as far as the network shows: an address, or the network of 64 bits in which an IPv6 host has them all."""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)


def room_for(most: int) -> int:
    """Return how many of *most* connections the limit of open files has room for; it is raised by so many, as far as it may be.

    What the limit was before may be promised already, to another door.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        wanted = soft + most
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, soft - SPARE_FILES))


def listen(made: socket.socket, address: Any, backlog: int) -> None:  # noqa: ANN401 - as sockets have it
    """Have *made* listen at *address*, soon after a restart too, and for its own family alone; raises `OSError`, and closes it then."""
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(backlog)
    except OSError:
        made.close()
        raise


class Gate(socket.socket):
    """A listening socket that takes *most* connections at one time, and *each* of one address; others are ended at once."""

    def __init__(self, family: int, *, most: int, each: int) -> None:
        """Make it; it is not bound yet."""
        super().__init__(family, socket.SOCK_STREAM)
        self._most, self._each = most, each
        self._open: Counter[str] = Counter()

    @classmethod
    def bound(cls, family: int, address: Any, *, most: int, each: int, backlog: int) -> Gate:  # noqa: ANN401 - as sockets have it
        """Return one that listens at *address*; raises `OSError`."""
        made = cls(family, most=room_for(most), each=each)
        listen(made, address, backlog)
        return made

    def accept(self) -> tuple[socket.socket, Any]:
        """Take the next connection for which there is room; raises `ConnectionAbortedError` after many for which there is none."""
        for _ in range(DROPPED_TOGETHER):
            descriptor, address = self._accept()  # type: ignore[attr-defined]  # as `socket.socket.accept` does
            name = address_of(str(address[0]))
            if self._open.total() < self._most and self._open[name] < self._each:
                return _Taken(self, name, descriptor), address
            socket.close(descriptor)
        raise ConnectionAbortedError

    def enter(self, name: str) -> None:
        """Count one more connection of *name*."""
        self._open[name] += 1

    def leave(self, name: str) -> None:
        """Count one less."""
        self._open[name] -= 1
        if not self._open[name]:
            del self._open[name]


class _Taken(socket.socket):
    """A connection that is counted until it is closed."""

    def __init__(self, gate: Gate, name: str, descriptor: int) -> None:
        super().__init__(gate.family, gate.type, gate.proto, fileno=descriptor)
        self._leave: tuple[Gate, str] | None = (gate, name)
        gate.enter(name)

    def close(self) -> None:
        super().close()
        if self._leave is not None:
            gate, name = self._leave
            self._leave = None
            gate.leave(name)
