"""The log of a real store, written by what the service writes: exported, verified, proven, erased, verified again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.clearing.cases import Revocation, RevocationKind
from clearinghouse.ledger import audit
from clearinghouse.ledger.checkpoint import Checkpoint, receipt_bytes, seal_checkpoint, verify_receipt
from clearinghouse.ledger.entry import Kind
from clearinghouse.runtime.records.logbook import latest, receipt_of, write_export
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import CredentialAdded, CredentialWithdrawn, Decided, Noted, Repeated, Revoked
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.opening import open_postgres
from clearinghouse.storage.sql_store import open_store
from clearinghouse.storage.store import Event, Store
from tests.cli.conftest import Command
from tests.unit.ledger.logs import LOG
from tests.world import NOON, Community

ANN = "ann@a.example"
WRITTEN = 9
KINDS = [
    Kind.SERVICE,
    Kind.POLICY_CHANGED,
    Kind.DECISION,
    Kind.DECISION,
    Kind.DECISION,
    Kind.CREDENTIAL_ADDED,
    Kind.REVOCATION,
    Kind.CREDENTIAL_WITHDRAWN,
    Kind.SERVICE,
]
SETTINGS = """
community = "csirt-net"
[[broker]]
jid = "pubsub.hub.example"
component = "clearinghouse.hub.example"
secret_file = "secret"
[[topic]]
node = "incidents"
broker = "pubsub.hub.example"
payload_type = "urn:ietf:params:xml:ns:iodef-2.0"
publishers = ["provider@hub.example"]
[store]
path = "store.db"
"""


async def sign(store: Store, *, days: int = 0) -> bytes:
    """Do what the keeper of the log does."""
    checkpoint = Checkpoint("csirt-net", store.log_size, store.log_root, NOON + timedelta(days=days))
    sealed = seal_checkpoint(checkpoint, LOG)
    await store.keep_checkpoint(sealed, checkpoint.size, checkpoint.at)
    return sealed


async def fill(store: Store) -> None:
    sim = Community()
    policy = sim.policy("hub", 'topic == "incidents" && domain == "a.example"')
    credential = sim.delegate("hub", to=ANN)
    version = sim.ready().snapshot.version
    await store.archive(Archive(version, {"topics": (("", policy.raw),)}, (("", credential.raw),)), at=NOON)
    await store.note(Event(NOON, "started", {}))
    await store.note(Event(NOON, "policy-changed", {"before": "", "after": version}))
    for jid in (ANN, "eve@c.example", "bob@a.example"):
        await store.write(Decided(sim.asks(jid), took=timedelta(milliseconds=2)))
    await sign(store)
    barred = Revocation("1", NOON, RevocationKind.HOLDER, f"{ANN} incidents", "hub")
    await store.write(CredentialAdded("ab" * 32, b"text", "unix:root", NOON), Revoked(barred))
    await store.write(CredentialWithdrawn("ab" * 32, "unix:root", NOON), Noted(Event(NOON, "stopped", {})))
    await sign(store, days=1)


@pytest.fixture(params=["memory", "sql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        memory = MemoryStore()
        await fill(memory)
        yield memory
        return
    async with open_store(tmp_path / "store.db") as opened:
        await fill(opened)
        yield opened


async def verified(store: Store, *earlier: bytes) -> audit.Report:
    lines: list[bytes] = []
    await write_export(store, lines.append, chunk=4)
    return audit.verify(lines, log_key=LOG.principal, earlier=earlier)


async def test_everything_that_is_written_is_in_the_log_and_holds(store: Store) -> None:
    report = await verified(store)
    assert report.ok
    assert (report.origin, report.size, report.checkpoints) == ("csirt-net", WRITTEN, 2)
    assert [each.entry.kind for each in await latest(store, 100)] == KINDS


async def test_a_decision_is_proven_by_its_id(store: Store) -> None:
    (recorded, *_) = await store.decisions(3)
    receipt = await receipt_of(store, recorded.decision.id)
    entry = verify_receipt(receipt_bytes(receipt), LOG.principal)
    assert (entry.kind, entry.ref, entry.number) == (Kind.DECISION, recorded.decision.id, 2)
    assert receipt.opening is not None
    assert json.loads(receipt.opening.record)["outcome"] == "granted"


async def test_an_answer_that_repeats_a_decision_is_proven_by_its_own_id_and_by_what_the_log_lists(store: Store) -> None:
    (recorded, *_) = await store.decisions(3)
    answers = (("0123456789aa", NOON), ("0123456789ab", NOON))
    await store.write(Repeated("0123456789", recorded.decision.id, NOON, answers), Repeated("cd" * 8, recorded.decision.id, NOON))
    await sign(store, days=2)
    for about in ("0123456789ab", "0123456789aa", "0123456789", "cd" * 6):
        entry = verify_receipt(receipt_bytes(await receipt_of(store, about)), LOG.principal)
        assert entry.kind == Kind.REPEATED
        assert entry.ref.startswith(about[:10])


async def test_what_was_erased_no_longer_tells_and_still_holds(store: Store) -> None:
    before = await store.checkpoints()
    await store.erase(NOON + timedelta(days=1))
    await sign(store, days=2)
    report = await verified(store, *before)
    assert report.ok
    assert report.erased >= WRITTEN - 2
    assert not report.unexplained
    lines: list[bytes] = []
    await write_export(store, lines.append)
    assert b"eve@" not in b"".join(lines)
    assert (await latest(store, 1))[0].entry.kind is Kind.ERASED


# -- on the command line ------------------------------------------------------------------------------


@pytest.fixture
def house(desk: Path) -> Path:
    """Make settings, and the store that they name, beside each other."""

    async def work() -> None:
        async with open_store(desk / "store.db") as opened:
            await fill(opened)

    (desk / "clearinghouse.toml").write_text(SETTINGS)
    (desk / "log.pub").write_text(LOG.principal + "\n")
    asyncio.run(work())
    return desk


@pytest.mark.usefixtures("house")
def test_the_log_is_shown(run: Command) -> None:
    found = run("log", "show")
    assert (found.status, found.err) == (0, "")
    header, *shown = found.out.splitlines()
    assert header.split() == ["entry", "UTC", "kind", "about", "record"]
    assert [row.split()[3] for row in shown if row[0] != " "] == KINDS
    assert all(len(row) <= 80 for row in found.out.splitlines())
    told = run("log", "show", "--last", "5", "--json").json
    assert [each["number"] for each in told["entries"]] == [4, 5, 6, 7, 8]
    assert told["entries"][0]["record"]["outcome"] == "refused"


def test_the_log_is_exported_once_and_verified(run: Command, house: Path) -> None:
    found = run("log", "export", "today.log")
    assert (found.status, found.out, found.err) == (0, "", "9 entries of the log of `csirt-net` are in today.log\n")
    assert run("log", "verify", "today.log", "--log-key", "log.pub").status == 0
    again = run("log", "export", "today.log")
    assert again.status == 2
    assert "`today.log` exists already" in again.err
    assert run("log", "export", "-").out.encode() == (house / "today.log").read_bytes()
    assert run("log", "export", "other.log", "--json").json["size"] == WRITTEN
    assert run("log", "export", "-", "--json").json["error"]["code"] == "bad-settings"


def test_a_decision_is_proven(run: Command, house: Path) -> None:
    identity = run("decisions", "--json").json["decisions"][0]["id"]
    assert run("log", "prove", identity, "-o", "receipt.json").status == 0
    told = run("log", "check-receipt", "receipt.json", "--log-key", "log.pub", "--json").json
    assert (told["entry"]["ref"], told["record"]["value"]) == (identity, "allow")
    assert run("log", "prove", identity).out.encode() == (house / "receipt.json").read_bytes()
    assert run("log", "prove", identity, "-o", "other.json", "--json").json["entry"]["ref"] == identity
    assert run("log", "prove", identity, "--json").json["error"]["code"] == "bad-settings"


@pytest.mark.usefixtures("house")
def test_nothing_is_proven_for_an_empty_id(run: Command) -> None:
    found = run("log", "prove", "")
    assert (found.status, found.out) == (2, "")
    assert "`` is no id" in found.err
    absent = run("log", "prove", "nothing")
    assert absent.status == 2
    assert "`nothing` names no entry of the log" in absent.err


@pytest.mark.usefixtures("house")
def test_every_decision_is_the_same_again(run: Command) -> None:
    found = run("log", "replay")
    assert (found.status, found.err) == (0, "")
    assert "3 decided the same again" in found.out
    told = run("log", "replay", "--json").json
    assert (told["ok"], told["counts"]["agrees"], told["differences"]) == (True, 3, [])


@pytest.mark.servers
def test_the_same_commands_read_a_store_in_postgresql(run: Command, desk: Path, url: str) -> None:
    async def work() -> None:
        async with open_postgres(Address.of(url)) as opened:
            await fill(opened)

    asyncio.run(work())
    (desk / "clearinghouse.toml").write_text(SETTINGS.replace('path = "store.db"', 'url_file = "store.url"'))
    (desk / "log.pub").write_text(LOG.principal + "\n")
    (desk / "store.url").write_text(url)
    (desk / "store.url").chmod(0o640)
    assert run("decisions", "--json").json["error"]["code"] == "unsafe-file"
    (desk / "store.url").chmod(0o600)
    assert [each["outcome"] for each in run("decisions", "--json").json["decisions"]] == ["granted", "refused", "refused"]
    assert run("log", "replay", "--json").json["counts"]["agrees"] == 3
    assert run("log", "export", "today.log", "--json").json["size"] == WRITTEN
    assert run("log", "verify", "today.log", "--log-key", "log.pub").status == 0
    assert "in PostgreSQL" in run("serve", "--check").out
    assert not (desk / "clearinghouse.db").exists()


def change(house: Path, statement: str) -> None:
    with closing(sqlite3.connect(house / "store.db")) as connection, connection:
        connection.execute(statement)


def exported(run: Command) -> str:
    run("log", "export", "forged.log")
    return run("log", "verify", "forged.log", "--log-key", "log.pub").out


def replayed(run: Command) -> str:
    return run("log", "replay").out


FORGERIES: dict[str, tuple[str, Callable[[Command], str]]] = {
    "an entry's time": ("UPDATE entries SET at = '2026-11-21T12:00:00.000000+00:00' WHERE number = 3", exported),
    "an entry's record": ("UPDATE entries SET record = CAST(replace(record, 'refused', 'granted') AS BLOB) WHERE number = 3", exported),
    "an entry's record, into none": ("UPDATE entries SET record = x'ff00' WHERE number = 3", exported),
    "a decision": ("UPDATE decisions SET value = 'allow', outcome = 'granted' WHERE number = 2", replayed),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_is_changed_in_the_database_is_found(run: Command, house: Path, name: str) -> None:
    statement, look = FORGERIES[name]
    assert "✘" not in look(run)
    (house / "forged.log").unlink(missing_ok=True)
    change(house, statement)
    found = look(run)
    assert "✘" in found
    assert ("entry 3" in found and "(changed)" in found) or "in the log outcome `refused`" in found
