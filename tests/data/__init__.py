"""Tables of named cases that another implementation could run: what goes in, what must come out, and where the RFC says so."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

Case = dict[str, Any]


@cache
def table(name: str) -> tuple[Case, ...]:
    """Return the cases of ``name.toml``."""
    return tuple(tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))["case"])


def each(name: str) -> pytest.MarkDecorator:
    """Run a test once for each case of ``name.toml``, as its argument ``case``."""
    return pytest.mark.parametrize("case", table(name), ids=lambda case: case["note"])
