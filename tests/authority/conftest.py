"""A community for each test."""

from __future__ import annotations

import pytest

from tests.world import Community


@pytest.fixture
def sim() -> Community:
    return Community()
