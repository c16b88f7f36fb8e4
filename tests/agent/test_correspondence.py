"""Two whole agents, each beside a server in memory, with real HTTPS between them: one asks by itself, the other decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.agent.asking.when import FIRST_PAUSE
from clearinghouse.agent.parts import Agent
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.demo.server_module import MemoryServer
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.grid.requests import write_envelope
from clearinghouse.grid.stanzas import IQ
from clearinghouse.keynote.keys import write_key_file
from tests.agent.community import Clock, Hub
from tests.agent.houses import House, until
from tests.certificates import certify
from tests.targets import seal_wish
from tests.world import key, signed

A, B = "a.example", "b.example"
USER, PEER = "ann@a.example", "bob@b.example"
TRUSTING = f"""
Authorizer: "POLICY"
Licensees: "{key("b admin").principal}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && member == "yes" && domain == "{A}" -> "allow";
"""
EXPLAINING = f"""
Authorizer: "POLICY"
Licensees: "{key("agent a").principal}"
Conditions: operation == "explain" && subject == "{A}" && topic == "*" -> "allow";
"""
OWN = f"""
Authorizer: "POLICY"
Licensees: "{key("agent a").principal}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "{B}" && Username ~= "@b[.]example$"
  && PacketType == "message" -> "allow";
"""
CHAIN = signed("b admin", "agent a", f'domain == "{A}" && Username == "{USER}" && PacketType == "message" && direction == "*"')


@dataclass
class Street:
    """Two houses of one community; *a* asks, *b* is asked."""

    a: House
    b: House
    clock: Clock

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[tuple[Agent, Agent]]:
        """Run both agents, each known to the other at the address where it listens."""
        async with self.b.agent() as b:
            for hub in (self.a.hub, self.b.hub):
                for domain, url in ((A, ""), (B, f"https://127.0.0.1:{b.correspondence.port}")):
                    hub.enrol(domain, key(f"agent {domain[0]}").principal)
                    hub.members[domain] = replace(hub.members[domain], agent=url, endpoints=(Endpoint("127.0.0.1"),))
            async with self.a.agent() as a:
                await self.follow(a, b)
                await until(lambda: a.authority.member(B) is not None and b.authority.member(A) is not None)
                yield a, b

    async def follow(self, a: Agent, b: Agent) -> None:
        """Publish, and wait until both agents and their servers are as they should."""
        for house, agent in ((self.a, a), (self.b, b)):
            house.hub.revoke()
            house.hub.publish()
            agent.follower.wake.set()
        for house, agent in ((self.a, a), (self.b, b)):
            await until(partial(_follows, house, agent))

    def refuses(self, held: str, *, by: str = "peer", kind: str = "message", remote: str = B, user: str = USER) -> None:
        """Let the module of *a* say that it holds something."""
        event = {"event": "refused", "held": held, "image": A, "local": A, "remote": remote, "text": ""}
        self.a.link.tell(event | {"user": user, "to": f"bob@{remote}", "kind": kind, "by": by})

    async def settled(self, held: str) -> str:
        """Wait until what is held was let go, ``""``, or given back with a reason."""
        await until(lambda: held in self.a.server.held)
        return self.a.server.held[held]


def _follows(house: House, agent: Agent) -> bool:
    trusted = agent.follower.trusted
    return bool(house.server.images) and trusted is not None and trusted.head is not None and trusted.head.version == house.hub.version


@pytest.fixture
def street(tmp_path: Path) -> Street:
    clock = Clock()
    a, b = (House(tmp_path / domain[0], Hub(clock, audience=domain), clock) for domain in (A, B))
    certify("127.0.0.1", tmp_path / "b/cert.pem", tmp_path / "b/tls.key", trusted=tmp_path / "a/ca.pem")
    (tmp_path / "a/show").mkdir()
    (tmp_path / "a/show/chain.kn").write_bytes(CHAIN)
    a.more |= {"ask": "true", "sections": f'[requests]\nca_file = "ca.pem"\nroots = ["{key("b admin").principal}"]\n'}
    listen = '[requests]\nlisten = "127.0.0.1:0"\ncertificate_file = "cert.pem"\nprivate_key_file = "tls.key"\n'
    b.more |= {"domain": B, "sections": listen}
    b.server = MemoryServer(B, "agent.b.example", clock.seconds)
    (b.directory / "agent.key").unlink()
    write_key_file(b.directory / "agent.key", key("agent b"))
    for house, group, text in ((b, "whitelist", TRUSTING), (b, "people", EXPLAINING), (a, "whitelist", OWN)):
        (house.directory / "policies" / group).mkdir()
        (house.directory / "policies" / group / "own.kn").write_text(text)
    return Street(a, b, clock)


async def test_a_refused_message_is_asked_for_and_let_go(street: Street) -> None:
    """The user sees a delay: the other server lets her messages in before ours is told to send."""
    async with street.at_work():
        assert not street.b.server.passes(A, user=USER)
        street.refuses("h1")
        assert await street.settled("h1") == ""
        assert street.b.server.passes(A, user=USER)
        assert not street.b.server.passes(A, user="carl@a.example")
        assert not street.b.server.passes(A, "presence", user=USER)


async def test_a_refusal_reaches_the_user_with_the_reason_and_is_not_asked_again_at_once(street: Street) -> None:
    """The chain is for messages; who may explain at the other site learns what was missing there."""
    async with street.at_work() as (a, b):
        street.refuses("h1", kind="presence")
        reason = await street.settled("h1")
        assert "decision" in reason
        assert "b.example" in reason or "licence" in reason
        street.refuses("h2", kind="presence")
        assert await street.settled("h2") == reason
        assert a.correspondence.asker.sent == 1
        street.clock.now += FIRST_PAUSE
        street.refuses("h3", kind="presence")
        await street.settled("h3")
        assert a.correspondence.asker.sent == 2
        assert b.grants.active() == ()


async def test_our_own_image_is_opened_by_our_own_policy_first(street: Street) -> None:
    async with street.at_work():
        assert not street.a.server.passes(B, direction="outbound", user=PEER)
        street.refuses("h1", by="self")
        assert await street.settled("h1") == ""
        assert street.a.server.passes(B, direction="outbound", user=PEER)
        street.refuses("h2", by="self", kind="iq")
        assert await street.settled("h2") != ""


async def test_who_is_no_member_is_not_asked(street: Street) -> None:
    async with street.at_work() as (a, _):
        for number in range(50):
            street.refuses(f"h{number}", remote=f"x{number}.b.example")
        await until(lambda: len(street.a.server.held) == 50)
        assert a.correspondence.asker.sent == 0
        assert all("no member" in reason for reason in street.a.server.held.values())


async def test_an_agent_that_is_away_costs_a_reason_and_the_next_question_finds_it(street: Street) -> None:
    async with street.at_work() as (a, _):
        there = street.a.hub.members[B]
        street.a.hub.members[B] = replace(there, agent="https://127.0.0.1:9", serial=there.serial + 1)
        street.a.hub.publish()
        a.follower.wake.set()
        await until(lambda: (a.authority.member(B) or there).agent.endswith(":9"))
        street.refuses("h1")
        assert await street.settled("h1") == "the agent of b.example does not answer"
        street.a.hub.members[B] = replace(there, serial=there.serial + 2)
        street.a.hub.publish()
        a.follower.wake.set()
        await until(lambda: a.authority.member(B) == street.a.hub.members[B])
        street.clock.sleep(minutes=5)
        street.refuses("h2")
        assert await street.settled("h2") == ""


async def test_a_grant_ends_by_itself_and_is_asked_for_anew(street: Street) -> None:
    async with street.at_work() as (a, b):
        street.refuses("h1")
        assert await street.settled("h1") == ""
        street.clock.sleep(hours=1)
        assert not street.b.server.passes(A, user=USER)
        for house, agent in ((street.a, a), (street.b, b)):
            house.hub.stamp()
            house.hub.publish()
            agent.follower.wake.set()
        await until(lambda: all(each.follower.trusted.standing(street.clock()) == "fresh" for each in (a, b) if each.follower.trusted))
        street.refuses("h2")
        assert await street.settled("h2") == ""
        assert a.correspondence.asker.sent == 2


async def test_a_stale_revocation_set_makes_no_new_grants(street: Street) -> None:
    """R15: what was granted holds until its end."""
    async with street.at_work() as (_, b):
        street.refuses("h1")
        assert await street.settled("h1") == ""
        street.b.source.cut = True
        street.clock.sleep(minutes=11)
        street.refuses("h2", user="carl@a.example")
        assert "cannot answer" in await street.settled("h2") or "stale-records" in await street.settled("h2")
        assert street.b.server.passes(A, user=USER)
        assert len(b.grants.active()) == 1


async def test_the_sites_people_end_what_was_granted(street: Street) -> None:
    async with street.at_work() as (_, b):
        street.refuses("h1")
        await street.settled("h1")
        who = Speaker("unix:root", ("unix:root",), Door.OPERATOR)
        listed = await b.counter.answered(who, b'{"do": "grants"}')
        [grant] = listed["grants"]
        assert (grant["user"], grant["packet"], grant["address"]) == (USER, "message", "127.0.0.1")
        ended = await b.counter.answered(who, b'{"do": "end-grant", "with": {"id": "%s", "reason": "enough"}}' % grant["id"].encode())
        assert ended["grant"]["why"] == "unix:root: enough"
        await until(lambda: not street.b.server.passes(A, user=USER))
        assert (await b.counter.answered(who, b'{"do": "pending"}'))["cases"] == []


async def test_an_override_shuts_out_what_policy_would_grant(street: Street) -> None:
    async with street.at_work() as (_, b):
        b.overrides.deny(A, FIRST_PAUSE, "flood", "unix:root")
        street.refuses("h1")
        assert "an override of this site" in await street.settled("h1")
        assert b.grants.active() == ()


async def test_an_envelope_over_xmpp_is_answered_as_over_https(street: Street) -> None:
    """Whoever brings it, its signers ask; here a user of the paper's, through our own server."""
    async with street.at_work() as (_, b):
        claims = {"App_domain": "XMPP", "domain": A, "Server_IP_Address": "127.0.0.1"}
        raw = seal_wish(claims, key("b admin"), now=street.clock(), audience=B, seconds=60)
        answer = await handed_in(b, raw)
        assert answer.get("type") == "result"
        assert [each.rule.user for each in b.grants.active()] == ["*"]
        again = await handed_in(b, raw)
        assert again.get("type") == "error"
        assert again.find(".//{urn:x-clearinghouse:1}replayed") is not None


async def handed_in(agent: Agent, raw: bytes) -> Element:
    """Hand an envelope in at the agent's component, and return what it writes."""
    answers: list[Element] = []
    agent.window.write = answers.append
    iq = Element(IQ, {"from": "x.example", "to": agent.window.us, "id": "q1", "type": "set"})
    iq.append(write_envelope(raw))
    agent.link.exchange.receive(iq)
    await until(lambda: bool(answers))
    return answers[0]
