from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.community import Clock, Hub
from tests.agent.houses import House

ROWS = {"b.example": "level-2", "c.example": "level-1", "d.example": "level-3"}
NAMES = (*ROWS, "stranger.example")


@pytest.fixture
def house(tmp_path: Path) -> House:
    clock = Clock()
    return House(tmp_path, Hub(clock), clock)


async def test_what_the_table_says_and_policy_admits_is_what_the_server_lets_pass(house: House) -> None:
    house.hub.publish(ROWS)
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.passing(*NAMES) == {"b.example", "d.example"}
        house.hub.publish({**ROWS, "b.example": "level-1", "c.example": "level-2"})
        await house.follows(agent)
        assert house.passing(*NAMES) == {"c.example", "d.example"}
