"""The same store in dictionaries, in SQLite and in PostgreSQL, and decisions to put into it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.request import Place
from clearinghouse.demo.postgres import Cluster
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.opening import open_postgres
from clearinghouse.storage.schema import metadata
from clearinghouse.storage.sql_store import open_store
from clearinghouse.storage.store import Store
from tests.world import BROKER, INCIDENTS, NOON, Community


class Decisions:
    """Makes real decisions, one second after the other."""

    def __init__(self) -> None:
        self.sim = Community()
        self.sim.policy(licenses="hub", where='topic == "incidents"', value="allow")
        self.sim.delegate("hub", to="ann@a.example", until="20261201")
        self.sim.policy(licenses="xmpp-member:b.example", where='topic == "incidents"', value="ask")
        self._numbers = count()

    def by(self, jid: str, *, at: datetime | None = None, subid: str = "") -> Decision:
        number = next(self._numbers)
        self.sim.now = at or NOON + timedelta(seconds=number)
        decision = self.sim.asks(jid)
        place = Place(BROKER, INCIDENTS, jid, subid)
        return replace(decision, id=f"{number:04x}{'ab' * 6}", request=replace(decision.request, place=place))

    def granted(self, **rest: object) -> Decision:
        return self.by("ann@a.example", **rest)  # type: ignore[arg-type] # handed on

    def pending(self, **rest: object) -> Decision:
        return self.by("bea@b.example", **rest)  # type: ignore[arg-type] # handed on

    def refused(self, **rest: object) -> Decision:
        return self.by("eve@c.example", **rest)  # type: ignore[arg-type] # handed on


def put(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file as an editor does, and give it *mode* whatever the umask says."""
    path.write_bytes(content)
    path.chmod(mode)


@pytest.fixture
def decide() -> Decisions:
    return Decisions()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clearinghouse.db"


def emptied(postgres: Cluster, name: str) -> Address:
    """Return the database *name* with nothing left in its store."""
    tables = [f"DELETE FROM {table.name}" for table in metadata.sorted_tables if table.name != "edge"]  # noqa: S608 - our own names
    postgres.run("; ".join([*tables, "UPDATE edge SET size = 0, hashes = ''"]), name)
    return Address.of(postgres.url(name))


@pytest.fixture(scope="session")
def laid_out(postgres: Cluster) -> str:
    """Return the name of a database with a store in it: to empty it takes a hundredth of the time that a new one takes."""

    async def lay_out(address: Address) -> None:
        async with open_postgres(address):
            pass

    name = postgres.database()
    asyncio.run(lay_out(Address.of(postgres.url(name))))
    return name


@pytest.fixture
def address(postgres: Cluster, laid_out: str) -> Address:
    """Return a database of PostgreSQL with an empty store."""
    return emptied(postgres, laid_out)


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def place(request: pytest.FixtureRequest, path: Path) -> Path | Address | None:
    """Return where the store of a test is; memory is nowhere."""
    if request.param == "postgres":
        address: Address = request.getfixturevalue("address")
        return address
    return path if request.param == "sqlite" else None


@pytest.fixture
async def store(place: Path | Address | None) -> AsyncIterator[Store]:
    if place is None:
        yield MemoryStore()
        return
    async with open_store(place) if isinstance(place, Path) else open_postgres(place) as opened:
        yield opened


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for group in ("topics", "people", "publish"):
        (tmp_path / "policies" / group).mkdir(parents=True)
    (tmp_path / "credentials").mkdir()
    return tmp_path
