"""What all payloads have in common: how their members are read, and refused (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from clearinghouse.clearing.vocabulary import EVERYTHING, Kind, is_canonical
from clearinghouse.clearing.wire import check_members, read_canonical, read_stamp
from clearinghouse.federation.published.documents import MAX_EPOCH, MAX_VERSION
from clearinghouse.federation.published.refusals import MalformedDocument

MAX_COMMUNITY_CHARACTERS: Final = 1_023
"""Characters of a community's name, as of an envelope's audience."""

is_digest = re.compile(r"[0-9a-f]{64}").fullmatch
"""Tell whether a text is a SHA-256 in lower-case hexadecimal."""


@contextmanager
def reading(what: str, mend: str = "fetch it again") -> Iterator[None]:
    """Make a `MalformedDocument` about *what* of every ``ValueError`` that is raised inside."""
    try:
        yield
    except ValueError as error:
        raise MalformedDocument(f"{what} {error}", mend=mend) from None


def members_of(payload: bytes, wanted: Mapping[str, type]) -> dict[str, Any]:
    """Return the object in *payload*, in canonical form and with the *wanted* members; raises ``ValueError``."""
    found = read_canonical(payload)
    check_members(found, wanted)
    return found


def community_of(found: Mapping[str, Any]) -> str:
    """Return the community that is named in *found*."""
    name: str = found["community"]
    if not (1 <= len(name) <= MAX_COMMUNITY_CHARACTERS and is_canonical(Kind.TEXT, name)):
        raise ValueError("names no community")
    return name


def audience_of(found: Mapping[str, Any]) -> str:
    """Return the audience that is named in *found*: a domain in normal form, or `*`."""
    name: str = found["audience"]
    if name != EVERYTHING and not is_canonical(Kind.DOMAIN, name):
        raise ValueError("names no audience")
    return name


def number_of(found: Mapping[str, Any], name: str, *, least: int = 1, most: int = MAX_VERSION) -> int:
    """Return the whole number *name* of *found*, if it lies between *least* and *most*."""
    value: int = found[name]
    if not least <= value <= most:
        raise ValueError(f"has a `{name}` that is not between {least} and {most}")
    return value


def epoch_of(found: Mapping[str, Any]) -> int:
    """Return the epoch that is named in *found*."""
    return number_of(found, "epoch", most=MAX_EPOCH)


def digest_of(found: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    """Return the digest *name* of *found*; with *empty* it may be the empty text."""
    value: str = found[name]
    if not (is_digest(value) or (empty and value == "")):
        raise ValueError(f"has a `{name}` that is no SHA-256 in hexadecimal")
    return value


def life_of(found: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return from when to when *found* counts."""
    issued, expires = read_stamp(found["issued"]), read_stamp(found["expires"])
    if issued >= expires:
        raise ValueError("expires before it is issued")
    return issued, expires


def texts_of(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the list of texts *name* of *found*."""
    values: list[object] = found[name]
    if not all(isinstance(each, str) for each in values):
        raise ValueError(f"has a `{name}` with something that is no text")
    return tuple(map(str, values))
