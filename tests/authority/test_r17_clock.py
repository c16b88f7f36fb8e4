"""R17: the highest time seen is stored; a clock behind it means closed, also after a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.clearing.decision import Outcome
from tests.runtime.house import ANN, TOPIC, House, example, hurry, until
from tests.world import NOON


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    hurry(monkeypatch)
    return example(tmp_path)


async def pending(house: House) -> list[str]:
    await until(lambda: not house.service.intake._in_hand)
    return house.world.network.broker.nodes[TOPIC].pending()


async def test_r17_a_clock_that_was_set_back_while_we_were_away_closes_the_service(house: House) -> None:
    async with house.open():
        house.sleep(hours=1)
    house.now = NOON + timedelta(minutes=30)
    async with house.open(), house.platform(ANN) as ann:
        await ann.subscribe(TOPIC)
        assert await pending(house) == [ANN]
        assert ann.rulings.empty()
    found = await house.recorded()
    assert {(each.decision.outcome, each.decision.reason.code) for each in found} == {(Outcome.UNANSWERED, "clock-behind")}


async def test_r17_what_was_left_open_is_answered_once_the_clock_is_right(house: House) -> None:
    async with house.open():
        house.sleep(hours=1)
    house.sleep(hours=-1)
    async with house.open(), house.platform(ANN) as ann:
        await ann.subscribe(TOPIC)
        assert await pending(house) == [ANN]
        house.sleep(hours=2)
        assert (await ann.ruling()).state == "subscribed"


async def test_r17_the_highest_time_is_not_lowered_by_a_clock_that_is_behind(house: House) -> None:
    async with house.open():
        house.sleep(hours=1)
    highest = house.service.store.highest_time
    house.sleep(days=-30)
    for _ in range(2):
        async with house.open():
            assert house.service.store.highest_time == highest == NOON + timedelta(hours=1)
