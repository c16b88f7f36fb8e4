"""Platforms ask the clearinghouse itself, and learn no more than the answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from clearinghouse.clearing.dsse import CHECKPOINT, opened
from clearinghouse.clearing.senders import RateLimited
from clearinghouse.demo.worlds import BROKER
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.enforcers.topics import TopicExists
from clearinghouse.grid.reception import PlatformAnswered, PlatformAsked
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.ledger.checkpoint import read_checkpoint, verify_receipt
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.records.logkeeper import NoReceipts
from tests.runtime.house import ANN, BEA, EVE, OP, TOPIC, WHITELIST, House, until
from tests.world import IODEF, assertion, key

OPEN = 'operation ~= "^(create|publish|subscribe|retrieve|discover)$" && topic ~= "^feed-[0-9]+$"'


@pytest.fixture(autouse=True)
def feeds(house: House) -> None:
    """ANN's server may make, write and read feeds; a person decides about those of b.example."""
    house.write("policies/topics/feeds.kn", assertion("POLICY", "xmpp-member:a.example", OPEN, "allow"))
    house.write("policies/topics/asked.kn", assertion("POLICY", "xmpp-member:b.example", OPEN, "ask"))


def asked(jid: str, operation: str, topic: str, **more: object) -> PlatformAsked:
    made = PlatformAsked(operation, BROKER, topic, read_subscriber(jid), payload_type=IODEF if operation == "create" else "")
    return replace(made, **more)  # type: ignore[arg-type]


async def answered(service: Service, jid: str, operation: str, topic: str, **more: object) -> PlatformAnswered:
    return await service.doors[0].platform_asked(asked(jid, operation, topic, **more))


async def test_a_platform_makes_a_topic_and_writes_to_it_and_others_ask_for_it(house: House) -> None:
    async with house.open() as service:
        told = await answered(service, ANN, "create", "feed-1", title="Feed")
        assert (told.outcome, told.reason) == ("granted", "granted")
        node = house.world.network.broker.nodes["feed-1"]
        assert node.affiliation(ANN) == "publisher"
        assert node.configuration["pubsub#title"] == "Feed"
        async with house.platform("amy@a.example") as amy:
            assert await amy.subscribe("feed-1") == "pending"
            assert (await amy.ruling()).state == "subscribed"


async def test_a_topic_made_at_run_time_is_ours_after_a_restart(house: House) -> None:
    async with house.open() as service:
        await answered(service, ANN, "create", "feed-1")
    async with house.open() as service, house.platform("amy@a.example") as amy:
        assert (BROKER, "feed-1") in service.register.askings
        assert house.world.network.broker.nodes["feed-1"].affiliation(ANN) == "publisher"
        await amy.subscribe("feed-1")
        assert (await amy.ruling()).state == "subscribed"


async def test_publishing_is_granted_and_ends_with_its_grant(house: House) -> None:
    async with house.open() as service:
        await answered(service, ANN, "create", "feed-1")
        assert (await answered(service, "amy@a.example", "publish", "feed-1", seconds=3600)).outcome == "granted"
        node = house.world.network.broker.nodes["feed-1"]
        assert node.affiliation("amy@a.example") == "publisher"
        house.sleep(hours=2)
        await until(lambda: node.affiliation("amy@a.example") == "none")
        assert node.affiliation(ANN) == "publisher"


async def test_a_member_of_a_white_list_is_admitted_when_it_asks(house: House) -> None:
    house.settings_text += WHITELIST
    where = 'operation ~= "^(subscribe|retrieve)$" && topic == "closed"'
    house.write("policies/topics/closed.kn", assertion("POLICY", "xmpp-member:a.example", where, "allow"))
    async with house.open() as service, house.platform(ANN) as ann:
        assert (await answered(service, ANN, "retrieve", "closed")).outcome == "granted"
        assert await ann.subscribe("closed") == "subscribed"


async def test_who_may_retrieve_alone_is_made_no_member_who_could_subscribe(house: House) -> None:
    house.settings_text += WHITELIST
    where = 'operation == "retrieve" && topic == "closed"'
    house.write("policies/topics/closed.kn", assertion("POLICY", "xmpp-member:a.example", where, "allow"))
    async with house.open() as service, house.platform(ANN) as ann:
        answer = await answered(service, ANN, "retrieve", "closed")
        assert (answer.outcome, answer.reason) == ("refused", "not-granted")
        recorded = await service.store.decision(answer.id)
        assert recorded is not None
        assert recorded.decision.reason.code == "broader-effect"
        with pytest.raises(StanzaRefused, match="closed-node"):
            await ann.subscribe("closed")


async def test_denied_unknown_taken_and_wrong_kind_are_one_answer(house: House) -> None:
    async with house.open() as service:
        told = [
            await answered(service, EVE, "publish", TOPIC),
            await answered(service, EVE, "publish", "nowhere"),
            await answered(service, EVE, "subscribe", TOPIC),
            await answered(service, EVE, "create", TOPIC),
            await answered(service, EVE, "create", "feed-9"),
            await answered(service, EVE, "discover", TOPIC, broker="pubsub.elsewhere.example"),
        ]
    assert len({(each.outcome, each.value, each.reason, each.ends, each.receipt) for each in told}) == 1
    assert len({each.id for each in told}) == len(told)


async def test_what_a_person_decides_waits_and_is_carried_out_when_approved(house: House) -> None:
    house.write("policies/topics/approved.kn", assertion("POLICY", "{xmpp-member:b.example} && {desk}", OPEN, "allow"))
    house.write(
        "policies/people/feeds.kn", assertion("POLICY", f"{{{OP}}}", 'operation == "approve" && topic ~= "^feed-" && subject ~= "@"')
    )
    async with house.open() as service:
        await answered(service, ANN, "create", "feed-1")
        assert (await answered(service, BEA, "publish", "feed-1")).outcome == "pending"
        [case] = service.books.cases.values()
        await service.hall.office.approve(house.op, case.id)
        assert house.world.network.broker.nodes["feed-1"].affiliation(BEA) == "publisher"


async def test_a_name_that_somebody_else_has_taken_at_the_broker_is_no_grant(house: House) -> None:
    async with house.open() as service:
        await answered(service, ANN, "create", "feed-2")
        nodes = house.world.network.broker.nodes
        nodes["feed-1"] = replace(nodes["feed-2"], name="feed-1", affiliations={"rival@c.example": "owner"})
        with pytest.raises(TopicExists):
            await answered(service, ANN, "create", "feed-1")
        assert [each.topic for each in service.books.held()] == ["feed-2"]
        assert (BROKER, "feed-1") not in service.register.askings


# -- listing -------------------------------------------------------------------------------------------


async def test_only_what_may_be_discovered_is_listed_page_by_page(house: House) -> None:
    async with house.open() as service:
        for number in (3, 1, 2):
            await answered(service, ANN, "create", f"feed-{number}")
        desk, ann = service.doors[0], read_subscriber(ANN)
        first = await desk.topics_for(ann, limit=2)
        assert ([each.node for each in first.topics], first.complete) == (["feed-1", "feed-2"], False)
        rest = await desk.topics_for(ann, after=f"{BROKER}/feed-2", limit=2)
        assert ([each.node for each in rest.topics], rest.complete) == (["feed-3"], True)
        back = await desk.topics_for(ann, before="", limit=2)
        assert ([each.node for each in back.topics], back.complete) == (["feed-2", "feed-3"], False)
        assert (await desk.topics_for(read_subscriber(EVE), limit=100)).topics == ()


async def test_looks_are_counted_and_written_down_once(house: House) -> None:
    async with house.open() as service:
        for _ in range(5):
            await service.doors[0].topics_for(read_subscriber(ANN))
    async with house.open() as service:
        [event] = [each for each in await service.store.events(100) if each.kind == "topics-listed"]
        assert event.detail["asked"] == 5


async def test_whoever_asks_too_often_is_told_to_wait(house: House) -> None:
    house.settings_text += "\n[rates]\neach_per_second = 1.0\neach_burst = 3.0\n"
    async with house.open() as service:
        for _ in range(3):
            await answered(service, EVE, "publish", TOPIC)
        with pytest.raises(RateLimited):
            await answered(service, EVE, "publish", TOPIC)


# -- receipts and the log ------------------------------------------------------------------------------


async def test_a_receipt_proves_the_decision_with_the_logs_key_alone(house: House) -> None:
    async with house.open() as service:
        told = await answered(service, ANN, "create", "feed-1", receipt=True)
        assert verify_receipt(told.receipt, key("log").principal).ref == told.id


async def test_receipts_that_are_asked_for_together_cost_few_signatures(house: House) -> None:
    async with house.open() as service:
        await answered(service, ANN, "create", "feed-1")
        told = await asyncio.gather(*(answered(service, f"p{n}@a.example", "publish", "feed-1", receipt=True) for n in range(8)))
        assert {verify_receipt(each.receipt, key("log").principal).ref for each in told} == {each.id for each in told}


async def test_without_a_key_there_are_no_receipts_and_decisions_all_the_same(house: House) -> None:
    async with house.open() as service:
        service.logkeeper.signer = None
        with pytest.raises(NoReceipts):
            await answered(service, ANN, "create", "feed-1", receipt=True)
        assert [each.request.operation for each in service.books.held()] == ["create"]


async def test_the_log_is_signed_at_the_end_and_only_if_it_has_grown(house: House) -> None:
    async with house.open() as service:
        await service.logkeeper.sign()
        await service.logkeeper.sign()
        assert len(await service.store.checkpoints()) == 1
    async with house.open() as service:
        assert len(await service.store.checkpoints()) == 2
        (ended,) = [each for each in await service.store.entries(0, service.store.log_size - 1) if b'"stopped"' in (each.record or b"")]
        assert (
            read_checkpoint(opened((await service.store.checkpoints())[-1], payload_type=CHECKPOINT).payload).size == ended.entry.number + 1
        )
        assert service.status()["decisions_lost"] == 0


async def test_facts_are_erased_when_they_are_old(house: House) -> None:
    house.settings_text += '\n[ledger]\nretention = "10 days"\n'
    async with house.open() as service, house.platform(EVE) as eve:
        await eve.subscribe(TOPIC)
        assert (await eve.ruling()).state == "none"
        await until(lambda: not service.intake.in_hand)
    house.sleep(days=30)
    async with house.open() as service:
        await until(lambda: bool(service.logkeeper.erased))
        assert not (await service.store.decisions(1))[0].decision.request.observed
