"""The sockets that take connections: all that wait are taken at once, and those for which there is no room or time are ended."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import lru_cache
from typing import Final

import structlog

from clearinghouse.doors.s2s.pace import Rates
from clearinghouse.doors.s2s.wires import Floor, Wire
from clearinghouse.errors import BadSettings
from clearinghouse.sockets.gate import address_of, listen

log = structlog.get_logger(__name__)

BACKLOG: Final = 4_096
"""Connections that wait to be taken, as many as Linux allows (`net.core.somaxconn`): one that does not fit tries again after a second."""

TAKEN_TOGETHER: Final = 256
"""Connections that are taken before those that are open have their turn again: some 10 ms of work."""

FULL_SECONDS: Final = 1.0
"""How long none is taken where the system has no more files or memory; they go on waiting meanwhile."""

ADDRESSES: Final = 4_096
"""Addresses whose network is remembered."""

_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Welcome = Callable[[Wire], None]
"""What happens with a connection that was taken."""

_network = lru_cache(ADDRESSES)(address_of)


class Listener:
    """Takes connections at several places until it is closed, and ends those that take too long."""

    def __init__(self, floor: Floor, rates: Rates) -> None:
        """Take none yet."""
        self._floor, self._rates = floor, rates
        self._sockets = ExitStack()
        self._sweeping = floor.loop.call_later(floor.patience.sweep, self._sweep)
        self.taken = 0

    def open(self, places: Iterable[tuple[str, int]], welcome: Welcome) -> list[tuple[str, int]]:
        """Listen at *places*, and return them with the ports that the system gave; raises `BadSettings`."""
        return [self._listen(host, port, welcome) for host, port in places]

    def _listen(self, host: str, port: int, welcome: Welcome) -> tuple[str, int]:
        try:
            bound = _bound(host, port)
        except OSError as error:
            fact = f"`{host}`, port {port} cannot be listened on ({error.strerror})"
            raise BadSettings(fact, mend="choose another in [redirect]") from None
        self._sockets.callback(self._let_go, bound)
        self._watch(bound, welcome)
        return host, int(bound.getsockname()[1])

    def _watch(self, bound: socket.socket, welcome: Welcome) -> None:
        if bound.fileno() >= 0:
            self._floor.loop.add_reader(bound, self._take, bound, welcome)

    def _take(self, bound: socket.socket, welcome: Welcome) -> None:
        for _ in range(TAKEN_TOGETHER):
            try:
                taken, peer = bound.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _FULL:
                    self._wait(bound, welcome, error)
                    return
                continue  # it went before it was taken
            self._welcome(taken, str(peer[0]), welcome)

    def _wait(self, bound: socket.socket, welcome: Welcome, error: OSError) -> None:
        """Take none for a while; asking again at once would take all time and change nothing."""
        log.error("no_connections_taken", because=error.strerror, noise="no_connections_taken")
        self._floor.loop.remove_reader(bound)
        self._floor.loop.call_later(FULL_SECONDS, self._watch, bound, welcome)

    def _welcome(self, taken: socket.socket, host: str, welcome: Welcome) -> None:
        self.taken += 1
        address = _network(host)
        if not self._rates.take(address):
            taken.close()
            return
        taken.settimeout(0)
        wire = Wire(taken, host, address, self._floor)
        if self._floor.room.enter(wire):
            welcome(wire)
        else:
            taken.close()

    def _sweep(self) -> None:
        now = self._floor.loop.time()
        self._sweeping = self._floor.loop.call_later(self._floor.patience.sweep, self._sweep)  # first: a mistake below must not end it
        for guest in self._floor.room.guests:
            guest.look(now)

    def stop(self) -> None:
        """Take no more connections; what is open goes on, with its time."""
        self._sockets.close()

    def _let_go(self, bound: socket.socket) -> None:
        self._floor.loop.remove_reader(bound)
        bound.close()

    def close(self) -> None:
        """End every connection that is open."""
        self.stop()
        self._sweeping.cancel()
        for guest in self._floor.room.guests:
            guest.shut()


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens; what it takes says at once what it is told to (``TCP_NODELAY`` is passed on)."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listen(bound, (host, port), BACKLOG)
    bound.settimeout(0)
    return bound
