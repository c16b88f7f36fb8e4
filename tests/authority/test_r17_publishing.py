"""R16, R17 and R18 for what is published: broken files stop nothing else, a clock behind publishes nothing, nothing counts twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clearinghouse.clearing.envelope import Replayed
from clearinghouse.federation.published.documents import timestamp_name
from tests import presses
from tests.commons import Commons, commons
from tests.presses import who
from tests.runtime.house import until
from tests.world import NOON, assertion


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    return commons(tmp_path)


async def test_r16_one_broken_file_keeps_no_level_and_no_root_from_counting(home: Commons) -> None:
    home.write("policies/federate/broken.kn", b'Authorizer: "POLICY"\nLicensee: "hub"\n')
    home.write("root/2.json", b'{"broken"')
    home.write("root/3.json", presses.sealed(presses.made(presses.plan(3))))
    home.write("root/revocations-7.json", b"[]")
    home.write("root/notes.txt", b"for people")
    async with home.open():
        await home.enrols("a.example")
        await home.settled({"a.example": "level-1"})
        assert home.trusted().root.generation == 1
        home.write("root/2.json", presses.sealed(presses.made(presses.plan(2))))
        home.house.press.wake()
        await until(lambda: home.house.shelf.get("root/3") is not None)
        await home.looked()
        assert home.trusted().root.generation == 3


async def test_r16_a_root_of_another_community_is_not_adopted(home: Commons) -> None:
    home.write("root/1.json", presses.sealed(replace(presses.made(presses.plan()), community="csirt-not")))
    async with home.open(published=False):
        await until(lambda: home.problem() == "no-root")


async def test_r16_a_root_that_no_agent_would_believe_is_not_adopted(home: Commons) -> None:
    home.write("root/2.json", presses.sealed(presses.made(presses.plan(2)), "r1"))
    async with home.open():
        await home.looked()
        assert home.house.shelf.get("root/2") is None
        assert home.trusted().root.generation == 1


async def test_r17_a_clock_that_was_set_back_publishes_nothing_until_it_is_right(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example")
        await home.settled({"a.example": "level-1"})
        home.sleep(hours=1)
        await until(lambda: home.timestamp_at() == home.now)
    last, home.now = home.now, NOON
    async with home.open(published=False) as service:
        await until(lambda: home.problem() == "clock-behind")
        home.write("policies/federate/more.kn", assertion("POLICY", "xmpp:a.example", 'from_domain == "a.example"', "level-3"))
        service.reload.set()
        await home.looked()
        assert (home.timestamp_at(), home.rows()) == (last, {"a.example": "level-1"})
        home.now = last
        home.sleep(seconds=1)
        await home.settled({"a.example": "level-3"})


async def test_r18_a_request_to_join_is_remembered_across_restarts(home: Commons) -> None:
    home.write("policies/members/all.kn", assertion("POLICY", who("n.example")[0], 'member == "n.example"'))
    async with home.open():
        envelope = home.asked("join", {"domain": "n.example"}, "n.example")
        await home.house.library.hand_in(envelope)
    async with home.open():
        with pytest.raises(Replayed):
            await home.house.library.hand_in(envelope)
        assert home.house.shelf.get(timestamp_name("*")) is not None
