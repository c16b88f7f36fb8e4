"""What the agent believes and applies: with sources that fail, that lie, and that come back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.agent.following import FOLDER
from clearinghouse.agent.status import Health
from clearinghouse.errors import BadSettings
from clearinghouse.federation.enforced.image import Grant
from clearinghouse.federation.published.documents import table_name, timestamp_name
from clearinghouse.federation.trust.trusted import Standing
from tests.agent.community import US, Clock, Hub, MemorySource
from tests.agent.houses import House, until

ROWS = {"b.example": "level-2", "c.example": "level-1", "d.example": "level-3"}
NAMES = (*ROWS, "stranger.example")
OPEN = {"b.example", "d.example"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    clock = Clock()
    made = House(tmp_path, Hub(clock), clock)
    made.hub.publish(ROWS)
    return made


async def test_what_the_table_says_and_policy_admits_is_what_the_server_lets_pass(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.passing(*NAMES) == OPEN
        house.hub.publish({**ROWS, "b.example": "level-1", "c.example": "level-2"})
        await house.follows(agent)
        assert house.passing(*NAMES) == {"c.example", "d.example"}
        assert agent.alarm.said is agent.status.health() is Health.GOOD


async def test_after_a_restart_without_any_source_the_last_table_is_believed_and_applied(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
    house.source.cut = True
    house.server.images.clear()
    async with house.agent() as agent:
        await until(lambda: house.shows(agent))
        assert house.passing(*NAMES) == OPEN
        assert agent.follower.error is not None


async def test_what_was_kept_and_then_changed_is_not_believed(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
    for each in (house.settings.state / FOLDER).iterdir():
        if b"level-3" in each.read_bytes():
            each.write_bytes(each.read_bytes().replace(b"d.example", b"x.example"))
    house.source.cut = True
    async with house.agent() as agent:
        await until(lambda: house.shows(agent))
        assert agent.follower.trusted is None or agent.follower.trusted.table is None
        assert house.passing(*NAMES, "x.example") == set()


async def test_a_source_that_fails_is_replaced_by_the_next(house: House) -> None:
    other = MemorySource(house.hub, "other")
    house.source.cut = True
    async with house.agent(other) as agent:
        await house.follows(agent)
        assert agent.sources.place == "other"
        assert house.passing(*NAMES) == OPEN


async def test_a_source_that_lies_is_found_out_and_the_next_one_is_believed(house: House) -> None:
    raw = house.hub.documents[table_name(US, house.hub.version)]
    house.source.lies[table_name(US, house.hub.version)] = raw.replace(b"c.example", b"e.example")
    async with house.agent(MemorySource(house.hub, "other")) as agent:
        await house.follows(agent)
        assert house.passing(*NAMES, "e.example") == OPEN
        assert agent.sources.place == "other"


async def test_a_source_that_holds_news_back_is_left_once_its_timestamp_has_expired(house: House) -> None:
    async with house.agent(MemorySource(house.hub, "other")) as agent:
        await house.follows(agent)
        frozen = dict(house.hub.documents)
        house.source.lies[timestamp_name(US)] = frozen[timestamp_name(US)]
        house.clock.sleep(minutes=9)
        house.hub.publish({"b.example": "level-2"})
        assert agent.follower.standing() is Standing.FRESH
        house.clock.sleep(minutes=2)
        assert agent.status.health() is Health.STALE
        await house.follows(agent)
        assert house.passing(*NAMES) == {"b.example"}


async def test_an_expired_table_closes_the_server_and_the_agent_says_so(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        house.source.cut = True
        house.clock.sleep(hours=11, minutes=59)
        assert house.passing(*NAMES) == OPEN
        house.clock.sleep(minutes=1)
        assert house.passing(*NAMES) == set(), "by the module alone"
        assert agent.status.health() is Health.CLOSED
        await until(lambda: agent.alarm.said is Health.CLOSED)
    assert "server_closed" in capfd.readouterr().out


async def test_an_expired_table_counts_on_where_the_settings_say_so_and_not_longer(house: House) -> None:
    house.more |= {"when_expired": '"keep"', "keep_for": '"2 hours"'}
    async with house.agent() as agent:
        await house.follows(agent)
        house.source.cut = True
        house.clock.sleep(hours=13)
        assert house.passing(*NAMES) == OPEN
        assert (agent.follower.standing(), agent.status.health()) == (Standing.EXPIRED, Health.KEPT)
        await until(lambda: agent.alarm.said is Health.KEPT)
        house.clock.sleep(hours=1)
        assert house.passing(*NAMES) == set()
        assert agent.status.health() is Health.CLOSED


async def test_a_clock_that_was_put_back_closes_everything_until_it_is_right(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        house.clock.sleep(hours=1)
        agent.clock.see()
        house.clock.sleep(hours=-1)
        agent.applier.wake.set()
        await until(lambda: house.passing(*NAMES) == set())
        assert agent.status.health() is Health.CLOSED
        assert agent.status.as_json()["clock_behind"] is True
        house.clock.sleep(hours=1)
        agent.applier.wake.set()
        await until(lambda: house.passing(*NAMES) == OPEN)


async def test_a_clock_that_was_put_back_while_the_agent_was_away_is_found_out(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        house.clock.sleep(hours=1)
        await house.follows_again(agent)
    house.clock.sleep(hours=-1)
    async with house.agent() as agent:
        await until(lambda: house.shows(agent))
        assert house.passing(*NAMES) == set()


async def test_a_step_of_time_synchronisation_closes_nothing(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        house.clock.sleep(seconds=-20)
        house.hub.publish(ROWS)
        agent.applier.wake.set()
        assert house.passing(*NAMES) == OPEN
        assert agent.clock.behind() is None


async def test_a_clock_ahead_by_an_hour_is_reported_and_forgotten_once_it_is_right(house: House) -> None:
    """Whose clock is an hour ahead sees every timestamp expired, and must not stay closed when it was put right."""
    house.clock.sleep(hours=1)
    house.source.ahead = house.clock.now - house.hub.publisher.last.head.issued  # type: ignore[union-attr]  # it was published
    async with house.agent() as agent:
        await until(lambda: agent.status.as_json()["skew_seconds"] == 3600)
        assert agent.status.as_json()["last_error"]["code"] == "timestamp-expired"
        house.clock.sleep(hours=-1)
        house.source.ahead = None
        await house.follows(agent)
        assert house.passing(*NAMES) == OPEN


async def test_a_full_disk_is_told_and_keeps_no_withdrawal_from_counting(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        (agent.state.path / FOLDER).rename(agent.state.path / "aside")
        (agent.state.path / FOLDER).write_text("no directory, so nothing can be written into it")
        house.hub.publish({"b.example": "level-2"})
        await house.follows(agent)
        assert house.passing(*NAMES) == {"b.example"}
        assert agent.status.as_json()["kept"] is False
        (agent.state.path / FOLDER).unlink()
        (agent.state.path / "aside").rename(agent.state.path / FOLDER)
        await house.follows_again(agent)
        assert agent.status.as_json()["kept"] is True


async def test_what_the_disk_never_had_is_not_undone_at_the_server_by_a_restart(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        await until(lambda: (agent.state.read_json(f"images/{US}.json") or {}).get("serial") == house.server.images[US].serial)
        for folder in (FOLDER, "images"):
            (agent.state.path / folder).rename(agent.state.path / f"{folder}-aside")
            (agent.state.path / folder).write_text("no directory, so nothing can be written into it")
        house.hub.publish({"b.example": "level-2"})
        await house.follows(agent)
    for folder in (FOLDER, "images"):
        (agent.state.path / folder).unlink()
        (agent.state.path / f"{folder}-aside").rename(agent.state.path / folder)
    house.source.cut = True
    async with house.agent() as agent:
        await until(lambda: agent.follower.looked.is_set() and agent.follower.error is not None)
        assert agent.follower.trusted is not None
        assert agent.follower.trusted.rows == ROWS, "the disk knows no better"
        agent.applier.wake.set()
        await asyncio.sleep(0.2)
        assert house.passing(*NAMES) == {"b.example"}, "and what the server knows stays"
        agent.overrides.deny("b.example", timedelta(hours=1), "flood", "unix:ann")
        await until(lambda: house.passing(*NAMES) == set())
        house.source.cut = False
        await house.follows(agent)
        assert house.passing(*NAMES) == set()
        agent.overrides.withdraw(agent.overrides.every()[0].id, "unix:ann")
        await until(lambda: house.passing(*NAMES) == {"b.example"})


async def test_r17_a_clock_that_is_behind_closes_also_a_server_that_knows_more(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        await until(lambda: (agent.state.read_json(f"images/{US}.json") or {}).get("serial") == house.server.images[US].serial)
        (agent.state.path / "images").rename(agent.state.path / "aside")
        (agent.state.path / "images").write_text("no directory, so nothing can be written into it")
        house.hub.publish({"b.example": "level-2"})
        await house.follows(agent)
    (agent.state.path / "images").unlink()
    (agent.state.path / "aside").rename(agent.state.path / "images")
    house.source.cut = True
    house.clock.sleep(hours=-2)
    async with house.agent():
        await until(lambda: house.passing(*NAMES) == set())


async def test_a_grant_that_ended_ends_also_at_a_server_that_knows_more(house: House) -> None:
    class Granting:
        holds = True

        def live(self, now: object) -> tuple[Grant, ...]:
            del now
            return (Grant("g1", "stranger.example", house.clock.seconds() // 3600 * 3600 + 7200),) if self.holds else ()

    async with house.agent() as agent:
        agent.applier.grants = Granting()
        await house.follows(agent)
        await until(lambda: (agent.state.read_json(f"images/{US}.json") or {}).get("serial") == house.server.images[US].serial)
        (agent.state.path / "images").rename(agent.state.path / "aside")
        (agent.state.path / "images").write_text("no directory, so nothing can be written into it")
        house.hub.publish({"b.example": "level-2"})
        await house.follows(agent)
        assert house.passing(*NAMES) == {"b.example", "stranger.example"}
    (agent.state.path / "images").unlink()
    (agent.state.path / "aside").rename(agent.state.path / "images")
    house.source.cut = True
    async with house.agent() as again:
        granting = again.applier.grants = Granting()
        await until(lambda: again.applier._live == {"g1"})
        assert house.passing(*NAMES) == {"b.example", "stranger.example"}
        granting.holds = False
        again.applier.wake.set()
        await until(lambda: house.passing(*NAMES) == {"b.example"})


async def test_two_agents_never_work_in_one_state_directory(house: House) -> None:
    async with house.agent():
        with pytest.raises(BadSettings, match="another process works"):
            async with house.agent():
                pass
