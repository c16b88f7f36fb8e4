"""The real door for servers on loopback, in front of a porter that says what a test wants and decides nothing."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clearinghouse.demo.certificates import Identity
from clearinghouse.demo.neighbours import S2S_PORT, Neighbours
from clearinghouse.demo.servers import free_address
from clearinghouse.doors.s2s.door import opened
from clearinghouse.doors.s2s.tls import Certificates, Pair
from clearinghouse.doors.s2s.trust import Trust
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.federation.redirection.answers import Answer, Redirect, Refused
from clearinghouse.federation.redirection.seen import Require, Seen


@dataclass(slots=True)
class RealDoor:
    """Answers ``place``, where there is one, to whoever has proven enough, else ``why``; ``asked`` has what it saw."""

    address: str = field(default_factory=free_address)
    port: int = S2S_PORT
    require: Require = Require.CERTIFICATE
    place: str = ""
    why: str = ""
    servers: dict[str, str] = field(default_factory=dict)
    """The addresses in the member records."""
    asked: list[Seen] = field(default_factory=list)

    def redirects(self, place: str, require: Require = Require.CERTIFICATE) -> None:
        """Send everybody to *place* from now on."""
        self.place, self.require = place, require
        self.asked.clear()

    def refuses(self, why: str, require: Require = Require.CERTIFICATE) -> None:
        """Refuse everybody from now on."""
        self.place, self.why, self.require = "", why, require
        self.asked.clear()

    async def answer(self, seen: Seen) -> Answer:
        """See `Porter`."""
        self.asked.append(seen)
        if not self.require.met_by(seen.proof):
            return Refused()
        return Redirect(self.place, "the server of somebody (decision 0123456789ab)") if self.place else Refused(self.why)

    def recorded(self, domain: str) -> tuple[Endpoint, ...]:
        """See `Porter`."""
        return tuple(Endpoint(self.servers[name]) for name in self.servers if name == domain)


@asynccontextmanager
async def real_door(identity: Identity, neighbours: Neighbours, name: str = "door.hub.fed") -> AsyncIterator[RealDoor]:
    """A door that is open for as long as the context lasts; it believes the authority of *neighbours*."""
    made = RealDoor()
    with tempfile.TemporaryDirectory() as folder:
        certificate, key, anchors = (Path(folder, name) for name in ("certificate", "key", "anchors"))
        key.touch(mode=0o600)
        for path, content in ((certificate, identity.certificate), (key, identity.key), (anchors, neighbours.authority.certificate)):
            path.write_bytes(content)
        async with opened(made, Certificates(Pair(certificate, key)), Trust(anchors), name=name, listen=[(made.address, made.port)]):
            yield made
