"""What each platform is to a topic's node, as our books have it (pure; XEP-0060, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from clearinghouse.clearing.cases import Grant, Revocation, RevocationKind

SUBSCRIBE: Final = "subscribe"

WRITERS: Final = frozenset({"create", "publish"})
"""Operations whose grants let their holder publish."""

READERS: Final = frozenset({"subscribe", "retrieve"})
"""Operations about reading.  A broker lets whoever may retrieve from a white list subscribe there as well, so a grant
to retrieve makes nobody a member without one to subscribe (rule R5)."""

KEPT: Final = frozenset({"owner", "none"})
"""Affiliations that nobody repairs: owners are reported instead, and `none` is none."""

_AFFILIATION: Final[Mapping[tuple[bool, bool], str]] = MappingProxyType(
    {(True, True): "publisher", (True, False): "member", (False, True): "publish-only"}
)
"""By whether somebody may read, and may write."""


def writers(publishers: Iterable[str], grants: Iterable[Grant]) -> frozenset[str]:
    """Return the bare JIDs that may publish: *publishers* of the settings, and holders of *grants* to do so."""
    return frozenset((*publishers, *(each.holder for each in grants if each.request.operation in WRITERS)))


def members(publishers: Iterable[str], grants: Iterable[Grant]) -> dict[str, str]:
    """Return the affiliation of every bare JID that may do anything at a node with a white list.

    *publishers* of the settings may read what they write.  On the white list a `member` subscribes and retrieves, a
    `publisher` does that and publishes, and `publish-only` publishes.
    """
    held = list(grants)
    readers = {*publishers, *(each.holder for each in held if each.request.operation == SUBSCRIBE)}
    writing = writers(publishers, held)
    return {jid: _AFFILIATION[jid in readers, jid in writing] for jid in sorted(readers | writing)}


def barred(revocations: Iterable[Revocation], node: str) -> frozenset[str]:
    """Return the bare JIDs that people have barred from *node*."""
    names = (each.name.partition(" ") for each in revocations if each.kind is RevocationKind.HOLDER and each.lifted is None)
    return frozenset(jid for jid, _, topic in names if topic == node)


def pardoned(revocations: Iterable[Revocation], node: str) -> frozenset[str]:
    """Return the bare JIDs that were barred from *node* and are not any more."""
    every = list(revocations)
    names = (each.name.partition(" ") for each in every if each.kind is RevocationKind.HOLDER and each.lifted is not None)
    return frozenset(jid for jid, _, topic in names if topic == node) - barred(every, node)
