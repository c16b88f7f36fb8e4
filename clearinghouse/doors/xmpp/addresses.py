"""XMPP addresses (RFC 7622) in the one form in which policy compares them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from slixmpp.jid import JID, InvalidJID

from clearinghouse.errors import MalformedRequest
from clearinghouse.grid.topics import Subscriber

MAX_JID_BYTES: Final = 3 * 1023 + 2
"""Bytes of a JID in UTF-8: three parts of at most 1023 and two separators (RFC 7622, section 3.1)."""

MAX_DOMAIN_CHARACTERS: Final = 253
"""Characters of a domain name with A-labels (RFC 1035, section 2.3.4, without the root)."""

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def read_subscriber(written: str) -> Subscriber:
    """Return the address *written* in normal form; raise `MalformedRequest` when it has none.

    Normalising may change the case of letters and the spelling of a domain, and nothing else.
    Nodeprep also folds letters that other profiles keep apart (`straße` and `strasse`), so what two
    servers take for two users could become one principal here: such an address is refused.
    """
    try:
        jid = JID(_short_enough(written))
    except InvalidJID:
        raise _not_normal(written) from None
    # Stringprep stops at Unicode 3.2: it lets younger characters pass that newer software maps to others.
    if not unicodedata.is_normalized("NFKC", written):
        raise _not_normal(written)
    local, rest = _split_local(written)
    domain, slash, resource = rest.partition("/")
    if jid.local != local.lower() or jid.resource != resource:
        raise _not_normal(written)
    ascii_domain = read_domain(domain)
    bare = f"{jid.local}@{ascii_domain}" if jid.local else ascii_domain
    return Subscriber(written=written, bare=bare, full=f"{bare}{slash}{resource}", domain=ascii_domain)


def read_domain(written: str) -> str:
    """Return a domain in lower case with A-labels (RFC 5890); raise `MalformedRequest` when it has no such form."""
    try:
        name = written.encode("idna").decode("ascii").lower()
        JID(name)
        if not written.isascii() and not _same_name(name, written):
            raise _not_normal(written)
    except (UnicodeError, InvalidJID):
        raise _not_normal(written) from None
    labels = name.split(".")
    address = labels[-1].isdecimal()
    if address or len(name) > MAX_DOMAIN_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        raise _not_normal(written)
    return name


def _same_name(a_labels: str, u_labels: str) -> bool:
    """Whether the two differ in spelling and case only: IDNA 2003, which does the spelling, also maps letters to others."""
    return unicodedata.is_normalized("NFKC", u_labels) and a_labels.encode("ascii").decode("idna") == u_labels.lower()


def _short_enough(written: str) -> str:
    try:
        size = len(written.encode())
    except UnicodeEncodeError:
        raise _not_normal(written) from None
    if not 1 <= size <= MAX_JID_BYTES:
        raise MalformedRequest(f"an address of {size} bytes", mend=f"use 1 to {MAX_JID_BYTES}")
    return written


def _split_local(written: str) -> tuple[str, str]:
    head, slash, resource = written.partition("/")
    local, _, domain = head.rpartition("@")
    return local, domain + slash + resource


def _not_normal(written: str) -> MalformedRequest:
    shown = written[:64].encode("unicode_escape").decode()
    return MalformedRequest(f"`{shown}` is not an XMPP address in normal form", mend="write it as localpart@domain/resource, in lower case")
