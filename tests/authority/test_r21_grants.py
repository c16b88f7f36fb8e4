"""R21: what strangers send to an agent is bounded before it is read, and leaves time for the honest."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.agent.granting.requests import EACH, STRANGERS, Paces
from clearinghouse.clearing.senders import MAX_REMEMBERED, Rate, RateLimited
from clearinghouse.errors import TooLarge
from tests.targets import HOST, Records, Target, member, paper
from tests.world import NOON, signed


@pytest.fixture
async def target(tmp_path: Path) -> Target:
    made = await paper(tmp_path, 3, NOON).open(alone=False)
    made.requests.paces = Paces()
    return await made.believe(Records({"partner.example": member("partner.example", "Alice")}))


async def test_r21_a_flood_is_held_back_before_anything_is_opened(target: Target) -> None:
    """What comes too fast is not even looked at; from elsewhere it is."""
    for _ in range(EACH.burst):
        with pytest.raises(TooLarge):
            await target.requests.answer(b"x" * 300_000, via="ip:192.0.2.1")
    with pytest.raises(RateLimited):
        await target.requests.answer(b"x" * 300_000, via="ip:192.0.2.1")
    assert (await target.ask(HOST, "TargetAdmin", via="ip:192.0.2.2", seconds=60)).granted
    target.sleep(seconds=1)
    assert (await target.ask(HOST, "TargetAdmin", via="ip:192.0.2.1", seconds=60)).granted


async def test_r21_an_honest_request_is_answered_among_a_hundred_hostile_ones(target: Target) -> None:
    """Each brings credentials that are dear to read; all strangers of one address share what they may cost."""
    dear = " && ".join(f'(x{number} ~= "^(a|b)*c$" || y == "{number}")' for number in range(40))
    chain = [signed(f"mallory {number}", f"mallory {number + 1}", dear).decode() for number in range(8)]
    hostile = [target.sealed_by(f"mallory {number}", HOST, credentials=chain) for number in range(100)]
    attacks = [asyncio.ensure_future(target.requests.answer(raw, via=f"ip:192.0.2.{number}")) for number, raw in enumerate(hostile)]
    answer = await target.ask(HOST, "TargetAdmin", via="ip:198.51.100.7", seconds=60)
    found = await asyncio.gather(*attacks, return_exceptions=True)
    assert answer.granted
    assert not any(getattr(each, "granted", False) for each in found)
    assert [each.id for each in target.live()] == [answer.id]


async def test_r21_a_member_pays_for_itself_whatever_way_its_request_came(target: Target) -> None:
    """A key on record has one account; a key that anybody makes has that of the way it came."""
    senders = target.authority.desk.senders
    await target.ask(HOST, "Alice", via="ip:192.0.2.1")
    await target.ask(HOST, "Bob", via="ip:192.0.2.1")
    assert senders.allowance("member:partner.example", NOON) < senders.allowance("nobody", NOON)
    assert senders.allowance("ip:192.0.2.1", NOON) < senders.allowance("nobody", NOON)


def test_r21_a_hundred_who_ask_all_that_they_may_keep_the_honest_waiting_no_second() -> None:
    paces, now, honest = Paces(), NOON, 0

    def takes(sender: str) -> bool:
        try:
            paces.take(sender, now)
        except RateLimited:
            return False
        return True

    for number in range(100 * EACH.burst):
        takes(f"ip:{number % 100}")
    assert takes("ip:honest")
    for _ in range(60):
        now += timedelta(seconds=1)
        assert sum(takes(f"ip:{number % 100}") for number in range(300)) <= 100
        honest += takes("ip:honest")
    assert honest == 60


def test_r21_senders_are_remembered_within_bounds() -> None:
    paces = Paces(together=Rate(MAX_REMEMBERED + 10, 1))
    for number in range(MAX_REMEMBERED + 10):
        paces.take(f"ip:{number}", NOON)
    assert len(paces._accounts) == MAX_REMEMBERED


async def test_r21_strangers_share_a_pace_and_cannot_fill_the_store(target: Target) -> None:
    """From a thousand addresses, each with a key of its own; a member and whom policy names ask all the same."""
    asked = [
        target.requests.answer(target.sealed_by(f"s{number}", HOST), via=f"ip:10.0.{number}.1") for number in range(STRANGERS.burst + 30)
    ]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in found].count(RateLimited) == 30
    assert len(await target.store.decisions(1_000)) == STRANGERS.burst
    assert (await target.ask(HOST, "TargetAdmin", via="ip:10.9.9.9", seconds=60)).granted
    assert (await target.ask(HOST, "Alice", via="ip:10.9.9.8")).outcome == "refused"
