"""Stands between a node and PostgreSQL, and cuts the connection at the moment that matters."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Thread

from clearinghouse.demo.postgres import Cluster


class Cut(StrEnum):
    """When a connection is cut; each happens once."""

    NEVER = "never"
    BEFORE_COMMIT = "before the server has heard of the COMMIT"
    AFTER_COMMIT = "before the client has heard of it"


@dataclass(slots=True)
class Relay:
    """Hands on what both sides say, until it is time to cut."""

    listener: socket.socket
    server: tuple[str, int]
    cut: Cut = Cut.NEVER
    cuts: int = 0
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        found: int = self.listener.getsockname()[1]
        return found

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self._open.append(near)
                try:
                    far = socket.create_connection(self.server)
                except OSError:
                    _shut(near)
                    continue
                self._open.append(far)
                Thread(target=self._forth, args=(near, far), daemon=True).start()
                Thread(target=self._back, args=(far, near), daemon=True).start()

    def close(self) -> None:
        for each in (self.listener, *self._open):
            _shut(each)
            each.close()

    def _forth(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65_536):
                if self.cut is not Cut.NEVER and b"COMMIT" in data:
                    cut, self.cut = self.cut, Cut.NEVER
                    self.cuts += 1
                    if cut is Cut.AFTER_COMMIT:
                        _shut(near)  # what the server says is not handed on any more
                        far.sendall(data)
                    break
                far.sendall(data)
        _shut(near)
        with suppress(OSError):
            far.shutdown(socket.SHUT_WR)  # the server reads all that it was sent

    @staticmethod
    def _back(far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65_536):
                near.sendall(data)
        _shut(near)


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(postgres: Cluster) -> Iterator[Relay]:
    """Run a relay to *postgres*."""
    made = Relay(socket.create_server(("127.0.0.1", 0)), (postgres.address, postgres.port))
    thread = Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()
