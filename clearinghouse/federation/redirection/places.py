"""Where a redirected peer goes: which endpoint of a member, and how it is written (pure).

RFC 6120, section 4.9.3.19: a host, or a host and a port, with IPv6 addresses in brackets.  ejabberd reads a port
only after a bracket, so an IPv4 address with a port is written in brackets as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from clearinghouse.federation.names import BadName, normal
from clearinghouse.federation.published.members import Endpoint

S2S_PORT: Final = 5269
"""Port of servers among themselves (RFC 6120, section 14.7); it is left out."""

REMEMBERED: Final = 4_096
"""Members of whose endpoints the written forms are remembered: all of them, as a rule."""

TURN_SECONDS: Final = 30
"""Seconds that a pair of servers is sent to one of several endpoints; then to the next, lest one that is down hold it for ever."""


def place_of(endpoints: Sequence[Endpoint], pair: tuple[str, str], now: datetime) -> str | None:
    """Return where the *pair* (from, to) meets at *now*, ``None`` where no endpoint takes a redirected peer.

    Whoever is redirected begins with STARTTLS, so endpoints for direct TLS are left out.  The choice among several is
    the same at every node.
    """
    places = _written(tuple(endpoints))
    if len(places) < 2:  # noqa: PLR2004 - nothing to choose
        return places[0] if places else None
    turn = int(now.timestamp()) // TURN_SECONDS
    return places[(_number(pair) + turn) % len(places)]


@lru_cache(maxsize=REMEMBERED)
def _written(endpoints: tuple[Endpoint, ...]) -> tuple[str, ...]:
    return tuple(place for each in endpoints if each.tls == "start" and (place := written(each)) is not None)


def written(endpoint: Endpoint) -> str | None:
    """Return *endpoint* as the value of `see-other-host`, ``None`` for a host that is neither an address nor a name."""
    address, port = _address(endpoint.host), endpoint.port
    if port < 1:
        return None
    if address is None:
        return _with_port(_name(endpoint.host), port)
    return address if port == S2S_PORT and ":" not in address else _with_port(f"[{address}]", port)


def _with_port(host: str | None, port: int) -> str | None:
    return host if host is None or port == S2S_PORT else f"{host}:{port}"


def _address(host: str) -> str | None:
    """Return *host* as an address in its one form; one with a zone means something on its own link only."""
    try:
        return str(ip_address(host)) if "%" not in host else None
    except ValueError:
        return None


def _name(host: str) -> str | None:
    try:
        return normal(host)
    except BadName:
        return None


def _number(pair: tuple[str, str]) -> int:
    """Return a number that is the same for *pair* in every process."""
    return int.from_bytes(hashlib.sha256("\0".join(pair).encode()).digest()[:8])
