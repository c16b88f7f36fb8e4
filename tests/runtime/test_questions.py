"""Each question is decided once, however often it arrives."""

from __future__ import annotations

import asyncio

import pytest

from clearinghouse.clearing.decision import Outcome
from clearinghouse.demo.worlds import BROKER
from clearinghouse.grid.topics import Subscriber, SubscriptionAsked
from tests.runtime.house import ANN, BEA, TOPIC, House, until
from tests.world import signed


def question(jid: str, subid: str = "5F1") -> SubscriptionAsked:
    return SubscriptionAsked(BROKER, TOPIC, Subscriber(jid, jid, jid, jid.partition("@")[2]), subid)


async def answered(house: House) -> None:
    await until(lambda: not house.service.intake._in_hand)


async def test_a_form_that_comes_twice_is_one_question(house: House) -> None:
    async with house.open() as service:
        service.intake.ask(question(ANN))
        service.intake.ask(question(ANN))
        await answered(house)
        service.intake.ask(question(ANN))
        await answered(house)
    assert len(await house.recorded()) == 1


async def test_a_form_that_comes_again_after_a_restart_is_the_same_question(house: House) -> None:
    for _ in range(2):
        async with house.open() as service:
            service.intake.ask(question(ANN))
            await answered(house)
    assert len(await house.recorded()) == 1


async def test_another_name_makes_another_question(house: House) -> None:
    async with house.open() as service:
        for subid in ("one", "two"):
            service.intake.ask(question(ANN, subid))
            await answered(house)
    assert len(await house.recorded()) == 2


async def test_recovery_while_a_question_is_in_hand_makes_no_second_one(house: House) -> None:
    async with house.open() as service, house.platform(ANN) as ann:
        seat = service.seats[0]
        await asyncio.gather(ann.subscribe(TOPIC), seat.owner.recover(each.as_topic() for each in seat.plan.topics))
        assert (await ann.ruling()).state == "subscribed"
        await answered(house)
        await asyncio.sleep(0.1)
    assert len(await house.recorded()) == 1


async def test_who_waits_for_a_person_is_not_decided_again_by_every_recovery(house: House) -> None:
    async with house.open() as service, house.platform(BEA) as bea:
        await bea.subscribe(TOPIC)
        await until(lambda: bool(house.world.network.broker.nodes[TOPIC].pending()))
        await answered(house)
        for _ in range(3):
            await service.seats[0].owner.recover(each.as_topic() for each in service.seats[0].plan.topics)
            await asyncio.sleep(0.02)
            await answered(house)
    assert [each.decision.outcome for each in await house.recorded()] == [Outcome.PENDING]


async def test_who_was_refused_may_ask_again_and_is_decided_anew(house: House) -> None:
    house.remove("credentials/a.kn")
    async with house.open(), house.platform(ANN) as ann:
        await ann.subscribe(TOPIC)
        assert (await ann.ruling()).state == "none"
        house.write("credentials/a.kn", signed("hub", "xmpp-member:a.example", f'topic == "{TOPIC}"'))
        await house.reload()
        await ann.subscribe(TOPIC)
        assert (await ann.ruling()).state == "subscribed"


@pytest.mark.parametrize("jid", ["a.example", "ann@a.example"])
async def test_a_server_is_no_user_of_its_own(house: House, jid: str) -> None:
    async with house.open() as service:
        service.intake.ask(question(jid) if "@" in jid else SubscriptionAsked(BROKER, TOPIC, Subscriber(jid, jid, jid, jid), "s"))
        await answered(house)
    [found] = await house.recorded()
    assert (f"xmpp-member:{'a.example'}" in found.decision.request.requesters) == ("@" in jid)
