"""The paper's requests at real servers: what is signed there opens the server exactly so far, for its time, and by itself no longer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clearinghouse.agent.granting.answers import Answer
from clearinghouse.agent.life import Outside, running
from clearinghouse.agent.parts import Agent
from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.servers import Server
from clearinghouse.keynote.keys import write_key_file
from tests.certificates import certify
from tests.servers.federation.posts import DOMAIN, Post, passes, refused
from tests.servers.federation.sites import PASSWORD, agent
from tests.servers.federation.sites import Agent as Neighbour
from tests.servers.processes import done
from tests.targets import seal_wish
from tests.world import key, signed

pytestmark = pytest.mark.servers

PORT = 8443
SECTIONS = """[admit]
minimum = "level-2"

[requests]
listen = "{address}:{port}"
certificate_file = "cert.pem"
private_key_file = "tls.key"

[[source]]
kind = "files"
directory = "documents"
"""
PARTNER = {"App_domain": "XMPP", "domain": "b.fed", "Server_IP_Address": "127.0.0.1"}
"""From where a server on loopback calls."""
LOOPBACK = 'Server_IP_Address ~= "^127[.][0-9.]+$"'
"""The partner's server listens at another address than it calls from, which no other server does."""
HOST = f'operation == "whitelist" && App_domain == "XMPP" && domain == "b.fed" && {LOOPBACK}'
MESSAGES = 'Username == "bob" && PacketType == "message"'
AUDIT = {
    "XMPP_TLS_for_s2s": "required",
    "XMPP_SRTP_for_video": "required",
    "XMPP_Sanza_byte_size_limit": "25000",
    "XMPP_Publish_Suscribe_Service": "disabled",
    "Ingress_IP_Filtering": "enabled",
    "Third_Party_DOS_Mitigation_OK": "true",
}
AUDITED = " && ".join(f'{name} == "{value}"' for name, value in AUDIT.items())


def licensed(name: str, conditions: str) -> str:
    return f'Authorizer: "POLICY"\nLicensees: "{key(name).principal}"\nConditions: {conditions}\n'


POLICY = "\n".join(
    [
        licensed(
            "target admin",
            f'operation == "whitelist" && App_domain == "XMPP" && domain == "b.fed" && {LOOPBACK} -> "allow";',
        ),
        licensed(
            "target server",
            'operation == "whitelist" && App_domain == "XMPP" && XMPP_TLS_for_s2s == "required" && XMPP_SRTP_for_video == "required"\n'
            '  && ((XMPP_Sanza_byte_size_limit ~= "^[1-9][0-9]{0,8}$" && @XMPP_Sanza_byte_size_limit < 30000)\n'
            '   || (XMPP_Multi_User_Chat == "disabled" && Firewall_Packet_Filtering == "enabled")) -> "allow";',
        ),
        licensed("target business", 'operation == "whitelist" && role == "c2b" && App_domain == "XMPP" -> "allow";'),
    ]
)


@dataclass
class Target:
    """The target's server with its agent's directory; *bob* and *eve* are at the partner's server, *alice* at the target's."""

    post: Post
    alice: Correspondent
    bob: Correspondent
    eve: Correspondent
    partner: str
    theirs: Neighbour
    agent: Agent | None = None
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000)))

    @asynccontextmanager
    async def agent_at_work(self) -> AsyncIterator[Agent]:
        """Run the agent until the block ends, however it ends: what it told the server stays there."""
        self.post.hub.publish()
        self.post.export()
        async with running(self.post.settings, Outside(allow_demo=True, pause=0.01)) as self.agent:
            async with asyncio.timeout(20):
                while self.agent.applier.image is None or not self.agent.authority.informed:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
            yield self.agent

    async def ask(self, claims: Mapping[str, str], *names: str, credentials: tuple[bytes, ...] = (), seconds: int = 60) -> Answer:
        """Hand a signed request in."""
        assert self.agent is not None
        raw = seal_wish(
            claims,
            *(key(name) for name in names),
            credentials=[each.decode() for each in credentials],
            seconds=seconds,
            now=datetime.now(UTC),
            audience=DOMAIN,
            nonce=f"request-number-{next(self.numbers):04}",
        )
        return await self.agent.requests.answer(raw, via="xmpp:b.fed")

    async def nobody_passes(self) -> None:
        await self.theirs.no_streams("a.fed")  # a stanza for one that is just being closed would be lost
        for each in (self.bob, self.eve):
            assert "policy-violation" in await refused(each, self.alice)


@pytest.fixture
async def target(guarded: Server, partner: Server, tmp_path: Path) -> AsyncIterator[Target]:
    post = Post(tmp_path, guarded, more={"sections": SECTIONS.format(address=guarded.address, port=PORT)})
    certify(guarded.address, tmp_path / "cert.pem", tmp_path / "tls.key", trusted=tmp_path / "ca.pem")
    (tmp_path / "policies/whitelist").mkdir()
    (tmp_path / "policies/whitelist/own.kn").write_text(POLICY)
    async with AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(agent(partner))
        await theirs.rule({}, default="allow")
        people = [("alice@a.fed", guarded), ("bob@b.fed", partner), ("eve@b.fed", partner)]
        alice, bob, eve = [await stack.enter_async_context(correspondent(jid, PASSWORD, server)) for jid, server in people]
        yield Target(post, alice, bob, eve, partner.address, theirs)


async def test_section_3_the_white_list(target: Target) -> None:
    """III.B the administrator alone; III.C a partner's administrator; III.D one user, his messages, in person."""
    async with target.agent_at_work() as at_work:
        await target.nobody_passes()
        assert not (await target.ask({**PARTNER, "Server_IP_Address": "192.0.2.1"}, "target admin")).granted
        by_admin = await target.ask(PARTNER, "target admin")
        assert by_admin.granted
        await passes(target.bob, target.alice)
        await passes(target.eve, target.alice)
        await target.post.tells("end-grant", id=by_admin.id)
        await target.nobody_passes()
        alice = signed("target admin", "alice", HOST)
        by_alice = await target.ask(PARTNER, "alice", credentials=(alice,))
        assert by_alice.granted
        await passes(target.eve, target.alice)
        await target.post.tells("end-grant", id=by_alice.id)
        bob = signed("alice", "bob", f'{HOST} && _ACTION_AUTHORIZERS == "{key("bob").principal}" && date <= "20991231" && {MESSAGES}')
        claims = {**PARTNER, "Username": "bob", "PacketType": "message"}
        for address in ("127.0.0.1", target.partner):  # over the second one refusals go back
            assert (await target.ask({**claims, "Server_IP_Address": address}, "bob", credentials=(alice, bob))).granted
        await passes(target.bob, target.alice)
        assert "policy-violation" in await refused(target.eve, target.alice)
        assert not (await target.ask(claims, "bob", "mallory", credentials=(alice, bob))).granted
        assert len(at_work.grants.live(datetime.now(UTC))) == 2


async def test_section_4_threat_mitigation(target: Target) -> None:
    """The consultant's audit carries it, and nothing better than what was audited."""
    trusts = signed("target server", "consultant", 'operation == "whitelist" && App_domain == "XMPP"')
    audit = signed(
        "consultant", "alice", f'{HOST} && {AUDITED} && XMPP_Multi_User_Chat == "" && Firewall_Packet_Filtering == "" && date <= "20991231"'
    )
    chain = (trusts, audit, signed("alice", "bob", HOST))
    async with target.agent_at_work():
        await target.nobody_passes()
        better = {**PARTNER, **AUDIT, "XMPP_Sanza_byte_size_limit": "20000"}
        assert not (await target.ask(better, "bob", credentials=chain)).granted
        assert not (await target.ask({**PARTNER, **AUDIT}, "bob")).granted
        await target.nobody_passes()
        assert (await target.ask({**PARTNER, **AUDIT}, "bob", credentials=chain)).granted
        await passes(target.bob, target.alice)


async def test_section_5_business_roles(target: Target) -> None:
    """A customer's user passes through a chain of five; as a business partner he does not."""
    chain = (
        signed("target business", "director"),
        signed("director", "customer", 'operation == "whitelist" && role == "c2b" && domain == "b.fed"'),
        signed("customer", "alice", 'operation == "whitelist" && Server_IP_Address == "127.0.0.1"'),
        signed("alice", "bob", 'App_domain == "XMPP" && Server_IP_Address == "127.0.0.1"'),
    )
    async with target.agent_at_work():
        assert not (await target.ask({**PARTNER, "role": "b2b"}, "bob", credentials=chain)).granted
        await target.nobody_passes()
        assert (await target.ask({**PARTNER, "role": "c2b"}, "bob", credentials=chain)).granted
        await passes(target.bob, target.alice)


@pytest.mark.parametrize("guarded", ["prosody"], indirect=True)  # what a module does once its agent is dead, test_cutting has of both
async def test_what_was_asked_for_at_the_command_line_ends_though_the_agent_is_killed(target: Target) -> None:
    """It is granted over HTTPS, counts on while nobody is there, ends by the server's clock, and does not come back."""
    post, key_file = target.post, target.post.directory / "admin.key"
    write_key_file(key_file, key("target admin"))
    ask = ("--to", DOMAIN, "--domain", "b.fed", "--address", "127.0.0.1", "--for", "6 seconds", "--key", str(key_file), "--allow-demo")
    way = ("--via", f"https://{post.server.address}:{PORT}", "--ca", str(post.directory / "ca.pem"))
    post.publish({})
    async with post.running():
        await post.applies(post.hub.version)
        status, out, err = await done("clearinghouse", "request", "whitelist", *ask, *way, "--json")
        assert (status, err) == (0, "")
        assert json.loads(out)["answer"]["outcome"] == "granted"
        await passes(target.bob, target.alice)
    await passes(target.bob, target.alice)  # it was killed
    async with asyncio.timeout(20):
        while not await was_refused(target.bob, target.alice):
            pass
    async with post.running():
        await post.applies(post.hub.version)
        await target.nobody_passes()
        told = await post.tells("grants", ended="yes")
        assert [each["id"] for each in told["grants"] if not each["ended"]] == []
        assert json.loads(out)["answer"]["id"] in {each["id"] for each in told["grants"]}


async def was_refused(sender: Correspondent, reader: Correspondent) -> bool:
    """Write, and say whether it came back; a message that arrives is read."""
    try:
        async with asyncio.timeout(0.5):
            await passes(sender, reader)
    except TimeoutError:
        return True
    return False
