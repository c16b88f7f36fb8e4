"""However TCP slices the bytes, a stream between servers tells the same and answers the same, errors included."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.doors.s2s.events import Authenticating, DialbackAsked, Ended, Event, Opened, StartTls
from tests.unit.doors.s2s.peers import HEADER, PEER_ERROR, RESULT, SAID, STARTTLS, auth, encoded, header, response, talk
from tests.unit.doors.s2s.test_errors import BELOW, FIRST

PIECES = [
    *(data for cases in (FIRST, BELOW) for data, _ in cases.values() if len(data) < 2_000),
    *SAID.values(),
    *(auth(text) for text in ("", "=", "%", encoded("a.example"), encoded("c.example"))),
    *(response(text) for text in ("", "=", encoded("a.example"))),
    header("", declaration=""),
    header(" version='0.9' to='refused.example'"),
    header(" version='2.0' xml:lang='de' from='A.Example.' to='b.example'"),
    RESULT.replace(b"0123", b"4567"),
    b" \n",
    b"<",
    b">",
]
CUTS = st.lists(st.integers(0, 3_000), max_size=12)

bytes_sent = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), min_size=1, max_size=4).map(b"".join)
talks = st.lists(st.tuples(st.one_of(bytes_sent, bytes_sent.map(HEADER.__add__)), CUTS), min_size=1, max_size=4)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[begin:end] for begin, end in pairwise(edges)]


@given(talks, st.booleans())
def test_chunking_changes_nothing(segments: list[tuple[bytes, list[int]]], secure: bool) -> None:  # noqa: FBT001 - Hypothesis draws it
    whole = told(talk(([data] for data, _ in segments), secure=secure))
    assert told(talk((cut(data, places) for data, places in segments), secure=secure)) == whole
    assert told(talk((cut(data, range(len(data))) for data, _ in segments), secure=secure)) == whole


def told(talked: tuple[list[Event], bytes]) -> tuple[list[Event], bytes]:
    """A talk without the wish for TLS that was withdrawn: what came behind `<starttls/>` may come before or after we told of it."""
    events, out = talked
    if events[-2:] == [StartTls(), Ended("policy-violation")]:
        del events[-2]
    return events, out


@given(st.lists(CUTS, min_size=5, max_size=5))
def test_a_whole_talk_is_the_same_however_it_is_cut(places: list[list[int]]) -> None:
    segments = [HEADER, STARTTLS, HEADER, auth(encoded("a.example")), header(" to='b.example' version='1.0'")]
    events, out = talk(cut(data, cuts) for data, cuts in zip(segments, places, strict=True))
    greeted = Opened("a.example", "b.example", modern=True, dialback=True)
    assert events == [greeted, StartTls(), greeted, Authenticating("a.example"), greeted]
    assert out.count(b"<?xml") == 3
    assert out.endswith(b"</stream:error></stream:stream>")


@given(CUTS)
def test_what_comes_too_early_is_read_in_its_turn(places: list[int]) -> None:
    """A peer that waits for nothing but TLS: its header, a key that is refused, another key, and its own error."""
    data = HEADER + RESULT + b" " + RESULT.replace(b"0123", b"4567") + PEER_ERROR
    events, out = talk([cut(data, places)])
    kinds = [type(event) for event in events]
    assert kinds == [Opened, DialbackAsked, DialbackAsked]
    assert (out.count(b"type='error'"), out.count(b"<see-other-host")) == (1, 1)


@given(CUTS)
def test_tls_begins_with_nothing_that_came_before_it(places: list[int]) -> None:
    events, out = talk([cut(HEADER + STARTTLS + HEADER, places)])
    assert events[-1] == Ended("policy-violation")
    assert b"<proceed" not in out
