"""The ledger of a redirect node: every answer is durable, and in the log in order and once when the store is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from clearinghouse.clearing.decision import Decision
from clearinghouse.errors import StoreUnavailable
from clearinghouse.ledger.entry import Kind
from clearinghouse.runtime.redirection import journal
from clearinghouse.runtime.redirection.ledger import CAUGHT_UP, SET_ASIDE, NodeLedger
from clearinghouse.runtime.redirection.spool import MAX_SPOOL_BYTES, SpoolFull, opened
from clearinghouse.storage.changes import Repeated
from clearinghouse.storage.sql_store import open_store
from tests.runtime.apart import Apart, Way
from tests.storage.conftest import Decisions
from tests.world import NOON

NODE = {"node": "door.hub.example"}


class Node:
    """A ledger over a store that can be taken away, and decisions for it."""

    def __init__(self, path: Path) -> None:
        self.path, self.store = path, Apart()
        self._made, self._numbers = Decisions().granted(), count()
        self.answered: list[str] = []
        self.ledger: NodeLedger

    @asynccontextmanager
    async def running(self, most: int = MAX_SPOOL_BYTES) -> AsyncIterator[NodeLedger]:
        async with journal.opened(self.path, most) as found:
            self.ledger = NodeLedger(self.store, found, lambda: NOON, patience=0.02)
            yield self.ledger

    def is_behind(self) -> bool:
        return self.ledger.behind

    def decision(self) -> Decision:
        number = next(self._numbers)
        return replace(self._made, id=f"{number:016x}", at=NOON + timedelta(seconds=number))

    async def decides(self, times: int = 1) -> None:
        for _ in range(times):
            decision = self.decision()
            await self.ledger.record(decision)
            self.answered.append(decision.id)

    async def logged(self) -> list[str]:
        kinds = {Kind.DECISION, Kind.REPEATED}
        return [each.entry.ref for each in await self.store.store.entries(0, 9_999) if each.entry.kind in kinds]

    async def told(self, kind: str) -> list[dict[str, object]]:
        return [dict(each.detail) for each in await self.store.store.events(99) if each.kind == kind]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "redirect.spool")


@pytest.mark.parametrize("way", [Way.GONE, Way.HANGS, Way.TAKES_NOTHING, Way.SAYS_NOTHING], ids=lambda way: way.name.lower())
async def test_whatever_befalls_the_store_each_answer_is_in_the_log_once_and_in_order(node: Node, way: Way) -> None:
    async with node.running() as ledger:
        await node.decides(2)
        node.store.way = way
        await node.decides(5)
        assert node.is_behind()
        assert ledger.highest_time == NOON + timedelta(seconds=6)  # rule R17 holds from the journal, too
        with pytest.raises((StoreUnavailable, TimeoutError)):
            async with asyncio.timeout(0.05):
                await ledger.catch_up(NODE)
        node.store.come_back()
        await asyncio.gather(*node.store.late)
        assert await ledger.catch_up(NODE) == (5 if way not in {Way.HANGS, Way.SAYS_NOTHING} else 4)
        assert not node.is_behind()
        assert node.path.read_bytes() == b""
        await node.decides(2)
        assert await node.logged() == node.answered
        assert (await node.told(CAUGHT_UP))[-1] == NODE


async def test_decisions_that_come_while_the_log_catches_up_are_in_it_as_well(node: Node) -> None:
    async with node.running() as ledger:
        node.store.way = Way.GONE
        await node.decides(300)
        node.store.come_back()
        caught_up = asyncio.create_task(ledger.catch_up(NODE))
        while not caught_up.done():
            await node.decides()
            await asyncio.sleep(0)
        assert await ledger.catch_up(NODE) == 0
        assert sorted(await node.logged()) == node.answered
        assert (await node.logged())[:300] == node.answered[:300]
        assert await caught_up >= 300


async def test_what_a_killed_node_has_left_is_appended_by_the_next_one(node: Node) -> None:
    async with node.running():
        node.store.way = Way.GONE
        await node.decides(4)
    with opened(node.path) as spool:
        spool.append(["half"])
        node.path.write_bytes(node.path.read_bytes()[:-3])
    async with node.running() as ledger:
        await node.decides()
        node.store.come_back()
        assert await ledger.catch_up(NODE) == 5
        assert await node.logged() == node.answered


async def test_a_node_that_is_killed_between_the_log_and_the_spool_appends_nothing_twice(node: Node) -> None:
    async with node.running() as ledger:
        node.store.way = Way.GONE
        await node.decides(3)
        await ledger.write(Repeated("ab" * 8, node.answered[0], NOON))
        node.answered.append("ab" * 8)
        left = node.path.read_bytes()
        node.store.come_back()
        assert await ledger.catch_up(NODE) == 4
    node.path.write_bytes(left)  # as if the last thing had never reached the disk
    async with node.running() as ledger:
        assert await ledger.catch_up(NODE) == 0
        assert await node.logged() == node.answered


async def test_one_decision_that_the_store_never_takes_does_not_keep_the_others_from_the_log(node: Node) -> None:
    async with node.running() as ledger:
        await node.decides()
        node.store.poison.add(f"{1:016x}")
        await node.decides(3)
        assert node.is_behind()
        assert await ledger.catch_up(NODE) == 2
        assert not node.is_behind()
        assert await node.logged() == [node.answered[0], *node.answered[2:]]
        assert await node.told(SET_ASIDE) == [{"decision": node.answered[1], "reason": "store-unavailable"}]
    with opened(node.path.with_name("redirect.spool.aside")) as aside:
        assert node.answered[1] in str(aside.next(9)[0].text)


async def test_what_could_not_even_be_journaled_is_counted_and_the_log_is_told(node: Node) -> None:
    async with node.running(most=8_000) as ledger:
        node.store.way = Way.GONE
        with pytest.raises(SpoolFull):
            await node.decides(20)
        kept = list(node.answered)
        with pytest.raises(SpoolFull):
            await node.decides()
        node.store.come_back()
        assert await ledger.catch_up(NODE) == len(kept) > 0
        [event] = await node.told(CAUGHT_UP)
        assert event["unrecorded"] == 2
        assert await node.logged() == kept


async def test_a_spoilt_line_is_named_and_the_rest_is_appended(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    async with node.running():
        node.store.way = Way.GONE
        await node.decides(3)
    raw = node.path.read_bytes().splitlines(keepends=True)
    node.path.write_bytes(raw[0] + b"0" * len(raw[1][:-1]) + b"\n" + raw[2])
    node.store.come_back()
    async with node.running() as ledger:
        assert await ledger.catch_up(NODE) == 2
    assert await node.logged() == [node.answered[0], node.answered[2]]
    assert "spool_spoilt" in capsys.readouterr().out


async def test_the_log_in_a_file_holds_what_was_appended_late(node: Node, tmp_path: Path) -> None:
    async with open_store(tmp_path / "clearinghouse.db") as store, node.running() as ledger:
        node.store.store = store
        await node.decides()
        node.store.way = Way.SAYS_NOTHING
        await node.decides(300)
        node.store.come_back()
        # One of the 300 was written, and nobody heard of it; the first one waits as well where the disk was slow at that moment.
        assert await ledger.catch_up(NODE) in {299, 300, 301}
        assert await node.logged() == node.answered
        assert [each.decision.id for each in await store.decisions(999)] == node.answered
        early, late = await store.decision(node.answered[0]), await store.decision(node.answered[7])
        assert early is not None
        assert late is not None
        assert (early.proof, early.attributes, early.decision.request) == (late.proof, late.attributes, late.decision.request)
