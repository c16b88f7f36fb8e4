"""The conformance vectors, for properties that must hold for every text in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

CONFORMANCE = Path(__file__).parents[1] / "conformance"


def cases() -> Iterator[dict[str, Any]]:
    """Yield every case of every vector file."""
    files = sorted(CONFORMANCE.glob("*.jsonl"))
    assert files, "tests/conformance holds no vectors"
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


@cache
def texts() -> tuple[bytes, ...]:
    """Return each assertion text of the vectors, once."""
    return tuple(dict.fromkeys(assertion["text"].encode() for case in cases() for assertion in case["assertions"]))
