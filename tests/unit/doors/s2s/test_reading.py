"""Expat is given each byte once, whatever the pieces in which they come; only a `>` makes it look at an unfinished tag again."""

from __future__ import annotations

import gc
import weakref

import pytest

from clearinghouse.doors.s2s.tokens import MAX_ELEMENT_BYTES, MAX_PIECES, Kind, Reader
from tests.unit.doors.s2s.peers import HEADER, RESULT, header, stream
from tests.unit.doors.s2s.test_errors import padded

WHOLE = frozenset({"jabber:server:dialback\nresult"})


class Counted(Reader):
    """A reader that counts what expat is given."""

    __slots__ = ("__weakref__", "calls", "given")

    def __init__(self) -> None:
        super().__init__(WHOLE)
        self.calls = self.given = 0

    def _parse(self, piece: bytes) -> Kind | None:
        self.calls += 1
        self.given += len(piece)
        return super()._parse(piece)


def fed(data: bytes, size: int) -> Counted:
    reader = Counted()
    for begin in range(0, len(data), size):
        reader.hold(data[begin : begin + size])
        while reader.advance() is not None and not reader.condition:
            pass
        if reader.condition:
            break
    return reader


@pytest.mark.parametrize("size", [1, 7, 1_000_000], ids=str)
def test_expat_is_given_each_byte_once(size: int) -> None:
    data = header(declaration="<?xml version='1.0' encoding='utf-8'?>") + RESULT * 50
    reader = fed(data, size)
    assert (reader.condition, reader.given, reader.calls) == ("", len(data), 2 + 2 * 50)


def test_the_usual_declaration_needs_no_expat() -> None:
    assert fed(HEADER, 1).calls == 1


@pytest.mark.parametrize("size", [1, 1_000_000], ids=str)
def test_a_header_of_a_megabyte_costs_no_more_than_the_limit(size: int) -> None:
    reader = fed(padded(1_000_000), size)
    assert (reader.condition, reader.calls) == ("policy-violation", 0)
    assert reader.held in {MAX_ELEMENT_BYTES + 1 - len("<?xml version='1.0'?>"), 1_000_000 - len("<?xml version='1.0'?>")}


def test_signs_that_end_no_tag_are_counted() -> None:
    reader = fed(padded(9_000)[:-2] + b">" * 900, 1)
    assert (reader.condition, reader.calls) == ("policy-violation", MAX_PIECES - 1)


def test_a_reader_that_is_closed_is_gone_at_once() -> None:
    """Expat's handlers and the reader hold each other: without `close` they wait for the collector."""
    reader = fed(HEADER + RESULT, 1_000)
    gone = weakref.ref(reader)
    gc.disable()
    try:
        reader.close()
        del reader
        assert gone() is None
    finally:
        gc.enable()


def test_a_header_that_comes_again_is_answered_alike() -> None:
    first = [stream().receive(HEADER) for _ in range(2)]
    odd = [stream().receive(HEADER + b"<") for _ in range(2)]
    bad = [stream().receive(header(" to=''")) for _ in range(2)]
    assert first[0] == first[1] == odd[0] == odd[1] is not None
    assert bad[0] == bad[1]
