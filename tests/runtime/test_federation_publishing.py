"""What a clearinghouse with a federation publishes, as an agent finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.federation.trust import Standing
from tests.commons import Commons, commons


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    return commons(tmp_path)


async def test_members_have_their_levels_in_a_signed_table_over_http(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example", "b.example", "c.example", "d.example")
        await home.settled({"a.example": "level-1", "b.example": "level-2", "d.example": "level-3"})
        trusted = home.trusted()
        assert trusted.rows == home.rows()
        assert set(trusted.members) == {"a.example", "b.example", "c.example", "d.example"}
        assert trusted.standing(home.now) is Standing.FRESH
        async with home.client() as client:
            for name, document in home.house.shelf.documents.items():
                answer = await client.get(f"/v1/documents/{name}", headers=home.reads("a.example"))
                assert (answer.status_code, answer.content) == (200, document.body)
