"""A peer as the stream machine sees one: what it sends, and a stream brought to any state of the table."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from xml.etree import ElementTree as ET

from clearinghouse.doors.s2s.events import Authenticating, DialbackAsked, Ended, Event, Opened, StartTls
from clearinghouse.doors.s2s.stream import MAX_HELD_BYTES, Starttls, Stream
from clearinghouse.doors.s2s.table import Input, State
from clearinghouse.federation.redirection.answers import Redirect, Refused

TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
ERRORS = "{urn:ietf:params:xml:ns:xmpp-streams}"
NAMESPACES = "xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'"
NAMES = " from='a.example' to='b.example'"

PLACE = Redirect("b.example:5270", "the server of b.example (decision 0123456789ab)")


def header(more: str = f"{NAMES} version='1.0'", namespaces: str = NAMESPACES, declaration: str = "<?xml version='1.0'?>") -> bytes:
    return f"{declaration}<stream:stream {namespaces}{more}>".encode()


HEADER = header()
STARTTLS = f"<starttls xmlns='{TLS}'/>".encode()
RESULT = b"<db:result from='a.example' to='b.example'>0123abcd</db:result>"
VERIFY = b"<db:verify from='a.example' to='b.example' id='of-another'>0123abcd</db:verify>"
ABORT = f"<abort xmlns='{SASL}'/>".encode()
PEER_ERROR = b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"


def auth(text: str = "=", mechanism: str = "EXTERNAL") -> bytes:
    return f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{text}</auth>".encode()


def response(text: str = "=") -> bytes:
    return f"<response xmlns='{SASL}'>{text}</response>".encode()


def encoded(name: str) -> str:
    return base64.b64encode(name.encode()).decode()


def stream(*, secure: bool = False) -> Stream:
    numbers = count(1)
    return Stream(secure=secure, new_id=lambda: f"id-{next(numbers)}")


def choosing(*, secure: bool, first: bytes = HEADER) -> Stream:
    """A stream whose peer has read what it may choose from; nothing is left to be sent."""
    made = stream(secure=secure)
    assert isinstance(made.receive(first), Opened)
    made.offer(starttls=Starttls.NO if secure else Starttls.OPTIONAL, external=secure, dialback=True)
    made.take()
    return made


def brought(state: State, *, secure: bool) -> Stream:
    """A stream in *state*, with nothing left to be sent."""
    if state is State.HEADER:
        return stream(secure=secure)
    if state is State.OPENED:
        made = stream(secure=secure)
        made.receive(HEADER)
        return made
    made = choosing(secure=secure)
    match state:
        case State.UPGRADING | State.SECURING:
            made.receive(STARTTLS)
            if state is State.SECURING:
                made.proceed()
        case State.CHALLENGED:
            made.receive(auth(""))
        case State.AUTHENTICATING:
            made.receive(auth())
        case State.DIALLED:
            made.receive(RESULT)
        case State.ENDED:
            made.answer(Refused())
        case State.CHOOSING:
            pass
    assert made.state is state
    made.take()
    return made


SAID: Mapping[Input, bytes] = {
    Input.BYTES: b" ",
    Input.HEADER: HEADER,
    Input.STARTTLS: STARTTLS,
    Input.STARTTLS_NOT_OFFERED: STARTTLS,
    Input.AUTH: auth(),
    Input.AUTH_BARE: auth(""),
    Input.AUTH_BAD: auth(mechanism="PLAIN"),
    Input.RESPONSE: response(),
    Input.RESPONSE_BAD: response("%"),
    Input.ABORT: ABORT,
    Input.RESULT: RESULT,
    Input.VERIFY: VERIFY,
    Input.STANZA: b"<message from='u@a.example' to='u@b.example'/>",
    Input.OTHER: b"<x xmlns='urn:example:other'/>",
    Input.PEER_ERROR: PEER_ERROR,
    Input.CLOSE: b"</stream:stream>",
    Input.FAULT: b"<!-- -->",
}
"""What a peer sends, for each of its inputs."""

TOO_MUCH = b" " * (MAX_HELD_BYTES + 1)
"""The fault of a peer that does not wait for the door's word."""

WORDS: Mapping[Input, Callable[[Stream], None]] = {
    Input.OFFER: lambda made: made.offer(starttls=Starttls.NO, external=False, dialback=True),
    Input.ANSWER: lambda made: made.answer(PLACE),
    Input.PROCEED: Stream.proceed,
    Input.SECURED: Stream.secured,
    Input.PROVEN: lambda made: made.proven("a.example"),
    Input.REFUSE_SASL: Stream.refuse_sasl,
    Input.REFUSE_DIALBACK: Stream.refuse_dialback,
    Input.TIMEOUT: Stream.timeout,
    Input.END: Stream.end,
}
"""The door's words."""


def conditions(data: bytes) -> list[str]:
    """The conditions of the stream errors in *data*, which is the end of a stream, with its header or without."""
    if not data.startswith(b"<?xml"):
        data = HEADER + data
    found = ET.fromstring(data)  # noqa: S314 - our own bytes
    return [each.tag.removeprefix(ERRORS) for error in found if error.tag.endswith("}error") for each in error[:1]]


def answered(made: Stream, event: Event) -> None:
    """Give the door's word to *event*, which is the same for the same event; TLS begins where the peer has said nothing more."""
    match event:
        case Opened() if made.proven_as or event.wanted == "refused.example":
            made.answer(PLACE if made.proven_as else Refused())
        case Opened():
            made.offer(starttls=Starttls.NO if made.secure else Starttls.OPTIONAL, external=made.secure, dialback=True)
        case Authenticating(name):
            made.proven(name) if name == "a.example" else made.refuse_sasl()
        case DialbackAsked():
            made.refuse_dialback() if event.key.startswith("0") else made.answer(PLACE)
        case StartTls() | Ended():
            pass


def talk(segments: Iterable[Iterable[bytes]], *, secure: bool = False) -> tuple[list[Event], bytes]:
    """What a stream tells and sends in a whole talk.

    A segment is what the peer sends before it must wait for us, in the pieces in which the network brings it; after the last one of it TLS
    begins, where the peer has asked for that.
    """
    made, events, out = stream(secure=secure), [], b""
    for pieces in segments:
        for piece in pieces:
            event = made.receive(piece)
            while event is not None:
                events.append(event)
                answered(made, event)
                out += made.take()
                event = made.receive(b"")
            out += made.take()
        if made.state is State.UPGRADING:
            made.proceed()
            out += made.take()
            made.secured()
    return events, out
