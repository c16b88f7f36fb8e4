"""The service as its platforms and its operator see it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from clearinghouse.clearing.decision import Outcome
from clearinghouse.demo.platforms import Platform
from clearinghouse.runtime.asking import intake
from clearinghouse.storage import database
from clearinghouse.storage.store import Effect
from tests.runtime.house import ANN, BEA, EVE, SETTINGS, TOPIC, House, until
from tests.world import assertion, signed


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the store as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)


async def asks(platform: Platform) -> str:
    """Subscribe and return the broker's ruling."""
    assert await platform.subscribe(TOPIC) == "pending"
    return (await platform.ruling()).state


# -- the main job --------------------------------------------------------------------------------------


async def test_who_is_licensed_is_approved_and_who_is_not_is_refused(house: House) -> None:
    async with house.open(), house.platform(ANN) as ann, house.platform(EVE) as eve:
        assert await asks(ann) == "subscribed"
        assert await asks(eve) == "none"
    granted, refused = await house.recorded()
    assert (granted.decision.outcome, granted.decision.request.requesters) == (Outcome.GRANTED, (f"xmpp:{ANN}", "xmpp-member:a.example"))
    assert (refused.decision.outcome, refused.decision.reason.code) == (Outcome.REFUSED, "no-licence")
    assert {each.effect for each in (granted, refused)} == {Effect.DONE}
    assert granted.latency is not None
    assert granted.attributes["vouched_by"] == "hub.example"


async def test_a_decision_is_in_the_store_before_anybody_hears_of_it(house: House) -> None:
    async with house.open(), house.platform(ANN) as ann:
        await asks(ann)
        assert [each.decision.request.observed["jid"] for each in await house.recorded()] == [ANN]


async def test_where_a_person_decides_the_request_waits(house: House) -> None:
    async with house.open(), house.platform(BEA) as bea:
        assert await bea.subscribe(TOPIC) == "pending"
        await until(lambda: house.world.network.broker.nodes[TOPIC].pending() == [BEA])
        await asyncio.sleep(0.05)
    [found] = await house.recorded()
    assert (found.decision.outcome, found.effect) == (Outcome.PENDING, Effect.NONE)


async def test_the_topic_is_ours_alone_and_its_publishers_are_set(house: House) -> None:
    async with house.open():
        node = house.world.network.broker.nodes[TOPIC]
        assert node.affiliations == {"clearinghouse.hub.example": "owner", "provider@hub.example": "publisher"}
        assert node.configuration["pubsub#access_model"] == "authorize"


async def test_a_name_with_a_comma_is_refused_on_the_record(house: House) -> None:
    async with house.open(), house.platform("ann,xmpp-member=a@a.example") as odd:
        assert await asks(odd) == "none"
    [found] = await house.recorded()
    assert (found.decision.reason.code, found.decision.outcome) == ("malformed-request", Outcome.REFUSED)


# -- policy changes ------------------------------------------------------------------------------------


async def test_an_approval_that_is_dropped_into_the_folder_answers_who_waits(house: House) -> None:
    async with house.open(), house.platform(BEA) as bea:
        await bea.subscribe(TOPIC)
        await until(lambda: bool(house.world.network.broker.nodes[TOPIC].pending()))
        house.write("credentials/b.kn", signed("hub", "xmpp-member:b.example", f'topic == "{TOPIC}"'))
        assert (await bea.ruling()).state == "subscribed"
    first, second = await house.recorded()
    assert (first.decision.outcome, second.decision.outcome) == (Outcome.PENDING, Outcome.GRANTED)
    assert first.decision.version != second.decision.version


async def test_a_credential_that_is_taken_away_is_of_no_more_use(house: House) -> None:
    async with house.open(), house.platform(ANN) as ann:
        house.remove("credentials/a.kn")
        await house.reload()
        assert await asks(ann) == "none"


async def test_a_broken_policy_stops_nothing_and_is_told(house: House) -> None:
    house.write("policies/topics/broken.kn", b'Authorizer: "POLICY"\nLicensee: "hub"\n')
    async with house.open() as service, house.platform(ANN) as ann:
        assert await asks(ann) == "subscribed"
        assert [each.file for each in service.policy.holdings.problems] == ["topics/broken.kn"]


async def test_every_change_of_policy_is_an_event_and_its_snapshot_is_archived(house: House) -> None:
    async with house.open() as service:
        first = service.desk.snapshot.version
        house.write("credentials/b.kn", signed("hub", "xmpp-member:b.example", f'topic == "{TOPIC}"'))
        await house.reload()
        second = service.desk.snapshot.version
        house.remove("credentials/b.kn")
        await house.reload()
        events = await service.store.events(10)
        assert [each.kind for each in events] == ["started", "policy-changed", "policy-changed", "policy-changed"]
        assert [(each.detail["before"], each.detail["after"]) for each in events[2:]] == [(first, second), (second, first)]
        assert [each["source"] for each in events[2].detail["added"]] == ["credentials/b.kn"]
        assert [each["source"] for each in events[3].detail["removed"]] == ["credentials/b.kn"]
        for version in (first, second):
            archive = await service.store.archived(version)
            assert archive is not None
            assert archive.holdings().snapshot.version == version


@pytest.mark.usefixtures("impatient")
async def test_policy_that_cannot_be_archived_is_not_adopted(house: House) -> None:
    async with house.open() as service:
        before = service.desk.snapshot.version
        with locked(house.settings.store.path):
            house.write("credentials/b.kn", signed("hub", "xmpp-member:b.example", f'topic == "{TOPIC}"'))
            await asyncio.sleep(0.3)
            assert service.desk.snapshot.version == before
        await until(lambda: service.desk.snapshot.version != before)


# -- when something is away ----------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
async def test_what_cannot_be_recorded_is_not_answered_and_is_answered_when_it_can(house: House) -> None:
    async with house.open(), house.platform(ANN) as ann:
        with locked(house.settings.store.path):
            await ann.subscribe(TOPIC)
            await asyncio.sleep(0.3)
            assert ann.rulings.empty()
            assert house.world.network.broker.nodes[TOPIC].pending() == [ANN]
        assert (await ann.ruling()).state == "subscribed"


async def test_an_answer_that_could_not_be_given_is_given_when_the_link_is_back(house: House) -> None:
    async with house.open() as service, house.platform(ANN) as ann:
        house.line.cut = True  # what we say is lost, and we do not know yet
        await ann.subscribe(TOPIC)
        await until(lambda: not service.intake._in_hand)
        [found] = await house.recorded()
        assert found.effect is Effect.OWED
        house.line.lose()
        house.line.join()
        assert (await ann.ruling()).state == "subscribed"
        await service.ready()
    [found] = await house.recorded()
    assert found.effect is Effect.DONE


async def test_an_answer_that_policy_has_overtaken_is_never_given(house: House) -> None:
    async with house.open() as service, house.platform(ANN) as ann:
        house.line.cut = True
        await ann.subscribe(TOPIC)
        await until(lambda: not service.intake._in_hand)
        house.remove("credentials/a.kn")
        await house.reload()
        house.line.lose()
        house.line.join()
        assert (await ann.ruling()).state == "none"
    first, second = await house.recorded()
    assert (first.decision.outcome, first.effect) == (Outcome.GRANTED, Effect.DROPPED)
    assert (second.decision.outcome, second.effect) == (Outcome.REFUSED, Effect.DONE)


async def test_a_topic_that_is_no_longer_ours_keeps_no_other_from_being_answered(house: House) -> None:
    house.settings_text += "[[topic]]" + SETTINGS.partition("[[topic]]")[2].replace(TOPIC, "aaa")
    house.write(
        "policies/topics/aaa.kn", assertion("POLICY", "xmpp-member:a.example", 'operation == "subscribe" && topic == "aaa"', "allow")
    )
    async with house.open() as service, house.platform(ANN) as ann:
        house.line.cut = True
        await ann.subscribe("aaa")
        await ann.subscribe(TOPIC)
        await until(lambda: not service.intake._in_hand)
        house.world.network.broker.nodes["aaa"].affiliations = {"somebody@else.example": "owner"}
        house.line.lose()
        house.line.join()
        ruling = await ann.ruling()
        assert (ruling.node, ruling.state) == (TOPIC, "subscribed")
    assert [each.effect for each in await house.recorded()] == [Effect.OWED, Effect.DONE]


async def test_a_request_that_came_while_we_were_away_is_answered_at_the_next_start(house: House) -> None:
    async with house.open():
        pass
    async with house.platform(ANN) as ann:
        await ann.subscribe(TOPIC)
        async with house.open():
            assert (await ann.ruling()).state == "subscribed"


async def test_more_questions_than_we_hold_stay_with_the_broker_and_are_answered_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_WAITING", 2)
    monkeypatch.setattr(intake, "WORKERS", 1)
    people = [f"p{number}@a.example" for number in range(12)]
    async with house.open():
        for jid in people:
            async with house.platform(jid) as platform:
                await platform.subscribe(TOPIC)
        await until(lambda: sorted(house.world.network.broker.nodes[TOPIC].subscribed()) == sorted(people))


# -- at the end ----------------------------------------------------------------------------------------


async def test_what_was_begun_is_finished_and_the_rest_stays_with_the_broker(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WORKERS", 1)
    people = [f"p{number}@a.example" for number in range(8)]
    async with house.open() as service:
        for jid in people:
            async with house.platform(jid) as platform:
                await platform.subscribe(TOPIC)
        await until(lambda: bool(service.intake._busy))
    node = house.world.network.broker.nodes[TOPIC]
    answered = node.subscribed()
    assert answered
    assert {each.effect for each in await house.recorded()} == {Effect.DONE}
    assert [each.decision.request.observed["jid"] for each in await house.recorded()] == answered
    assert sorted([*answered, *node.pending()]) == people
    async with house.open():
        await until(lambda: sorted(node.subscribed()) == people)
    assert len(await house.recorded()) == len(people)


async def test_its_own_life_is_on_record(house: House) -> None:
    async with house.open():
        pass
    async with house.open() as service:
        kinds = [each.kind for each in await service.store.events(10)]
    assert kinds == ["started", "policy-changed", "stopped", "started", "policy-changed"]


async def test_a_start_with_other_settings_is_told_by_the_log(house: House) -> None:
    for text in ("", "", '\n[[person]]\nname = "second"\njids = ["second@hub.example"]\n'):
        house.settings_text += text
        async with house.open() as service:
            await service.ready()
    async with house.open() as service:
        started = [each.detail["settings"] for each in await service.store.events(50) if each.kind == "started"]
    assert len(started) == 4
    assert started[0] == started[1] != started[2] == started[3]
