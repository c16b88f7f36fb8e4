"""Several nodes over one PostgreSQL: they write one log, and each follows what the others write."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import psycopg
import pytest

from clearinghouse.clearing.decision import Decision
from clearinghouse.demo.postgres import Cluster
from clearinghouse.errors import StoreUnavailable
from clearinghouse.ledger.audit import verify
from clearinghouse.ledger.entry import Opening
from clearinghouse.runtime.records.logbook import write_export
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import Decided, MemberSet, Revoked, Settled
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.opening import open_postgres, read_postgres
from clearinghouse.storage.postgres.session import QUEUE, Session
from clearinghouse.storage.sql_store import SqlStore
from clearinghouse.storage.store import Effect, Event
from tests.storage.conftest import Decisions
from tests.storage.lasting import DAY, revocation
from tests.storage.test_faults import SECONDS, child, sound
from tests.storage.test_federation import MEMBER
from tests.storage.test_holdings import GOOD, policies
from tests.unit.ledger.logs import LOG, checkpoint
from tests.world import NOON

pytestmark = pytest.mark.servers

NODES, EACH = ("north", "south"), 150


async def verified(store: SqlStore) -> None:
    """Let somebody verify the log who has nothing but its export and the key that signed it."""
    entries = await sound(store)
    rows = [(each.entry, Opening(each.salt or b"", each.record or b"")) for each in entries]
    await store.keep_checkpoint(checkpoint(rows, len(rows)), len(rows), NOON)
    lines: list[bytes] = []
    await write_export(store, lines.append)
    report = verify(lines, log_key=LOG.principal)
    assert (report.problems, report.size) == ((), len(rows))


async def started(postgres: Cluster, name: str, tag: str, count: int) -> asyncio.subprocess.Process:
    node = await child(sys.executable, "-m", "tests.storage.node", tag, str(count))
    assert node.stdin is not None
    assert node.stdout is not None
    node.stdin.write(f"{postgres.url(name)}\n".encode())
    assert await asyncio.wait_for(node.stdout.readline(), SECONDS) == b"ready\n"
    return node


async def test_processes_that_write_at_once_make_one_log(postgres: Cluster, address: Address, laid_out: str, decide: Decisions) -> None:
    async with asyncio.timeout(SECONDS), open_postgres(address) as store:
        nodes = [await started(postgres, laid_out, tag, EACH) for tag in NODES]
        ours = [decide.granted() for _ in range(EACH)]
        told = asyncio.gather(*(node.communicate(b"go\n") for node in nodes))
        for each in ours:
            await store.record(each)
        answered = [line for out, _ in await told for line in out.decode().split()]
        assert len(answered) == len(NODES) * EACH
        wanted = Counter([*answered, *(each.id for each in ours)])
        assert Counter(each.decision.id for each in await store.decisions(9_999)) == wanted
        await store.note(Event(NOON, "started", {}))  # what the others wrote is known when something is written
        assert store.log_size == len(wanted) + 1
        await verified(store)
        writers = [each.entry.ref.partition("-")[0] for each in await store.entries(0, 9_999)]
        assert len([*groupby(writers)]) > 20  # nobody waits until another one has finished


async def test_two_stores_in_turn_go_on_from_each_other(address: Address, decide: Decisions) -> None:
    async with open_postgres(address) as one, open_postgres(address, main=False) as other:
        for number in range(3):
            for each in (one, other):
                await asyncio.gather(*(each.record(decide.granted(at=NOON + number * DAY)) for _ in range(90)))
        await sound(other)
        assert one.log_size >= other.log_size - 90
        await one.note(Event(NOON, "started", {}))
        assert (one.log_size, one.highest_time) == (3 * 180 + 1, NOON + 2 * DAY)


async def test_who_was_away_for_long_takes_whole_tiles(address: Address, decide: Decisions) -> None:
    async with open_postgres(address) as one, open_postgres(address, main=False) as other:
        for first in range(0, 5_000, 1_000):
            await one.write(*(Revoked(revocation(each)) for each in range(first, first + 1_000)))
        await other.record(decide.granted())
        assert (other.log_size, len(await sound(other))) == (5_001, 5_001)


async def test_a_node_follows_what_others_write_without_writing_itself(address: Address, decide: Decisions) -> None:
    async with asyncio.timeout(SECONDS), open_postgres(address) as one, open_postgres(address, main=False) as other:
        await one.record(decide.granted(at=NOON + DAY))
        looked = asyncio.Event()
        listens = asyncio.create_task(other.listen(looked.set))
        while other.log_size == 0:
            await looked.wait()
            looked.clear()
        listens.cancel()
        assert (other.highest_time, other.log_root) == (NOON + DAY, one.log_root)


async def test_what_others_decide_by_is_told_at_once(postgres: Cluster, address: Address, decide: Decisions) -> None:
    archive = Archive.of(Loader().load([policies(GOOD)], Holdings()))
    told = asyncio.Event()
    async with asyncio.timeout(SECONDS), open_postgres(address) as one, open_postgres(address, main=False) as other:
        listens = asyncio.create_task(other.listen(told.set))
        await told.wait()
        told.clear()
        await one.archive(archive, at=NOON)
        await told.wait()
        news = await other.news(0)
        while news.snapshot != archive.version:  # it had looked a moment before
            told.clear()
            await told.wait()
            news = await other.news(0)
        postgres.restart()
        told.clear()
        await one.write(MemberSet(MEMBER, "add"))
        while not await other.members_since(MEMBER.at):
            told.clear()
            await told.wait()
        listens.cancel()
        await one.record(decide.granted())
        await other.record(decide.granted())


async def test_there_is_one_main_service_and_any_number_beside_it(address: Address, decide: Decisions) -> None:
    async with open_postgres(address) as main, open_postgres(address, main=False) as one, open_postgres(address, main=False) as two:
        with pytest.raises(StoreUnavailable, match="another service works with the store"):
            async with open_postgres(address):
                pass
        for each in (main, one, two):
            await each.record(decide.granted())
    async with open_postgres(address) as store:
        assert len(await sound(store)) == 3


async def test_a_node_changes_nothing_that_is_the_main_services(address: Address, decide: Decisions) -> None:
    made = decide.granted()
    async with open_postgres(address) as main, open_postgres(address, main=False) as node:
        await node.write(Decided(made))
        with pytest.raises(StoreUnavailable, match="only the main service"):
            await node.write(Settled(made.id, Effect.DONE, NOON))
        await node.note(Event(NOON, "started", {}))
        for write in (node.write(Revoked(revocation(1))), node.write(MemberSet(MEMBER, "add")), node.keep_checkpoint(b"1", 1, NOON)):
            with pytest.raises(StoreUnavailable, match="only the main service"):
                await write
        with pytest.raises(StoreUnavailable, match="only the main service"):
            await node.erase(NOON)
        await main.write(Revoked(revocation(1)))
        assert len(await sound(main)) == 3


async def test_a_node_that_stops_within_a_transaction_keeps_the_others_for_seconds_only(address: Address, decide: Decisions) -> None:
    stopped = Session(address, main=False)
    async with asyncio.timeout(SECONDS), open_postgres(address) as store:
        link = stopped.link()
        for text in ("BEGIN", QUEUE, "SELECT 1 FROM edge FOR UPDATE"):
            link.execute(text.encode())
        await store.record(decide.granted())
        with pytest.raises(psycopg.Error, match="idle-in-transaction"):
            link.execute(b"SELECT 1")
    stopped.close()


async def test_whoever_looks_sees_the_log_as_it_is_and_writes_nothing(address: Address, decide: Decisions) -> None:
    async with open_postgres(address) as store, read_postgres(address) as reader:
        await store.record(decide.granted())
        [found] = await reader.decisions(1)
        with pytest.raises(StoreUnavailable, match="not open for writing"):
            await reader.settle(found.decision.id, Effect.DONE, at=NOON)
        async with reader.site.errors(), reader.engine.connect() as connection:
            with pytest.raises(Exception, match="read-only transaction"):
                await connection.exec_driver_sql("DELETE FROM decisions")
    async with read_postgres(address) as reader:
        assert (reader.log_size, reader.log_root) == (store.log_size, store.log_root)


def ids(made: Sequence[Decision]) -> list[str]:
    return [each.id for each in made]


def at_the_door(decision: Decision) -> Decision:
    """Return *decision* as one that a door made: nothing follows from it."""
    return replace(decision, request=replace(decision.request, place=None))


RIGHTS = Path(__file__).parents[2] / "docs" / "how-to" / "operate.md"


def let_in(postgres: Cluster, address: Address, name: str) -> Address:
    """Return the address of a node with the rights that the guide gives it in the database *name*, and no more."""
    rights = RIGHTS.read_text().partition("```postgresql\nCREATE ROLE clearinghouse_node LOGIN;")[2].partition("```")[0]
    if not postgres.run("SELECT 1 FROM pg_roles WHERE rolname = 'clearinghouse_node'"):
        postgres.run("CREATE ROLE clearinghouse_node LOGIN PASSWORD 'node'")
    if not postgres.run("SELECT 1 FROM pg_trigger WHERE tgname = 'has_an_effect'", name):
        postgres.run(rights, name)
    return replace(address, options={**address.options, "user": "clearinghouse_node", "password": "node"})


async def test_a_node_needs_no_more_rights_than_the_guide_gives_it(
    postgres: Cluster, address: Address, laid_out: str, decide: Decisions
) -> None:
    node = let_in(postgres, address, laid_out)
    now = datetime.now(UTC)
    made = [at_the_door(decide.granted(at=now)) for _ in range(20)]
    async with open_postgres(address) as main:
        async with open_postgres(node, main=False) as store:
            await asyncio.gather(*(store.record(each) for each in made))
            await store.note(Event(now, "started", {}))
        with psycopg.connect(node.conninfo()) as connection:
            more = "UPDATE decisions SET effect = 'owed'", "DELETE FROM decisions", "UPDATE members SET serial = 9"
            for text in (*more, "UPDATE entries SET record = NULL"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute(text.encode())
        assert [each.decision.id for each in await main.decisions(99)] == ids(made)


async def test_r10_a_stolen_node_makes_the_service_let_nobody_in(
    postgres: Cluster, address: Address, laid_out: str, decide: Decisions
) -> None:
    """A decision that is owed to a broker is carried out by the main service, whoever wrote it down."""
    node, now = let_in(postgres, address, laid_out), datetime.now(UTC)
    async with open_postgres(address) as main:
        async with open_postgres(node, main=False) as store:
            for forged in (decide.granted(at=now), decide.pending(at=now)):  # both have a place, one an effect
                with pytest.raises(StoreUnavailable):
                    await store.record(forged)
            await store.record(at_the_door(decide.granted(at=now)))
        assert await main.owed() == []
        assert len(await main.decisions(99)) == 1


async def test_r17_a_node_whose_clock_runs_ahead_stops_nobody_else(
    postgres: Cluster, address: Address, laid_out: str, decide: Decisions
) -> None:
    """The highest time that was ever recorded is everybody's: who is behind it decides nothing."""
    node, now = let_in(postgres, address, laid_out), datetime.now(UTC)
    async with open_postgres(address) as main:
        async with open_postgres(node, main=False) as store:
            with pytest.raises(StoreUnavailable):
                await store.record(at_the_door(decide.granted(at=now + DAY)))
            await store.record(at_the_door(decide.granted(at=now)))
        assert len(await main.decisions(99)) == 1
    async with read_postgres(address) as reader:
        assert reader.highest_time == now
