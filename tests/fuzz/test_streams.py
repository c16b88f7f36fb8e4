"""A stream between servers holds its invariant for damaged talks; ``FUZZ_STREAMS_SECONDS`` says how long it is tried."""

from __future__ import annotations

import os

import pytest

from tests.fuzz import streams_target
from tests.fuzz.mutation import search
from tests.fuzz.parser_target import Broken
from tests.fuzz.streams_target import check, corpus

SECONDS = float(os.environ.get("FUZZ_STREAMS_SECONDS", "2"))


def test_what_the_damage_begins_with_holds_the_invariant() -> None:
    for data in corpus():
        check(data)


@pytest.mark.parametrize(
    "data", [b"", b">" * 4_000, b"<" * 4_000, b"<a " * 1_000, b"\xff" * 64, b"</" * 2_000], ids=lambda data: repr(data[:6])
)
def test_small_hostile_inputs(data: bytes) -> None:
    check(data)


def test_damaged_talks_find_nothing() -> None:
    tried, broken = search(check, corpus(), SECONDS, seed=1)
    assert broken is None
    assert tried > 20


def test_the_target_would_notice_what_is_not_escaped() -> None:
    with pytest.raises(Broken, match="mismatched"):
        streams_target._well_formed(b"<?xml version='1.0'?><stream:stream xmlns:stream='s'><a></stream:stream>", ended=True)
