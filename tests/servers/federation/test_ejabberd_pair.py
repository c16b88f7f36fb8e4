"""Two ejabberd that both have the module: what each refuses makes stanzas wait at the other, and a permission lets them go at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.servers import Server
from clearinghouse.federation.image import Grant
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.federation.conftest import lasting
from tests.servers.federation.sites import AWAY, Site, new_body, site

pytestmark = pytest.mark.servers

FOREVER = 1 << 33


@pytest.fixture(scope="module")
def other(neighbours: Neighbours) -> Iterator[Server]:
    """Away, as an ejabberd; its names lead to it as long as this module lasts."""
    known = {host: neighbours.names.get(host) for host in AWAY.hosts}
    yield from lasting(Ejabberd, AWAY, neighbours)
    for host, place in known.items():
        if place is not None:
            neighbours.names.put(host, *place)


@pytest.fixture
async def both(request: pytest.FixtureRequest, other: Server) -> AsyncIterator[Site]:
    async with site(request.getfixturevalue("home"), other) as made:
        yield made
