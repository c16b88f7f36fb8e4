"""Level tables: a small signed head, and the content that it names by digest (pure).

The content is one list of domains for each level, in canonical JSON, without the lowest level: a domain that
stands nowhere has that one.  ``{"level-1":["a.example","b.example"],"level-2":["c.example"]}``
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from operator import eq
from typing import Any, Final

import re2

from clearinghouse.clearing.dsse import TABLE, seal
from clearinghouse.clearing.wire import canonical, stamp
from clearinghouse.federation.published.documents import MAX_CONTENT_BYTES, MAX_HEAD_BYTES, MAX_VERSION
from clearinghouse.federation.published.payloads import (
    audience_of,
    community_of,
    digest_of,
    epoch_of,
    life_of,
    members_of,
    number_of,
    reading,
    texts_of,
)
from clearinghouse.federation.published.rows import Rows
from clearinghouse.keynote.keys import PrivateKey

MAX_LEVELS: Final = 64
"""Levels of one community; the largest scheme known to us has 5."""

_LEVEL: Final = r"[A-Za-z0-9._-]{1,64}"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = rf"{_LABEL}(?:\.{_LABEL})*"
_BETWEEN: Final = '","'
_LIST: Final = rf'"{_LEVEL}":\["{_NAME}"(?:,"{_NAME}")*\]'
_OPTIONS: Final = re2.Options()
_OPTIONS.max_mem = 1 << 26  # bytes; with less RE2 forgets its states on the way and takes ten times as long

_is_level = re2.compile(_LEVEL).fullmatch
_is_content = re2.compile(rf"\{{(?:{_LIST}(?:,{_LIST})*)?\}}".encode(), _OPTIONS).fullmatch
"""Takes 2 ns a byte of bytes, and four times as long of text."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is signed of a table: everything but its rows.

    ``levels`` are all level names, weakest first.  ``previous`` is the digest of the head's payload before this
    one, empty for the first.  ``count`` is the number of rows, ``size`` the bytes of the content and ``content``
    its digest; ``delta`` that of what leads from the version before to this one, empty where there is none.
    """

    community: str
    audience: str
    epoch: int
    version: int
    issued: datetime
    expires: datetime
    previous: str
    levels: tuple[str, ...]
    count: int
    size: int
    content: str
    delta: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A head, the digest of its payload, and the level of each domain that has more than the lowest."""

    head: Head
    digest: str
    rows: Rows = field(repr=False)

    def level_of(self, domain: str) -> str:
        """Return the level of *domain*, a name in normal form; one that is in no list has the lowest."""
        return self.rows.get(domain, self.head.levels[0])


def written(head: Head) -> bytes:
    """Return the payload of *head* in canonical JSON; raises `MalformedDocument` as reading it would."""
    told: dict[str, Any] = {
        "audience": head.audience,
        "community": head.community,
        "content": head.content,
        "count": head.count,
        "delta": head.delta,
        "epoch": head.epoch,
        "expires": stamp(head.expires),
        "issued": stamp(head.issued),
        "levels": list(head.levels),
        "previous": head.previous,
        "size": head.size,
        "version": head.version,
    }
    payload = canonical(told)
    read_payload(payload)
    return payload


def seal_head(payload: bytes, keys: Sequence[PrivateKey]) -> bytes:
    """Return the *payload* of a head signed with *keys*."""
    return seal(payload, TABLE, keys, most=MAX_HEAD_BYTES)


def read_payload(payload: bytes) -> Head:
    """Return the head that `written` wrote as *payload*; raises `MalformedDocument`."""
    with reading("the table's head"):
        found = members_of(payload, _MEMBERS)
        issued, expires = life_of(found)
        return Head(
            community=community_of(found),
            audience=audience_of(found),
            epoch=epoch_of(found),
            version=number_of(found, "version"),
            issued=issued,
            expires=expires,
            previous=digest_of(found, "previous", empty=True),
            levels=checked_levels(texts_of(found, "levels")),
            count=number_of(found, "count", least=0, most=MAX_VERSION),
            size=number_of(found, "size", most=MAX_CONTENT_BYTES),
            content=digest_of(found, "content"),
            delta=digest_of(found, "delta", empty=True),
        )


_MEMBERS: Final[Mapping[str, type]] = {
    **dict.fromkeys(("audience", "community", "content", "delta", "expires", "issued", "previous"), str),
    **dict.fromkeys(("count", "epoch", "size", "version"), int),
    "levels": list,
}


def checked_levels(levels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of *levels* if they are usable in a table; raises ``ValueError``."""
    if not 1 <= len(levels) <= MAX_LEVELS or len(set(levels)) != len(levels):
        raise ValueError(f"has not 1 to {MAX_LEVELS} different levels")
    if not all(map(_is_level, levels)):
        raise ValueError("has a level that is not 1 to 64 letters, digits, dots, hyphens and underscores")
    return levels


def content_of(rows: Mapping[str, str], levels: Sequence[str]) -> bytes:
    """Return the content for *rows*, domain to level; those with the lowest of *levels* are left out.

    Raises ``ValueError`` for a level that is not among *levels*, and for a name that is not in normal form.
    """
    lists = {level: names for level, names in Rows.of(rows).lists().items() if level != levels[0]}
    if not lists.keys() <= set(levels):
        raise ValueError("has a row with a level that there is not")
    named = (f'"{level}":["{_BETWEEN.join(names)}"]' for level, names in sorted(lists.items()))
    content = f"{{{','.join(named)}}}".encode("ascii", "replace")
    if not _is_content(content):
        raise ValueError("has a row whose name is not in normal form")
    return content


def read_content(content: bytes, levels: Sequence[str]) -> Rows:
    """Return the rows in *content*, whose levels are among *levels* and above the lowest; raises `MalformedDocument`.

    The pattern admits nothing that JSON would have to unescape or could read in two ways, so that what is left to
    check of the one form is the order.
    """
    with reading("the table's content"):
        if not _is_content(content):
            raise ValueError("is not one list of names for each level")
        lists: dict[str, list[str]] = json.loads(content)
        if [*lists] != sorted(lists) or len(lists) != content.count(b"["):
            raise ValueError("has levels out of order, or one twice")
        if not lists.keys() <= set(levels[1:]):
            raise ValueError("has a level that there is not")
        if any(names != sorted(names) for names in lists.values()):
            raise ValueError("has names out of order")
        everybody = sorted(chain.from_iterable(lists.values()))  # merges what is in order: sooner done than a set of as many
        if any(map(eq, everybody, islice(everybody, 1, None))):
            raise ValueError("has a name twice")
        return Rows(lists)
