"""Those who want nobody else to be answered, in a process of their own.

``python -m tests.unit.doors.s2s.attacks KIND PORT TLS-PORT DIRECTORY``: each comes from many loopback addresses, says
`ready` when the first wave is out, and goes on until it is ended.
"""

from __future__ import annotations

import ctypes
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, cycle

from OpenSSL import SSL

from clearinghouse.sockets.gate import room_for
from tests.unit.doors.s2s.peers import HEADER, STARTTLS, auth, encoded, header

ADDRESSES = 100
EACH = 10
"""Connections that are open at one time from each address."""

Door = tuple[str, int]
NAMELESS = header(" version='1.0'")


def ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def addresses() -> Iterator[str]:
    """Loopback addresses, round and round."""
    return cycle([f"127.66.{number // 250}.{number % 250 + 1}" for number in range(ADDRESSES)])


def connected(door: Door, address: str) -> socket.socket:
    made = socket.create_connection(door, timeout=5, source_address=(address, 0))
    made.settimeout(0.2)
    return made


def waves(door: Door, attack: Callable[[socket.socket], None], size: int = ADDRESSES * EACH) -> None:
    """Keep *size* connections open, each of which has done *attack*; the oldest makes room for the next."""
    room_for(2 * size)
    held: list[socket.socket] = []
    came = addresses()
    for number in count(1):
        with suppress(OSError, SSL.Error):
            held.append(connected(door, next(came)))
            attack(held[-1])
        if len(held) >= size:
            held.pop(0).close()
        if number == size // 2:
            ready()


def drip(door: Door) -> None:
    """A slow-loris: one byte of a header at a time, from each of many."""
    room_for(ADDRESSES * EACH)
    came = addresses()
    held = [connected(door, next(came)) for _ in range(ADDRESSES * EACH)]
    ready()
    for number in count():
        for each in held:
            with suppress(OSError):
                each.send(HEADER[number % len(HEADER) :][:1])


def hello() -> bytes:
    """What a client says first in TLS; to send it costs nothing, to answer it a signature and a key exchange."""
    said, context = ssl.MemoryBIO(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), said).do_handshake()
    return said.read()


def handshakes(tls_door: Door) -> None:
    first = hello()
    waves(tls_door, lambda made: made.sendall(first))


def restarts(door: Door) -> None:
    """STARTTLS, the beginning of a handshake, and again."""
    first = hello()

    def attack(made: socket.socket) -> None:
        made.sendall(HEADER)
        made.recv(4_096)
        made.sendall(STARTTLS)
        made.recv(4_096)
        made.sendall(first)

    waves(door, attack)


def big_headers(door: Door) -> None:
    """A header of a megabyte, in attributes, names and text."""
    big = [
        HEADER[:-1] + b" x='" + b"y" * 1_000_000 + b"'>",
        HEADER + b" " * 1_000_000,
        HEADER[:-1] + b" ".join(b" a%d='b'" % number for number in range(80_000)) + b">",
    ]
    turn = cycle(big)
    waves(door, lambda made: made.sendall(next(turn)), 100)


def own_tls(version: int, files: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.use_certificate_chain_file(f"{files}/peer.pem")
    context.use_privatekey_file(f"{files}/peer.key")
    return context


def shaken(made: socket.socket, context: SSL.Context) -> SSL.Connection:
    made.settimeout(None)
    tls = SSL.Connection(context, made)
    tls.set_connect_state()
    tls.do_handshake()
    return tls


def passwords(tls_door: Door, files: str) -> None:
    """SASL with a name that is not the certificate's, as often as it is heard."""
    context = own_tls(SSL.TLS1_3_VERSION, files)

    def attack(made: socket.socket) -> None:
        tls = shaken(made, context)
        tls.send(NAMELESS + auth(encoded("b.example")) * 100)

    waves(tls_door, attack, 100)


def negotiations(tls_door: Door, files: str) -> None:
    """TLS 1.2 negotiated anew, a thousand times."""
    context = own_tls(SSL.TLS1_2_VERSION, files)

    def attack(made: socket.socket) -> None:
        tls = shaken(made, context)
        made.settimeout(0)
        for _ in range(1_000):
            tls.renegotiate()
            with suppress(SSL.WantReadError):
                tls.do_handshake()

    waves(tls_door, attack, 50)


def key_updates(tls_door: Door) -> None:
    """TLS 1.3 with other keys after each record: a message that costs the reader most.  Python has no name for it."""
    library = ctypes.CDLL("libssl.so.3")
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(library, name).restype = ctypes.c_void_p
    new = ctypes.c_void_p(library.SSL_CTX_new(ctypes.c_void_p(library.TLS_client_method())))

    def attack(made: socket.socket) -> None:
        made.settimeout(None)
        tls = ctypes.c_void_p(library.SSL_new(new))
        library.SSL_set_fd(tls, made.fileno())
        if library.SSL_connect(tls) == 1:
            for _ in range(10_000):
                if library.SSL_key_update(tls, 0) != 1 or library.SSL_do_handshake(tls) != 1:
                    break
        library.SSL_free(tls)

    waves(tls_door, attack, 2)


def main(kind: str, port: int, tls_port: int, files: str) -> None:
    door, tls_door = ("127.0.0.1", port), ("127.0.0.1", tls_port)
    attacks: dict[str, Callable[[], None]] = {
        "drip": lambda: drip(door),
        "handshakes": lambda: handshakes(tls_door),
        "restarts": lambda: restarts(door),
        "big_headers": lambda: big_headers(door),
        "passwords": lambda: passwords(tls_door, files),
        "negotiations": lambda: negotiations(tls_door, files),
        "key_updates": lambda: key_updates(tls_door),
    }
    os.nice(19)  # attackers have processors of their own; here they must not take those of the door
    attacks[kind]()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
