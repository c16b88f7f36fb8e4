"""The readers of lists hold their invariant for damaged configurations; ``FUZZ_LISTS_SECONDS`` says how long it is tried."""

from __future__ import annotations

import os

from tests.fuzz.lists_target import check, corpus
from tests.fuzz.mutation import search

SECONDS = float(os.environ.get("FUZZ_LISTS_SECONDS", "2"))


def test_what_the_damage_begins_with_holds_the_invariant() -> None:
    for text in corpus():
        check(text)


def test_damaged_lists_find_nothing() -> None:
    tried, broken = search(check, corpus(), SECONDS, seed=1)
    assert broken is None
    assert tried > 1
