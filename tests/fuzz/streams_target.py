"""What must hold of a stream between servers, whatever bytes a peer sends, and whenever TLS begins:

1. nothing is raised, and nothing is told or sent after the end;
2. the same bytes in other pieces are told and answered in the same way;
3. what is sent is well-formed XML: each stream of ours is one document, and ends where the talk ends;
4. nobody is let in: what is told is a name in normal form, and no features are ever empty;
5. nothing is held but what one element may have.

`check` raises `Broken` where one of these does not hold.  A byte that no text has (``0x1E``) stands where the peer waits for us.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.parsers.expat import ExpatError, ParserCreate

from clearinghouse.doors.s2s.events import Authenticating, DialbackAsked, Ended, Event, Opened, StartTls
from clearinghouse.doors.s2s.tokens import MAX_ELEMENT_BYTES
from clearinghouse.federation.names import normal
from tests.fuzz.parser_target import Broken
from tests.unit.doors.s2s.peers import HEADER, SAID, STARTTLS, auth, encoded, header, response, stream, talk
from tests.unit.doors.s2s.test_errors import BELOW, FIRST

WAITS = b"\x1e"
_OURS = b"<?xml version='1.0'?>"


def corpus() -> list[bytes]:
    """Return talks to begin with: whole ones, and all that our tests call wrong."""
    whole = [HEADER, STARTTLS, HEADER, auth(encoded("a.example")), header(" to='b.example' version='1.0'")]
    asked = [HEADER, STARTTLS, HEADER, auth(""), response("="), HEADER]
    found = [WAITS.join(whole), WAITS.join(asked), *(HEADER + WAITS + data for data in SAID.values())]
    found += [data for data, _ in FIRST.values()]
    found += [HEADER + data for data, _ in BELOW.values()]
    return [data for data in found if len(data) < 4_096]


def check(data: bytes) -> None:
    """Hold a stream, with TLS and without, to the invariant."""
    segments = data.split(WAITS)
    for secure in (False, True):
        events, out = told(talk(([each] for each in segments), secure=secure))
        middle = len(data) // 3
        for pieces in ([each[:middle], each[middle:]] for each in segments), ([bytes([octet]) for octet in each] for each in segments):
            if told(talk(pieces, secure=secure)) != (events, out):
                raise Broken(f"{data!r} is answered differently in other pieces")
        _well_formed(out, ended=any(isinstance(event, Ended) for event in events))
        _told_in_order(events)
    _holds_little(segments)


def told(talked: tuple[list[Event], bytes]) -> tuple[list[Event], bytes]:
    """Return a talk without the wish for TLS that was withdrawn by what came behind it."""
    events, out = talked
    if events[-2:] == [StartTls(), Ended("policy-violation")]:
        del events[-2]
    return events, out


def _told_in_order(events: Iterable[Event]) -> None:
    over = False
    for event in events:
        if over:
            raise Broken(f"{event} was told after the end")
        match event:
            case Opened() | DialbackAsked():
                names = [event.claimed, event.wanted]
            case Authenticating():
                names = [event.name]
            case _:
                names = []
        if any(name and normal(name) != name for name in names):
            raise Broken(f"{event} has a name that is not normal")
        over = isinstance(event, Ended)


def _well_formed(out: bytes, *, ended: bool) -> None:
    """Read what we sent, each stream with a parser of its own."""
    if b"<stream:features></stream:features>" in out:
        raise Broken("a peer was offered nothing")
    streams = out.split(_OURS)
    if streams[0]:
        raise Broken(f"we sent {streams[0]!r} before our header")
    for number, each in enumerate(streams[1:], 2):
        parser = ParserCreate("UTF-8", "\n")
        try:
            parser.Parse(_OURS + each, False)  # noqa: FBT003 - expat's own
            if ended and number == len(streams) and not each.endswith(b"</stream:stream>"):
                raise Broken(f"a stream ended without its end: {each[-60:]!r}")
        except ExpatError as error:
            raise Broken(f"we sent {each!r}: {error}") from None


def _holds_little(segments: Iterable[bytes]) -> None:
    made = stream()
    for octet in b"".join(segments):
        if made.receive(bytes([octet])) is not None:
            return
        reader = made._reader
        if reader is not None and reader.held > MAX_ELEMENT_BYTES:
            raise Broken(f"{reader.held} bytes are held")
