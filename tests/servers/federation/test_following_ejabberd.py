"""A real ejabberd that a door sends on: where it goes, what it asks of whom it finds there, and that no door gets a stanza."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import pytest
import pytest_asyncio

from clearinghouse.demo.certificates import Authority
from clearinghouse.demo.correspondents import BODY, correspondent
from clearinghouse.demo.dns import Service
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.neighbours import S2S_PORT, Neighbours
from clearinghouse.demo.servers import Hosting, free_address
from clearinghouse.federation.redirection.seen import Proof, Require
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.federation.conftest import Known
from tests.servers.federation.peer import peer
from tests.servers.federation.real_door import RealDoor, real_door
from tests.servers.federation.scripted_door import Phase, ScriptedDoor, door, key_of
from tests.servers.federation.sites import AWAY, HOME, PASSWORD, SECRET, agent, new_body, new_serial
from tests.servers.federation.walks import (
    READERS,
    SENDERS,
    Scene,
    Strangers,
    Street,
    answered,
    drained,
    local,
    not_followed,
    server_key,
    together,
)

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

DOOR: Final = "door.hub.fed"
OTHER_DOOR: Final = "other.hub.fed"
WITHOUT_DOORS: Final = "erin@d.fed"
WITHOUT_THE_MODULE: Final = "finn@e.fed"
EARLY: Final = (Phase.PLAIN, Phase.TLS, Phase.SASL)
WHY: Final = "not permitted: not-granted (decision 0123456789ab)"


class Stock(Ejabberd):
    """An ejabberd as it comes."""

    def _configuration(self) -> str:
        return Ejabberd._configuration(self).partition("  mod_clearinghouse:")[0]


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    with Neighbours() as names:
        doors = names.authority.identity([DOOR]), names.authority.identity(["elsewhere.fed"])
        known = tuple((name, key_of(each.certificate)) for name, each in zip((DOOR, OTHER_DOOR), doors, strict=True))
        plain = replace(HOME, exempt=(), others=(), rooms=(), doors=known)
        dialback = Hosting(("c.fed",), (), "agent.c.fed", SECRET, dialback=True, doors=known)
        away = replace(AWAY, domains=("b.fed",), rooms=(), dialback=True)
        target = Hosting(("d.fed",), (), "agent.d.fed", SECRET, dialback=True)
        homes = Ejabberd(plain, neighbours=names), Ejabberd(dialback, neighbours=Strangers(names.authority, names.names))
        targets = Known(away, neighbours=names), Ejabberd(target, neighbours=names)
        stock = Stock(Hosting(("e.fed",), (), "agent.e.fed", SECRET), neighbours=names)
        with together(*homes, *targets, stock):
            yield Street(names, doors, homes, targets, stock)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def met(street: Street) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        homes = {name: await stack.enter_async_context(agent(each)) for name, each in zip(SENDERS, street.homes, strict=True)}
        judges = {name: await stack.enter_async_context(agent(each)) for name, each in zip(READERS, street.targets, strict=True)}
        for judge in judges.values():
            await judge.rule({}, default="allow")
        names = (*SENDERS.values(), *READERS.values(), WITHOUT_THE_MODULE)
        servers = zip(names, (*street.homes, *street.targets, street.stock), strict=True)
        people = {jid: await stack.enter_async_context(correspondent(jid, PASSWORD, server)) for jid, server in servers}
        at = await stack.enter_async_context(door(street.doors[0]))
        yield Scene(street, at, homes, judges, people)


@pytest_asyncio.fixture(loop_scope="module")
async def scene(met: Scene) -> Scene:
    """Everybody behind the door, the keys of both servers on record, and nothing open."""
    for domain in met.targets:
        met.found(domain, met.door)
    for home in met.homes.values():
        await home.rule({})
        await home.rule({}, default="allow")
    await met.know({})
    return met


@pytest.mark.parametrize(
    "home, phase",
    [
        ("external", Phase.TLS),
        ("external", Phase.SASL),
        ("dialback", Phase.TLS),
        ("dialback", Phase.SASL),
        ("dialback", Phase.DIALBACK),
    ],
)
@pytest.mark.parametrize("domain", READERS)
async def test_what_was_written_arrives_once_however_late_the_door_answers(scene: Scene, home: str, phase: Phase, domain: str) -> None:
    writer, reader = scene.writer(home), scene.people[READERS[domain]]
    scene.door.redirects(f"[{scene.targets[domain].address}]:{S2S_PORT}", phase)
    scene.door.open.clear()
    bodies = [new_body() for _ in range(4)]
    writer.write(READERS[domain], bodies[0])
    await scene.door.called.get()
    for body in bodies[1:3]:
        writer.write(READERS[domain], body)
    await writer.ping(writer.boundjid.domain)  # is answered after that
    scene.door.open.set()
    for body in bodies[:3]:
        await reader.reads(body)
    writer.write(READERS[domain], bodies[3])
    await reader.reads(bodies[3])
    assert not set(bodies) & {stanza.findtext(BODY) for stanza in drained(reader.heard)}
    assert (scene.door.connections, scene.door.taken) == (1, [])
    auth = {row["auth"] for row in (await scene.homes[home].enforcer.status())["streams"] if row["direction"] == "outbound"}
    assert auth == {home}


async def test_a_server_to_which_a_door_sends_needs_no_module(scene: Scene) -> None:
    reader, body = scene.people[WITHOUT_THE_MODULE], new_body()
    scene.found("e.fed", scene.door)
    await scene.know({"e.fed": [server_key(scene.street.stock)]})
    scene.door.redirects(f"[{scene.street.stock.address}]")
    scene.writer("external").write(WITHOUT_THE_MODULE, body)
    await reader.reads(body)


@pytest.mark.parametrize("form", ["[{address}]", "[{address}]:5269", "{address}", "{address}:5269"])
async def test_a_place_may_be_written_in_each_of_these_ways(scene: Scene, form: str) -> None:
    async with door(scene.identity(domain := scene.new())) as end:
        await scene.know({domain: [end.key]})
        end.refuses("yes")
        scene.door.redirects(form.format(address=end.address))
        assert await scene.bounces("external", domain) == "policy-violation: yes"


async def test_a_place_may_be_a_name(scene: Scene) -> None:
    domain = scene.new()
    end = ScriptedDoor(scene.identity(domain), "127.0.0.1", 0)
    async with await asyncio.start_server(end._serve, end.address, 0) as listening:
        await scene.know({domain: [end.key]})
        end.refuses("yes")
        scene.door.redirects(f"localhost:{listening.sockets[0].getsockname()[1]}")
        assert await scene.bounces("external", domain) == "policy-violation: yes"


async def test_what_is_no_place_leads_nowhere(scene: Scene) -> None:
    for place in ("", "b.fed:", "b.fed:0", "b.fed:65536", "[b.fed]", "[::1", "::1", "fe80::1:5269", "a b", "http://b.fed/", "x" * 271):
        scene.door.redirects(place)
        assert await scene.bounces("external", scene.new()) == not_followed("it names no address"), place


@pytest.mark.parametrize("home", SENDERS)
@pytest.mark.parametrize("by", [Phase.STANZA, Phase.STANZA_AFTER_DIALBACK])
async def test_where_a_redirect_ends_certificate_and_key_must_be_right(scene: Scene, home: str, by: Phase) -> None:
    domain, names = scene.new(), [scene.new() for _ in range(3)]
    wrong = {
        "the certificate of {} is not trusted": Authority("of others").identity(names),
        "the certificate is not valid for {}": scene.identity(domain),
        "the key of the certificate of {} is not on record": scene.authority.identity(names),
    }
    for name, (why, identity) in zip(names, wrong.items(), strict=True):
        async with door(identity) as end:
            await scene.know({name: ["0" * 64 if "key" in why else end.key]})
            end.lets_in(by)
            scene.door.redirects(end.place)
            assert await scene.bounces(home, name) == local(f"sent on by {DOOR}: {why.format(name)}")
            assert (end.connections, end.taken) == (1, [])


@pytest.mark.parametrize("home", SENDERS)
async def test_without_a_key_on_record_no_redirect_is_followed(scene: Scene, home: str) -> None:
    async with door(scene.identity(domain := scene.new())) as end:
        scene.door.redirects(end.place)
        assert await scene.bounces(home, domain) == not_followed(f"no key of {domain} is on record")
        assert end.connections == 0


async def test_where_a_redirect_ends_there_is_tls(scene: Scene) -> None:
    # It offers none, and this server would do without one.
    async with door(scene.identity(domain := scene.new())) as end:
        await scene.know({domain: [end.key]})
        end.refuses("too early", Phase.PLAIN)
        end.answer = "<stream:features/>"
        scene.door.redirects(end.place)
        assert await scene.bounces("dialback", domain) == local("Use of STARTTLS required")


@pytest.mark.parametrize("home", SENDERS)
async def test_three_redirects_in_a_row_are_enough(scene: Scene, home: str) -> None:
    await scene.know({(domain := scene.new()): ["0" * 64]})
    scene.door.redirects(scene.door.place)
    assert await scene.bounces(home, domain) == local(f"sent on by {DOOR}: the redirect was not followed: it was the 4th in a row")
    assert scene.door.connections == 4


@pytest.mark.parametrize("home", SENDERS)
async def test_only_a_door_and_only_on_tls_sends_us_on(scene: Scene, home: str) -> None:
    domains = [scene.new() for _ in range(3)]
    async with door(scene.identity(domains[0])) as other, door(scene.street.doors[1]) as misnamed, door(scene.identity(domains[0])) as end:
        await scene.know({domain: [end.key, other.key] for domain in domains})
        for domain, at in zip(domains, (other, misnamed), strict=False):
            scene.found(domain, at)
            at.redirects(end.place)
            assert await scene.bounces(home, domain) == not_followed("it came from no door that is known here")
        scene.door.redirects(end.place, Phase.PLAIN)
        assert await scene.bounces(home, domains[2]) == not_followed("it came without TLS")
        assert end.connections == 0


async def test_who_has_a_doors_name_and_another_key_is_no_door(scene: Scene) -> None:
    async with door(scene.identity(DOOR)) as other:
        other.redirects(other.place)
        assert await scene.bounces("external", scene.new(other)) == not_followed("it came from no door that is known here")
        other.lets_in()
        refused = await scene.bounces("external", scene.new(other))
        assert refused == "remote-server-timeout: Peer certificate rejected: Certificate host name mismatch"


async def test_who_is_there_already_sends_nobody_on(scene: Scene) -> None:
    domain = scene.new()
    async with door(scene.identity(domain)) as other, door(scene.identity(domain)) as end:
        await scene.know({domain: [other.key, end.key]})
        scene.found(domain, other)
        other.redirects(end.place, Phase.STANZA)
        scene.writer("external").write(f"bob@{domain}", new_body())
        await other.ended.get()
        await scene.homes["external"].no_streams(domain)
        assert (end.connections, len(other.taken)) == (0, 1)


@pytest.mark.parametrize("home, phase", [("external", Phase.STANZA), ("dialback", Phase.STANZA), ("dialback", Phase.STANZA_AFTER_DIALBACK)])
async def test_a_door_that_lets_us_in_gets_no_stanza(scene: Scene, home: str, phase: Phase) -> None:
    await scene.know({(domain := scene.new()): [scene.door.key]})  # not even if that is what a record says
    scene.door.lets_in(phase)
    assert await scene.bounces(home, domain) == local(f"{DOOR} let us in instead of sending us on")
    await scene.door.ended.get()
    assert scene.door.taken == []


async def test_whether_a_key_of_dialback_is_valid_is_asked_where_the_door_sends(scene: Scene) -> None:
    home = scene.homes["dialback"].server
    scene.door.redirects(f"[{scene.targets['b.fed'].address}]")
    async with peer(home.address, "c.fed") as other:
        assert "type='valid'" in await other.proves("b.fed")
    assert (scene.door.connections, scene.door.taken) == (1, [])


@pytest.mark.parametrize("phase", [Phase.STANZA, Phase.STANZA_AFTER_DIALBACK])
async def test_a_door_makes_no_other_server_authentic(scene: Scene, phase: Phase) -> None:
    home = scene.homes["dialback"].server
    scene.door.lets_in(phase)
    async with peer(home.address, "c.fed") as other:
        assert "type='valid'" not in await other.proves("b.fed")
    assert scene.door.taken == []


@pytest.mark.parametrize("home, phase", [*((home, phase) for home in SENDERS for phase in EARLY), ("dialback", Phase.DIALBACK)])
async def test_why_a_door_refuses_is_what_the_sender_reads(scene: Scene, home: str, phase: Phase) -> None:
    scene.door.refuses(WHY, phase)
    assert await scene.bounces(home, scene.new()) == f"policy-violation: {WHY}"


async def test_where_the_first_door_is_down_the_next_one_is_asked(scene: Scene) -> None:
    scene.door.refuses(WHY)
    domain, down = scene.new(), Service(free_address(), S2S_PORT, 1)
    scene.street.neighbours.names.put_services(domain, Service(scene.door.address, S2S_PORT, 2), down)
    assert await scene.bounces("external", domain) == f"policy-violation: {WHY}"


async def test_what_a_door_refuses_waits_for_the_agent(scene: Scene) -> None:
    home, bob = scene.homes["external"], scene.people["bob@b.fed"]
    await home.rule({}, default="allow", ask=True)
    scene.door.refuses(WHY)
    body = new_body()
    scene.writer("external").write("bob@b.fed", body)
    event = await home.event("refused")
    told = {name: event[name] for name in ("remote", "user", "by", "text")}
    assert told == {"remote": "b.fed", "user": "alice@a.fed", "by": "peer", "text": WHY}
    scene.door.redirects(f"[{scene.targets['b.fed'].address}]")
    await home.enforcer.release(event["held"])
    await bob.reads(body)


async def test_what_failed_at_the_end_of_a_redirect_is_soon_tried_again(scene: Scene) -> None:
    # This server may remember a failure for minutes.
    scene.door.redirects(f"[{scene.door.address}]:1")
    assert await scene.bounces("external", "b.fed") == "remote-server-timeout: Connection failed: connection refused"
    scene.door.redirects(f"[{scene.targets['b.fed'].address}]")
    async with asyncio.timeout(10):
        while "remote-server" in await answered(scene, new_body()):  # noqa: ASYNC110 - the server is asked
            await asyncio.sleep(0.05)


async def test_a_way_that_leads_past_the_door_must_lead_to_the_same_key(scene: Scene) -> None:
    bob, body = scene.people["bob@b.fed"], new_body()
    for home in SENDERS:
        async with door(scene.identity(domain := scene.new())) as end:
            await scene.know({domain: ["0" * 64]})
            scene.found(domain, end)
            end.lets_in(Phase.STANZA)
            assert await scene.bounces(home, domain) == local(f"the key of the certificate of {domain} is not on record")
            assert end.taken == []
    scene.street.neighbours.names.put("b.fed", scene.targets["b.fed"].address, S2S_PORT)
    scene.writer("external").write("bob@b.fed", body)
    await bob.reads(body)
    await scene.know({"b.fed": ["0" * 64]})  # cuts what is there
    await scene.homes["external"].no_streams("b.fed")


async def test_a_door_with_tls_from_the_first_byte_is_one_too(scene: Scene) -> None:
    async with door(scene.street.doors[0], direct=True) as direct, door(scene.identity(domain := scene.new())) as end:
        await scene.know({domain: [end.key]})
        scene.found(domain, direct, direct=True)
        end.refuses("yes")
        direct.redirects(end.place)
        assert await scene.bounces("external", domain) == "policy-violation: yes"


async def test_keys_come_in_parts_and_take_effect_together(scene: Scene) -> None:
    home, serial = scene.homes["external"], new_serial()
    before = (await home.enforcer.status())["peers"]["a.fed"]
    assert await home.know({"x.fed": ["0" * 64]}, serial, 1, 2) == str(serial)
    assert (await home.enforcer.status())["peers"]["a.fed"] == before
    for wrong in ({"part": 1, "parts": 2}, {"part": 3, "parts": 3}):
        with pytest.raises(StanzaRefused, match="conflict"):
            await home.know({}, **({"serial": before["serial"]} | wrong))
    bad: list[dict[str, list[str]]] = [
        {"x.fed": []},
        {"x.fed": ["0"]},
        {"x.fed": ["0" * 64] * 9},
        {f"x{n}.fed": ["0" * 64] for n in range(1001)},
    ]
    for keys in bad:
        with pytest.raises(StanzaRefused, match="bad-request"):
            await home.know(keys, serial + 1)
    assert await home.know({"y.fed": ["A" * 64]}, serial, 2, 2) == str(serial)
    status = await home.enforcer.status()
    assert status["peers"]["a.fed"] == {"serial": serial, "count": 2, "kept": True}
    assert status["facts"]["doors"] == [DOOR, OTHER_DOOR]
    assert status["facts"]["door_pins"] == {name: [key] for name, key in home.server.hosting.doors}


SENT_ON: Final = "remote-server-timeout: Stream closed by peer: the server of somebody (decision 0123456789ab) (see-other-host)"
REFUSED: Final = "remote-server-timeout: Stream closed by peer: not permitted (policy-violation)"
UNREAD: Final = "remote-server-timeout: Stream reset by peer"
MISMATCH: Final = "remote-server-timeout: Peer certificate rejected: Certificate host name mismatch"
WITHOUT: Final = [
    (WITHOUT_THE_MODULE, Phase.PLAIN, "[127.0.0.1]:5269", SENT_ON),
    (WITHOUT_THE_MODULE, Phase.PLAIN, "", REFUSED),
    (WITHOUT_THE_MODULE, Phase.TLS, "127.0.0.1", SENT_ON),
    (WITHOUT_THE_MODULE, Phase.TLS, "b.fed:5269", UNREAD),  # it cannot read that
    (WITHOUT_THE_MODULE, Phase.TLS, "", REFUSED),
    (WITHOUT_THE_MODULE, Phase.SASL, "127.0.0.1", MISMATCH),
    (WITHOUT_THE_MODULE, Phase.SASL, "", MISMATCH),
    *((WITHOUT_DOORS, phase, "127.0.0.1", SENT_ON) for phase in (*EARLY, Phase.DIALBACK)),
    *((WITHOUT_DOORS, phase, "", "policy-violation: not permitted") for phase in (*EARLY, Phase.DIALBACK)),
]


@pytest.mark.parametrize("who, phase, place, seen", WITHOUT)
async def test_without_module_or_doors_a_server_goes_nowhere(scene: Scene, who: str, phase: Phase, place: str, seen: str) -> None:
    if place:
        scene.door.redirects(place, phase)
    else:
        scene.door.refuses("not permitted", phase)
    writer = scene.people[who]
    assert await writer.bounced(writer.write(f"bob@{scene.new()}", new_body())) == seen
    assert scene.door.connections == 1


@pytest_asyncio.fixture(loop_scope="module")
async def real(scene: Scene) -> AsyncIterator[RealDoor]:
    """The door of the clearinghouse itself instead of a script."""
    async with real_door(scene.street.doors[0], scene.street.neighbours) as made:
        made.servers = {server.hosting.domains[0]: server.address for server in scene.street.homes}
        for domain in scene.targets:
            scene.found(domain, made)
        yield made


@pytest.mark.parametrize("domain", READERS)
async def test_the_real_door_leads_to_the_server(scene: Scene, real: RealDoor, domain: str) -> None:
    writer, reader, body = scene.writer("external"), scene.people[READERS[domain]], new_body()
    real.redirects(f"[{scene.targets[domain].address}]")
    writer.write(READERS[domain], body)
    await reader.reads(body)
    (seen,) = real.asked
    assert (seen.claimed, seen.wanted, seen.proof, seen.tls_version) == ("a.fed", domain, Proof.CERTIFICATE, "1.3")
    assert body not in {stanza.findtext(BODY) for stanza in drained(reader.heard)}


async def test_the_real_door_refuses_and_the_sender_reads_why(scene: Scene, real: RealDoor) -> None:
    real.refuses(WHY)
    assert await scene.bounces("external", scene.new(real)) == f"policy-violation: {WHY}"
    assert await scene.bounces("dialback", scene.new(real)) == "policy-violation: "  # it has no certificate in which the door believes


async def test_the_real_door_believes_dialback_where_it_is_enough(scene: Scene, real: RealDoor) -> None:
    bob, body = scene.people["bob@b.fed"], new_body()
    await scene.homes["dialback"].rule({"b.fed": "all"})  # and the door may still ask whether a key is its own
    real.redirects(f"[{scene.targets['b.fed'].address}]", Require.DIALBACK)
    scene.writer("dialback").write("bob@b.fed", body)
    await bob.reads(body)
    assert [(seen.claimed, seen.wanted, seen.proof) for seen in real.asked] == [("c.fed", "b.fed", Proof.DIALBACK)]


async def test_who_knows_the_way_past_a_door_that_refuses_is_refused_by_the_server_itself(scene: Scene) -> None:
    scene.door.refuses(WHY)
    for domain, server in scene.targets.items():
        await scene.judges[domain].rule({}, default_reason="a.fed is not known")
        assert await scene.bounces("external", domain) == f"policy-violation: {WHY}"
        scene.street.neighbours.names.put(domain, server.address, S2S_PORT)
    for domain in scene.targets:
        await scene.comes_to_hear("external", domain, "policy-violation: a.fed is not known (d-1)")
        await scene.judges[domain].rule({}, default="allow")
