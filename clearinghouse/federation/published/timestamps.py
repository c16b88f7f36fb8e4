"""Timestamps: what says, for minutes, which table, revocation set and list of members are the newest (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clearinghouse.clearing.dsse import TIMESTAMP, seal
from clearinghouse.clearing.wire import canonical, check_members, stamp
from clearinghouse.federation.published.documents import MAX_CONTENT_BYTES, MAX_HEAD_BYTES, MAX_MEMBERS_BYTES
from clearinghouse.federation.published.payloads import (
    audience_of,
    community_of,
    digest_of,
    epoch_of,
    life_of,
    members_of,
    number_of,
    reading,
)
from clearinghouse.keynote.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class Timestamp:
    """What is the newest for one audience, as the timestamp key says.

    ``version``, ``head`` (digest of the head's payload) and ``size`` (bytes of the content) name a table;
    ``root`` a generation of root metadata; ``revocations`` and ``revocations_digest`` a revocation set, by its
    payload; ``members_digest`` and ``members_size`` the document with the records of members.
    """

    community: str
    audience: str
    epoch: int
    version: int
    head: str
    size: int
    issued: datetime
    expires: datetime
    root: int
    revocations: int
    revocations_digest: str
    members_digest: str
    members_size: int


def written(timestamp: Timestamp) -> bytes:
    """Return the payload of *timestamp* in canonical JSON; raises `MalformedDocument` as reading it would."""
    told: dict[str, Any] = {
        "audience": timestamp.audience,
        "community": timestamp.community,
        "epoch": timestamp.epoch,
        "expires": stamp(timestamp.expires),
        "head": timestamp.head,
        "issued": stamp(timestamp.issued),
        "members": {"digest": timestamp.members_digest, "size": timestamp.members_size},
        "revocations": {"digest": timestamp.revocations_digest, "version": timestamp.revocations},
        "root": timestamp.root,
        "size": timestamp.size,
        "version": timestamp.version,
    }
    payload = canonical(told)
    read_payload(payload)
    return payload


def seal_timestamp(timestamp: Timestamp, keys: Sequence[PrivateKey]) -> bytes:
    """Return *timestamp* signed with *keys*."""
    return seal(written(timestamp), TIMESTAMP, keys, most=MAX_HEAD_BYTES)


def read_payload(payload: bytes) -> Timestamp:
    """Return the timestamp that `written` wrote as *payload*; raises `MalformedDocument`."""
    with reading("the timestamp"):
        found = members_of(payload, _MEMBERS)
        check_members(found["members"], {"digest": str, "size": int})
        check_members(found["revocations"], {"digest": str, "version": int})
        issued, expires = life_of(found)
        return Timestamp(
            community=community_of(found),
            audience=audience_of(found),
            epoch=epoch_of(found),
            version=number_of(found, "version"),
            head=digest_of(found, "head"),
            size=number_of(found, "size", most=MAX_CONTENT_BYTES),
            issued=issued,
            expires=expires,
            root=number_of(found, "root"),
            revocations=number_of(found["revocations"], "version"),
            revocations_digest=digest_of(found["revocations"], "digest"),
            members_digest=digest_of(found["members"], "digest"),
            members_size=number_of(found["members"], "size", most=MAX_MEMBERS_BYTES),
        )


_MEMBERS: Final[Mapping[str, type]] = {
    **dict.fromkeys(("audience", "community", "expires", "head", "issued"), str),
    **dict.fromkeys(("epoch", "root", "size", "version"), int),
    **dict.fromkeys(("members", "revocations"), dict),
}
