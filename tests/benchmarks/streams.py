"""What the stream machine between servers adds to expat: a header read and answered, without a socket."""

from __future__ import annotations

from itertools import count
from xml.parsers.expat import ParserCreate

from clearinghouse.doors.s2s.headers import header_in
from clearinghouse.doors.s2s.stream import Stream
from tests.benchmarks.measure import Effort, Side, race
from tests.benchmarks.report import Section
from tests.unit.doors.s2s.peers import HEADER, PLACE, header

_NUMBERS = count()


def _id() -> str:
    return "0123456789abcdef"


def _expat() -> str:
    """Read the header, and do nothing with it."""
    found: list[str] = []
    parser = ParserCreate("UTF-8", "\n")
    parser.StartElementHandler = lambda name, _: found.append(name)
    parser.Parse(HEADER, False)  # noqa: FBT003 - expat's own
    return found[0][-6:]


def _answered(pieces: list[bytes]) -> bytes:
    stream = Stream(secure=False, new_id=_id)
    for piece in pieces:
        stream.receive(piece)
    stream.answer(PLACE)
    return stream.take()[-16:]


def _new() -> bytes:
    return _answered([header(f" from='a.example' to='b.example' version='1.0' id='{next(_NUMBERS)}'")])


def streams(effort: Effort) -> Section:
    """One header and its answer, four ways."""
    end, octets = b"</stream:stream>", [bytes([octet]) for octet in HEADER]
    header_in.cache_clear()
    us = race(
        [
            Side("expat alone, no answer", _expat, "stream"),
            Side("a header that has come before", lambda: _answered([HEADER]), end),
            Side("a header that is new", _new, end),
            Side("a header byte by byte", lambda: _answered(octets), end),
        ],
        effort,
    )
    alone = us["expat alone, no answer"]
    return Section(
        f"A stream header of {len(HEADER)} bytes, read and answered", ("", "us", "times expat"), [(n, t, t / alone) for n, t in us.items()]
    )
