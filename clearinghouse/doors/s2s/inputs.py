"""Which input of the table an element is: its name, and what makes it unusable (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from clearinghouse.doors.s2s import sasl
from clearinghouse.doors.s2s.events import Authenticating, DialbackAsked, Ended, StartTls
from clearinghouse.doors.s2s.headers import name_of
from clearinghouse.doors.s2s.table import Input
from clearinghouse.doors.s2s.tokens import Reader, Stop
from clearinghouse.doors.s2s.written import DIALBACK, SASL, SERVER, STREAM_ERRORS, STREAMS, TLS

_is_condition = re.compile(r"[a-z][a-z-]{1,39}").fullmatch


class Context(NamedTuple):
    """What a stream knows that an element is read by."""

    id: str = ""
    claimed: str = ""
    starttls: bool = False
    """It has been offered."""
    external: bool = False
    """So has this."""


class Read(NamedTuple):
    """An input, what the door is told of it, the condition that answers it, and whom it is between."""

    input: Input
    event: Authenticating | DialbackAsked | Ended | StartTls | None = None
    condition: str = ""
    claimed: str = ""
    wanted: str = ""
    id: str = ""


def read_element(reader: Reader, context: Context) -> Read:
    """Return what the element is that was read last; raises `Stop` with a stream error."""
    read = _READERS.get(reader.name)
    return _other(reader.name) if read is None else read(reader, context)


def _other(name: str) -> Read:
    if name in _STANZAS:
        return Read(Input.STANZA)
    namespace, _, local = name.rpartition("\n")
    if namespace in _FOREIGN and f"{SERVER}\n{local}" in _STANZAS:
        raise Stop("invalid-namespace")  # 4.8.2: a stanza of clients, or of nobody
    return Read(Input.OTHER)


def _starttls(reader: Reader, context: Context) -> Read:
    del reader
    return Read(Input.STARTTLS, StartTls()) if context.starttls else Read(Input.STARTTLS_NOT_OFFERED)


def _auth(reader: Reader, context: Context) -> Read:
    if not context.external:
        return Read(Input.AUTH_BAD, condition="encryption-required" if context.starttls else "invalid-mechanism")
    if reader.attributes.get("mechanism") != "EXTERNAL":
        return Read(Input.AUTH_BAD, condition="invalid-mechanism")
    text = "".join(reader.texts)
    if not text:
        return Read(Input.AUTH_BARE)
    try:
        return Read(Input.AUTH, Authenticating(sasl.identity(text, context.claimed)))
    except Stop as failure:
        return Read(Input.AUTH_BAD, condition=failure.args[0])


def _response(reader: Reader, context: Context) -> Read:
    try:
        return Read(Input.RESPONSE, Authenticating(sasl.identity("".join(reader.texts), context.claimed)))
    except Stop as failure:
        return Read(Input.RESPONSE_BAD, condition=failure.args[0])


def _abort(reader: Reader, context: Context) -> Read:
    del reader, context
    return Read(Input.ABORT)


def _result(reader: Reader, context: Context) -> Read:
    attributes = reader.attributes
    if "type" in attributes:
        return Read(Input.OTHER)  # the answer to what was never asked
    claimed, wanted = name_of(attributes.get("from", "")), name_of(attributes.get("to", ""))
    key = "".join(reader.texts).strip()
    if not key:
        raise Stop("invalid-xml")
    return Read(Input.RESULT, DialbackAsked(claimed, wanted, key, context.id), claimed=claimed, wanted=wanted)


def _verify(reader: Reader, context: Context) -> Read:
    del context
    attributes = reader.attributes
    if "type" in attributes:
        return Read(Input.OTHER)
    claimed, wanted = name_of(attributes.get("from", "")), name_of(attributes.get("to", ""))
    return Read(Input.VERIFY, claimed=claimed, wanted=wanted, id=attributes.get("id", ""))


def _error(reader: Reader, context: Context) -> Read:
    del context
    return Read(Input.PEER_ERROR, Ended(condition_of(reader), by_peer=True))


def condition_of(reader: Reader) -> str:
    """Return the condition of the peer's `<stream:error/>`, if it looks like one: it is a stranger's text."""
    namespace, _, found = (reader.children or [""])[0].rpartition("\n")
    return found if namespace == STREAM_ERRORS and _is_condition(found) else "undefined-condition"


_STANZAS: Final = frozenset({f"{SERVER}\nmessage", f"{SERVER}\npresence", f"{SERVER}\niq"})
_FOREIGN: Final = ("", "jabber:client")

_READERS: Final[Mapping[str, Callable[[Reader, Context], Read]]] = {
    f"{TLS}\nstarttls": _starttls,
    f"{SASL}\nauth": _auth,
    f"{SASL}\nresponse": _response,
    f"{SASL}\nabort": _abort,
    f"{DIALBACK}\nresult": _result,
    f"{DIALBACK}\nverify": _verify,
    f"{STREAMS}\nerror": _error,
}

WHOLE: Final = frozenset(_READERS)
"""Elements of which more than the start tag is read."""
