"""Tables over XMPP at real servers: pieces in stanzas that they take, and a node that tells members' agents and nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import pytest

from clearinghouse.agent.sources.xmpp import Xmpp
from clearinghouse.demo.platforms import Link, client
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, Server
from clearinghouse.grid.namespaces import CLEARINGHOUSE, PUBSUB, PUBSUB_EVENT
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.runtime.topics.brokers import component_link
from tests.commons import Commons, commons
from tests.servers.worlds import BROKER, PASSWORD, SECRET, US

pytestmark = pytest.mark.servers

AGENT, STRANGER = "analyst@csirt.example", "outsider@csirt.example"
MANY = 1 << 27


@pytest.fixture
def home(tmp_path: Path, server: Server) -> Commons:
    made = commons(tmp_path)
    made.write("secret", SECRET.encode())
    (tmp_path / "secret").chmod(0o600)
    broker = (
        f'[[broker]]\njid = "{BROKER}"\ncomponent = "{US}"\nsecret_file = "secret"\nhost = "{server.address}"\nport = {COMPONENT_PORT}\n'
    )
    made.text = made.text.replace("[control]", f"{broker}[control]") + f'broker = "{BROKER}"\n'
    made.make_link = component_link
    return made


def subscribing(jid: str) -> Element:
    pubsub = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(pubsub, f"{{{PUBSUB}}}subscribe", node="tables/community", jid=jid)
    return pubsub


async def test_a_members_agent_reads_every_document_and_is_told_of_the_next(home: Commons, server: Server) -> None:
    async with home.open() as service, client(f"{AGENT}/agent", PASSWORD, server.address, CLIENT_PORT) as link:
        await service.ready()
        await home.enrols("csirt.example", component=AGENT)
        await home.looked()
        home.house.shelf.put({"community/table/99": bytes(range(256)) * 1_200}, (), "")
        source = Xmpp(US, AGENT, link)  # type: ignore[arg-type]  # it asks, which is all that is wanted
        for name, document in home.house.shelf.documents.items():
            assert await source.fetch(name, limit=MANY) == document.body
        await subscribed(link, AGENT)
        await home.enrols("a.example")
        async with asyncio.timeout(10):
            while True:
                message = await link.inbox.get()
                found = message.find(f".//{{{PUBSUB_EVENT}}}items[@node='tables/community']//{{{CLEARINGHOUSE}}}timestamp")
                if found is not None and found.get("sha256") == home.house.shelf.documents["community/timestamp"].tag:
                    break


async def test_a_user_of_the_same_server_reads_nothing_and_is_told_nothing(home: Commons, server: Server) -> None:
    async with home.open() as service, client(f"{STRANGER}/x", PASSWORD, server.address, CLIENT_PORT) as link:
        await service.ready()
        await home.enrols("csirt.example", component=AGENT)
        await home.looked()
        with pytest.raises(StanzaRefused) as refused:
            await link.ask(US, "get", Element(f"{{{CLEARINGHOUSE}}}document", name="community/timestamp", offset="0"))
        assert refused.value.condition == "service-unavailable"
        with pytest.raises(StanzaRefused):
            await subscribed(link, STRANGER)


async def subscribed(link: Link, jid: str) -> None:
    """Subscribe to the node, once it is there."""
    for attempt in range(50):
        try:
            await link.ask(BROKER, "set", subscribing(jid))
        except StanzaRefused as refusal:
            if refusal.condition not in {"item-not-found", "not-allowed"} or attempt == 49:
                raise
            await asyncio.sleep(0.1)
        else:
            return
