"""What servers on loopback need to federate: names that lead to each other, and an authority that all of them trust."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from clearinghouse.demo.certificates import Authority
from clearinghouse.demo.dns import NAMES_PORT, Names

S2S_PORT: Final = 5269

AUTHORITY_FILE: Final = "authority.pem"
CERTIFICATE_FILE: Final = "server.pem"
KEY_FILE: Final = "server.key"


def _names() -> Names:
    """Return a name server at an address that no other one has."""
    for last in range(1, 255):
        address = f"127.0.53.{last}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, NAMES_PORT))
            except OSError:
                continue
        return Names(address)
    raise OSError("254 name servers are there already")


@dataclass(slots=True)
class Neighbours:
    """Servers that can find and believe each other; a context manager.

    A `Server` that is made with it federates: it writes its certificate, can be found by its names, and listens at
    `S2S_PORT`.  Domains need a top-level name that nobody has: resolvers answer ``.test``, ``.example`` and
    ``.invalid`` themselves or not at all.
    """

    authority: Authority = field(default_factory=Authority)
    names: Names = field(default_factory=_names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.names.close()

    def settle(self, hosts: tuple[str, ...], address: str, directory: Path) -> None:
        """Write certificate, key and authority for *hosts* into *directory*, and let them be found at *address*."""
        identity = self.authority.identity(hosts)
        (directory / KEY_FILE).touch(mode=0o600)
        (directory / KEY_FILE).write_bytes(identity.key)
        (directory / CERTIFICATE_FILE).write_bytes(identity.certificate)
        (directory / AUTHORITY_FILE).write_bytes(self.authority.certificate)
        for host in hosts:
            self.names.put(host, address, S2S_PORT)
