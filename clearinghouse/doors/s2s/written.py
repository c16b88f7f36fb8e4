"""The bytes that a stream sends: every form in one place, and nothing unescaped (RFC 6120, XEP-0178, XEP-0220; pure).

Prefixes are the usual ones: real servers look for the literal names `stream:error` and `db:result`, whatever XML says of prefixes.
"""

from __future__ import annotations

import re
from typing import Final

STREAMS: Final = "http://etherx.jabber.org/streams"
SERVER: Final = "jabber:server"
DIALBACK: Final = "jabber:server:dialback"
TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
SASL: Final = "urn:ietf:params:xml:ns:xmpp-sasl"
STREAM_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"
DIALBACK_FEATURE: Final = "urn:xmpp:features:dialback"

CLOSE: Final = "</stream:stream>"
PROCEED: Final = f"<proceed xmlns='{TLS}'/>"
TLS_FAILURE: Final = f"<failure xmlns='{TLS}'/>"
STARTTLS: Final = f"<starttls xmlns='{TLS}'/>"
CHALLENGE: Final = f"<challenge xmlns='{SASL}'/>"
SUCCESS: Final = f"<success xmlns='{SASL}'/>"

_EXTERNAL = f"<mechanisms xmlns='{SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>"
_TLS_REQUIRED = f"<starttls xmlns='{TLS}'><required/></starttls>"
_WITH_DIALBACK = f"<dialback xmlns='{DIALBACK_FEATURE}'><errors/></dialback>"

_HEAD = f"<?xml version='1.0'?><stream:stream xmlns='{SERVER}' xmlns:stream='{STREAMS}' xmlns:db='{DIALBACK}'%s%s xml:lang='en'>"
_ERROR_END = "</stream:error></stream:stream>"

_ESCAPES: Final = dict.fromkeys([*range(32), 0x7F, 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}") | {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("'"): "&apos;",
    ord('"'): "&quot;",
}
"""What XML gives a meaning to, and what it cannot hold at all; lone surrogates are replaced when the text becomes bytes."""

_strange = re.compile(r"[^ !#-%(-;=?-~]").search
"""Anything but printable ASCII that needs no escape: nearly every text has none of it."""


def escaped(text: str) -> str:
    """Return *text* as it stands in an attribute or between tags.

    >>> escaped("it's <a>")
    'it&apos;s &lt;a&gt;'
    """
    return text if _strange(text) is None else text.translate(_ESCAPES)


def encoded(text: str) -> bytes:
    """Return what is sent."""
    return text.encode("utf-8", "replace")


def answering(*, sender: str = "", to: str = "", version: str = "1.0") -> str:
    """Return what a header of ours says beside its id; what is empty is left out."""
    told = (("from", sender), ("to", to), ("version", version))
    return "".join(f" {name}='{escaped(value)}'" for name, value in told if value)


def header(identifier: str, attributes: str) -> str:
    """Return the header that answers a peer's."""
    return _HEAD % (f" id='{escaped(identifier)}'", attributes)


def opening(*, sender: str, to: str) -> str:
    """Return the header with which we open a stream ourselves."""
    return _HEAD % ("", answering(sender=sender, to=to))


def features(*, starttls: str, external: bool, dialback: bool) -> str:
    """Return what a peer may choose from; *starttls* is `no`, `optional` or `required`."""
    offered = {"no": "", "optional": STARTTLS, "required": _TLS_REQUIRED}[starttls]
    return f"<stream:features>{offered}{_EXTERNAL if external else ''}{_WITH_DIALBACK if dialback else ''}</stream:features>"


def stream_error(condition: str, text: str = "", place: str = "") -> str:
    """Return a stream error and the end of the stream; *place* is where `see-other-host` points."""
    if place:
        told = f"<stream:error><{condition} xmlns='{STREAM_ERRORS}'>{escaped(place)}</{condition}>"
    else:
        told = f"<stream:error><{condition} xmlns='{STREAM_ERRORS}'/>"
    if text:
        told += f"<text xmlns='{STREAM_ERRORS}' xml:lang='en'>{escaped(text)}</text>"
    return told + _ERROR_END


def sasl_failure(condition: str) -> str:
    """Return the answer to an attempt that failed (RFC 6120, section 6.5)."""
    return f"<failure xmlns='{SASL}'><{condition}/></failure>"


def dialback_error(kind: str, *, sender: str, to: str, identifier: str, condition: str) -> str:
    """Return the answer of *kind* (`result` or `verify`) to a request that cannot be met (XEP-0220, section 2.5)."""
    named = f" id='{escaped(identifier)}'" if identifier else ""
    told = f"<error type='cancel'><{condition} xmlns='{STANZA_ERRORS}'/></error>"
    return f"<db:{kind} from='{escaped(sender)}' to='{escaped(to)}'{named} type='error'>{told}</db:{kind}>"


def dialback_invalid(kind: str, *, sender: str, to: str, identifier: str) -> str:
    """Return `invalid` for a peer that knows no errors of dialback."""
    named = f" id='{escaped(identifier)}'" if identifier else ""
    return f"<db:{kind} from='{escaped(sender)}' to='{escaped(to)}'{named} type='invalid'/>"


def verify(*, sender: str, to: str, identifier: str, key: str) -> str:
    """Return the question whether *key* was made by the server of *to* for the stream *identifier* to *sender*."""
    return f"<db:verify from='{escaped(sender)}' to='{escaped(to)}' id='{escaped(identifier)}'>{escaped(key)}</db:verify>"
