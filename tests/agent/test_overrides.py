"""What a site says itself for a time: shutting out without a key, letting in with one, and never for longer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.agent.applying.overrides import FILE, LONGEST, NoSuchOverride, OverrideRefused, body_of
from clearinghouse.agent.home.keeping import StateUnavailable
from clearinghouse.clearing.dsse import REQUEST, seal
from clearinghouse.clearing.envelope import Asked, Replayed, StaleEnvelope, WrongAudience, written
from clearinghouse.errors import ClearinghouseError, MalformedRequest
from clearinghouse.federation.enforced.image import Grant
from tests.agent.community import US, Clock, Hub
from tests.agent.houses import House, until
from tests.world import key

ROWS = {"b.example": "level-2", "c.example": "level-1"}
HOUR = timedelta(hours=1)


@pytest.fixture
def house(tmp_path: Path) -> House:
    clock = Clock()
    made = House(tmp_path, Hub(clock), clock)
    made.hub.publish(ROWS)
    return made


def signed(house: House, domain: str, *, by: str = "site", period: timedelta = HOUR, audience: str = US, **more: str) -> bytes:
    now = house.clock()
    body = body_of(domain, period, "the hub is down") | more
    return seal(written(Asked("override", audience, "nonce-nonce-nonce", now, now + timedelta(minutes=5), body)), REQUEST, [key(by)])


async def test_a_denial_needs_no_key_and_is_stronger_than_row_and_override(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        agent.overrides.allow(signed(house, "b.example"))
        agent.overrides.deny("b.example", HOUR, "flood", "unix:ann")
        await until(lambda: house.passing(*ROWS) == set())
        house.clock.sleep(hours=1, seconds=1)
        agent.applier.wake.set()
        await until(lambda: house.passing(*ROWS) == {"b.example"})


async def test_a_denial_ends_by_itself_without_anybody_waking_the_agent(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        agent.overrides.deny("b.example", timedelta(seconds=1), "flood", "unix:ann")
        await until(lambda: house.passing(*ROWS) == set())
        house.clock.sleep(seconds=2)
        await until(lambda: house.passing(*ROWS) == {"b.example"})


async def test_a_denial_takes_grants_along(house: House) -> None:
    async with house.agent() as agent:

        class Granting:
            def live(self, now: object) -> tuple[Grant, ...]:
                del now
                return (Grant("g1", "c.example", house.clock.seconds() + 3600),)

        agent.applier.grants = Granting()
        await house.follows(agent)
        assert house.passing(*ROWS) == set(ROWS)
        agent.overrides.deny("c.example", HOUR, "flood", "unix:ann")
        await until(lambda: house.passing(*ROWS) == {"b.example"})


async def test_a_permission_works_without_network_and_without_any_table_and_ends_at_the_server(house: House) -> None:
    house.source.cut = True
    async with house.agent() as agent:
        agent.overrides.allow(signed(house, "x.example"))
        await until(lambda: house.passing("x.example") == {"x.example"})
        house.clock.sleep(minutes=59)
        assert house.passing("x.example") == {"x.example"}
        house.clock.sleep(minutes=1)
        assert house.passing("x.example") == set(), "by the module alone"


async def test_overrides_outlive_restarts_and_can_be_withdrawn(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        agent.overrides.allow(signed(house, "c.example"))
        agent.overrides.deny("b.example", HOUR, "flood", "unix:ann")
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.passing(*ROWS) == {"c.example"}
        allowing, denying = agent.overrides.every()
        agent.overrides.withdraw(denying.id[:6], "unix:ann")
        agent.overrides.withdraw(allowing.id, "unix:ann")
        await until(lambda: house.passing(*ROWS) == {"b.example"})
        with pytest.raises(NoSuchOverride):
            agent.overrides.withdraw(denying.id, "unix:ann")
    assert [each["ended"] is not None for each in kept(house)] == [True, True]


REFUSED: dict[str, tuple[type[ClearinghouseError], Callable[[House], bytes]]] = {
    "a key that the site does not know": (OverrideRefused, lambda house: signed(house, "b.example", by="mallory")),
    "meant for another server": (WrongAudience, lambda house: signed(house, "b.example", audience="b.example")),
    "for longer than any may be": (MalformedRequest, lambda house: signed(house, "b.example", seconds="99999999")),
    "for no time": (MalformedRequest, lambda house: signed(house, "b.example", seconds="0")),
    "something else than a permission": (MalformedRequest, lambda house: signed(house, "b.example", action="deny")),
    "with more than belongs there": (MalformedRequest, lambda house: signed(house, "b.example", more="x")),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_permission_is_refused(house: House, what: str) -> None:
    error, made = REFUSED[what]
    async with house.agent() as agent:
        with pytest.raises(error):
            agent.overrides.allow(made(house))
        assert agent.overrides.every() == ()


async def test_a_permission_counts_once_and_not_when_it_is_old(house: House) -> None:
    async with house.agent() as agent:
        raw = signed(house, "x.example")
        agent.overrides.withdraw(agent.overrides.allow(raw).id, "unix:ann")
        with pytest.raises(Replayed):
            agent.overrides.allow(raw)
        house.clock.sleep(minutes=6)
        with pytest.raises(StaleEnvelope):
            agent.overrides.allow(raw)


async def test_a_key_that_is_revoked_takes_its_permissions_along(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        agent.overrides.allow(signed(house, "c.example"))
        await until(lambda: house.passing(*ROWS) == set(ROWS))
        house.hub.revoke(key("site").principal)
        house.hub.publish()
        await until(lambda: house.passing(*ROWS) == {"b.example"})


async def test_the_sites_policy_may_narrow_what_its_keys_may_admit(house: House) -> None:
    house.more["override_keys"] = "[]"
    folder = house.directory / "policies/override"
    folder.mkdir()
    narrow = f'Licensees: "{key("site").principal}"\nConditions: domain == "c.example" && @ValidityPeriod <= 3600 -> "allow";\n'
    (folder / "site.kn").write_text(f'Authorizer: "POLICY"\n{narrow}')
    async with house.agent() as agent:
        agent.overrides.allow(signed(house, "c.example"))
        for refused in (signed(house, "x.example"), signed(house, "c.example", period=2 * HOUR)):
            with pytest.raises(OverrideRefused):
                agent.overrides.allow(refused)


async def test_a_file_that_somebody_changed_admits_nobody(house: House) -> None:
    async with house.agent() as agent:
        agent.overrides.allow(signed(house, "c.example"))
    path = house.settings.state / FILE
    path.write_text(path.read_text().replace("c.example", "x.example"))
    async with house.agent() as agent:
        await until(lambda: house.shows(agent))
        assert agent.overrides.every() == ()
        assert house.passing("x.example", "c.example") == set()


async def test_what_is_overridden_stands_in_the_agents_own_log(house: House) -> None:
    async with house.agent() as agent:
        agent.overrides.deny("b.example", HOUR, "flood", "unix:ann")
        async with asyncio.timeout(10):
            while "override" not in [each.kind for each in await agent.journal.store.events(10)]:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


async def test_an_override_is_never_for_more_than_a_month() -> None:
    assert timedelta(days=31) == LONGEST
    with pytest.raises(MalformedRequest, match="usable reason"):
        body_of("b.example", HOUR, "")


def kept(house: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((house.settings.state / FILE).read_text())["overrides"]
    return found


async def test_one_that_is_spoilt_on_disk_takes_no_denial_along(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        agent.overrides.allow(signed(house, "d.example"))
        agent.overrides.deny("b.example", HOUR, "flood", "unix:ann")
    kept = agent.state.read_json(FILE)
    assert kept is not None
    for spoilt in ({"id": "x"}, {**kept["overrides"][1], "domain": "no name"}, None, {**kept["overrides"][0], "by": ["somebody"]}):
        agent.state.write_json(FILE, {"overrides": [spoilt, *kept["overrides"][1:]]})
        async with house.agent() as again:
            await house.follows(again)
            assert house.passing(*ROWS, "d.example") == set()


async def test_a_full_disk_keeps_nobody_from_shutting_out(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        mistake = agent.overrides.allow(signed(house, "d.example"))
        await until(lambda: house.passing(*ROWS, "d.example") == {"b.example", "d.example"})
        (agent.state.path / FILE).rename(agent.state.path / "aside")
        (agent.state.path / FILE).mkdir()
        with pytest.raises(StateUnavailable, match="this counts"):
            agent.overrides.deny("b.example", HOUR, "flood", "unix:ann")
        with pytest.raises(StateUnavailable, match="this counts"):
            agent.overrides.withdraw(mistake.id, "unix:ann")
        await until(lambda: house.passing(*ROWS, "d.example") == set())
        with pytest.raises(StateUnavailable):
            agent.overrides.allow(signed(house, "e.example"))
        assert not any(each["domain"] == "e.example" for each in agent.overrides.listed())
        (agent.state.path / FILE).rmdir()
