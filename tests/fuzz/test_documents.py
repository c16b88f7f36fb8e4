"""A few thousand damaged documents: nothing is believed that was not published (``FUZZ_SECONDS`` makes it longer)."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.documents_target import KNOWN, RECEIVERS, check, documents
from tests.fuzz.mutation import search

SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))


def test_every_document_holds_the_invariant() -> None:
    for raw in documents():
        check(raw)


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{}", b"{}\n{}", b"[]", b"\0", b"\xff" * 64, b"[" * 4_000, b'{"' * 400], ids=lambda data: repr(data[:9])
)
def test_small_hostile_inputs(data: bytes) -> None:
    check(data)


def test_damaged_documents_are_never_believed() -> None:
    tried, broken = search(check, documents(), 2, seed=1)
    assert broken is None
    assert tried > 20


@pytest.mark.slow
def test_fuzzing_documents_finds_nothing() -> None:
    tried, broken = search(check, documents(), SECONDS / 4, seed=2)
    assert broken is None
    assert tried > 20


def test_the_target_would_notice() -> None:
    """The receivers that are attacked can be convinced, by what was published."""
    (name, raw) = next((name, raw) for name in ("community/timestamp",) for raw in KNOWN if b"vnd.clearinghouse.timestamp" in raw)
    trusted = RECEIVERS["new"].copy()
    trusted.update(name, raw, trusted.root.issued.replace(minute=1))
    assert trusted.timestamp is not None
