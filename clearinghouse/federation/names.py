"""Names of servers, in the one form in which they compare: lower-case A-labels without a trailing dot (RFC 7622, RFC 5891; pure).

>>> normal("Bücher.Example.")
'xn--bcher-kva.example'

A name is compared as a whole.  Nothing here asks whether one name ends with another: ``badexample.org`` ends
with ``example.org``, and only `below` knows that it is no part of it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar, Final

import idna

from clearinghouse.clearing.vocabulary import shown
from clearinghouse.errors import PeerError

MAX_NAME_CHARACTERS: Final = 1_023
"""Characters that are looked at; what XMPP allows of a domain (RFC 7622, section 3.2) is more than DNS does."""

MAX_NAME_BYTES: Final = 253
"""Bytes of a name in A-labels (RFC 1035, section 2.3.4, without the length bytes at both ends)."""

_REMEMBERED: Final = 4_096
"""Names whose form is remembered; a server that is asked about again is the usual case."""

_is_label = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?").fullmatch
_MEND = "write it as in `chat.example.org`"


class BadName(PeerError):
    """A text that is no name of an XMPP server: an address, a JID, a pattern, or a label that DNS could not have."""

    code: ClassVar[str] = "bad-name"


@lru_cache(maxsize=_REMEMBERED)
def normal(text: str) -> str:
    """Return the name *text* in lower-case A-labels; raises `BadName`.

    U-labels, capitals, full-width letters and one trailing dot are accepted.  An IP address is no name: nobody
    has signed which server is behind it tomorrow.
    """
    if not 1 <= len(text) <= MAX_NAME_CHARACTERS:
        raise BadName("a name is empty, or too long", mend=_MEND)
    labels = _mapped(text).removesuffix(".").split(".")
    name = ".".join(_label(label, text) for label in labels)
    if len(name) > MAX_NAME_BYTES:
        raise BadName(f"`{shown(text)}` is too long for a name", mend=f"at most {MAX_NAME_BYTES} bytes, in A-labels")
    if labels[-1].isdigit():
        raise BadName(f"`{shown(text)}` is an address", mend="give the name of the server")
    return name


def below(name: str, parent: str) -> bool:
    """Say whether *name*, in normal form, is *parent* or a name below it: whole labels, never a mere ending."""
    return name == parent or name.endswith("." + parent)


def _mapped(text: str) -> str:
    """Return *text* with capitals, full-width letters and other dots mapped as people mean them (UTS 46)."""
    if text.isascii():
        return text.lower()
    try:
        return idna.uts46_remap(text, std3_rules=True, transitional=False)
    except (idna.IDNAError, UnicodeError):
        raise BadName(f"`{shown(text)}` holds a character that no name has", mend=_MEND) from None


def _label(label: str, text: str) -> str:
    """Return one label in its A-form; what claims to be an A-label must be the form of something."""
    try:
        if not label.isascii():
            label = idna.alabel(label).decode("ascii")
        elif label.startswith("xn--") and idna.alabel(idna.ulabel(label)).decode("ascii") != label:
            label = ""
    except (idna.IDNAError, UnicodeError):
        label = ""
    if not _is_label(label):
        raise BadName(f"`{shown(text)}` is no name of a server", mend=_MEND)
    return label
