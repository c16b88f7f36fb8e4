"""What only PostgreSQL can do: be away, hang, come back, and leave open whether it has committed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import errors
from sqlalchemy import Connection
from structlog.testing import capture_logs

from clearinghouse.demo.postgres import Cluster
from clearinghouse.errors import BadSettings, ClearinghouseError, StoreUnavailable, UnsafeFile
from clearinghouse.settings import Store as Named
from clearinghouse.storage.named import open_named, read_named
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.opening import open_postgres, read_postgres
from clearinghouse.storage.schema import metadata
from clearinghouse.storage.sql_store import SqlStore
from clearinghouse.storage.store import Effect, Event
from tests.storage.conftest import Decisions, put
from tests.storage.relay import Cut, Relay, relay
from tests.storage.test_faults import SECONDS, sound
from tests.world import NOON

pytestmark = pytest.mark.servers


async def refusal(address: Address, *, main: bool = True) -> ClearinghouseError:
    with pytest.raises(ClearinghouseError) as caught:
        async with open_postgres(address, main=main):
            pass
    return caught.value


def other(address: Address, **changed: str) -> Address:
    """Return *address* with some of its options changed."""
    return replace(address, options={**address.options, **changed})


# -- lost connections ----------------------------------------------------------------------------------


@dataclass
class Busy:
    """Writes without a pause, and knows what was recorded."""

    store: SqlStore
    kept: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self) -> None:
        made = Decisions().granted()
        while True:
            decision = replace(made, id=f"id-{next(self.numbers)}")
            with suppress(StoreUnavailable):
                await self.store.record(decision)
                self.kept.append(decision.id)
                self.more.set()
            await asyncio.sleep(0)

    async def goes_on(self) -> None:
        wanted = len(self.kept) + 20
        while len(self.kept) < wanted:
            self.more.clear()
            await self.more.wait()


async def test_a_server_that_crashes_and_returns_loses_and_doubles_nothing(postgres: Cluster, address: Address) -> None:
    async with asyncio.timeout(SECONDS), open_postgres(address) as store:
        busy = Busy(store)
        writers = [asyncio.create_task(busy.write()) for _ in range(4)]
        try:
            await busy.goes_on()
            await asyncio.to_thread(postgres.restart)
            await busy.goes_on()
            await asyncio.to_thread(kill_one, postgres, address)
            await busy.goes_on()
        finally:
            for each in writers:
                each.cancel()
            await asyncio.wait(writers)
        await store.note(Event(NOON, "started", {}))
        assert {each.decision.id for each in await store.decisions(99_999)} >= {*busy.kept}
        await sound(store)


def kill_one(postgres: Cluster, address: Address) -> None:
    """Kill a process of the server that works for us: all of them begin anew."""
    work = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() LIMIT 1"
    [(backend,)] = postgres.run(work, address.options["dbname"])
    os.kill(int(str(backend)), signal.SIGKILL)


async def test_a_connection_that_was_lost_while_nobody_wrote_is_opened_again(
    postgres: Cluster, address: Address, decide: Decisions
) -> None:
    lost: list[int] = []
    async with open_postgres(address, lost=lost.append) as store:
        await store.record(decide.granted())
        postgres.restart()
        assert len(await store.decisions(9)) == 1
        await store.record(decide.granted())
        assert len(await sound(store)) == 2
    assert lost == []


@pytest.fixture
def between(postgres: Cluster, address: Address) -> object:
    with relay(postgres) as made:
        yield made, other(address, port=str(made.port))


@pytest.mark.parametrize("cut", [Cut.BEFORE_COMMIT, Cut.AFTER_COMMIT])
async def test_what_is_in_doubt_when_a_connection_is_lost_is_recorded_once(
    between: tuple[Relay, Address], decide: Decisions, cut: Cut
) -> None:
    path, address = between
    async with asyncio.timeout(SECONDS), open_postgres(address) as store:
        first, *rest = [decide.granted() for _ in range(30)]
        await store.record(first)
        path.cut = cut
        await asyncio.gather(*(store.record(each) for each in rest))
        path.cut = cut
        await store.settle(first.id, Effect.DONE, at=NOON)  # without an entry of its own
        path.cut = cut
        await store.keep_checkpoint(b"sealed", 1, NOON)
        assert path.cuts == 3
        assert [each.decision.id for each in await store.decisions(99)] == [each.id for each in (first, *rest)]
        assert [each.decision.id for each in await store.owed()] == [each.id for each in rest]
        assert await store.checkpoints() == [b"sealed"]
        await sound(store)


async def test_what_becomes_of_a_doubt_that_nobody_waits_for_is_told(
    between: tuple[Relay, Address], postgres: Cluster, decide: Decisions
) -> None:
    path, address = between
    async with asyncio.timeout(SECONDS), open_postgres(address) as store:
        await store.record(decide.granted())
        path.cut = Cut.AFTER_COMMIT
        path.server = (postgres.address, 1)  # nobody listens there: the next connection fails
        made = decide.granted()
        with pytest.raises(StoreUnavailable):
            await store.record(made)
        path.server = (postgres.address, postgres.port)
        with capture_logs() as told:
            await store.record(decide.granted())
        assert [(each["event"], each["recorded"]) for each in told if each["event"] == "store_doubt_settled"] == [
            ("store_doubt_settled", True)
        ]
        assert await store.known([made.id]) == {(made.id, made.at)}
        assert len(await sound(store)) == 3


async def test_a_server_that_hangs_keeps_nobody_waiting(postgres: Cluster, address: Address, decide: Decisions) -> None:
    async with asyncio.timeout(SECONDS), open_postgres(replace(address, patience=1.0)) as store:
        await store.record(first := decide.granted())
        await store.decisions(1)
        postgres.signal(signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):  # whoever asks has a limit of their own
                    await store.decisions(1)
            write = asyncio.gather(*(store.record(decide.granted()) for _ in range(3)), return_exceptions=True)
            with pytest.raises(StoreUnavailable):
                await store.decisions(1)
            assert [type(each) for each in await write] == [StoreUnavailable] * 3
        finally:
            postgres.signal(signal.SIGCONT)
        await store.record(last := decide.granted())
        found = [each.decision.id for each in await store.decisions(9)]
        assert (found[0], found[-1]) == (first.id, last.id)
        await sound(store)


async def test_a_reader_that_gives_up_leaves_the_store_in_order(address: Address, decide: Decisions) -> None:
    async with open_postgres(address) as store:
        await store.record(decide.granted())
        reads = [asyncio.create_task(store.decisions(1)) for _ in range(20)]
        await asyncio.sleep(0)
        for each in reads[::2]:
            each.cancel()
        done = await asyncio.gather(*reads, return_exceptions=True)
        assert [type(each) for each in done] == [asyncio.CancelledError, list] * 10


# -- what is wrong is told -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed,fact,mend",
    [
        ({"port": "1"}, "port 1 failed", "start PostgreSQL"),
        ({"password": "wrong-secret"}, "password authentication failed", "mend role, password"),
        ({"dbname": "absent"}, "does not exist", "mend role, password and database"),
    ],
)
async def test_a_database_that_cannot_be_used_is_told_with_its_mend(
    address: Address, changed: dict[str, str], fact: str, mend: str
) -> None:
    for read in (False, True):
        with pytest.raises(StoreUnavailable) as caught:
            async with read_postgres(other(address, **changed)) if read else open_postgres(other(address, **changed)):
                pass
        assert fact in caught.value.message
        assert mend in caught.value.mend
        assert "secret" not in str(caught.value)


async def test_a_database_that_may_only_be_read_is_told(address: Address, decide: Decisions) -> None:
    async with open_postgres(other(address, options="-c default_transaction_read_only=on")) as store:
        with pytest.raises(StoreUnavailable, match="name the primary"):
            await store.record(decide.granted())


@pytest.mark.parametrize(
    "error,mend",
    [
        (errors.DiskFull(), "make room on its disk"),
        (errors.TooManyConnections(), "max_connections"),
        (errors.ReadOnlySqlTransaction(), "name the primary"),
        (errors.SerializationFailure(), "ask again"),
        (errors.LockNotAvailable(), "another node has held the log"),
        (errors.QueryCanceled(), "too slow"),
        (errors.AdminShutdown(), "it was ended or starts"),
        (errors.InsufficientPrivilege(), "own the database's tables"),
        (errors.DataCorrupted(), "restore it from a backup"),
        (errors.IoError(), "its disk"),
        (errors.SyntaxError(), "see the message"),
        (errors.InterfaceError("closed"), "see the message"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_every_fault_has_a_mend(error: psycopg.Error, mend: str) -> None:
    assert mend in Address({}).mend(error)


async def test_one_that_is_refused_befalls_nobody_else(address: Address, decide: Decisions) -> None:
    lost: list[int] = []
    async with open_postgres(address, lost=lost.append) as store:
        first, made = decide.granted(), [decide.granted() for _ in range(5)]
        await store.record(first)
        done = await asyncio.gather(*(store.record(each) for each in (*made, first)), return_exceptions=True)
        assert [type(each) for each in done] == [type(None)] * 5 + [StoreUnavailable]
        assert "already exists" in str(done[-1])
        assert {each.decision.id for each in await store.decisions(9)} == {each.id for each in (first, *made)}
        assert (store.log_size, lost) == (6, [1])


async def test_a_node_waits_for_the_layout_that_the_main_service_makes(url: str) -> None:
    address = Address.of(url)
    error = await refusal(address, main=False)
    assert "start the service once" in error.mend
    async with open_postgres(address) as store, store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        async with open_postgres(address, main=False):
            pass


def differences(connection: Connection) -> Sequence[object]:
    """Return where the tables differ from what the code expects, but for the order that it asks for by name."""
    found = compare_metadata(MigrationContext.configure(connection), metadata)
    return [each for each in found if "rowid" not in repr(each)]


async def test_a_log_that_was_cut_back_is_not_gone_on_with(postgres: Cluster, address: Address, laid_out: str, decide: Decisions) -> None:
    async with open_postgres(address) as store:
        for _ in range(3):
            await store.record(decide.granted())
        postgres.run("DELETE FROM entries WHERE number > 0; UPDATE edge SET size = 1, hashes = (SELECT leaf_hash FROM entries)", laid_out)
        with pytest.raises(StoreUnavailable, match="has become shorter"):
            await store.record(decide.granted())
    postgres.run("UPDATE entries SET leaf_hash = '\\x00'", laid_out)
    assert "is damaged at its end" in (await refusal(address)).message


async def test_a_database_that_sorts_in_another_way_is_refused(postgres: Cluster) -> None:
    postgres.run("CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")
    assert "LOCALE 'C'" in (await refusal(Address.of(postgres.url("sorted")))).mend
    postgres.drop("sorted")


# -- the URL -------------------------------------------------------------------------------------------


def test_a_url_is_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "url"
    put(file, b"postgresql://hub:top-secret@db.example:5433/log?sslmode=verify-full\n", 0o640)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        Address.read(file)
    file.chmod(0o600)
    read = Address.read(file)
    assert read.name == "postgresql://db.example:5433/log"
    assert "top-secret" in read.conninfo()
    assert Address.of("postgresql://hub@/log?host=/run/postgresql").name == "postgresql:///run/postgresql:5432/log"
    assert "top-secret" not in repr(read)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"mysql://top-secret",
        b"postgresql://hub:top-secret@db.example/log?nonsense=1",
        b"postgresql://[top-secret",
        b"postgresql://hub:top-secret@db.example",
    ],
)
def test_what_is_no_url_is_told_without_what_it_says(tmp_path: Path, text: bytes) -> None:
    put(tmp_path / "url", text, 0o600)
    with pytest.raises(BadSettings) as caught:
        Address.read(tmp_path / "url")
    assert "top-secret" not in str(caught.value)


@pytest.mark.parametrize("host,mode", [("db.example", "verify-full"), ("127.0.0.1", "prefer"), ("127.0.0.1,db.example", "verify-full")])
def test_what_goes_to_another_machine_is_encrypted_unless_the_url_says_otherwise(host: str, mode: str) -> None:
    assert f"sslmode={mode}" in Address.of(f"postgresql://hub@{host}/log").conninfo()
    assert "sslmode=disable" in Address.of(f"postgresql://hub@{host}/log?sslmode=disable").conninfo()


async def test_the_settings_name_it_by_its_file(postgres: Cluster, address: Address, laid_out: str, tmp_path: Path) -> None:
    del address  # emptied
    put(tmp_path / "url", postgres.url(laid_out).encode(), 0o600)
    named = Named(path=tmp_path / "unused.db", url_file=tmp_path / "url")
    async with open_named(named) as store, open_named(named, main=False) as beside, read_named(named) as reader:
        await store.note(Event(NOON, "started", {}))
        await beside.note(Event(NOON + timedelta(seconds=1), "started", {}))
        assert [each.at for each in await reader.events(9)] == [NOON, NOON + timedelta(seconds=1)]
    assert not named.path.exists()
    with pytest.raises(ValueError, match="one writer"):
        open_named(Named(path=tmp_path / "x.db"), main=False)
