"""The documents of a community: their names, which are the same on every way, and how large each may be (pure).

::

    root/<generation>             sealed root metadata
    revocations/<version>         sealed revocation set
    <view>/timestamp              sealed timestamp
    <view>/table/<version>        sealed head, a newline, the content
    <view>/delta/<version>        sealed head, a newline, what differs from the version before
    <view>/members/<digest>       list of sealed member records

A view is the audience's domain, or `COMMUNITY` for the table that is for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.federation.published.refusals import EndlessData, MalformedDocument

COMMUNITY: Final = "community"
"""The view of the whole community, whose audience is `*`."""

RESERVED: Final = frozenset({COMMUNITY, "root", "revocations"})
"""Names with which a document's name begins; no member can have one."""

MAX_ROOT_BYTES: Final = 262_144
"""Bytes of sealed root metadata: 3 roots that vouch for 6 role keys each have 30 kB."""

MAX_HEAD_BYTES: Final = 16_384
"""Bytes of a sealed head or timestamp: 1 kB, and 200 bytes for each of at most 16 signatures, RSA ones 1.5 kB."""

MAX_REVOCATIONS_BYTES: Final = 1 << 20
"""Bytes of a sealed revocation set: 10,000 revoked credentials in hex have 900 kB in it."""

MAX_MEMBER_BYTES: Final = 16_384
"""Bytes of one sealed member record; one with three endpoints and keys has 2 kB."""

MAX_MEMBERS_BYTES: Final = 1 << 28
"""Bytes of a list of members: 100,000 records of 2 kB have 200 MB."""

MAX_CONTENT_BYTES: Final = 1 << 25
"""Bytes of a table's content: a million names of 30 bytes have 32 MB."""

MAX_DELTA_BYTES: Final = 1 << 20
"""Bytes of a delta's content: 30,000 changed names; beyond that the whole table is fetched."""

MAX_VERSION: Final = 10**15 - 1
"""The highest version, generation or serial: JSON readers agree about numbers of 15 digits (RFC 8259, section 6)."""

MAX_EPOCH: Final = 2**31 - 1
"""The highest epoch: what a KeyNote condition can compare as a number (RFC 2704, section 4.6.5)."""


def view_of(audience: str) -> str:
    """Return what stands first in the names of documents for *audience*, a domain or `*`."""
    return COMMUNITY if audience == EVERYTHING else audience


def root_name(generation: int) -> str:
    """Return the name of the root metadata of *generation*."""
    return f"root/{generation}"


def revocations_name(version: int) -> str:
    """Return the name of the revocation set of *version*."""
    return f"revocations/{version}"


def timestamp_name(audience: str) -> str:
    """Return the name of the timestamp for *audience*."""
    return f"{view_of(audience)}/timestamp"


def table_name(audience: str, version: int) -> str:
    """Return the name of a whole table."""
    return f"{view_of(audience)}/table/{version}"


def delta_name(audience: str, version: int) -> str:
    """Return the name of what changes the table before *version* into it."""
    return f"{view_of(audience)}/delta/{version}"


def members_name(audience: str, digest: str) -> str:
    """Return the name of a list of members."""
    return f"{view_of(audience)}/members/{digest}"


def digest(data: bytes) -> str:
    """Return the SHA-256 of *data* in hexadecimal, as documents name each other."""
    return hashlib.sha256(data).hexdigest()


def joined(head: bytes, content: bytes) -> bytes:
    """Return the document of a sealed *head* and its *content*."""
    return b"%b\n%b" % (head, content)


def parted(raw: bytes, most: int) -> tuple[bytes, bytes]:
    """Return the sealed head and the content of *raw*, whose content may have *most* bytes; raises `EndlessData`, `MalformedDocument`."""
    check_size(raw, MAX_HEAD_BYTES + 1 + most, "the document")
    head, newline, content = raw.partition(b"\n")
    if not newline:
        raise MalformedDocument("the document has no content after its head", mend="fetch it again")
    check_size(content, most, "the content")
    return head, content


def check_size(raw: bytes, most: int, what: str) -> None:
    """Refuse more than *most* bytes, before any of them is read; raises `EndlessData`."""
    if len(raw) > most:
        raise EndlessData(f"{what} has {len(raw)} bytes", mend=f"at most {most} are read")


def list_of(records: Iterable[bytes]) -> bytes:
    """Return the list of sealed member *records*, as it is published."""
    return b"[%b]" % b",".join(records)
