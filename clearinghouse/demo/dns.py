"""A name server for servers that find each other on loopback: it knows where domains are, and nothing else.

It answers questions for the SRV records of XMPP servers (RFC 6120, section 3.2.1; XEP-0368) with an address instead of a
name, which Prosody and ejabberd both take, so that no further question follows, and those for the address of a host
that it was told.  Everything else does not exist.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

NAMES_PORT: Final = 5300
"""Port 53 needs rights."""

PREFIX: Final = "_xmpp-server._tcp."
DIRECT_PREFIX: Final = "_xmpps-server._tcp."
A: Final = 1
SRV: Final = 33
SECONDS_TO_LIVE: Final = 0
"""A server that moved is found at once."""

_HEADER: Final = struct.Struct("!6H")
_ANSWERED: Final = 0x8580  # a response, authoritative, recursion wanted and available (RFC 1035, section 4.1.1)
_NO_SUCH_NAME: Final = 3
_MAX_DATAGRAM: Final = 512


class Service(NamedTuple):
    """One SRV record (RFC 2782); the target may be an address."""

    target: str
    port: int
    priority: int = 0
    weight: int = 0


@dataclass(slots=True)
class Names:
    """Answers at *address* from a thread of its own, which ends with us; a context manager."""

    address: str
    port: int = NAMES_PORT
    _places: dict[str, tuple[Service, ...]] = field(default_factory=dict)
    _hosts: dict[str, str] = field(default_factory=dict)
    _socket: socket.socket = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, self.port))
        threading.Thread(target=self._serve, name="names", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer no more."""
        # Wakes the thread; closing alone would leave it waiting on a number that somebody else may get.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            self._places.clear()
            self._hosts.clear()
            last.sendto(b"", (self.address, self.port))

    def put(self, domain: str, address: str, port: int, *, direct: bool = False) -> None:
        """Let *domain* be found at *address* from now on; with *direct* where TLS begins at once."""
        self.put_services(domain, Service(address, port), direct=direct)

    def put_services(self, domain: str, *found: Service, direct: bool = False) -> None:
        """Let *domain* be found at several places from now on."""
        self._places[(DIRECT_PREFIX if direct else PREFIX) + domain] = found

    def put_host(self, name: str, address: str) -> None:
        """Let the host *name* have this address from now on."""
        self._hosts[name] = address

    def remove(self, domain: str) -> None:
        """Let nobody find *domain* any more."""
        for prefix in (PREFIX, DIRECT_PREFIX):
            self._places.pop(prefix + domain, None)

    def _serve(self) -> None:
        with self._socket:
            while True:
                question, asker = self._socket.recvfrom(_MAX_DATAGRAM)
                if not question:
                    return
                answer = self.answer(question)
                if answer:
                    self._socket.sendto(answer, asker)

    def answer(self, question: bytes) -> bytes:
        """Return the answer to the datagram *question*; nothing to what is no question."""
        try:
            number, flags, questions, *_ = _HEADER.unpack_from(question)
            name, end = _name_at(question, _HEADER.size)
            kind, _ = struct.unpack_from("!2H", question, end)
        except (struct.error, IndexError, UnicodeDecodeError):
            return b""
        if flags & 0x8000 or questions != 1:
            return b""
        asked = question[_HEADER.size : end + 4]
        records = self._records(kind, name)
        if not records:
            return _HEADER.pack(number, _ANSWERED | _NO_SUCH_NAME * (name not in self._hosts), 1, 0, 0, 0) + asked
        return _HEADER.pack(number, _ANSWERED, 1, len(records), 0, 0) + asked + b"".join(records)

    def _records(self, kind: int, name: str) -> list[bytes]:
        if kind == SRV:
            return [_srv(*each) for each in self._places.get(name, ())]
        if kind == A and name in self._hosts:
            return [_record(A, socket.inet_aton(self._hosts[name]))]
        return []


def _name_at(message: bytes, at: int) -> tuple[str, int]:
    """Return the name that is written *at*, and where it ends; a question has nothing to point back to."""
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def _srv(target: str, port: int, priority: int, weight: int) -> bytes:
    """Return an SRV record of the name in the question."""
    name = b"".join(bytes([len(label)]) + label.encode("ascii") for label in target.split(".")) + b"\0"
    return _record(SRV, struct.pack("!3H", priority, weight, port) + name)


def _record(kind: int, data: bytes) -> bytes:
    """Return a record of the name in the question, which stands behind the header."""
    pointer = 0xC000 | _HEADER.size
    return struct.pack("!3HIH", pointer, kind, 1, SECONDS_TO_LIVE, len(data)) + data
