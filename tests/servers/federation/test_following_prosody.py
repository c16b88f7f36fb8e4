"""A Prosody goes where a door sends it, and nowhere else: what it was to send arrives once, at whose key is on record, or comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest
import pytest_asyncio

from clearinghouse.demo.certificates import Authority, Identity
from clearinghouse.demo.dns import Service
from clearinghouse.demo.neighbours import S2S_PORT, Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server, free_address
from clearinghouse.federation.redirection.seen import Proof, Require
from tests.servers.federation.conftest import MAKES, Known, lasting
from tests.servers.federation.peer import peer
from tests.servers.federation.real_door import RealDoor, real_door
from tests.servers.federation.scripted_door import Phase, door
from tests.servers.federation.seekers import DOOR, FAILED, NOBODYS, Doors, Goal, Seeker, begun, reading, seeking
from tests.servers.federation.sites import AWAY, HOME, new_body
from tests.servers.federation.walks import Strangers

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

WHY: Final = "not permitted: not-granted (decision 0123456789ab)"
QUESTION: Final = "<db:verify from='b.fed' to='a.fed' id='none'>x</db:verify>"


@pytest.fixture(scope="module")
def town() -> Iterator[Neighbours]:
    with Neighbours() as made:
        yield made


@pytest.fixture(scope="module")
def doors(town: Neighbours) -> Doors:
    return Doors(*(town.authority.identity([name]) for name in (DOOR, "b.fed", "z.fed")))


@pytest.fixture(scope="module")
def strict(town: Neighbours, doors: Doors) -> Iterator[Server]:
    """A server that believes certificates alone."""
    yield from lasting(Prosody, replace(HOME, doors=doors.settings), town)


@pytest.fixture(scope="module")
def lax(town: Neighbours, doors: Doors) -> Iterator[Server]:
    """A server that believes dialback, and is content with any certificate; its own is believed by nobody."""
    yield from lasting(Prosody, replace(HOME, doors=doors.settings, dialback=True), Strangers(town.authority, town.names))


@pytest.fixture(scope="module", params=list(MAKES))
def target(request: pytest.FixtureRequest, town: Neighbours) -> Iterator[Server]:
    make = {**MAKES, "prosody": Known}[request.param]
    yield from lasting(make, replace(AWAY, dialback=True), town)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strictly(strict: Server, doors: Doors, town: Neighbours) -> AsyncIterator[Seeker]:
    async with seeking(strict, doors, town) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def laxly(lax: Server, doors: Doors, town: Neighbours) -> AsyncIterator[Seeker]:
    async with seeking(lax, doors, town) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def seeker(strictly: Seeker) -> Seeker:
    return await begun(strictly)


@pytest_asyncio.fixture(loop_scope="module")
async def easy(laxly: Seeker) -> Seeker:
    return await begun(laxly)


@pytest_asyncio.fixture(loop_scope="module", params=["certificates", "dialback"])
async def either(request: pytest.FixtureRequest, strictly: Seeker, laxly: Seeker) -> Seeker:
    return await begun(strictly if request.param == "certificates" else laxly)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def goal(target: Server) -> AsyncIterator[Goal]:
    async with reading(target) as made:
        yield made


async def arrive_once(seeker: Seeker, goal: Goal, phase: Phase) -> None:
    """Write before the redirect, during it and after it: each arrives once, and nothing is left at the door."""
    await seeker.home.know({"b.fed": [goal.key]})
    seeker.door.redirects(goal.place, phase)
    seeker.door.open.clear()
    bodies = [new_body() for _ in range(4)]
    seeker.alice.write("bob@b.fed", bodies[0])
    await seeker.door.arrives()
    seeker.alice.write("bob@b.fed", bodies[1])
    await seeker.alice.ping("a.fed")  # is answered after that
    seeker.door.open.set()
    seeker.alice.write("bob@b.fed", bodies[2])
    assert await goal.reads_until(bodies[2]) == bodies[:3]
    seeker.alice.write("bob@b.fed", bodies[3])
    assert await goal.reads_until(bodies[3]) == bodies[3:]
    assert (seeker.door.connections, seeker.door.taken) == (1, [])


@pytest.mark.parametrize("phase", [Phase.TLS, Phase.SASL])
async def test_a_message_from_before_the_redirect_arrives_after_it_once(seeker: Seeker, goal: Goal, phase: Phase) -> None:
    await arrive_once(seeker, goal, phase)


@pytest.mark.parametrize("phase", [Phase.TLS, Phase.SASL, Phase.DIALBACK])
async def test_so_it_does_where_dialback_is_believed(easy: Seeker, goal: Goal, phase: Phase) -> None:
    await arrive_once(easy, goal, phase)


@pytest.mark.parametrize("target", ["prosody"], indirect=True)
async def test_whether_a_key_of_dialback_is_valid_is_asked_where_the_door_sends(easy: Seeker, goal: Goal) -> None:
    await easy.home.know({"b.fed": [goal.key]})
    easy.door.redirects(goal.place, Phase.DIALBACK)
    easy.door.open.clear()
    body = new_body()
    easy.alice.write("bob@b.fed", body)
    await easy.door.arrives()
    async with peer(easy.home.server.address, "a.fed") as other:
        other.claims("b.fed")
        other.say(QUESTION)  # is answered after that
        await other.hears("<db:verify.*?</db:verify>")
        easy.door.open.set()
        assert "type='valid'" in await other.hears("<db:result.*?</db:result>")
    await goal.bob.reads(body)
    assert (easy.door.connections, easy.door.taken) == (1, [])


async def test_a_door_makes_no_other_server_authentic(easy: Seeker) -> None:
    async with peer(easy.home.server.address, "a.fed") as other:
        easy.door.refuses("no")
        easy.door.answer = f"<db:verify from='b.fed' to='a.fed' id='{other.id}' type='valid'>x</db:verify>"
        other.claims("b.fed")
        await easy.door.leaves()
        other.say(QUESTION)
        assert "db:verify" in await other.hears("<db:(verify|result).*?</db:(verify|result)>")  # nothing was said before


WRONG: Final[list[tuple[Callable[[Neighbours], Identity], str]]] = [
    (lambda _: Authority("of others").identity(["b.fed"]), "the certificate of b.fed is not trusted"),
    (lambda town: town.authority.identity(["z.fed"]), "the certificate is not valid for b.fed"),
]


@pytest.mark.parametrize("by", [Phase.STANZA, Phase.STANZA_AFTER_DIALBACK])
@pytest.mark.parametrize("made, why", WRONG)
async def test_where_a_redirect_ends_the_certificate_must_be_right(
    either: Seeker, made: Callable[[Neighbours], Identity], why: str, by: Phase
) -> None:
    async with door(made(either.town)) as end:
        await either.home.know({"b.fed": [end.key]})
        end.lets_in(by)
        either.door.redirects(end.place)
        assert await either.bounces() == f"{FAILED}sent on by {DOOR}: {why}"
        assert (end.connections, end.taken) == (1, [])


async def test_where_a_redirect_ends_the_key_must_be_on_record(either: Seeker) -> None:
    async with door(either.identity()) as end:
        end.lets_in()
        either.door.redirects(end.place)
        assert await either.bounces() == f"{FAILED}sent on by {DOOR}: the key of the certificate of b.fed is not on record"
        await either.home.know({})
        assert await either.bounces() == f"{FAILED}the redirect was not followed: no key of b.fed is on record"
        assert (end.connections, end.taken) == (1, [])


async def test_where_a_redirect_ends_there_is_tls(easy: Seeker) -> None:
    async with door(easy.identity()) as end:
        await easy.home.know({"b.fed": [end.key]})
        end.refuses("too early", Phase.PLAIN)
        easy.door.redirects(end.place)
        assert await easy.bounces() == f"{FAILED}sent on by {DOOR}: policy-violation (too early)"


async def test_three_redirects_in_a_row_are_enough(either: Seeker) -> None:
    either.door.redirects(either.door.place)
    assert await either.bounces() == f"{FAILED}sent on by {DOOR}: the redirect was not followed: it was the 4th in a row"
    assert either.door.connections == 4


async def test_without_tls_nobody_sends_anybody_anywhere(either: Seeker) -> None:
    async with door(either.identity()) as end:
        either.door.redirects(end.place, Phase.PLAIN)
        assert await either.bounces() == f"{FAILED}the redirect was not followed: it came without TLS"
        assert end.connections == 0


@pytest.mark.parametrize("phase", [Phase.TLS, Phase.SASL])
async def test_nobody_but_a_door_sends_us_on(either: Seeker, phase: Phase) -> None:
    async with door(either.identity()) as other, door(either.identity()) as end:
        await either.home.know({"b.fed": [other.key, end.key]})
        either.town.names.put("b.fed", other.address, S2S_PORT)
        other.redirects(end.place, phase)
        assert await either.bounces() == f"{FAILED}the redirect was not followed: it came from no door that is known here"
        assert end.connections == 0


async def test_who_has_a_doors_name_and_another_key_is_no_door(seeker: Seeker) -> None:
    await seeker.home.know({})
    async with door(seeker.identity(DOOR)) as other:
        seeker.town.names.put("b.fed", other.address, S2S_PORT)
        other.redirects(seeker.door.place)
        assert await seeker.bounces() == f"{FAILED}Remote server's certificate is not valid for this name"


async def test_a_door_has_its_own_name_or_that_of_whom_it_stands_for(seeker: Seeker, doors: Doors) -> None:
    async with door(seeker.identity()) as end, door(doors.stray) as stray, door(doors.fronting) as fronting:
        await seeker.home.know({"b.fed": [end.key]})
        end.refuses("yes")
        for each, why in (
            (stray, "the certificate of b.fed has the key of a door"),
            (fronting, "sent on by second.hub.fed: policy-violation (yes)"),
        ):
            each.redirects(end.place)
            seeker.town.names.put("b.fed", each.address, S2S_PORT)
            assert await seeker.bounces() == f"{FAILED}{why}"


async def test_who_is_there_already_sends_nobody_on(seeker: Seeker) -> None:
    async with door(seeker.identity()) as other, door(seeker.identity()) as end:
        await seeker.home.know({"b.fed": [other.key, end.key]})
        seeker.town.names.put("b.fed", other.address, S2S_PORT)
        other.redirects(end.place, Phase.STANZA)
        seeker.alice.write("bob@b.fed", new_body())
        await other.leaves()
        await seeker.home.no_streams("b.fed")
        assert end.connections == 0


async def test_a_door_that_lets_us_in_gets_no_stanza(easy: Seeker) -> None:
    for phase in (Phase.STANZA, Phase.STANZA_AFTER_DIALBACK):
        easy.door.lets_in(phase)
        assert await easy.bounces() == f"{FAILED}{DOOR} let us in instead of sending us on"
        await easy.door.leaves()
        assert easy.door.taken == []


PLACES: Final = ["[{address}]", "[{address}]:5269", "{address}", "{address}:5269", "real.fed", "real.fed:5269", "REAL.fed"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_place_may_be_written_in_each_of_these_ways(seeker: Seeker, place: str) -> None:
    async with door(seeker.identity()) as end:
        await seeker.home.know({"b.fed": [end.key]})
        seeker.town.names.put_host("real.fed", end.address)
        end.refuses("yes", Phase.SASL)
        seeker.door.redirects(place.format(address=end.address))
        assert await seeker.bounces() == f"{FAILED}sent on by {DOOR}: policy-violation (yes)"


NO_PLACES: Final = ["", "b.fed:", "b.fed:0", "b.fed:65536", "[b.fed]", "[::1", "::1", "fe80::1:5269", "a b", "http://b.fed/", "-"]


@pytest.mark.parametrize("place", NO_PLACES)
async def test_what_is_no_place_leads_nowhere(seeker: Seeker, place: str) -> None:
    seeker.door.redirects(place)
    assert await seeker.bounces() == f"{FAILED}the redirect was not followed: it names no address"


async def test_another_port_is_gone_to(seeker: Seeker) -> None:
    async with door(seeker.identity(), port=5280) as end:
        await seeker.home.know({"b.fed": [end.key]})
        end.refuses("yes")
        seeker.door.redirects(end.place)
        assert "policy-violation (yes)" in await seeker.bounces()


async def test_a_host_is_not_looked_for_among_services(seeker: Seeker) -> None:
    # What a domain's SRV record says is the way to the door.
    seeker.door.redirects("b.fed")
    assert "sent on by" in await seeker.bounces()
    assert seeker.door.connections == 1


async def test_where_nobody_listens_the_sender_hears_so(seeker: Seeker) -> None:
    seeker.door.redirects(f"[{seeker.door.address}]:1")
    assert (await seeker.bounces()).endswith(f"sent on by {DOOR}: connection refused")


async def test_a_door_with_tls_from_the_first_byte_is_one_too(seeker: Seeker, doors: Doors) -> None:
    async with door(doors.plain, direct=True) as direct, door(seeker.identity("d.fed")) as end:
        await seeker.home.know({"d.fed": [end.key]})
        seeker.town.names.put("d.fed", direct.address, S2S_PORT, direct=True)
        end.refuses("yes")
        direct.redirects(end.place)
        assert "policy-violation (yes)" in await seeker.bounces("d.fed")
        assert direct.connections == 1


@pytest.mark.parametrize("phase", [Phase.PLAIN, Phase.TLS, Phase.SASL])
async def test_why_a_door_refuses_is_what_the_sender_reads(seeker: Seeker, phase: Phase) -> None:
    seeker.door.refuses(WHY, phase)
    assert await seeker.bounces() == f"{FAILED}policy-violation ({WHY})"


@pytest.mark.parametrize("phase", [Phase.PLAIN, Phase.TLS, Phase.SASL, Phase.DIALBACK])
async def test_so_it_is_where_dialback_is_believed(easy: Seeker, phase: Phase) -> None:
    easy.door.refuses(WHY, phase)
    assert await easy.bounces() == f"{FAILED}policy-violation ({WHY})"


async def test_where_the_first_door_is_down_the_next_one_is_asked(seeker: Seeker) -> None:
    seeker.door.refuses(WHY)
    down, up = Service(free_address(), S2S_PORT, 1), Service(seeker.door.address, S2S_PORT, 2)
    seeker.town.names.put_services("b.fed", up, down)
    assert await seeker.bounces() == f"{FAILED}policy-violation ({WHY})"


@pytest.mark.parametrize("target", ["prosody"], indirect=True)
async def test_what_a_door_refuses_waits_for_the_agent(seeker: Seeker, goal: Goal) -> None:
    await seeker.home.rule({}, default="allow", ask=True)
    await seeker.home.know({"b.fed": [goal.key]})
    seeker.door.refuses(WHY)
    body = new_body()
    seeker.alice.write("bob@b.fed", body)
    event = await seeker.home.event("refused")
    told = {name: event[name] for name in ("remote", "user", "kind", "by", "text")}
    assert told == {"remote": "b.fed", "user": "alice@a.fed", "kind": "message", "by": "peer", "text": WHY}
    seeker.door.redirects(goal.place)
    await seeker.home.enforcer.release(event["held"])
    await goal.bob.reads(body)
    await seeker.home.rule({}, default="allow")


@pytest.mark.parametrize("target", ["prosody"], indirect=True)
async def test_a_way_that_leads_past_the_door_must_lead_to_the_same_key(either: Seeker, goal: Goal) -> None:
    either.town.names.put("b.fed", goal.agent.server.address, S2S_PORT)
    assert await either.bounces() == f"{FAILED}the key of the certificate of b.fed is not on record"
    await either.home.know({"b.fed": [NOBODYS, goal.key]})
    body = new_body()
    either.alice.write("bob@b.fed", body)
    await goal.bob.reads(body)
    await either.home.know({"b.fed": [NOBODYS]})  # cuts what is there
    assert "outbound" not in await either.home.streams("b.fed")
    await either.home.know({})
    body = new_body()
    either.alice.write("bob@b.fed", body)
    await goal.bob.reads(body)


@pytest_asyncio.fixture(loop_scope="module")
async def real(town: Neighbours, doors: Doors) -> AsyncIterator[RealDoor]:
    async with real_door(doors.plain, town) as made:
        town.names.put("b.fed", made.address, S2S_PORT)
        yield made


async def test_the_real_door_sends_on_who_shows_its_certificate(seeker: Seeker, real: RealDoor, goal: Goal) -> None:
    seeker.town.names.put("b.fed", real.address, S2S_PORT)
    await seeker.home.know({"b.fed": [goal.key]})
    real.redirects(goal.place)
    body = new_body()
    seeker.alice.write("bob@b.fed", body)
    await goal.bob.reads(body)
    assert [(each.claimed, each.wanted, each.proof) for each in real.asked] == [("a.fed", "b.fed", Proof.CERTIFICATE)]


async def test_the_real_door_sends_on_whom_dialback_proves(easy: Seeker, real: RealDoor, goal: Goal) -> None:
    easy.town.names.put("b.fed", real.address, S2S_PORT)
    await easy.home.know({"b.fed": [goal.key]})
    await easy.home.rule({"b.fed": "all"})  # and not the door
    real.servers["a.fed"] = easy.home.server.address
    real.redirects(goal.place, Require.DIALBACK)
    body = new_body()
    easy.alice.write("bob@b.fed", body)
    await goal.bob.reads(body)
    assert [(each.claimed, each.wanted, each.proof) for each in real.asked] == [("a.fed", "b.fed", Proof.DIALBACK)]
    await easy.home.rule({}, default="allow")


async def test_what_the_real_door_says_is_read_by_who_has_proven_enough(either: Seeker, real: RealDoor) -> None:
    either.town.names.put("b.fed", real.address, S2S_PORT)
    real.refuses(WHY)
    told = f"policy-violation ({WHY})"
    assert await either.bounces() == FAILED + (told if real.asked[0].proof is Proof.CERTIFICATE else "policy-violation")


async def test_who_knows_the_way_past_a_door_that_refuses_is_refused_by_the_server_itself(seeker: Seeker, goal: Goal) -> None:
    # A door guides; the other server's own module enforces.
    await goal.agent.rule({}, default_reason="a.fed is not known")
    await seeker.home.know({"b.fed": [goal.key]})
    seeker.door.redirects(goal.place)
    assert await seeker.bounces() == f"{FAILED}sent on by {DOOR}: policy-violation (a.fed is not known (d-1))"
    seeker.door.refuses(WHY)
    assert await seeker.bounces() == f"{FAILED}policy-violation ({WHY})"
    seeker.town.names.put("b.fed", goal.agent.server.address, S2S_PORT)
    assert await seeker.bounces() == f"{FAILED}policy-violation (a.fed is not known (d-1))"
    await goal.agent.rule({}, default="allow")
