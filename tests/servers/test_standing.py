"""What policy says comes to stand at both brokers, with the service as it always runs: lists, new topics, ends, repairs."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.clearing.acts import AddCredential, written_act
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.envelope import REQUEST, Asked, seal, written
from clearinghouse.demo.people import Person
from clearinghouse.demo.platforms import Platform
from clearinghouse.demo.servers import Server
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.grid import pubsub
from clearinghouse.grid.reception import PlatformAsked
from clearinghouse.grid.requests import write_request
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.processes import Program
from tests.servers.test_faults import told, with_people
from tests.servers.test_serve import ANALYST, OUTSIDER, Hub
from tests.servers.worlds import BROKER, OPERATOR, US, ServerWorld, new_topic
from tests.world import assertion, key, signed

pytestmark = pytest.mark.servers

PROVIDER = "provider@soc.example"
CLOSED = r"forbidden|not-allowed \(closed-node\)"
REPORT = Element("{urn:x}report")


@pytest.fixture
def hub(tmp_path: Path, server: Server) -> Hub:
    return Hub.made(tmp_path, server.address)


@pytest.fixture
def world(server: Server) -> ServerWorld:
    return ServerWorld(server)


def add(hub: Hub, lines: str) -> None:
    """Add *lines* to the settings; they begin in the section of the one topic."""
    with (hub.directory / "clearinghouse.toml").open("a") as settings:
        settings.write(lines)


def reload(running: Program) -> None:
    running.process.send_signal(signal.SIGHUP)


async def until_it_can(do: Callable[[], Awaitable[str]]) -> str:
    """Return what *do* returns once it is not refused any more."""
    async with asyncio.timeout(10):
        while True:
            with suppress(StanzaRefused):
                return await do()
            await asyncio.sleep(0.05)


async def until_it_cannot(do: Callable[[], Awaitable[str]]) -> None:
    """Return once *do* is refused; what was let in before that, between two stanzas of a repair, is ended by the same repair."""
    async with asyncio.timeout(10):
        while True:
            try:
                await do()
            except StanzaRefused as refusal:
                if re.search(CLOSED, str(refusal)):
                    return
                raise


async def asks_us(platform: Platform, operation: str, node: str) -> str:
    """Return the outcome of what *platform* asks us, and not the broker."""
    made = PlatformAsked(operation, BROKER, node, read_subscriber(platform.jid), payload_type="urn:x" if operation == "create" else "")
    return (await platform.link.ask(US, "set", write_request(made)))[0].get("outcome", "")


async def test_white_list_follows_policy_in_both_directions(hub: Hub, analyst: Platform, outsider: Platform, provider: Platform) -> None:
    add(hub, f'access_model = "whitelist"\npublishers = ["{PROVIDER}"]\n')
    async with hub.serving() as running:
        assert await analyst.subscribe(hub.topic) == "subscribed"
        with pytest.raises(StanzaRefused, match=CLOSED):
            await outsider.subscribe(hub.topic)
        hub.license(OUTSIDER)
        reload(running)
        assert await until_it_can(lambda: outsider.subscribe(hub.topic)) == "subscribed"
        (hub.directory / f"credentials/{ANALYST}.kn").unlink()
        reload(running)
        assert (await analyst.ruling()).state == "none"
        await provider.publish(hub.topic, REPORT)
        await outsider.delivery()
        assert analyst.deliveries.empty()
        await until_it_cannot(lambda: analyst.subscribe(hub.topic))


async def test_what_another_owner_changes_is_repaired_by_the_timer(
    hub: Hub, world: ServerWorld, analyst: Platform, outsider: Platform, provider: Platform
) -> None:
    add(hub, f'access_model = "whitelist"\npublishers = ["{PROVIDER}"]\n[reconcile]\nevery = "1 second"\n')
    async with hub.serving():
        pass
    async with world.house() as house:
        await house.exchange.ask(BROKER, "set", pubsub.set_affiliations(hub.topic, {OPERATOR: "owner"}))
    async with hub.serving(), world.platform(OPERATOR) as rival:
        assert await analyst.subscribe(hub.topic) == "subscribed"
        await rival.link.ask(BROKER, "set", pubsub.set_affiliations(hub.topic, {OUTSIDER: "member", ANALYST: "none"}))
        assert await outsider.subscribe(hub.topic) == "subscribed"
        assert (await outsider.ruling()).state == "none"
        await until_it_cannot(lambda: outsider.subscribe(hub.topic))
        assert await until_it_can(lambda: analyst.subscribe(hub.topic)) == "subscribed"
        await provider.publish(hub.topic, REPORT)
        await analyst.delivery()
        assert outsider.deliveries.empty()


async def test_platform_has_a_topic_made_writes_to_it_and_another_reads(hub: Hub, provider: Platform, analyst: Platform) -> None:
    feed = new_topic().node
    (hub.directory / "policies/topics/feed.kn").write_bytes(
        assertion("POLICY", f"{{xmpp:{PROVIDER}}}", f'operation == "create" && topic == "{feed}"', "allow")
        + b"\n"
        + assertion("POLICY", f"{{xmpp:{ANALYST}}}", f'operation ~= "^(publish|subscribe)$" && topic == "{feed}"', "allow")
    )
    async with hub.serving():
        assert await asks_us(analyst, "create", feed) == "refused"
        assert await asks_us(provider, "create", feed) == "granted"
        assert await analyst.subscribe(feed) == "pending"
        assert (await analyst.ruling()).state == "subscribed"
        await provider.publish(feed, REPORT)
        assert (await analyst.delivery()).payload.tag == REPORT.tag
        with pytest.raises(StanzaRefused, match="forbidden"):
            await analyst.publish(feed, REPORT)
        assert await asks_us(analyst, "publish", feed) == "granted"
        await analyst.publish(feed, REPORT)


async def test_approval_ends_at_its_time_at_the_broker_too(hub: Hub, outsider: Platform, provider: Platform) -> None:
    add(hub, f'publishers = ["{PROVIDER}"]\n')
    with_people(hub)
    async with hub.serving() as running:
        assert await outsider.subscribe(hub.topic) == "pending"
        await running.says("pending")
        [case] = (await told(hub, "pending"))["cases"]
        await told(hub, "approve", case=case["id"], shown=case["shown"], subject=case["subject"], topic=case["topic"], seconds="4")
        assert (await outsider.ruling()).state == "subscribed"
        await provider.publish(hub.topic, REPORT)
        await outsider.delivery()
        assert (await outsider.ruling()).state == "none"
        await provider.publish(hub.topic, REPORT)
        assert (await told(hub, "grants"))["grants"] == []
        [ended] = (await told(hub, "grants", ended="yes"))["grants"]
        assert outsider.deliveries.empty()
    assert ended["id"] == (await hub.recorded())[-1].decision.id
    assert [each.decision.outcome for each in await hub.recorded()] == [Outcome.PENDING, Outcome.GRANTED]


async def test_credential_is_added_from_a_chat_client_by_who_signs_and_by_nobody_elses_word(
    hub: Hub, world: ServerWorld, outsider: Platform
) -> None:
    (hub.directory / "policies/people").mkdir()
    administering = assertion("POLICY", f"{{admin}} || {{xmpp:{OPERATOR}}}", 'operation == "administer"')
    (hub.directory / "policies/people/admin.kn").write_bytes(administering)
    add(hub, f'[[person]]\nname = "op"\njids = ["{OPERATOR}"]\n[[person]]\nname = "admin"\nkeys = ["{key("admin").principal}"]\n')
    licence = signed("hub", f"xmpp:{OUTSIDER}", f'topic == "{hub.topic}"')
    async with hub.serving(), world.platform(OPERATOR) as client:
        assert await hub.asks(outsider) == "none"
        person = Person(OPERATOR, client.link, US)
        page = await person.fill_in("add-credential", await person.start("add-credential"), "next", text=licence.decode())
        assert page.notes[0].startswith("the word of your server is not enough for this")
        done = await person.fill_in("submit", await person.start("submit"), "complete", text=adding(licence).decode())
        assert done.status == "completed"
        assert done.text[2].startswith(f"wins: {OUTSIDER} subscribe `{hub.topic}`: deny, then allow")
        assert await hub.asks(outsider) == "subscribed"


def adding(credential: bytes) -> bytes:
    """Return an envelope in which the administrator's key asks to add *credential*."""
    kind, body = written_act(AddCredential(credential))
    now = datetime.now(UTC).replace(microsecond=0)
    asked = Asked(kind, "csirt-net", secrets.token_urlsafe(16), now, now + timedelta(minutes=5), body)
    return seal(written(asked), REQUEST, [key("admin")])
