"""Who gets in, who gives way, how often one may come, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.doors.s2s.pace import FAMILIAR, MAX_ADDRESSES, MAX_KNOWN, Rates, Room, _counting, _Crowds
from clearinghouse.doors.s2s.turns import SLICE_SECONDS, Turns


@dataclass(eq=False)
class Visitor:
    address: str
    room: Room
    ended: list[str] = field(default_factory=list)

    def give_way(self) -> None:
        self.ended.append("gave way")
        self.room.leave(self)

    def look(self, now: float) -> None:
        raise NotImplementedError(now)

    def shut(self) -> None:
        raise NotImplementedError


def visitors(room: Room, address: str, count: int) -> list[Visitor]:
    made = [Visitor(address, room) for _ in range(count)]
    assert all(room.enter(each) for each in made)
    return made


def ended(guests: list[Visitor]) -> list[bool]:
    return [bool(each.ended) for each in guests]


def test_the_longest_idle_of_the_address_with_the_most_gives_way() -> None:
    room = Room(most=10, each=10)
    crowd, few = visitors(room, "192.0.2.66", 7), visitors(room, "192.0.2.1", 3)
    room.progressed(crowd[0])
    assert room.enter(Visitor("192.0.2.2", room))
    assert ended(crowd) == [False, True] + [False] * 5
    assert not any(ended(few))
    assert len(room.guests) == 10


def test_an_address_with_its_share_makes_room_for_itself() -> None:
    room = Room(most=100, each=3)
    crowd, few = visitors(room, "192.0.2.66", 5), visitors(room, "192.0.2.1", 1)
    assert ended(crowd) == [True, True, False, False, False]
    assert not any(ended(few))
    assert room.gave_way == 2


def test_who_has_proven_something_gives_way_to_nobody_until_answered() -> None:
    room = Room(most=100, each=2)
    crowd = visitors(room, "192.0.2.66", 2)
    for each in crowd:
        room.proven(each)
    assert not room.enter(Visitor("192.0.2.66", room))
    assert room.refused == 1
    room.answered(crowd[1])
    assert room.enter(Visitor("192.0.2.66", room))
    assert ended(crowd) == [False, True]


def test_r21_strangers_from_ever_so_many_addresses_throw_out_nobody_who_is_known() -> None:
    room = Room(most=20, each=15)
    member = visitors(room, "192.0.2.1", FAMILIAR)
    room.proven(member[0])
    room.answered(member[0])
    assert room.knows("192.0.2.1")
    strangers = [visitor for number in range(50) for visitor in visitors(room, f"2001:db8:{number:x}::/64", 1)]
    assert not any(ended(member))
    assert ended(strangers) == [True] * 40 + [False] * 10
    more = visitors(room, "192.0.2.1", 4)
    assert any(ended([*member, *more])), "whoever is known is a crowd as well, with more than a server needs"


def test_a_bounded_number_of_addresses_is_known() -> None:
    room = Room(most=10, each=10)
    first = visitors(room, "first", 6)
    for number in range(MAX_KNOWN + 1):
        room.proven(guest := visitors(room, f"known {number}" if number else "first", 1)[0])
        room.leave(guest)
    assert not room.knows("first")
    visitors(room, "others", 5)
    assert sum(ended(first)) == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["enter", "leave", "prove"])), max_size=60))
def test_the_largest_crowd_is_the_one_that_counting_finds(acts: list[tuple[int, str]]) -> None:
    room = Room(most=0, each=30)  # always full: crowds are counted all the time, and nobody is asked to give way
    room._crowds = _Crowds()
    guests: list[Visitor] = []
    for number, act in acts:
        mine = [each for each in guests if each.address == str(number)]
        match act:
            case "enter":
                guests.append(Visitor(str(number), room))
                room._add(guests[-1])
            case "leave" if mine:
                guests.remove(mine[0])
                room.leave(mine[0])
            case "prove" if mine:
                room.proven(mine[0])
        sizes = Counter(each.address for each in guests)
        counting = {name: _counting(size, known=room.knows(name)) for name, size in sizes.items()}
        if guests:
            assert counting[room._crowd()] == max(counting.values())


def test_an_empty_room_remembers_nobody() -> None:
    room = Room(most=10, each=3)
    for each in [*visitors(room, "192.0.2.66", 3), *visitors(room, "192.0.2.1", 2)]:
        room.leave(each)
    assert (room._guests, room.guests) == ({}, [])


def test_one_address_comes_so_often_and_no_more() -> None:
    now = 0.0
    rates = Rates(2.0, 5.0, lambda: now)
    assert [rates.take("192.0.2.66") for _ in range(7)] == [True] * 5 + [False] * 2
    assert rates.take("192.0.2.1")
    now = 1.0
    assert [rates.take("192.0.2.66") for _ in range(3)] == [True, True, False]
    assert rates.limited == 3


def test_a_bounded_number_of_addresses_is_remembered() -> None:
    rates = Rates(1.0, 1.0, lambda: 0.0)
    for number in range(MAX_ADDRESSES + 10):
        rates.take(str(number))
    assert len(rates._full_at) == MAX_ADDRESSES


def test_whoever_has_much_to_do_waits_for_himself() -> None:
    """A step takes a whole slice here, by a clock that the steps themselves put forward."""

    class Loop:
        now = 100.0

        def time(self) -> float:
            return self.now

        def call_soon(self, work: object) -> None:
            soon.append(work)

    soon: list[object] = []
    loop, done = Loop(), []

    def step(name: str) -> None:
        done.append(name)
        loop.now += 2 * SLICE_SECONDS

    turns = Turns(loop)  # type: ignore[arg-type]  # as much of one as it uses
    for _ in range(4):
        turns.take("many", lambda: step("many"))
    turns.take("one", lambda: step("one"))
    assert done == ["many"]
    while soon:
        work = soon.pop()
        assert callable(work)
        work()
    assert done == ["many", "many", "one", "many", "many"]
    assert turns.waited == 4

    turns, done[:], loop.now = Turns(loop, "known".__eq__), [], 100.0  # type: ignore[arg-type]
    turns.take("0", lambda: step("0"))
    for number in range(1, 5):
        turns.take(str(number), partial(step, str(number)))
    turns.take("known", lambda: step("known"))
    while soon:
        work = soon.pop()
        assert callable(work)
        work()
    assert done.index("known") <= 2, "behind one stranger at most"


async def test_a_step_that_fails_keeps_no_other_from_its_turn() -> None:
    def fail() -> None:
        raise ValueError

    loop, done, failed = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    loop.set_exception_handler(lambda *_: failed.set())
    turns = Turns(loop)
    turns._spent = 2 * SLICE_SECONDS
    turns._since = loop.time() + 60
    turns.take("bad", fail)
    turns.take("good", done.set)
    async with asyncio.timeout(5):
        await failed.wait()
        await done.wait()
