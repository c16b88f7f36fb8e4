"""What the server is told, and told again: by local policy, after restarts, and when somebody else pushed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clearinghouse.agent.status import Health
from clearinghouse.federation.enforced.image import NOTHING
from tests.agent.community import US, Clock, Hub
from tests.agent.houses import House, until
from tests.world import key

ROWS = {"b.example": "level-1", "c.example": "level-2", "d.example": "level-3"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    clock = Clock()
    made = House(tmp_path, Hub(clock), clock)
    made.hub.publish(ROWS)
    return made


def policy(house: House, text: str, group: str = "admit") -> None:
    folder = house.directory / "policies" / group
    folder.mkdir(exist_ok=True)
    (folder / "site.kn").write_text(text)


# -- local policy --------------------------------------------------------------------------------------


async def test_level_3_but_not_level_2(house: House) -> None:
    house.more["sections"] = '[admit]\nlevels = ["level-1", "level-3"]\n'
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.passing(*ROWS) == {"b.example", "d.example"}


async def test_a_level_lets_through_the_kinds_of_stanza_that_the_settings_name(house: House) -> None:
    talk = '[[stanzas]]\nlevel = "level-1"\ninbound = ["message", "presence"]\noutbound = ["message"]\n'
    house.more["sections"] = f'[admit]\nminimum = "level-1"\n\n{talk}'
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.server.passes("b.example", "presence")
        assert not house.server.passes("b.example", "iq")
        assert not house.server.passes("b.example", "presence", "outbound")
        assert house.server.passes("c.example", "iq", "outbound")


async def test_a_policy_in_the_folder_may_speak_of_one_domain_and_of_the_date(house: House) -> None:
    house.more["sections"] = ""
    policy(
        house,
        'Authorizer: "POLICY"\nConditions: level == "level-2" && from_domain != "bad.example" && date < "20261121" -> "allow";\n\n'
        'Authorizer: "POLICY"\nConditions: level == "level-1" && kind == "message" && direction == "in" -> "allow";\n',
    )
    house.hub.publish({**ROWS, "bad.example": "level-2"})
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.passing(*ROWS, "bad.example") == {"b.example", "c.example"}
        assert not house.server.passes("b.example", "message", "outbound")
        house.clock.sleep(hours=11, minutes=59)
        await house.follows_again(agent)
        assert house.passing(*ROWS) == {"b.example", "c.example"}
        house.clock.sleep(minutes=1)
        agent.applier.wake.set()
        await until(lambda: house.passing(*ROWS) == {"b.example"})


async def test_a_policy_may_license_the_key_of_a_members_record(house: House) -> None:
    house.more["sections"] = ""
    policy(house, f'Authorizer: "POLICY"\nLicensees: "{key("dora").principal}"\nConditions: level == "level-3" -> "allow";\n')
    house.hub.enrol("d.example", key("dora").principal)
    house.hub.publish({**ROWS, "e.example": "level-3"})
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.passing(*ROWS, "e.example") == {"d.example"}
        house.hub.enrol("d.example", key("another").principal)
        await house.follows_again(agent)
        assert house.passing(*ROWS, "e.example") == set()


async def test_a_changed_policy_counts_without_a_new_table(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        policy(house, 'Authorizer: "POLICY"\nConditions: level == "level-1" -> "allow";\n')
        await until(lambda: house.passing(*ROWS) == set(ROWS))


async def test_a_level_that_the_community_does_not_have_admits_nobody(house: House) -> None:
    house.more["sections"] = '[admit]\nminimum = "level-9"\n'
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.passing(*ROWS) == set()


async def test_shadow_mode_is_told_to_the_module(house: House) -> None:
    house.more["mode"] = '"shadow"'
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.server.images[US].mode == "shadow"
        await until(lambda: agent.state.read_json(f"images/{US}.json") is not None)
        kept = agent.state.read_json(f"images/{US}.json") or {}
        assert (kept["mode"], kept["rows"]["level-2"]) == ("shadow", ["c.example"])


# -- the server ----------------------------------------------------------------------------------------


async def test_a_server_that_began_anew_is_told_everything_again(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        house.server.images.clear()
        house.link.tell({"event": "started", "images": {}})
        await until(lambda: house.passing(*ROWS) == {"c.example", "d.example"})


async def test_a_server_that_kept_its_image_is_not_told_again(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        pushed, image = house.server.pushed, house.server.images[US]
        house.link.tell({"event": "started", "images": {US: image.serial}})
        house.hub.publish(ROWS)
        await house.follows(agent)
        assert house.server.pushed == pushed + 1


async def test_what_changed_while_the_link_was_cut_is_told_when_it_is_back(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        house.link.cut()
        house.hub.publish({"b.example": "level-3"})
        await until(lambda: agent.follower.trusted is not None and agent.follower.trusted.rows == {"b.example": "level-3"})
        assert house.passing(*ROWS) == {"c.example", "d.example"}, "the server knows nothing of it"
        assert agent.status.health() is Health.APART
        house.link.mend()
        await until(lambda: house.passing(*ROWS) == {"b.example"})


async def test_an_image_of_another_agent_is_pushed_over(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
    serial = house.server.images[US].serial
    async with house.agent() as agent:
        await house.follows(agent)
        assert house.server.images[US].serial == serial + 1


async def test_whoever_pushes_behind_our_back_is_found_out(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        ours = house.server.images[US]
        house.server.images[US] = replace(ours, serial=ours.serial + 7, rows={"b.example": "level-3"})
        house.hub.publish({"c.example": "level-3"})
        await until(lambda: house.passing(*ROWS) == {"c.example"})
        assert house.server.images[US].serial > ours.serial + 7


async def test_what_a_server_saw_end_by_a_wrong_clock_is_told_anew(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        ours = house.server.images[US]
        house.server.images[US] = replace(ours, expires=1)
        assert house.passing(*ROWS) == set()
        await agent.applier._look()
        await until(lambda: house.passing(*ROWS) != set())
        assert house.server.images[US].expires == ours.expires


async def test_the_reason_of_a_refusal_names_level_and_table(house: House) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        image = house.server.images[US]
        found = image.classes[image.rows["b.example"]]
        assert (found.mask, found.reason, image.decision) == (NOTHING, "level level-1 is not admitted here", f"table 1.{house.hub.version}")


async def test_the_clearinghouse_is_told_how_we_are(house: House) -> None:
    house.more["report"] = '"1 second"'
    async with house.agent() as agent:
        await house.follows(agent)
        await until(lambda: bool(house.source.reports))
    body = house.reported()
    assert (body["view"], body["table"], body["standing"], body["health"], body["server"]) == (
        US,
        str(house.hub.version),
        "fresh",
        "good",
        "memory",
    )


async def test_a_turn_for_the_worse_is_reported_at_once(house: House) -> None:
    house.more["report"] = '"1 hour"'
    async with house.agent() as agent:
        await house.follows(agent)
        house.clock.sleep(hours=1)  # nobody says any more that the table is the newest
        await until(lambda: bool(house.source.reports) and house.reported()["health"] == Health.STALE)


async def test_a_first_start_raises_no_alarm(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    async with house.agent() as agent:
        await house.follows(agent)
        agent.alarm.look()  # as it does each second once the sources were asked
        assert agent.alarm.said is Health.GOOD
    assert "server_closed" not in capfd.readouterr().out
