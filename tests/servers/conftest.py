"""One ejabberd for all tests that need one; each test has its own topics and sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.platforms import Platform
from tests.servers.worlds import HOSTING, PASSWORD, PEOPLE, EjabberdWorld, MemoryWorld, World


@pytest.fixture(scope="session")
def ejabberd() -> Iterator[Ejabberd]:
    # The server outlives the event loops of the tests, so it has one of its own.
    with asyncio.Runner() as runner:
        server = Ejabberd(HOSTING)
        runner.run(server.__aenter__())
        try:
            for jid in PEOPLE:
                runner.run(server.register(jid, PASSWORD))
            yield server
        finally:
            runner.run(server.__aexit__(None, None, None))


@pytest.fixture(params=["memory", pytest.param("ejabberd", marks=pytest.mark.servers)])
def world(request: pytest.FixtureRequest) -> World:
    return MemoryWorld() if request.param == "memory" else EjabberdWorld(request.getfixturevalue("ejabberd"))


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
