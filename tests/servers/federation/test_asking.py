"""Asking by itself, at real servers: a user writes, is refused, and her message arrives a moment later; or she is told why not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from clearinghouse.agent.life import Outside, running
from clearinghouse.agent.parts import Agent
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.keynote.keys import write_key_file
from clearinghouse.settings.reading import parse_agent_settings
from tests.agent.community import Hub, MemorySource, RealClock
from tests.agent.houses import settings_text, until
from tests.certificates import certify
from tests.servers.federation.conftest import MAKES, lasting
from tests.servers.federation.posts import GUARDED, passes
from tests.servers.federation.sites import AWAY, PASSWORD, SECRET, new_body
from tests.world import key, signed

pytestmark = pytest.mark.servers

A, B = "a.fed", "b.fed"
TRUSTING = f"""
Authorizer: "POLICY"
Licensees: "{key("b admin").principal}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && member == "yes" && domain == "{A}" -> "allow";
"""
CHAIN = signed("b admin", "agent a", f'domain == "{A}" && Username == "alice@{A}" && PacketType == "message" && Server_IP_Address == "*"')


@dataclass
class Desk:
    """One agent's directory, and its community's documents."""

    directory: Path
    server: Server
    domain: str
    requests: str
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(RealClock(), self.domain)
        for folder in ("policies/whitelist", "credentials", "show"):
            (self.directory / folder).mkdir(parents=True)
        write_key_file(self.directory / "agent.key", key(f"agent {self.domain[0]}"))
        (self.directory / "secret").touch(mode=0o600)
        (self.directory / "secret").write_text(SECRET)

    @asynccontextmanager
    async def agent(self, **more: str) -> AsyncIterator[Agent]:
        sections = f'[admit]\nminimum = "level-2"\n\n[requests]\n{self.requests}'
        text = settings_text(self.hub.pin, domain=self.domain, host=self.server.address, sections=sections, **more)
        settings = parse_agent_settings(text, file="agent.toml", directory=self.directory)
        outside = Outside(allow_demo=True, sources=lambda *_: Failover([MemorySource(self.hub)]), pause=0.01)
        async with running(settings, outside) as agent:
            yield agent

    def publish(self, rows: Mapping[str, str], *, agent: str = "", component: str = "") -> None:
        """Publish a table with *rows*, and where the other one's agent is: at an URL, or a JID."""
        for domain, place in ((A, ("", "")), (B, (agent, component))):
            self.hub.enrol(domain, key(f"agent {domain[0]}").principal)
            there = replace(self.hub.members[domain], endpoints=(Endpoint("s2s.invalid"),), agent=place[0], component=place[1])
            self.hub.members[domain] = there
        self.hub.publish(rows)

    def shows(self, agent: Agent) -> bool:
        """Whether *agent* and its server are as was published."""
        image, known = agent.applier.image, agent.authority.member(A) is not None
        return known and image is not None and image.decision.endswith(f".{self.hub.version}")


@dataclass
class People:
    """Alice and Carol at our server, Bob at the other one."""

    alice: Correspondent
    carol: Correspondent
    bob: Correspondent


@pytest.fixture(scope="module")
def street() -> Iterator[Neighbours]:
    with Neighbours() as made:
        yield made


@pytest.fixture(scope="module")
def partner(street: Neighbours) -> Iterator[Server]:
    yield from lasting(Prosody, replace(AWAY, domains=(B,), rooms=(), exempt=(f"agent.{A}",)), street)


@pytest.fixture(scope="module", params=list(MAKES))
def guarded(request: pytest.FixtureRequest, street: Neighbours) -> Iterator[Server]:
    yield from lasting(MAKES[request.param], replace(GUARDED, exempt=(f"agent.{B}",)), street)


def desks(place: Path, guarded: Server, partner: Server) -> tuple[Desk, Desk]:
    """Return our directory and theirs: they listen, we hold the credential that they want to see."""
    listen = 'listen = "127.0.0.1:0"\ncertificate_file = "cert.pem"\nprivate_key_file = "tls.key"\n'
    ours = Desk(place / "a", guarded, A, f'ca_file = "ca.pem"\nroots = ["{key("b admin").principal}"]\n')
    theirs = Desk(place / "b", partner, B, listen)
    certify("127.0.0.1", theirs.directory / "cert.pem", theirs.directory / "tls.key", trusted=ours.directory / "ca.pem")
    (ours.directory / "show/chain.kn").write_bytes(CHAIN)
    (theirs.directory / "policies/whitelist/own.kn").write_text(TRUSTING)
    return ours, theirs


@pytest.fixture(params=["https", "xmpp"])
async def people(request: pytest.FixtureRequest, guarded: Server, partner: Server, tmp_path: Path) -> AsyncIterator[People]:
    """An agent beside each server; our table lets us write to the other one, theirs has nothing for us."""
    ours, theirs = desks(tmp_path, guarded, partner)
    async with AsyncExitStack() as stack:
        b = await stack.enter_async_context(theirs.agent())
        over_https = request.param == "https"
        url, jid = f"https://127.0.0.1:{b.correspondence.port}", f"agent.{B}"
        for desk, rows in ((ours, {B: "level-2"}), (theirs, {})):
            desk.publish(rows, agent=url if over_https else "", component="" if over_https else jid)
        b.follower.wake.set()
        a = await stack.enter_async_context(ours.agent(ask="true"))
        await until(lambda: ours.shows(a) and theirs.shows(b))
        names = (("alice@a.fed", guarded), ("carol@a.fed", guarded), ("bob@b.fed", partner))
        yield People(*[await stack.enter_async_context(correspondent(jid, PASSWORD, server)) for jid, server in names])


async def test_a_message_waits_and_arrives_and_anothers_comes_back_with_the_reason(people: People) -> None:
    """Alice sees a delay, Carol a sentence with the decision's id."""
    body = new_body()
    people.alice.write("bob@b.fed", body)
    await people.bob.reads(body)
    await passes(people.alice, people.bob)
    reason = await people.carol.bounced(people.carol.write("bob@b.fed", new_body()))
    assert "b.fed does not grant this (decision " in reason
