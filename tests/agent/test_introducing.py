"""The module is told by which keys the servers of members are known: when that changes, and whenever it has something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from clearinghouse.agent.parts import Agent
from clearinghouse.agent.status import MAX_DOORS_CHARACTERS, Health, written_doors
from clearinghouse.federation.published.members import Member
from tests.agent.community import NAME, US, Clock, Hub
from tests.agent.houses import House, until

PINS = tuple(f"{number:064x}" for number in range(3))


@pytest.fixture
def house(tmp_path: Path) -> House:
    clock = Clock()
    made = House(tmp_path, Hub(clock), clock)
    made.hub.publish({"b.example": "level-2"})
    return made


def enrol(house: House, domain: str, *pins: str, removed: bool = False) -> None:
    before = house.hub.members.get(domain)
    serial = 1 if before is None else before.serial + 1
    house.hub.members[domain] = Member(domain, NAME, serial=serial, issued=house.clock(), pins=pins, removed=removed)


def known(house: House) -> dict[str, list[str]]:
    assert house.server.peers is not None
    return house.server.peers.get(US, (0, {}))[1]


def serial(house: House) -> int:
    assert house.server.peers is not None
    return house.server.peers.get(US, (0, {}))[0]


async def is_known(house: House, agent: Agent, *domains: str) -> None:
    await house.follows_again(agent)
    await until(lambda: set(known(house)) == set(domains) and agent.applier.peers.serial == serial(house))


async def test_every_change_of_a_members_pins_is_told(house: House) -> None:
    enrol(house, "b.example", PINS[0])
    enrol(house, "c.example")
    async with house.agent() as agent:
        await is_known(house, agent, "b.example")
        assert known(house) == {"b.example": [PINS[0]]}
        enrol(house, "b.example", *PINS[:2])
        enrol(house, "c.example", PINS[2])
        await is_known(house, agent, "b.example", "c.example")
        assert known(house) == {"b.example": [*PINS[:2]], "c.example": [PINS[2]]}
        assert agent.status.as_json()["peers"] == 2
        before = serial(house)
        enrol(house, "d.example")
        await house.follows_again(agent)
        assert serial(house) == before, "nobody's pins have changed"
        enrol(house, "c.example", removed=True)
        enrol(house, "b.example")
        await is_known(house, agent)
        assert serial(house) == before + 1
        assert agent.status.health() is Health.GOOD


async def test_without_pins_nothing_is_told(house: House) -> None:
    house.server.peers = None
    enrol(house, "b.example")
    with capture_logs() as logs:
        async with house.agent() as agent:
            await house.follows_again(agent)
    assert [each for each in logs if "peers" in each["event"]] == []


async def test_a_module_that_has_other_keys_is_told_anew(house: House) -> None:
    enrol(house, "b.example", PINS[0])
    async with house.agent() as agent:
        await is_known(house, agent, "b.example")
        house.server.peers = {}
        house.link.tell({"event": "started", "images": {}})
        await until(lambda: set(known(house)) == {"b.example"})
        house.server.peers = {US: (40, {"evil.example": [PINS[1]]})}
        await agent.applier._look()
        await until(lambda: known(house) == {"b.example": [PINS[0]]})
        assert serial(house) == 41
    house.server.peers = {US: (50, {})}
    async with house.agent() as agent:
        await is_known(house, agent, "b.example")
        assert serial(house) == 51


async def test_what_the_disk_has_is_not_told_to_a_module_that_may_know_more(house: House) -> None:
    enrol(house, "b.example", PINS[0])
    async with house.agent() as agent:
        await is_known(house, agent, "b.example")
    newer = {US: (9, {"b.example": [PINS[1]]})}
    house.server.peers, house.source.cut = dict(newer), True
    async with house.agent() as agent:
        await until(lambda: agent.applier.image is not None)
        assert house.server.peers == newer
        house.source.cut = False
        await is_known(house, agent, "b.example")
        assert known(house) == {"b.example": [PINS[0]]}


async def test_the_report_says_which_doors_are_followed(house: House) -> None:
    house.more["report"] = '"1 second"'
    house.server.facts = {"doors": ["two.example", "one.example"], "door_pins": {"one.example": [PINS[1], PINS[0]]}}
    house.server.facts |= {"retry_delay": 300, "dialback": False}
    async with house.agent() as agent:
        await house.follows(agent)
        await until(lambda: bool(house.source.reports))
    body = house.reported()
    assert (body["doors"], body["retry"], body["dialback"]) == (f"one.example={PINS[0]},{PINS[1]} two.example", "300", "no")


def test_a_report_has_as_many_doors_as_there_is_room_for() -> None:
    names = [f"door{number}.example" for number in range(9)]
    text = written_doors(names, {name: [*PINS, 7] for name in names} | {names[0]: 7})
    assert text.startswith(f"{names[0]} {names[1]}=")
    assert 800 < len(text) < MAX_DOORS_CHARACTERS
    assert written_doors([], None) == ""


async def test_a_module_of_before_is_told_of_once_and_keeps_the_agent_well(house: House) -> None:
    house.server.peers = None
    enrol(house, "b.example", PINS[0])
    with capture_logs() as logs:
        async with house.agent() as agent:
            await house.follows_again(agent)
            enrol(house, "b.example", PINS[1])
            await house.follows_again(agent)
            assert agent.status.health() is Health.GOOD
            house.server.peers = {}
            house.link.cut()
            house.link.mend()
            await until(lambda: house.server.peers is not None and known(house) == {"b.example": [PINS[1]]})
    (said,) = [each for each in logs if each["event"] == "module_knows_no_peers"]
    assert "server-module ... --force" in said["mend"]


async def test_a_module_that_refuses_is_told_again(house: House) -> None:
    enrol(house, "b.example", PINS[0])
    async with house.agent() as agent:
        await is_known(house, agent, "b.example")
        ours = agent.applier.peers
        ours.enforcer = replace(ours.enforcer, host="elsewhere.example")  # where nobody answers
        enrol(house, "b.example", PINS[1])
        house.hub.publish()
        await house.follows(agent)
        await until(lambda: ours.error is not None)
        assert agent.status.health() is Health.APART
        ours.enforcer = agent.applier.enforcer
        agent.applier.wake.set()
        await until(lambda: known(house) == {"b.example": [PINS[1]]})
        assert agent.status.health() is Health.GOOD


async def test_a_module_that_cannot_read_what_it_had_is_told_that_nobody_has_keys(house: House) -> None:
    house.server.peers = {US: (0, {})}  # as it shows what it could not read: then no key is the right one
    async with house.agent() as agent:
        await house.follows_again(agent)
        await until(lambda: serial(house) == 1)
        assert known(house) == {}
