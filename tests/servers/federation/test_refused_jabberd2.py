"""A server that says who it is at `db:result` only, and for which there is no module of ours: a real jabberd2 at the real door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
import pytest_asyncio

from clearinghouse.demo.correspondents import Correspondent
from clearinghouse.demo.dns import Service
from clearinghouse.demo.neighbours import S2S_PORT, Neighbours
from clearinghouse.demo.servers import CLIENT_PORT, Hosting
from clearinghouse.federation.redirection.seen import Proof, Require
from tests.servers.federation.conftest import lasting
from tests.servers.federation.real_door import RealDoor, real_door
from tests.servers.federation.sites import PASSWORD, new_body
from tests.servers.jabberd2 import Jabberd2

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

DOOR: Final = "door.hub.fed"
HOSTING: Final = Hosting(("j.fed",), (), "", "")


@pytest.fixture(scope="module")
def lane() -> Iterator[Neighbours]:
    with Neighbours() as made:
        yield made


@pytest.fixture(scope="module")
def jabberd2(lane: Neighbours) -> Iterator[Jabberd2]:
    for made in lasting(Jabberd2, HOSTING, lane):
        assert isinstance(made, Jabberd2)
        yield made


@asynccontextmanager
async def logged_in(jid: str, server: Jabberd2) -> AsyncIterator[Correspondent]:
    await server.register(jid, PASSWORD)
    made = Correspondent(jid, PASSWORD)
    made.plugin["feature_mechanisms"].unencrypted_plain = True  # it has nothing better
    try:
        await made.open(server.address, CLIENT_PORT)
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zoe(jabberd2: Jabberd2) -> AsyncIterator[Correspondent]:
    async with logged_in("zoe@j.fed", jabberd2) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(lane: Neighbours) -> AsyncIterator[RealDoor]:
    async with real_door(lane.authority.identity([DOOR]), lane) as made:
        lane.names.put_host(DOOR, made.address)
        yield made


@pytest.fixture
def behind(lane: Neighbours, real: RealDoor, jabberd2: Jabberd2) -> Callable[[str], str]:
    """Put a domain behind the door, by a name: jabberd2 takes no address from an SRV record."""
    real.servers = {"j.fed": jabberd2.address}

    def at_the_door(domain: str) -> str:
        lane.names.put_services(domain, Service(DOOR, S2S_PORT))
        return domain

    return at_the_door


WHY: Final = "not permitted: not-granted (decision 0123456789ab)"


@pytest.mark.parametrize(
    "require, proof", [(Require.CERTIFICATE, Proof.NOTHING), (Require.DIALBACK, Proof.DIALBACK), (Require.NOTHING, Proof.DIALBACK)]
)
async def test_it_is_refused_when_it_says_who_it_is_and_its_user_sees_an_error(
    zoe: Correspondent, real: RealDoor, jabberd2: Jabberd2, behind: Callable[[str], str], require: Require, proof: Proof
) -> None:
    domain = behind(f"{require}.fed")
    real.refuses(WHY, require)
    assert await zoe.bounced(zoe.write(f"bob@{domain}", new_body())) == "remote-server-timeout: "
    assert [(seen.claimed, seen.wanted, seen.proof) for seen in real.asked] == [("j.fed", domain, proof)]
    assert (f"Stream error ({WHY})" in jabberd2.said()) == (proof is Proof.DIALBACK)


async def test_it_does_not_go_where_the_door_sends_it(zoe: Correspondent, real: RealDoor, behind: Callable[[str], str]) -> None:
    domain = behind("further.fed")
    real.redirects(f"[{real.address}]:{S2S_PORT}", Require.DIALBACK)
    assert await zoe.bounced(zoe.write(f"bob@{domain}", new_body())) == "remote-server-timeout: "
    assert len(real.asked) == 1
