"""The same store in dictionaries and in SQLite, and decisions to put into it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.request import Place
from clearinghouse.storage.memory import MemoryStore
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


@pytest.fixture(params=["memory", "sql"])
async def store(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with open_store(path) as opened:
        yield opened


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for group in ("topics", "people", "publish"):
        (tmp_path / "policies" / group).mkdir(parents=True)
    (tmp_path / "credentials").mkdir()
    return tmp_path
