"""What only a database can do: survive, and fail."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs

from clearinghouse.errors import BadSettings, StoreUnavailable, UnsafeFile
from clearinghouse.storage import database
from clearinghouse.storage.batch import Batch, Durable, Parameters
from clearinghouse.storage.connection import WritingConnection
from clearinghouse.storage.site import Site
from clearinghouse.storage.sql_store import SqlStore, open_store, read_store
from clearinghouse.storage.store import Effect
from clearinghouse.storage.writer import Target
from tests.storage.conftest import Decisions, put
from tests.world import NOON

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from clearinghouse import telemetry
from clearinghouse.storage.sql_store import open_store
from tests.storage.conftest import Decisions

telemetry.configure()

async def main():
    async with open_store(Path(sys.argv[1])) as store:
        decide = Decisions()
        for _ in range(3):
            decision = decide.granted()
            await store.record(decision)
            print(decision.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


class Counting:
    """Writes where another one writes, and counts the batches."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.batches = 0

    @property
    def site(self) -> Site:
        return self.target.site

    def write(self, batch: Batch) -> Durable:
        self.batches += 1
        return self.target.write(batch)

    def execute(self, text: str, parameters: Parameters) -> None:
        self.target.execute(text, parameters)

    def cut(self) -> None:
        self.target.cut()

    def close(self) -> None:
        self.target.close()


class Mistaken(Counting):
    """Fails as code does that has a mistake."""

    def write(self, batch: Batch) -> Durable:
        del batch
        raise ValueError("a mistake of ours")


def connection_of(store: SqlStore) -> WritingConnection:
    assert isinstance(store.writer.target, WritingConnection)
    return store.writer.target


async def test_what_was_recorded_survives(path: Path, decide: Decisions) -> None:
    made = decide.granted()
    async with open_store(path) as store:
        await store.record(made)
    async with open_store(path) as store:
        assert store.highest_time == made.at
        assert [each.decision.id for each in await store.owed()] == [made.id]


async def test_what_was_recorded_survives_the_death_of_the_process(path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(path), cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert child.returncode == -signal.SIGKILL
    told = out.decode().split()
    assert len(told) == 3
    async with read_store(path) as store:
        assert [each.decision.id for each in await store.decisions(10)] == told


async def test_every_commit_waits_for_the_disk(path: Path) -> None:
    async with open_store(path) as store:
        raw = connection_of(store).raw
        pragmas = {name: raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode", "secure_delete")}
    assert pragmas == {"synchronous": 2, "journal_mode": "wal", "secure_delete": 1}  # 2 is FULL


async def test_many_that_come_together_share_their_commits(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        counting = store.writer.target = Counting(connection_of(store))
        made = [decide.granted() for _ in range(100)]
        await asyncio.gather(*(store.record(each) for each in made))
        assert counting.batches <= 2
        assert {each.decision.id for each in await store.decisions(200)} == {each.id for each in made}


async def test_one_who_gives_up_waiting_costs_the_others_nothing(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        tasks = [asyncio.create_task(store.record(decide.granted())) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in done] == [type(None), asyncio.CancelledError, type(None)]
        assert len(await store.decisions(9)) == store.log_size == 2  # nobody was answered with the third


async def test_a_closed_store_says_so(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        pass
    with pytest.raises(StoreUnavailable, match="not open for writing"):
        await store.record(decide.granted())


# -- when it cannot be written -------------------------------------------------------------------------


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)


async def refused(store: SqlStore, decide: Decisions) -> StoreUnavailable:
    before = store.highest_time
    with pytest.raises(StoreUnavailable) as caught:
        await store.record(decide.granted())
    assert store.highest_time == before
    return caught.value


@pytest.mark.usefixtures("impatient")
async def test_a_locked_store_is_unavailable_until_it_is_free(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        with locked(path):
            error = await refused(store, decide)
        assert "database is locked" in error.message
        assert error.mend == "another process holds it: end that one, or wait"
        await store.record(decide.granted())
        assert len(await store.decisions(5)) == 1


async def test_a_full_disk_is_told(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        connection_of(store).raw.execute("PRAGMA max_page_count = 1")  # cut to what is used now
        writes = asyncio.gather(*(store.record(decide.granted()) for _ in range(100)))
        with pytest.raises(StoreUnavailable) as caught:
            await writes
        assert caught.value.mend == "make room on its disk"


async def test_a_store_that_may_only_be_read_is_told(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        connection_of(store).raw.execute("PRAGMA query_only = 1")
        error = await refused(store, decide)
        assert error.mend == "let us write the file and its directory"


async def test_what_is_no_database_is_told(path: Path) -> None:
    put(path, b"a letter to a friend, long enough to be looked at" * 40, 0o600)
    with pytest.raises(StoreUnavailable, match="no SQLite database"):
        async with open_store(path):
            pass


async def test_a_store_without_a_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="make its directory"):
        async with open_store(tmp_path / "absent" / "x.db"):
            pass


async def test_a_driver_that_gives_no_connection_is_told(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:

        def exhausted(_: object) -> None:
            raise PoolTimeout("no connection was free")

        event.listen(store.engine.sync_engine, "begin", exhausted)
        with pytest.raises(StoreUnavailable, match="no connection was free"):
            await store.decisions(1)
        await store.record(decide.granted())
        event.remove(store.engine.sync_engine, "begin", exhausted)
        assert len(await store.decisions(5)) == 1


async def test_the_writer_outlives_every_exception(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        sound = connection_of(store)
        store.writer.target = Mistaken(sound)
        with capture_logs() as told:
            error = await refused(store, decide)
        assert error.message == "writing to the store failed (ValueError)"
        assert [each["event"] for each in told] == ["store_failed"]
        store.writer.target = sound
        await store.record(decide.granted())


async def test_what_cannot_be_written_befalls_nobody_else(path: Path, decide: Decisions) -> None:
    lost: list[int] = []
    async with open_store(path, lost=lost.append) as store:
        first, made = decide.granted(), [decide.granted() for _ in range(5)]
        await store.record(first)
        done = await asyncio.gather(*(store.record(each) for each in (*made, first)), return_exceptions=True)
        assert [type(each) for each in done] == [type(None)] * 5 + [StoreUnavailable]
        assert "UNIQUE constraint failed: decisions.id" in str(done[-1])
        assert {each.decision.id for each in await store.decisions(9)} == {each.id for each in (first, *made)}
        assert (store.log_size, lost) == (6, [1])


async def test_a_store_that_is_taken_away_or_replaced_while_it_is_in_use_is_told(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        aside = path.with_name("aside")
        os.rename(path, aside)  # noqa: PTH104 - as somebody else does
        assert "is gone" in (await refused(store, decide)).message
        put(path, b"", 0o600)
        assert "was replaced" in (await refused(store, decide)).message
        os.rename(aside, path)  # noqa: PTH104 - as before
        await store.record(decide.granted())


async def test_a_new_store_is_told_and_an_old_one_is_not(path: Path) -> None:
    with capture_logs() as told:
        for _ in range(2):
            async with open_store(path):
                pass
    assert [(each["event"], each["log_level"]) for each in told] == [("store_made", "warning")]


# -- whose it is ---------------------------------------------------------------------------------------


async def test_nobody_else_can_read_the_store(path: Path, decide: Decisions) -> None:
    async with open_store(path) as store:
        await store.record(decide.granted())
        modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert path.name in modes


async def test_two_services_never_work_with_one_store(path: Path, decide: Decisions) -> None:
    other = path.with_name("other-name.db")
    async with open_store(path) as store:
        other.symlink_to(path)
        for name in (path, other):
            with pytest.raises(StoreUnavailable, match="another service works with the store"):
                async with open_store(name):
                    pass
        await store.record(decide.granted())
    async with open_store(path) as store:
        assert len(await store.decisions(5)) == 1


async def test_a_store_that_others_can_read_is_refused(path: Path) -> None:
    put(path, b"", 0o640)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        async with open_store(path):
            pass
    with pytest.raises(UnsafeFile, match="chmod 600"):
        async with read_store(path):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_a_store_of_somebody_else_is_refused(path: Path) -> None:
    put(path, b"", 0o600)
    os.chown(path, 12345, -1)
    with pytest.raises(UnsafeFile, match="belongs to user 12345"):
        async with open_store(path):
            pass


async def test_whoever_looks_writes_nothing_and_makes_nothing(path: Path, decide: Decisions) -> None:
    with pytest.raises(BadSettings, match="it is made when the service starts"):
        async with read_store(path):
            pass
    assert list(path.parent.iterdir()) == []
    async with open_store(path) as store, read_store(path) as reader:
        await store.record(decide.granted())
        [found] = await reader.decisions(1)
        with pytest.raises(StoreUnavailable):
            await reader.settle(found.decision.id, Effect.DONE, at=NOON)
