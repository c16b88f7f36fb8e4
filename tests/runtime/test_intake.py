"""What must never be carried out, and what one question must never do to the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest
from structlog.testing import capture_logs

from clearinghouse.clearing import clear, proof
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.facts import Facts
from clearinghouse.clearing.soundness import Proven
from clearinghouse.demo.worlds import BROKER
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.grid.topics import SubscriptionAsked
from clearinghouse.runtime.asking.intake import MAX_EACH
from clearinghouse.runtime.asking.questions import agrees
from clearinghouse.runtime.asking.ruled import Ruled
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.topics.brokers import Seat
from clearinghouse.storage.changes import Change, Decided
from clearinghouse.storage.sql_store import SqlStore, open_store
from clearinghouse.storage.store import Effect, Event
from tests.runtime.house import ANN, EVE, SETTINGS, TOPIC, House, until
from tests.world import assertion, signed


def question(jid: str) -> SubscriptionAsked:
    return SubscriptionAsked(BROKER, TOPIC, read_subscriber(jid))


async def owes(house: House) -> None:
    """Decide about ANN while the broker cannot be told."""
    async with house.open() as service, house.platform(ANN) as ann:
        house.line.cut = True
        await ann.subscribe(TOPIC)
        await until(lambda: not service.intake._in_hand)
    [found] = await house.recorded()
    assert (found.decision.outcome, found.effect) == (Outcome.GRANTED, Effect.OWED)


async def seen(house: House) -> None:
    """Put the time of now on record."""
    async with open_store(house.settings.store.path) as store:
        await store.note(Event(house.now, "started", {}))


# -- the clock (rule R17) ------------------------------------------------------------------------------


async def test_a_grant_that_has_expired_is_not_carried_out_by_setting_the_clock_back(house: House) -> None:
    house.write("credentials/a.kn", signed("hub", "xmpp-member:a.example", f'topic == "{TOPIC}"', until="20261125"))
    await owes(house)
    house.sleep(days=30)
    await seen(house)
    house.sleep(days=-29)
    async with house.open() as service:
        await until(lambda: not service.intake._in_hand)
        await asyncio.sleep(0.1)
        assert house.world.network.broker.nodes[TOPIC].subscribed() == []
    first, *rest = await house.recorded()
    assert first.effect is Effect.DROPPED
    assert {each.decision.reason.code for each in rest} == {"clock-behind"}


async def test_nothing_is_carried_out_while_the_clock_is_behind_and_all_of_it_once_it_is_right(house: House) -> None:
    await owes(house)
    house.sleep(hours=2)
    await seen(house)
    house.sleep(hours=-1)
    async with house.open():
        await asyncio.sleep(0.1)
        node = house.world.network.broker.nodes[TOPIC]
        assert (node.subscribed(), (await house.recorded())[0].effect) == ([], Effect.OWED)
        house.sleep(hours=2)
        await until(lambda: node.subscribed() == [ANN])


# -- policy --------------------------------------------------------------------------------------------


async def test_policy_that_changes_while_a_decision_is_recorded_overtakes_it(house: House) -> None:
    async with house.open() as service, house.platform(ANN) as ann:
        gate = Gate(service)
        service.desk.ledger = gate
        await ann.subscribe(TOPIC)
        await gate.recorded.wait()
        house.remove("credentials/a.kn")
        await house.reload()
        gate.go_on.set()
        assert (await ann.ruling()).state == "none"
    first, second = await house.recorded()
    assert (first.decision.outcome, first.effect) == (Outcome.GRANTED, Effect.DROPPED)
    assert (second.decision.outcome, second.effect) == (Outcome.REFUSED, Effect.DONE)


class Gate:
    """The service's ledger; what is durable is told of when the test says so."""

    def __init__(self, service: Service) -> None:
        self.ledger, self.recorded, self.go_on = service.desk.ledger, asyncio.Event(), asyncio.Event()

    @property
    def highest_time(self) -> datetime | None:
        return self.ledger.highest_time

    async def record(self, decision: Decision) -> None:
        await self.ledger.record(decision)
        self.recorded.set()
        await self.go_on.wait()


async def test_a_decision_for_another_community_is_never_carried_out(house: House) -> None:
    test = f'operation == "subscribe" && topic == "{TOPIC}" && community == "csirt-net"'
    house.write("policies/topics/incidents.kn", assertion("POLICY", "hub", test, "allow"))
    await owes(house)
    house.settings_text = SETTINGS.replace("csirt-net", "other-net")
    async with house.open():
        node = house.world.network.broker.nodes[TOPIC]
        await until(lambda: not node.pending())
        assert node.subscribed() == []
    assert [each.effect for each in await house.recorded()] == [Effect.DROPPED, Effect.DONE]


async def test_a_decision_by_another_engine_is_made_again(house: House) -> None:
    await owes(house)
    [found] = await house.recorded()
    async with house.open() as service:
        asking = service.intake.askings[BROKER, TOPIC]
        assert agrees(Ruled.recorded(found), asking, "csirt-net")
        assert not agrees(Ruled.recorded(replace(found, engine="0.0")), asking, "csirt-net")


# -- what nobody meant to raise ------------------------------------------------------------------------


@pytest.fixture
def broken_for_eve(monkeypatch: pytest.MonkeyPatch) -> None:
    real = proof.prove

    def prove(facts: Facts, *rest: object, **more: object) -> Proven:
        if facts.attributes["jid"] == EVE:
            raise ValueError("a mistake of ours")
        return real(facts, *rest, **more)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(clear, "prove", prove)


@pytest.mark.usefixtures("broken_for_eve")
async def test_an_exception_while_ruling_is_no_answer_and_stops_nobody_even_after_a_restart(house: House) -> None:
    with capture_logs() as told:
        async with house.open() as service, house.platform(EVE) as eve:
            await eve.subscribe(TOPIC)
            await until(lambda: not service.intake._in_hand)
        async with house.open(), house.platform(ANN) as ann:
            await ann.subscribe(TOPIC)
            assert (await ann.ruling()).state == "subscribed"
        assert house.world.network.broker.nodes[TOPIC].pending() == [EVE]
    by_eve = [each.decision for each in await house.recorded() if each.decision.request.observed["jid"] == EVE]
    assert {(each.outcome, each.reason.code, each.value) for each in by_eve} == {(Outcome.UNANSWERED, "internal", "deny")}
    assert [each["log_level"] for each in told if each["event"] == "failed"][:1] == ["error"]
    assert any(isinstance(each.get("exc_info"), ValueError) for each in told)


async def test_an_exception_beside_the_ruling_stops_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real = SqlStore.write

    async def write(store: SqlStore, *changes: Change) -> None:
        if any(isinstance(each, Decided) and each.decision.request.observed["jid"] == EVE for each in changes):
            raise ValueError("a mistake of ours")
        await real(store, *changes)

    monkeypatch.setattr(SqlStore, "write", write)
    with capture_logs() as told:
        async with house.open() as service, house.platform(EVE) as eve, house.platform(ANN) as ann:
            await eve.subscribe(TOPIC)
            await ann.subscribe(TOPIC)
            assert (await ann.ruling()).state == "subscribed"
            await until(lambda: not service.intake._in_hand)
            assert not service.intake._each
    assert any(each["event"] == "failed" and each["exc_info"] for each in told)


# -- one among many ------------------------------------------------------------------------------------


async def test_one_stranger_with_many_resources_leaves_room_for_the_others(house: House) -> None:
    async with house.open() as service:
        for number in range(100):
            service.intake.ask(question(f"{EVE}/{number}"))
        service.intake.ask(question(ANN))
        assert len(service.intake._in_hand) == MAX_EACH + 1
        await until(lambda: not service.intake._in_hand)
    assert ANN in {each.decision.request.observed["jid"] for each in await house.recorded()}


async def test_what_one_asks_beyond_its_share_is_answered_all_the_same(house: House) -> None:
    jids = [f"{ANN}/{number}" for number in range(MAX_EACH + 4)]
    async with house.open() as service:
        async with house.platform(ANN) as ann:
            for jid in jids:
                await ann.subscribe(TOPIC, jid=jid)
        await until(lambda: sorted(house.world.network.broker.nodes[TOPIC].subscribed()) == sorted(jids))
        await until(lambda: not service.intake._in_hand)
        assert not service.intake._each


async def test_who_asks_twice_does_not_make_us_try_sooner(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sooner: list[bool] = []
    monkeypatch.setattr(Seat, "fall_behind", lambda _, *, full=False, **__: sooner.append(full))
    async with house.open() as service:
        sooner.clear()
        service.intake.ask(question(ANN))
        service.intake.ask(question(ANN))
        assert sooner == [False]
        await until(lambda: not service.intake._in_hand)


async def test_who_asks_and_takes_it_back_is_counted_instead_of_told(house: House) -> None:
    with capture_logs() as told:
        async with house.open() as service:
            service.intake.ask(question(f"{EVE}/desk"))  # which the broker does not know of
            await until(lambda: not service.intake._in_hand)
    assert [each["noise"] for each in told if each["event"] == "nothing_pending"] == [EVE]
