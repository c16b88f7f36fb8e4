"""Pairs of servers that federate, one for each make of module; a server lasts for all tests that use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import pytest
import pytest_asyncio

from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody, lua_text
from clearinghouse.demo.servers import Hosting, Server
from tests.servers.federation.peer import DIALBACK_SECRET
from tests.servers.federation.posts import GUARDED
from tests.servers.federation.sites import AWAY, HOME, PASSWORD, PEOPLE, Site, agent, site

Make: TypeAlias = Callable[..., Server]

MAKES: dict[str, Make] = {"prosody": Prosody, "ejabberd": Ejabberd}
"""What a home server may be; the other one is a Prosody."""


def lasting(make: Make, hosting: Hosting, neighbours: Neighbours) -> Iterator[Server]:
    # The server outlives the event loops of the tests, so it has one of its own.
    with asyncio.Runner() as runner:
        server = make(hosting, neighbours=neighbours)
        runner.run(server.__aenter__())
        try:
            for jid in PEOPLE:
                if jid.partition("@")[2] in hosting.domains:
                    runner.run(server.register(jid, PASSWORD))
            yield server
        finally:
            runner.run(server.__aexit__(None, None, None))


@pytest.fixture(params=list(MAKES))
def make(request: pytest.FixtureRequest) -> Make:
    return MAKES[request.param]


@pytest.fixture(scope="session")
def neighbours() -> Iterator[Neighbours]:
    with Neighbours() as made:
        yield made


@pytest.fixture(scope="session", params=list(MAKES))
def home(request: pytest.FixtureRequest, neighbours: Neighbours) -> Iterator[Server]:
    yield from lasting(MAKES[request.param], HOME, neighbours)


@pytest.fixture(scope="session")
def away(neighbours: Neighbours) -> Iterator[Server]:
    yield from lasting(Prosody, AWAY, neighbours)


@pytest.fixture(scope="session")
def street() -> Iterator[Neighbours]:
    """Names for the servers beside which real agents work; those of the others go on leading to them."""
    with Neighbours() as made:
        yield made


@pytest.fixture(scope="session")
def partner(street: Neighbours) -> Iterator[Server]:
    yield from lasting(Prosody, AWAY, street)


@pytest.fixture(scope="session", params=list(MAKES))
def guarded(request: pytest.FixtureRequest, street: Neighbours) -> Iterator[Server]:
    """A server of which only an agent speaks to its module."""
    yield from lasting(MAKES[request.param], GUARDED, street)


@pytest.fixture
async def people(guarded: Server, partner: Server) -> AsyncIterator[tuple[Correspondent, Correspondent]]:
    """Somebody at our server, and somebody at the other one, which lets everything pass."""
    async with (
        agent(partner) as theirs,
        correspondent("alice@a.fed", PASSWORD, guarded) as alice,
        correspondent("bob@b.fed", PASSWORD, partner) as bob,
    ):
        await theirs.rule({}, default="allow")
        yield alice, bob


class Known(Prosody):
    """A Prosody whose dialback secret others know."""

    def _configuration(self) -> str:
        return f"dialback_secret = {lua_text(DIALBACK_SECRET)}\n{Prosody._configuration(self)}"


@pytest.fixture(scope="module", params=list(MAKES))
def believing(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """Both servers, which trust different authorities, and take dialback for a proof."""
    with Neighbours() as ours:
        for home in lasting(MAKES[request.param], replace(HOME, dialback=True), ours):
            for away in lasting(Known, replace(AWAY, dialback=True), Neighbours(names=ours.names)):
                yield home, away


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def met(home: Server, away: Server) -> AsyncIterator[Site]:
    """Home and away for all tests of a module, since to log in takes longer than most of them."""
    async with site(home, away) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def between(met: Site) -> Site:
    """What a test finds: nothing open, nothing heard."""
    await met.begin()
    return met
