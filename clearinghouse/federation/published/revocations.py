"""Revocation sets: everything that a community has revoked, signed and with an end (rule R15; pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clearinghouse.clearing.dsse import REVOCATIONS, seal
from clearinghouse.clearing.wire import canonical, stamp
from clearinghouse.errors import BadPrincipal
from clearinghouse.federation.published.documents import MAX_REVOCATIONS_BYTES
from clearinghouse.federation.published.payloads import (
    community_of,
    epoch_of,
    is_digest,
    life_of,
    members_of,
    number_of,
    reading,
    texts_of,
)
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.octets import from_octets, to_octets
from clearinghouse.keynote.principals import normalise


@dataclass(frozen=True, slots=True)
class RevocationSet:
    """All that is revoked: ``credentials`` by id in hexadecimal, ``principals``, and principals ``below`` whom nothing holds.

    Each is sorted, has everything once, and principals are in normal form.
    """

    community: str
    epoch: int
    version: int
    issued: datetime
    expires: datetime
    credentials: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


def written(revocations: RevocationSet) -> bytes:
    """Return the payload of *revocations* in canonical JSON; raises `MalformedDocument` as reading it would."""
    told: dict[str, Any] = {
        "below": sorted(set(revocations.below)),
        "community": revocations.community,
        "credentials": sorted(set(revocations.credentials)),
        "epoch": revocations.epoch,
        "expires": stamp(revocations.expires),
        "issued": stamp(revocations.issued),
        "principals": sorted(set(revocations.principals)),
        "version": revocations.version,
    }
    payload = canonical(told)
    read_payload(payload)
    return payload


def seal_revocations(revocations: RevocationSet, keys: Sequence[PrivateKey]) -> bytes:
    """Return *revocations* signed with *keys*."""
    return seal(written(revocations), REVOCATIONS, keys, most=MAX_REVOCATIONS_BYTES)


def read_payload(payload: bytes) -> RevocationSet:
    """Return the revocation set that `written` wrote as *payload*; raises `MalformedDocument`."""
    with reading("the revocation set"):
        found = members_of(payload, _MEMBERS)
        issued, expires = life_of(found)
        return RevocationSet(
            community=community_of(found),
            epoch=epoch_of(found),
            version=number_of(found, "version"),
            issued=issued,
            expires=expires,
            credentials=_ids(_ordered(found, "credentials")),
            principals=_principals(_ordered(found, "principals")),
            below=_principals(_ordered(found, "below")),
        )


_MEMBERS: Final[Mapping[str, type]] = {
    **dict.fromkeys(("community", "expires", "issued"), str),
    **dict.fromkeys(("epoch", "version"), int),
    **dict.fromkeys(("below", "credentials", "principals"), list),
}


def _ordered(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = texts_of(found, name)
    if texts != tuple(sorted(set(texts))):
        raise ValueError(f"has a `{name}` that is not sorted, or something in it twice")
    return texts


def _ids(found: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(is_digest, found)):
        raise ValueError("has a credential's id that is none")
    return found


def _principals(found: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_is_normal, found)):
        raise ValueError("has a principal that is not in its normal form")
    return found


def _is_normal(name: str) -> bool:
    try:
        return from_octets(normalise(to_octets(name))) == name
    except (BadPrincipal, UnicodeError):
        return False
