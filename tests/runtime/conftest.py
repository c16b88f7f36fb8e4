"""Each test has a clearinghouse of its own, in a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.house import House, example, hurry


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return example(tmp_path)
