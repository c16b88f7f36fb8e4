"""The door to which servers of the community come to be redirected; ``docs/reference/settings.md`` describes every setting."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, StrictInt, model_validator

from clearinghouse.federation.redirection.places import S2S_PORT
from clearinghouse.federation.redirection.seen import Require
from clearinghouse.settings.mistakes import wrong
from clearinghouse.settings.section import Section
from clearinghouse.settings.standing import Burst, PerSecond
from clearinghouse.settings.values import BesidePath, Domain, Duration, Words

MAX_LISTENERS: Final = 16
"""Addresses that one door listens at, for each kind of TLS."""

MAX_FRONTED: Final = 1_000
"""Domains that a door has certificates for; each is a context of TLS, about 100 kB."""

MAX_NODES: Final = 16
"""Doors of one community; SRV records of more do not fit an answer over UDP (RFC 2782)."""

MOST_CONNECTIONS: Final = 100_000
"""Connections at one time; each takes some 50 kB with TLS, so a larger number is a slip."""

_listen = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})").fullmatch
_HIGHEST_PORT: Final = 65_535


def _place(text: str) -> str:
    found = _listen(text)
    if found is None or int(found["port"]) > _HIGHEST_PORT or not _is_address(found["six"] or found["four"]):
        raise wrong(f"has `{text[:256]}`, which is no address with a port", "write it as in `0.0.0.0:5269` or `[::]:5269`")
    return text


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _host(name: str) -> str:
    if _is_address(name.strip("[]")):
        raise wrong(f"is the address `{name}`", "give a name: service records lead to names, and certificates are for names")
    return name


Places = Annotated[tuple[Annotated[Words, AfterValidator(_place)], ...], Field(max_length=MAX_LISTENERS)]
Port = Annotated[StrictInt, Field(ge=1, le=_HIGHEST_PORT)]
Number = Annotated[StrictInt, Field(ge=0, le=65_535)]
Connections = Annotated[StrictInt, Field(ge=1, le=MOST_CONNECTIONS)]


class Fronted(Section):
    """A member's certificate that the door presents when a peer asks for that member: whoever takes the door's host can be the member."""

    domain: Domain
    certificate_file: BesidePath
    key_file: BesidePath


class Node(Section):
    """One door of the community, as DNS is to name it (`clearinghouse srv`)."""

    name: Annotated[Domain, AfterValidator(_host)]
    port: Port = S2S_PORT
    tls_port: Port | None = None
    priority: Number = 1
    weight: Number = 1


class Redirect(Section):
    """The door: its own ``name`` and certificate, whom it believes, and what it takes.

    ``anchors_file`` are the authorities of the community, ``revocations_file`` lists of what they revoked.  ``require`` is
    what a peer must prove to hear more than a bare refusal.  ``outage`` is how long a node goes on without its store, and
    ``spool_file`` where it keeps its answers until then.  ``fronted`` are an operator's explicit choice.
    """

    name: Annotated[Domain, AfterValidator(_host)]
    listen: Places = ("0.0.0.0:5269",)
    listen_tls: Places = ()
    certificate_file: BesidePath
    key_file: BesidePath
    anchors_file: BesidePath
    revocations_file: BesidePath | None = None
    require: Require = Require.CERTIFICATE
    outage: Duration = timedelta(minutes=15)
    spool_file: BesidePath = Path("redirect.spool")
    connections: Connections = 2_000
    connections_each: Connections = 50
    address_per_second: PerSecond = 20.0
    address_burst: Burst = 200.0
    domain_per_second: PerSecond = 50.0
    domain_burst: Burst = 500.0
    fronted: Annotated[tuple[Fronted, ...], Field(max_length=MAX_FRONTED)] = ()
    node: Annotated[tuple[Node, ...], Field(max_length=MAX_NODES)] = ()

    @property
    def listening(self) -> tuple[tuple[str, int], ...]:
        """Address and port of each `listen`."""
        return tuple(map(_split, self.listen))

    @property
    def listening_tls(self) -> tuple[tuple[str, int], ...]:
        """Address and port of each `listen_tls`, where TLS begins with the first byte (XEP-0368)."""
        return tuple(map(_split, self.listen_tls))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The doors of the community: those that are named, or this one alone."""
        tls = self.listening_tls
        return self.node or (Node(name=self.name, port=self._port(self.listening), tls_port=self._port(tls) if tls else None),)

    @staticmethod
    def _port(places: tuple[tuple[str, int], ...]) -> int:
        return (places[0][1] if places else 0) or S2S_PORT

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.listen and not self.listen_tls:
            raise wrong("listens nowhere", "name an address in `listen` or `listen_tls`")
        domains = [each.domain for each in self.fronted]
        twice = next((name for name in domains if domains.count(name) > 1 or name == self.name), "")
        if twice:
            raise wrong(f"has two certificates for `{twice}`", "name each domain once, and the door's own name in no [[redirect.fronted]]")
        places = [(each.name, each.port) for each in self.node]
        again = next((f"{name}, port {port}" for name, port in places if places.count((name, port)) > 1), "")
        if again:
            raise wrong(f"has two nodes at {again}", "name each place once in [[redirect.node]]: it is one service record")
        return self


def _split(place: str) -> tuple[str, int]:
    found = _listen(place)
    return ("", 0) if found is None else (found["six"] or found["four"], int(found["port"]))
