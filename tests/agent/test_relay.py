"""A request through a real clearinghouse, to an agent that nobody can reach: it is passed on both ways, and decided at the target alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clearinghouse.agent.asking.inbox import Inbox
from clearinghouse.agent.asking.post import ByRelay, Wires
from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.demo.keys import demonstration_key
from tests.commons import Commons, commons
from tests.presses import COMMUNITY, key
from tests.runtime.house import until
from tests.targets import HOST, TARGET, Target, of_folder, paper


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    return commons(tmp_path / "hub")


@asynccontextmanager
async def passing_on(home: Commons, place: Path) -> AsyncIterator[tuple[Target, str, Wires]]:
    """Run the clearinghouse, and an agent that fetches what it keeps for it; give its URL and somebody who can reach it."""
    async with home.open():
        await home.enrols(TARGET, "partner.example")
        await until(lambda: len(home.house.roll.present()) == 2)
        assert home.service.http is not None
        url, wires = f"http://127.0.0.1:{home.service.http.port}", Wires()
        target = await paper(place / "target", 3, home.now).open()
        speaker = Speaker(key(TARGET), COMMUNITY, lambda: home.now)
        inbox = Inbox(url, wires, lambda: speaker.authorization(TARGET), target.requests)
        running = asyncio.create_task(inbox.run())
        try:
            yield target, url, wires
        finally:
            running.cancel()
            await asyncio.wait([running])
            await wires.close()


async def test_a_user_of_a_member_is_answered_through_the_clearinghouse(home: Commons, tmp_path: Path) -> None:
    """Alice is no member herself; her signature is what shows that the answer is hers."""
    async with passing_on(home, tmp_path) as (target, url, wires):
        alice = Speaker(demonstration_key("Alice"), COMMUNITY, lambda: home.now)
        way = ByRelay(url, wires, lambda: alice.authorization("*"))
        answer = await way.ask(target.sealed(HOST, "Alice", credentials=of_folder("paper-section-3", "alice"), seconds=60))
        assert answer.granted
        assert [each.id for each in target.live()] == [answer.id]
        refused = await way.ask(target.sealed({**HOST, "Server_IP_Address": "192.168.40.99"}, "Alice"))
        assert (refused.outcome, refused.code) == ("refused", "refused")


async def test_what_is_wrong_with_a_request_comes_back_as_well(home: Commons, tmp_path: Path) -> None:
    async with passing_on(home, tmp_path) as (target, url, wires):
        admin = Speaker(demonstration_key("TargetAdmin"), COMMUNITY, lambda: home.now)
        way = ByRelay(url, wires, lambda: admin.authorization("*"))
        answer = await way.ask(target.sealed({**HOST, "App_domain": "ERP"}, "TargetAdmin"))
        assert (answer.outcome, answer.code) == ("refused", "cannot-enforce")
        assert target.live() == ()


async def test_the_clearinghouse_cannot_grant_what_it_passes_on(home: Commons, tmp_path: Path) -> None:
    """It may hand over whatever it likes, under whatever name: what counts is who signed."""
    async with passing_on(home, tmp_path) as (target, _, _):
        raw = target.sealed(HOST, "Mallory", credentials=of_folder("paper-section-3"))
        home.house.relay.hold(TARGET, "partner.example", frozenset(), raw, target.now.replace(year=target.now.year + 1))
        await until(
            lambda: target.requests.grants.store.log_size > 0 and all(each.answer.done() for each in home.house.relay._held.values())
        )
        assert target.live() == ()
