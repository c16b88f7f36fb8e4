"""Nobody keeps the others from being answered, and what holds one sender back costs little memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from clearinghouse.clearing.senders import RateLimited
from clearinghouse.runtime.asking import rates
from clearinghouse.runtime.asking.fairness import FairQueue
from clearinghouse.runtime.asking.rates import WARNING_SECONDS, Pace, Rates


@dataclass
class Watch:
    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def limits(watch: Watch) -> Rates:
    return Rates(Pace(1, 3), Pace(2, 5), watch)


def taken(limits: Rates, jid: str, times: int) -> int:
    """Return how many of *times* questions are let through."""
    count = 0
    for _ in range(times):
        try:
            limits.take(jid, jid.partition("@")[2])
        except RateLimited:
            continue
        count += 1
    return count


def test_a_sender_has_its_burst_and_then_its_pace(limits: Rates, watch: Watch) -> None:
    assert taken(limits, "eve@c.example", 10) == 3
    assert taken(limits, "eve@c.example", 10) == 0
    watch.seconds += 2
    assert taken(limits, "eve@c.example", 10) == 2


def test_a_full_bucket_holds_no_more_than_its_burst(limits: Rates, watch: Watch) -> None:
    taken(limits, "eve@c.example", 3)
    watch.seconds += 86_400
    assert taken(limits, "eve@c.example", 10) == 3


def test_a_domain_is_held_back_whatever_names_its_users_have_and_no_other_domain_is(limits: Rates) -> None:
    assert sum(taken(limits, f"eve{number}@c.example", 1) for number in range(100)) == 5
    assert taken(limits, "ann@a.example", 1) == 1


def test_one_user_takes_nothing_from_its_domain_by_asking_in_vain(limits: Rates) -> None:
    taken(limits, "eve@c.example", 1_000)
    assert taken(limits, "bob@c.example", 1) == 1


def test_the_reason_is_its_own_and_no_denial(limits: Rates) -> None:
    taken(limits, "eve@c.example", 3)
    with pytest.raises(RateLimited) as caught:
        limits.take("eve@c.example", "c.example")
    assert (caught.value.code, caught.value.exit_code) == ("rate-limited", 3)


def test_a_sender_is_named_once_a_minute_and_everything_is_counted(limits: Rates, watch: Watch) -> None:
    with capture_logs() as told:
        taken(limits, "eve@c.example", 103)
        watch.seconds += WARNING_SECONDS + 1
        taken(limits, "eve@c.example", 103)
    assert limits.limited == 200
    assert [(each["sender"], each["count"]) for each in told] == [("eve@c.example", 1), ("eve@c.example", 100)]


def test_no_more_than_so_many_senders_are_remembered(limits: Rates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_REMEMBERED", 50)
    for number in range(500):
        taken(limits, f"eve@c{number}.example", 1)
    assert (len(limits._jids), len(limits._domains)) == (50, 50)


# -- the line ------------------------------------------------------------------------------------------


async def order(queue: FairQueue[str]) -> list[str]:
    return [await queue.get() for _ in range(len(queue))]


async def test_domains_take_turns_and_in_each_its_senders() -> None:
    queue: FairQueue[str] = FairQueue(100)
    for number in range(3):
        queue.put(f"eve{number}", "c.example", "eve")
    queue.put("mal0", "c.example", "mal")
    queue.put("ann0", "a.example", "ann")
    assert await order(queue) == ["eve0", "ann0", "mal0", "eve1", "eve2"]


async def test_the_longest_line_gives_way_to_a_newcomer() -> None:
    queue: FairQueue[str] = FairQueue(4)
    for number in range(4):
        assert queue.put(f"eve{number}", "c.example", f"eve{number}") is None
    assert queue.put("eve4", "c.example", "eve4") == "eve4"
    assert queue.put("ann", "a.example", "ann") == "eve0"
    assert sorted(await order(queue)) == ["ann", "eve1", "eve2", "eve3"]


async def test_in_a_domain_of_its_own_whoever_has_most_gives_way() -> None:
    queue: FairQueue[str] = FairQueue(4)
    for number in range(4):
        queue.put(f"eve{number}", "c.example", "eve")
    assert queue.put("bob", "c.example", "bob") == "eve3"
    assert queue.put("ann", "a.example", "ann") == "eve2"
    assert [queue.put(each, f"{each}.example", each) for each in ("dan", "eli", "flo")] == ["eve1", "eve0", "flo"]


async def test_where_everybody_has_one_the_newcomer_waits_elsewhere() -> None:
    queue: FairQueue[str] = FairQueue(2)
    assert [queue.put(name, f"{name}.example", name) for name in ("a", "b", "c")] == [None, None, "c"]


async def test_who_waits_for_an_item_gets_it() -> None:
    queue: FairQueue[str] = FairQueue(1)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put("ann", "a.example", "ann")
    assert await waiting == "ann"
    assert len(queue) == 0
