"""What an ejabberd refuses makes stanzas wait at the other server, an ejabberd or a Prosody, and a permission lets them go at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from clearinghouse.federation.enforced.image import Grant
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.federation.conftest import lasting
from tests.servers.federation.sites import AWAY, HOME, Site, new_body, site

pytestmark = pytest.mark.servers

FOREVER = 1 << 33


class Patient(Ejabberd):
    """An ejabberd with its own default for what our module must get round: minutes in which everything is returned."""

    def _configuration(self) -> str:
        lines = Ejabberd._configuration(self).splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("s2s_max_retry_delay"))


@pytest.fixture(scope="module")
def refusing() -> Iterator[Server]:
    with Neighbours() as neighbours:
        yield from lasting(Patient, AWAY, neighbours)


@pytest.fixture(scope="module", params=[Patient, Prosody])
def asking(request: pytest.FixtureRequest, refusing: Server) -> Iterator[Server]:
    assert refusing.neighbours is not None
    yield from lasting(request.param, HOME, refusing.neighbours)


@pytest.fixture
async def both(asking: Server, refusing: Server) -> AsyncIterator[Site]:
    async with site(asking, refusing) as made:
        yield made


async def test_messages_pass_and_streams_fall_at_both_ends(both: Site) -> None:
    await both.home.rule({"b.fed": "all"})
    for sender, reader in ((both.alice, both.bob), (both.bob, both.alice)):
        body = new_body()
        sender.write(reader.boundjid.bare, body)
        await reader.reads(body)
    assert (await both.away.enforcer.status())["facts"]["retry_delay"] == 300
    await both.home.change({"b.fed": "none"}, decision="d-2")
    assert await both.home.streams("b.fed") == set()
    await both.away.no_streams("a.fed")
    assert "Stream closed by peer: not at a level for a.fed (d-2) (policy-violation)" in both.away.server.log_tail()
    refused = await both.bob.bounced(both.bob.write("alice@a.fed", new_body()))
    assert refused == "policy-violation: not at a level for a.fed (d-2)"


async def test_a_refused_stream_is_asked_again_the_moment_that_the_agent_has_permission(both: Site) -> None:
    await both.home.rule({"b.fed": "all"}, ask=True)
    await both.away.rule({}, default_reason="a.fed is not known")
    bodies = [new_body(), new_body()]
    both.alice.write("bob@b.fed", bodies[0])
    event = await both.home.event("refused")
    assert (event["by"], event["text"]) == ("peer", "a.fed is not known (d-1)")
    both.alice.write("bob@b.fed", bodies[1])  # to a stream that ejabberd would not try again for minutes
    both.alice.show("bob@b.fed", "subscribe")
    assert (await both.home.event("refused"))["kind"] == "presence"
    await both.away.change({}, Grant("g", "a.fed", FOREVER))
    await both.home.enforcer.release(event["held"])
    for body in bodies:
        await both.bob.reads(body)


async def test_without_an_agent_that_asks_a_refused_stream_is_tried_again_soon(both: Site) -> None:
    await both.home.rule({"b.fed": "all"})
    await both.away.rule({}, default_reason="a.fed is not known")
    assert "a.fed is not known (d-1)" in await both.alice.bounced(both.alice.write("bob@b.fed", new_body()))
    await both.away.change({}, Grant("g", "a.fed", FOREVER))
    async with asyncio.timeout(10):
        while not await pings(both, "b.fed"):  # noqa: ASYNC110 - the server is asked
            await asyncio.sleep(0.05)


async def test_a_question_that_came_back_is_sent_once_more(both: Site) -> None:
    await both.home.rule({"b.fed": "all"}, ask=True)
    await both.away.rule({}, Grant("g", "a.fed", FOREVER, user="carol@a.fed"), default_reason="only carol")
    pinged = asyncio.create_task(both.alice.ping("b.fed"))
    event = await both.home.event("refused")
    assert (event["by"], event["kind"], event["to"], event["text"]) == ("peer", "iq", "b.fed", "only carol (d-1)")
    await both.home.enforcer.release(event["held"])  # too early: it comes back for good
    with pytest.raises(StanzaRefused, match="only carol"):
        await pinged
    pinged = asyncio.create_task(both.alice.ping("b.fed"))
    event = await both.home.event("refused")
    await both.away.change({}, Grant("g", "a.fed", FOREVER))
    await both.home.enforcer.release(event["held"])
    await pinged


async def pings(both: Site, to: str) -> bool:
    try:
        await both.alice.ping(to)
    except StanzaRefused:
        return False
    return True
