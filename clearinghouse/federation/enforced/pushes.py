"""How an image reaches a server module: the JSON of pushes, in pieces that do not keep a server busy (pure).

``docs/reference/server-protocol.md`` describes them for another implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from clearinghouse.clearing.wire import canonical
from clearinghouse.federation.enforced.image import Change, Grant, Image, check_domain

NAMESPACE: Final = "urn:x-clearinghouse:server:1"

ROWS_IN_A_PUSH: Final = 2000
"""Domains in one push: a server is busy with them for some milliseconds."""

GRANTS_IN_A_PUSH: Final = 200

PEERS_IN_A_PUSH: Final = 1000
"""Domains in one push of peers, each with some digests."""

PUSH_BYTES: Final = 100_000
"""Of domains and digests in one push: escaped as XML it stays below the 512 kB that Prosody takes in one stanza."""

Push: TypeAlias = Mapping[str, Any]


def written(push: Push) -> str:
    """Return *push* as it stands in the stanza."""
    return canonical(push).decode("ascii")


def pushes(image: Image) -> Iterator[Push]:
    """Yield the pushes that make *image* the one in force; the last one switches."""
    yield {"do": "begin", **_frame(image)}
    this = {"image": image.name, "serial": image.serial}
    for name, domains in _by_class(image.rows).items():
        for piece in _pieces(domains):
            yield {"do": "rows", **this, "class": name, "domains": piece}
    for start in range(0, len(image.grants), GRANTS_IN_A_PUSH):
        yield {"do": "grants", **this, "grants": [grant_json(grant) for grant in image.grants[start : start + GRANTS_IN_A_PUSH]]}
    yield {"do": "commit", **this}


def _frame(image: Image) -> dict[str, Any]:
    """Return all of *image* but its rows and grants."""
    return {
        "image": image.name,
        "serial": image.serial,
        "mode": image.mode,
        "default": image.default,
        "default_reason": image.default_reason,
        "expires": image.expires,
        "hosts": list(image.hosts),
        "classes": {name: {"mask": found.mask, "reason": found.reason} for name, found in image.classes.items()},
        "ask": image.ask,
        "decision": image.decision,
    }


def image_json(image: Image) -> dict[str, Any]:
    """Return *image* as one object, with the members of the pushes."""
    return {**_frame(image), "rows": _by_class(image.rows), "grants": [dict(grant_json(each)) for each in image.grants]}


def peer_pushes(name: str, serial: int, peers: Mapping[str, Sequence[str]]) -> Iterator[Push]:
    """Yield the pushes that say which keys the server of each domain has, as *serial*; with the last one they are known.

    They are as many as it takes, and at least one: that nobody's keys are known any more has to be said as well.
    """
    parts = list(_parts(peers)) or [{}]
    for number, part in enumerate(parts, start=1):
        yield {"do": "peers", "image": name, "serial": serial, "part": number, "parts": len(parts), "peers": part}


def _parts(peers: Mapping[str, Sequence[str]]) -> Iterator[dict[str, list[str]]]:
    """Yield *peers* in parts that keep both limits."""
    part: dict[str, list[str]] = {}
    size = 0
    for domain, pins in sorted(peers.items()):
        check_domain(domain)
        length = len(domain) + sum(map(len, pins))
        if len(part) == PEERS_IN_A_PUSH or (part and size + length > PUSH_BYTES):
            yield part
            part, size = {}, 0
        part[domain] = list(pins)
        size += length
    if part:
        yield part


def change_push(change: Change) -> Push | None:
    """Return the push of *change*, or None where it is too large for one: then the whole image is pushed."""
    domains = [domain for found in (*change.rows.values(), change.unset) for domain in found]
    for domain in domains:
        check_domain(domain)
    too_many = len(domains) > ROWS_IN_A_PUSH or len(change.grants) > GRANTS_IN_A_PUSH or len(change.ended) > ROWS_IN_A_PUSH
    if too_many or sum(map(len, domains)) > PUSH_BYTES:
        return None
    return {
        "do": "change",
        "image": change.name,
        "serial": change.serial,
        "after": change.after,
        "set": {name: list(found) for name, found in change.rows.items()},
        "unset": list(change.unset),
        "grants": [grant_json(grant) for grant in change.grants],
        "ended": list(change.ended),
        "expires": change.expires,
        "decision": change.decision,
    }


def grant_json(grant: Grant) -> Mapping[str, Any]:
    """Return *grant* as it stands in a push."""
    return {
        "id": grant.id,
        "remote": grant.remote,
        "user": grant.user,
        "local": grant.local,
        "mask": grant.mask,
        "address": grant.address,
        "until": grant.until,
        "decision": grant.decision,
    }


def _by_class(rows: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for domain, name in rows.items():
        found.setdefault(name, []).append(domain)
    return dict(sorted(found.items()))


def _pieces(domains: Sequence[str]) -> Iterator[list[str]]:
    """Yield *domains* in lists that keep both limits."""
    piece: list[str] = []
    size = 0
    for domain in domains:
        check_domain(domain)
        if len(piece) == ROWS_IN_A_PUSH or (piece and size + len(domain) > PUSH_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(domain)
        size += len(domain)
    if piece:
        yield piece
