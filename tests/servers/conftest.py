"""One ejabberd and one Prosody for all tests that need one; each test has its own topics and sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

import pytest

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.platforms import Platform
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from tests.servers.worlds import HOSTING, PASSWORD, PEOPLE, MemoryWorld, ServerWorld, World

AnyServer = TypeVar("AnyServer", bound=Server)


def lasting(server: AnyServer) -> Iterator[AnyServer]:
    # The server outlives the event loops of the tests, so it has one of its own.
    with asyncio.Runner() as runner:
        runner.run(server.__aenter__())
        try:
            for jid in PEOPLE:
                runner.run(server.register(jid, PASSWORD))
            yield server
        finally:
            runner.run(server.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def ejabberd() -> Iterator[Ejabberd]:
    yield from lasting(Ejabberd(HOSTING))


@pytest.fixture(scope="session")
def prosody() -> Iterator[Prosody]:
    yield from lasting(Prosody(HOSTING))


@pytest.fixture(params=["ejabberd", "prosody"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["memory", pytest.param("ejabberd", marks=pytest.mark.servers), pytest.param("prosody", marks=pytest.mark.servers)])
def world(request: pytest.FixtureRequest) -> World:
    return MemoryWorld() if request.param == "memory" else ServerWorld(request.getfixturevalue(request.param))


@pytest.fixture
async def analyst(world: World) -> AsyncIterator[Platform]:
    async with world.platform("analyst@csirt.example") as made:
        yield made


@pytest.fixture
async def outsider(world: World) -> AsyncIterator[Platform]:
    async with world.platform("outsider@csirt.example") as made:
        yield made


@pytest.fixture
async def provider(world: World) -> AsyncIterator[Platform]:
    async with world.platform("provider@soc.example") as made:
        yield made


@pytest.fixture
async def operator(world: World) -> AsyncIterator[Platform]:
    async with world.platform("operator@example.net") as made:
        yield made
