"""How the database is laid out, and how an older one is brought to today's layout."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy import create_engine as create_sync_engine

from clearinghouse.clearing.request import Place
from clearinghouse.errors import StoreUnavailable
from clearinghouse.storage.database import create_engine, writing
from clearinghouse.storage.layout import TODAY, alembic_config
from clearinghouse.storage.schema import metadata
from clearinghouse.storage.sql_store import open_store, read_store
from clearinghouse.storage.store import Effect, Standing
from tests.storage.conftest import Decisions, put

OLD = """
INSERT INTO decisions VALUES (7, 'aa11', '2026-11-20T12:00:00.000000+00:00', 'r1', 'subscribe', 'broker', 'granted', 'allow', 'granted',
 '2 assertions carry `allow`', '["xmpp:ann@a.example"]', '{"jid": "ann@a.example", "operation": "subscribe"}', '["deny", "ask", "allow"]',
 '{"stable_until": "2026-12-02T00:00:00+00:00", "chain": []}', 'abcd', '0.1.0', '2026-12-02T00:00:00.000000+00:00',
 'pubsub.hub.example', 'incidents', 'ann@a.example/x', 'sub1', 'done', '2026-11-20T12:00:01.000000+00:00', 12.5);
INSERT INTO decisions VALUES (9, 'bb22', '2026-11-20T12:00:05.000000+00:00', 'r2', 'subscribe', 'broker', 'refused', 'deny',
 'malformed-request', 'not a JID', '["xmpp:x"]', '{"jid": "not a JID"}', '[]', NULL, 'abcd', '0.1.0', NULL,
 NULL, NULL, NULL, NULL, 'owed', NULL, NULL);
INSERT INTO clock VALUES (1, '2026-11-20T12:00:05.000000+00:00');
INSERT INTO snapshots VALUES ('abcd', '2026-11-20T12:00:00.000000+00:00', x'00');
INSERT INTO events (at, kind, detail) VALUES ('2026-11-20T12:00:00.000000+00:00', 'started', '{"version": "0.1.0"}');
"""
"""What version 0.1.0 wrote, as it wrote it."""


async def make_old(path: Path, content: str) -> None:
    """Make the file that version 0.1.0 made, by the migration that it had."""
    put(path, b"", 0o600)
    engine = create_engine(path)
    async with writing(engine).begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), "0001"))
    await engine.dispose()
    with closing(sqlite3.connect(path)) as other:
        other.executescript(content)


async def test_a_store_of_the_first_version_is_brought_forward_without_loss(path: Path) -> None:
    await make_old(path, OLD)
    async with open_store(path) as store:
        first, second = await store.decisions(9)
        assert (first.decision.id, first.decision.outcome.value, first.decision.ends) == ("aa11", "granted", first.stable_until)
        assert first.decision.request.place == Place("pubsub.hub.example", "incidents", "ann@a.example/x", "sub1")
        assert (first.effect, first.latency and first.latency.microseconds, first.took) == (Effect.DONE, 12_500, None)
        assert [each.decision.id for each in await store.owed()] == [second.decision.id] == ["bb22"]
        assert store.highest_time == second.decision.at
        assert await store.standing() == Standing([], [], [], [], [])


async def test_the_log_of_an_old_store_begins_with_how_much_lies_before_it(path: Path, decide: Decisions) -> None:
    await make_old(path, OLD)
    for _ in range(2):
        async with open_store(path) as store:
            [first] = await store.entries(0, 9)
            assert (first.entry.kind.value, first.entry.at) == ("service", store.highest_time)
            told = json.loads(first.record or b"")
            assert (told["act"], told["detail"]) == ("log-begins", {"decisions": 2})
            assert [each.kind for each in await store.events(9)] == ["started", "log-begins"]
    async with open_store(path) as store:
        await store.record(decide.granted())
        assert store.log_size == 2


async def test_an_empty_store_of_the_first_version_has_an_empty_log(path: Path) -> None:
    await make_old(path, "")
    async with open_store(path) as store:
        assert (store.log_size, store.highest_time) == (0, None)


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM entries WHERE number = 2",
        "UPDATE entries SET leaf_hash = zeroblob(32) WHERE number = 1",
        "UPDATE edge SET size = 2, hashes = zeroblob(32)",
        "DELETE FROM edge",
    ],
)
async def test_a_log_whose_end_is_damaged_is_not_gone_on_with(path: Path, decide: Decisions, harm: str) -> None:
    async with open_store(path) as store:
        for _ in range(3):
            await store.record(decide.granted())
    with closing(sqlite3.connect(path)) as other:
        other.execute(harm)
        other.commit()
    with pytest.raises(StoreUnavailable, match="is damaged at its end"):
        async with open_store(path):
            pass


async def test_what_somebody_else_wrote_to_the_log_is_not_written_over(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        await store.record(decide.granted())
        with closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE edge SET size = 2")
            other.commit()
        with pytest.raises(StoreUnavailable, match="somebody else wrote to the log"):
            await store.record(decide.granted())
        assert (len(await store.decisions(9)), store.log_size) == (1, 1)


async def test_the_migrations_make_what_the_code_expects(path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with open_store(path) as store, store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_store_of_a_later_version_is_left_alone(path: Path) -> None:
    async with open_store(path):
        pass
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
        other.commit()
    with pytest.raises(StoreUnavailable, match="run the version of the clearinghouse that wrote it"):
        async with open_store(path):
            pass
    with pytest.raises(StoreUnavailable, match="is not today's"):
        async with read_store(path):
            pass


def test_todays_layout_is_the_newest_that_there_is() -> None:
    engine = create_sync_engine("sqlite://")
    with engine.connect() as connection:
        assert ScriptDirectory.from_config(alembic_config(connection)).get_current_head() == TODAY
    engine.dispose()
