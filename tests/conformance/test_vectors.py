"""The engine agrees with every published case; where implementations differ, with the reading of the RFC."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.cli.vectors import run_file

HERE = Path(__file__).parent
CASES = {
    "keynote-conditions.jsonl": 1679,
    "keynote-graph.jsonl": 752,
    "keynote-handmade.jsonl": 227,
    "keynote-quirks.jsonl": 167,
    "keynote-signed.jsonl": 373,
    "keynote-syntax.jsonl": 445,
}


def test_every_file_is_run() -> None:
    assert {path.name for path in HERE.glob("*.jsonl")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_vectors(name: str) -> None:
    results = list(run_file(name, (HERE / name).read_bytes()))
    assert [(result.id, result.differences) for result in results if not result.passed] == []
    assert len(results) == CASES[name]
