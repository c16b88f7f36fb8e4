"""What a redirect node believes, for how long, and what it does when its store is away: beside a real main service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clearinghouse import telemetry
from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.demo.certificates import Authority
from clearinghouse.doors.control.client import NODE, Told, call_at
from clearinghouse.errors import BadSettings, StoreUnavailable
from clearinghouse.federation.redirection.answers import Answer, Redirect, Refused
from clearinghouse.federation.redirection.seen import Proof, Seen
from clearinghouse.runtime import node as nodes
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.node import Node, running
from clearinghouse.runtime.redirection.following import NothingArchived
from clearinghouse.runtime.redirection.ledger import NodeStore
from clearinghouse.runtime.redirection.watching import Standing
from clearinghouse.settings import Settings
from clearinghouse.storage.memory import MemoryStore
from tests.commons import Commons, commons, op
from tests.presses import who
from tests.runtime.apart import Apart, Way
from tests.runtime.house import until
from tests.world import assertion

DOOR = "door.hub.example"
SENT = Redirect("b.example", "")
REFUSED = Refused("not permitted: not-granted")
CUT_OFF = Refused("not permitted: store-cut-off")
SECTION = f"""
[redirect]
name = "{DOOR}"
listen = ["127.0.0.1:0"]
certificate_file = "door.pem"
key_file = "door.key"
anchors_file = "anchors.pem"
outage = "1 minute"
"""


@dataclass
class Site:
    """A main service and a node that follows its store, which a test can take away from the node alone."""

    home: Commons
    apart: Apart = field(default_factory=Apart)
    elapsed: float = 0.0
    node: Node = field(init=False)

    @property
    def settings(self) -> Settings:
        home = self.home
        text, home.text = home.text, home.text + SECTION
        try:
            return home.settings
        finally:
            home.text = text

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Node]:
        chance = Chance(now=lambda: self.home.now, elapsed=lambda: self.elapsed)

        @asynccontextmanager
        async def store_of(_: Settings) -> AsyncIterator[NodeStore]:
            yield self.apart

        async with running(self.settings, chance=chance, store_of=store_of) as self.node:
            self.node.ledger.patience = 0.05
            yield self.node

    def sleep(self, seconds: float) -> None:
        self.home.now += timedelta(seconds=seconds)
        self.elapsed += seconds

    async def looked(self) -> None:
        """Return once the node has looked again, at whatever was there before."""
        follower = self.node.follower
        for _ in range(2):
            before = follower.looks
            self.node.watch.wake()
            await until(lambda seen=before: follower.looks > seen)  # type: ignore[misc]  # of its own

    async def asked(self, claimed: str, wanted: str, key: str = "") -> Answer:
        seen = Seen(claimed, wanted, Proof.CERTIFICATE, key, tls_version="1.3", cipher="TLS_AES_256_GCM_SHA384", address="127.0.0.1")
        answer = await self.node.porter.answer(seen)
        told = answer.text.partition(" (decision")[0]
        return Redirect(answer.place, "") if isinstance(answer, Redirect) else Refused(told)

    def standing(self) -> Standing:
        return self.node.watch.standing


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    home = commons(tmp_path)
    home.write("policies/federate/door.kn", assertion("POLICY", "xmpp:a.example", 'operation == "federate"', "level-1"))
    home.write("policies/people/keys.kn", assertion("POLICY", "{unix:op}", 'operation == "administer"'))
    authority = Authority()
    own = authority.identity([DOOR])
    for name, content in (("door.pem", own.certificate), ("door.key", own.key), ("anchors.pem", authority.certificate)):
        home.write(name, content)
        (tmp_path / name).chmod(0o600)
    async with home.open() as service:
        await home.enrols("a.example", "b.example")
        await home.settled({"a.example": "level-1", "b.example": "level-2"})
        yield Site(home, Apart(service.store))


async def test_a_node_follows_policy_members_levels_and_revocations(site: Site) -> None:
    async with site.open() as node:
        assert node.follower.version == site.home.service.desk.snapshot.version
        assert (node.follower.level_of("b.example"), node.follower.level_of("c.example")) == ("level-2", "deny")
        assert await site.asked("a.example", "b.example") == SENT
        assert await site.asked("a.example", "c.example") == REFUSED
        await site.home.house.enrol(op(), "change", {"domain": "b.example", "endpoints": "other.b.example:5299"})
        await site.looked()
        assert await site.asked("a.example", "b.example") == Redirect("other.b.example:5299", "")
        await site.home.house.enrol(op(), "remove", {"domain": "b.example"})
        await site.home.settled({"a.example": "level-1"})
        await site.looked()
        assert await site.asked("a.example", "b.example") == REFUSED
        assert node.follower.level_of("b.example") == "deny"
        await site.home.enrols("c.example")
        await site.looked()
        assert await site.asked("a.example", "c.example") == Redirect("c.example", "")
        [key] = who("d.example")
        await site.home.enrols("d.example")
        await site.looked()
        assert await site.asked("d.example", "c.example", key) == Redirect("c.example", "")
        await site.home.service.hall.office.revoke(op(), RevocationKind.PRINCIPAL, key)
        await site.looked()
        assert await site.asked("d.example", "c.example", key) == REFUSED


async def test_a_node_looks_by_itself_whatever_it_is_told(site: Site) -> None:
    async with site.open() as node:
        before = node.follower.version
        site.home.write("policies/federate/more.kn", assertion("POLICY", "xmpp:b.example", 'operation == "federate"', "level-1"))
        site.home.service.reload.set()
        await until(lambda: node.follower.version != before)
        assert await site.asked("b.example", "a.example") == Redirect("a.example", "")


@pytest.mark.parametrize("way", [Way.GONE, Way.HANGS], ids=["gone", "hangs"])
async def test_cut_off_it_goes_on_for_its_time_and_then_refuses(site: Site, way: Way, capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(as_json=True)
    async with site.open() as node:
        assert site.standing() is Standing.GOOD
        site.apart.way = way
        assert await site.asked("a.example", "b.example") == SENT
        await until(lambda: node.watch.error is not None)
        assert site.standing() is Standing.CUT_OFF
        site.sleep(59)
        assert await site.asked("a.example", "b.example") == SENT
        site.sleep(2)
        assert await site.asked("a.example", "b.example") == CUT_OFF
        assert await site.asked("a.example", "unknown.example") == CUT_OFF
        assert site.standing() is Standing.REFUSING
        before = [each.decision.reason.code for each in await site.apart.store.decisions(99)]
        site.apart.come_back()
        node.watch.wake()
        await until(lambda: site.standing() is Standing.GOOD)
        assert await site.asked("a.example", "b.example") == SENT
        after = [each.decision.reason.code for each in await site.apart.store.decisions(99)]
        assert after.count("store-cut-off") == 2 + before.count("store-cut-off")
    told = {each["event"]: each for each in map(json.loads, capsys.readouterr().err.splitlines())}
    assert {"ready", "cut_off", "back"} <= told.keys()
    assert told["back"]["appended"] >= 3
    assert told["cut_off"]["since"] < told["cut_off"]["until"]


async def test_a_store_that_takes_nothing_leaves_it_good_news_and_a_journal(site: Site) -> None:
    async with site.open() as node:
        site.apart.way = Way.TAKES_NOTHING
        assert await site.asked("a.example", "b.example") == SENT
        await until(lambda: node.watch.error is not None)
        assert site.standing() is Standing.BEHIND
        site.sleep(3_600)
        await site.looked()
        assert await site.asked("a.example", "b.example") == SENT  # what it believes is the newest
        site.apart.come_back()
        node.watch.wake()
        await until(lambda: site.standing() is Standing.GOOD)


async def test_what_has_changed_does_not_wait_until_the_log_has_caught_up(site: Site) -> None:
    async with site.open() as node:
        site.apart.way = Way.WRITES_HANG
        assert await site.asked("a.example", "b.example") == SENT
        await site.looked()  # and the log begins to catch up
        await site.home.house.enrol(op(), "change", {"domain": "b.example", "endpoints": "other.b.example:5269"})
        await site.looked()
        assert await site.asked("a.example", "b.example") == Redirect("other.b.example", "")
        assert site.standing() is Standing.BEHIND
        site.apart.come_back()
        await until(lambda: site.standing() is Standing.GOOD)
        assert node.ledger.journal.waiting == 0


async def test_a_machine_that_slept_and_a_clock_that_is_put_back_are_no_contact(site: Site) -> None:
    async with site.open():
        site.apart.way = Way.GONE
        site.home.now += timedelta(minutes=2)  # the machine slept: seconds that never go back stood still
        assert await site.asked("a.example", "b.example") == CUT_OFF
        site.home.now -= timedelta(minutes=2)
        site.elapsed += 120
        assert (await site.asked("a.example", "b.example")) in {CUT_OFF, Refused("not permitted: clock-behind")}


async def test_the_highest_time_holds_from_the_journal(site: Site) -> None:
    async with site.open():
        site.apart.way = Way.GONE
        site.sleep(30)
        assert await site.asked("a.example", "b.example") == SENT
        site.home.now -= timedelta(seconds=20)
        assert await site.asked("a.example", "b.example") == Refused("not permitted: clock-behind")


async def test_how_it_is_can_be_asked_at_its_socket_and_nothing_else(site: Site) -> None:
    async with site.open() as node:
        place = nodes.socket_of(node.redirect)
        told: dict[str, Any] = await asyncio.to_thread(call_at, place, "status", listener=NODE)
        status = told["status"]
        assert (status["name"], status["health"], status["members"]) == (DOOR, "good", 2)
        assert status["door"]["listen"] == [list(each) for each in (node.door.listen if node.door else ())]
        with pytest.raises(Told, match="is not asked this"):
            await asyncio.to_thread(call_at, place, "deny", listener=NODE)
        node.reload()
    assert not place.exists()


async def test_a_node_that_has_seen_nothing_answers_nobody(site: Site) -> None:
    site.apart.way = Way.GONE
    with pytest.raises(StoreUnavailable, match="lost"):
        await _opened(site)
    site.apart = Apart(MemoryStore())
    with pytest.raises(NothingArchived, match="no policy") as refused:
        await _opened(site)
    assert "clearinghouse serve" in refused.value.mend


async def test_what_cannot_be_a_node_says_why(tmp_path: Path) -> None:
    home = commons(tmp_path)
    with pytest.raises(BadSettings, match="no \\[redirect\\]"):
        await _entered(home.settings)
    home.text += SECTION
    with pytest.raises(BadSettings, match="the store is a file"):
        await _entered(home.settings)


async def _opened(site: Site) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(site.open())


async def _entered(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(settings))
