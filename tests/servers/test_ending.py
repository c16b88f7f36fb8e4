"""Taking rights back, at every broker: who is ended receives nothing more, whoever else is there, left, or publishing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.platforms import Platform, Ruling, client_platform
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import CLIENT_PORT, Server
from clearinghouse.grid import pubsub
from clearinghouse.grid.namespaces import IODEF
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import Topic
from tests.servers.worlds import BROKER, HOSTING, PASSWORD, US, House, ServerWorld, World, new_topic

ANALYST, OUTSIDER, PROVIDER = "analyst@csirt.example", "outsider@csirt.example", "provider@soc.example"
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def numbered(number: int) -> Element:
    return Element(f"{{{IODEF}}}IODEF-Document", version="2.0", n=str(number))


async def admitted(house: House, topic: Topic, platform: Platform, jid: str = "") -> None:
    assert await platform.subscribe(topic.node, jid) == "pending"
    await house.rule(await house.asked(), approve=True)
    assert (await platform.ruling()).state == "subscribed"


async def held(house: House, topic: Topic) -> frozenset[str]:
    return (await house.owner.state(topic)).subscribed


@pytest.mark.parametrize("affiliation", ["none", "outcast"])
async def test_nothing_that_is_published_after_the_answer_arrives(
    world: World, analyst: Platform, outsider: Platform, provider: Platform, affiliation: str
) -> None:
    topic, numbers, sent = new_topic(), count(), [0]

    async def flood() -> None:
        while True:
            sent[0] = next(numbers)
            await provider.publish(topic.node, numbered(sent[0]))

    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, [PROVIDER])
        for platform in (analyst, outsider):
            await admitted(house, topic, platform)
        flooding = [asyncio.create_task(flood()) for _ in range(4)]
        for _ in range(50):
            await outsider.delivery()
        await house.owner.end(BROKER, topic.node, [OUTSIDER], affiliation="outcast" if affiliation == "outcast" else "none")
        last = sent[0]
        while int((await analyst.delivery()).payload.get("n", "")) < last + 100:  # the others go on receiving
            pass
        for task in flooding:
            task.cancel()
        await asyncio.wait(flooding)
        with suppress(StanzaRefused):
            await outsider.fetch(topic.node)  # whatever the broker has sent before it answers this has arrived
    arrived = [int(outsider.deliveries.get_nowait().payload.get("n", "")) for _ in range(outsider.deliveries.qsize())]
    assert max(arrived, default=0) <= last
    assert (await outsider.ruling()).state == "none"


async def test_ending_one_resource_leaves_the_other_and_who_publishes_goes_on(world: World, analyst: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, [ANALYST])
        for jid in (ANALYST, analyst.jid):
            await admitted(house, topic, analyst, jid)
        await house.owner.end(BROKER, topic.node, [analyst.jid], affiliation="none")
        assert await held(house, topic) == {ANALYST}
        await analyst.publish(topic.node, numbered(1))
        assert (await analyst.delivery()).node == topic.node
        assert analyst.deliveries.empty()


async def test_who_is_no_outcast_any_more_may_ask_again(world: World, outsider: Platform) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.end(BROKER, topic.node, [OUTSIDER], affiliation="outcast")
        with pytest.raises(StanzaRefused, match="forbidden"):
            await outsider.subscribe(topic.node)
        await house.owner.end(BROKER, topic.node, [OUTSIDER], affiliation="none")
        assert (await house.owner.state(topic)).affiliations == {US: "owner"}
        assert await outsider.subscribe(topic.node) == "pending"


async def test_many_are_ended_in_batches_though_every_third_has_left_and_one_waits(world: World, analyst: Platform) -> None:
    topic = new_topic()
    everybody = [f"reader-{number}@csirt.example/{'x' * 200}" for number in range(1200)]
    present = [jid for number, jid in enumerate(everybody) if number % 100]
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        for batch in pubsub.batches(dict.fromkeys(present, "subscribed")):
            await house.exchange.ask(BROKER, "set", pubsub.set_subscriptions(topic.node, batch))
        assert await held(house, topic) == frozenset(present)
        assert await analyst.subscribe(topic.node) == "pending"
        await house.asked()
        await house.owner.end(BROKER, topic.node, [*everybody, ANALYST], affiliation="outcast")
        state = await house.owner.state(topic)
        assert state.subscribed == frozenset()
        assert state.affiliations == {US: "owner", ANALYST: "outcast"} | {jid.partition("/")[0]: "outcast" for jid in everybody}
        assert await analyst.ruling() == Ruling(topic.node, ANALYST, "none")


async def test_state_tells_owners_affiliations_and_who_is_subscribed_but_nobody_who_waits(
    world: World, analyst: Platform, outsider: Platform
) -> None:
    topic = new_topic()
    async with world.house(topic) as house:
        await house.owner.ensure_topics([topic])
        await house.owner.set_publishers(topic, [PROVIDER])
        await admitted(house, topic, analyst, analyst.jid)
        await outsider.subscribe(topic.node)
        await house.asked()
        state = await house.owner.state(topic)
        assert (state.owners, state.subscribed) == (frozenset({US}), frozenset({analyst.jid}))
        assert state.affiliations == {US: "owner", PROVIDER: "publisher"}


@pytest.mark.servers
@pytest.mark.parametrize("make", [Ejabberd, Prosody])
async def test_restart_keeps_requests_subscriptions_and_outcasts(make: type[Server]) -> None:
    topic = new_topic()
    async with make(HOSTING) as server:
        world = ServerWorld(server)
        for jid in (ANALYST, OUTSIDER, PROVIDER):
            await server.register(jid, PASSWORD)
        async with world.house(topic) as house, seats(server) as (analyst, outsider, provider):
            await house.owner.ensure_topics([topic])
            await house.owner.end(BROKER, topic.node, [PROVIDER], affiliation="outcast")
            await admitted(house, topic, analyst)
            await outsider.subscribe(topic.node)
            before = await house.asked()
        await server.stop()
        await server.start()
        async with world.house(topic) as house, seats(server) as (analyst, outsider, provider):
            await house.owner.recover([topic])
            assert await house.asked() == before
            await house.settle()
            assert house.heard.empty()
            with pytest.raises(StanzaRefused, match="pending-subscription"):
                await outsider.subscribe(topic.node)
            assert await held(house, topic) == {ANALYST}
            with pytest.raises(StanzaRefused, match="forbidden"):
                await provider.subscribe(topic.node)
            await house.rule(before, approve=True)
            assert await outsider.ruling() == Ruling(topic.node, OUTSIDER, "subscribed")


def seats(server: Server) -> Seats:
    return Seats(server)


class Seats:
    """The three platforms, logged in at *server*."""

    def __init__(self, server: Server) -> None:
        jids = (ANALYST, OUTSIDER, PROVIDER)
        self.parts = [client_platform(f"{jid}/desk", PASSWORD, server.address, CLIENT_PORT, broker=BROKER) for jid in jids]

    async def __aenter__(self) -> list[Platform]:
        return [await part.__aenter__() for part in self.parts]

    async def __aexit__(self, *_: object) -> None:
        for part in reversed(self.parts):
            await part.__aexit__(None, None, None)
