"""Callers of a server-to-server port: what they send, and what of the server's processor it takes."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

HEADER: Final = (
    "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server'"
    " from='{caller}' to='{called}'{version}>"
)
"""Over TCP without a version: a peer of today is offered TLS first, and one of 2003 answered at once."""

SECONDS: Final = 10.0
"""For one connection; it takes a millisecond."""


@dataclass(frozen=True, slots=True)
class Knocked:
    """A server that is called: where, by whom, over TLS or not, in which process, and what its answer must have in it.

    ``shown`` is whose certificate is wanted, if it is not that of who is called.
    """

    name: str
    address: str
    port: int
    process: int
    wanted: bytes
    tls: ssl.SSLContext | None = None
    caller: str = "a.fed"
    called: str = "b.fed"
    shown: str = ""

    def knock(self) -> bytes:
        """Call once, as a server does that wants to reach another; return all that is answered until the end."""
        version = "" if self.tls is None else " version='1.0'"
        header = HEADER.format(caller=self.caller, called=self.called, version=version).encode()
        with socket.create_connection((self.address, self.port), SECONDS) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None:
                return _asked(plain, header)
            with self.tls.wrap_socket(plain, server_hostname=self.shown or self.called) as wrapped:
                return _asked(wrapped, header)

    def processor(self) -> float:
        """Return how many seconds of processor time the server has had, all its threads together."""
        return sum(int((each / "schedstat").read_text().split()[0]) for each in Path(f"/proc/{self.process}/task").iterdir()) / 1e9


def _asked(open_socket: socket.socket, header: bytes) -> bytes:
    open_socket.sendall(header)
    told = bytearray()
    try:
        while part := open_socket.recv(65_536):
            told += part
            if told.endswith(b"</stream:stream>"):
                break
    except (ConnectionResetError, ssl.SSLEOFError):
        pass  # whoever has answered may go at once
    return bytes(told)


class WrongAnswer(AssertionError):
    """A server does not do what it is measured for."""


@contextmanager
def apart(processes: Iterable[int]) -> Iterator[None]:
    """Give *processes* one processor and ourselves the others while the block runs, so that callers are no load for whom they call."""
    before = os.sched_getaffinity(0)
    first, *others = sorted(before)
    if others:
        os.sched_setaffinity(0, others)
        for process in processes:
            for task in Path(f"/proc/{process}/task").iterdir():
                os.sched_setaffinity(int(task.name), {first})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def race(sides: Sequence[Knocked], rounds: int, calls: int, together: int) -> dict[str, float]:
    """Return the median processor time of one connection at each side, in microseconds; sides take turns in batches of *calls*.

    So many callers come *together*.
    """
    for side in sides:
        if side.wanted not in (told := side.knock()):
            raise WrongAnswer(f"`{side.name}` answers {told!r}")
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    with ThreadPoolExecutor(together) as callers:
        for number in range(rounds):
            for side in (*sides[number % len(sides) :], *sides[: number % len(sides)]):
                before = side.processor()
                for told in callers.map(lambda _, side=side: side.knock(), range(calls)):
                    if side.wanted not in told:
                        raise WrongAnswer(f"`{side.name}` answers {told!r}")
                times[side.name].append((side.processor() - before) / calls)
    return {name: median(each) * 1e6 for name, each in times.items()}
