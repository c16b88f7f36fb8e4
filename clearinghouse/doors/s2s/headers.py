"""What a stream header says, and what is wrong with it (RFC 6120, sections 4.7 and 4.8; pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple

from clearinghouse.doors.s2s.events import Opened
from clearinghouse.doors.s2s.tokens import Kind, Reader, Stop
from clearinghouse.doors.s2s.written import DIALBACK, SERVER, STREAMS, answering
from clearinghouse.federation.names import BadName, normal

STREAM: Final = f"{STREAMS}\nstream"

MODERN: Final = "1.0"
"""The version that we speak; a peer of a later one is answered with it, of an earlier one with its own (section 4.7.5)."""

MAX_REMEMBERED_BYTES: Final = 1_024
"""Of a header that is remembered; those of real servers have about 250."""

REMEMBERED: Final = 512
"""Headers that are remembered: a server whose users keep writing to a peer that it may not reach comes again with each stanza."""

_is_version = re.compile(r"([0-9]{1,9})\.[0-9]{1,9}", re.ASCII).fullmatch


class Header(NamedTuple):
    """A header that is in order."""

    opened: Opened
    reply: str
    """The attributes of ours, which answers it: the peer's names the other way round and as it wrote them, and a version."""


def header_of(name: str, attributes: Mapping[str, str], namespaces: Mapping[str | None, str]) -> Header:
    """Return what a header says; raises `Stop` with the stream error that it deserves."""
    if name != STREAM:
        raise Stop("bad-format" if name.startswith(STREAMS + "\n") else "invalid-namespace")  # 4.8.1
    if namespaces.get("stream") != STREAMS:
        raise Stop("bad-namespace-prefix")  # 4.8.5: the only prefix that real servers read
    if namespaces.get(None, SERVER) != SERVER:
        raise Stop("invalid-namespace")  # 4.8.2
    version = _answered(attributes.get("version", ""))
    sender, to = attributes.get("from"), attributes.get("to")
    opened = Opened(
        "" if sender is None else name_of(sender),
        "" if to is None else _served(to),
        modern=version == MODERN,
        dialback=DIALBACK in namespaces.values(),
    )
    return Header(opened, answering(sender=to or "", to=sender or "", version=version))


@lru_cache(maxsize=REMEMBERED)
def header_in(data: bytes) -> Header:
    """Return the header that *data* is, from the first byte to the last; raises `Stop` where it is anything else, which is not remembered.

    That a header comes again makes the answer faster by a few microseconds, and says nothing of what the answer is.
    """
    reader = Reader(frozenset())
    reader.hold(data)
    try:
        if reader.advance() is not Kind.HEADER or reader.held:
            raise Stop("not-well-formed")
        return header_of(reader.name, reader.attributes, reader.namespaces)
    finally:
        reader.close()


def name_of(text: str) -> str:
    """Return the name of a server in normal form; raises `Stop`."""
    try:
        return normal(text)
    except BadName:
        raise Stop("improper-addressing") from None  # 4.9.3.8: it "violates the rules for XMPP addresses"


def _served(text: str) -> str:
    try:
        return normal(text)
    except BadName:
        pass
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        raise Stop("improper-addressing") from None
    raise Stop("host-unknown")  # 4.9.3.6: a domainpart, but nobody is behind it here


def _answered(version: str) -> str:
    if version in ("", MODERN):
        return version
    found = _is_version(version)
    if found is None:
        raise Stop("unsupported-version")  # 4.9.3.25
    return MODERN if int(found[1]) else version
