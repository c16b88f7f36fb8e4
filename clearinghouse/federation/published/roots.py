"""Root metadata: whose signature a community's documents need, as KeyNote policy that the roots sign together (pure).

``policy`` are POLICY assertions of the group `publish`; ``credentials`` what the roots signed to license role
keys.  Who may sign what is a KeyNote query about these and nothing else (`clearinghouse.federation.roles.entitlement`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clearinghouse.clearing.dsse import ROOT, seal
from clearinghouse.clearing.wire import canonical, stamp
from clearinghouse.federation.published.documents import MAX_ROOT_BYTES
from clearinghouse.federation.published.payloads import community_of, epoch_of, life_of, members_of, number_of, reading, texts_of
from clearinghouse.keynote.keys import PrivateKey

MAX_POLICIES: Final = 16
"""POLICY assertions of one root; the ceremony tools write one."""

MAX_CREDENTIALS: Final = 128
"""Role credentials of one root: 10 roots that vouch for 5 roles each, and as many again."""


@dataclass(frozen=True, slots=True)
class Root:
    """One generation of root metadata; generation 1 is pinned by the digest of its payload."""

    community: str
    generation: int
    epoch: int
    issued: datetime
    expires: datetime
    policy: tuple[str, ...]
    credentials: tuple[str, ...] = ()


def written(root: Root) -> bytes:
    """Return the payload of *root* in canonical JSON; raises `MalformedDocument` as reading it would."""
    told: dict[str, Any] = {
        "community": root.community,
        "credentials": list(root.credentials),
        "epoch": root.epoch,
        "expires": stamp(root.expires),
        "generation": root.generation,
        "issued": stamp(root.issued),
        "policy": list(root.policy),
    }
    payload = canonical(told)
    read_payload(payload)
    return payload


def seal_root(root: Root, keys: Sequence[PrivateKey]) -> bytes:
    """Return *root* signed with *keys*."""
    return seal(written(root), ROOT, keys, most=MAX_ROOT_BYTES)


def read_payload(payload: bytes) -> Root:
    """Return the root metadata that `written` wrote as *payload*; raises `MalformedDocument`."""
    with reading("the root metadata"):
        found = members_of(payload, _MEMBERS)
        issued, expires = life_of(found)
        policy, credentials = texts_of(found, "policy"), texts_of(found, "credentials")
        if not 1 <= len(policy) <= MAX_POLICIES or len(credentials) > MAX_CREDENTIALS:
            raise ValueError(f"has not 1 to {MAX_POLICIES} policies, or more than {MAX_CREDENTIALS} credentials")
        return Root(
            community=community_of(found),
            generation=number_of(found, "generation"),
            epoch=epoch_of(found),
            issued=issued,
            expires=expires,
            policy=policy,
            credentials=credentials,
        )


_MEMBERS: Final[Mapping[str, type]] = {
    **dict.fromkeys(("community", "expires", "issued"), str),
    **dict.fromkeys(("epoch", "generation"), int),
    **dict.fromkeys(("credentials", "policy"), list),
}
