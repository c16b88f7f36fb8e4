from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from clearinghouse.clearing.people import NoSuchThing
from clearinghouse.cli.logbook import fresh, tell_entries
from clearinghouse.errors import BadSettings
from clearinghouse.keynote.principals import short
from clearinghouse.ledger.book import NothingSigned
from clearinghouse.ledger.checkpoint import Receipt, open_receipt, receipt_bytes
from clearinghouse.ledger.entry import Entry, leaf
from clearinghouse.ledger.merkle import leaf_hash
from clearinghouse.runtime.records.logbook import NotSignedYet, latest, receipt_of, write_export
from clearinghouse.storage.store import Recorded
from tests.cli.conftest import Command
from tests.unit.ledger.logs import LOG, OTHER, Row, checkpoint, export, hashes, rows

LOG_ROWS = rows(12)
KEY = ("--log-key", LOG.principal)


@dataclass(frozen=True, slots=True)
class Kept:
    entry: Entry
    leaf_hash: bytes
    salt: bytes | None
    record: bytes | None


@dataclass
class MemoryLog:
    """The log methods of the store, on rows; there are no decisions."""

    rows: Sequence[Row]
    sealed: Sequence[bytes] = ()

    @property
    def log_size(self) -> int:
        return len(self.rows)

    async def entries(self, first: int, last: int) -> Sequence[Kept]:
        return [kept(each) for each in self.rows[first : last + 1]]

    async def leaf_hashes(self, size: int) -> Sequence[bytes]:
        return hashes(self.rows[:size])

    async def entry_of(self, ref: str) -> Kept | None:
        return next((kept(each) for each in self.rows if each[0].ref == ref), None)

    async def checkpoints(self) -> Sequence[bytes]:
        return self.sealed

    async def decision(self, identity: str) -> Recorded | None:
        del identity
        return None


def kept(row: Row) -> Kept:
    entry, opening = row
    return Kept(entry, leaf_hash(leaf(entry)), opening.salt if opening else None, opening.record if opening else None)


@pytest.fixture
def log(desk: Path) -> Path:
    path = desk / "today.log"
    path.write_bytes(export(LOG_ROWS, 5, 12).raw)
    return path


# -- verify -------------------------------------------------------------------------------------------


def test_a_whole_log_is_verified_offline(run: Command, log: Path) -> None:
    found = run("log", "verify", log.name, *KEY)
    assert (found.status, found.err) == (0, "")
    assert "12 entries of the log of `hub.example` are as they were signed at 2026-11-20T12:00:12.000000Z" in found.out
    told = run("log", "verify", log.name, *KEY, "--json").json
    assert (told["ok"], told["size"], told["erased"], told["checkpoints"], told["problems"]) == (True, 12, 0, 2, [])
    assert told["last"]["size"] == 12


def test_the_key_may_stand_in_a_file(run: Command, log: Path, desk: Path) -> None:
    (desk / "log.pub").write_text(LOG.principal + "\n")
    assert run("log", "verify", log.name, "--log-key", "log.pub").status == 0


def test_standard_input_is_a_file(run: Command, log: Path) -> None:
    assert run("log", "verify", "-", *KEY, given=log.read_bytes()).status == 0


def test_a_flipped_byte_is_named_by_entry_and_line(run: Command, log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b"12:00:03", b"12:00:04", 1))
    found = run("log", "verify", log.name, *KEY)
    assert found.status == 1
    assert "entry 3, line 5: the entry, its hash and its record do not fit each other (changed)" in found.out
    assert "the hashes of the first 12 entries are those that were signed at 2026-11-20T12:00:12" in found.out
    told = run("log", "verify", log.name, *KEY, "--json").json
    assert [(each["code"], each["place"], each["line"]) for each in told["problems"]] == [("changed", "entry 3", 5)]


def test_a_truncated_log_is_named(run: Command, log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-700])
    assert "(truncated)" in run("log", "verify", log.name, *KEY).out


def test_another_key_verifies_nothing(run: Command, log: Path) -> None:
    told = run("log", "verify", log.name, "--log-key", OTHER.principal, "--json")
    assert told.status == 1
    assert {each["code"] for each in told.json["problems"]} == {"bad-signature"}


@pytest.mark.parametrize("kind", ["export", "receipt", "checkpoint"])
def test_a_history_that_was_signed_anew_is_found_from_whatever_was_kept(run: Command, log: Path, desk: Path, kind: str) -> None:
    other = [*LOG_ROWS[:4], *rows(12, about="another")[4:]]
    kept_files = {
        "export": export(LOG_ROWS, 5).raw,
        "receipt": receipt_bytes(Receipt(LOG_ROWS[4][0], (), checkpoint(LOG_ROWS, 5))),
        "checkpoint": checkpoint(LOG_ROWS, 5) + b"\n",
    }
    (desk / "kept").write_bytes(kept_files[kind])
    assert run("log", "verify", log.name, *KEY, "--earlier", "kept").status == 0
    log.write_bytes(export(other, 12).raw)
    assert run("log", "verify", log.name, *KEY).status == 0
    found = run("log", "verify", log.name, *KEY, "--earlier", "kept")
    assert found.status == 1
    assert "earlier checkpoint 1, from kept: at 2026-11-20T12:00:05.000000Z the log had 5 entries, and other ones than here" in found.out
    assert "(log-fork)" in found.out


@pytest.mark.parametrize(
    "words, said",
    [
        (("absent.log", *KEY), "absent.log"),
        ((".", *KEY), "is no file"),
        (("today.log", "--log-key", "hub"), "`hub` is no key"),
        (("today.log", *KEY, "--earlier", "topic.kn"), "`topic.kn` is not JSON"),
        (("today.log", *KEY, "--earlier", "other.json"), "`other.json` has no checkpoint"),
    ],
)
@pytest.mark.usefixtures("log")
def test_what_cannot_be_read_is_an_error(run: Command, desk: Path, words: tuple[str, ...], said: str) -> None:
    (desk / "other.json").write_text("{}")
    found = run("log", "verify", *words)
    assert (found.status, found.out) == (2, "")
    assert said in found.err


def test_hostile_text_is_escaped(run: Command, desk: Path) -> None:
    (desk / "hostile.log").write_bytes(b'{"\x1b[2J\xe2\x80\xae":1}\n')
    found = run("log", "verify", "hostile.log", *KEY)
    assert found.status == 1
    assert "\x1b" not in found.out
    assert "\u202e" not in found.out


# -- receipts -----------------------------------------------------------------------------------------


async def test_a_receipt_is_made_of_the_store_and_checked_offline(run: Command, desk: Path) -> None:
    store = MemoryLog(LOG_ROWS, [checkpoint(LOG_ROWS, 5), checkpoint(LOG_ROWS, 9)])
    receipt = await receipt_of(store, LOG_ROWS[7][0].ref)
    assert open_receipt(receipt_bytes(receipt), LOG.principal)[0].entry == LOG_ROWS[7][0]
    (desk / "receipt.json").write_bytes(receipt_bytes(receipt) + b"\n")
    found = run("log", "check-receipt", "receipt.json", *KEY)
    assert found.status == 0
    assert "entry 7 of the log of `hub.example`" in found.out
    assert '"who": "xmpp:***@a.example"' in found.out
    told = run("log", "check-receipt", "receipt.json", *KEY, "--json").json
    assert (told["entry"]["number"], told["record"]["number"], told["checkpoint"]["size"]) == (7, 7, 9)


async def test_a_receipt_that_does_not_hold_is_an_error(run: Command, desk: Path) -> None:
    receipt = await receipt_of(MemoryLog(LOG_ROWS, [checkpoint(LOG_ROWS, 9)]), LOG_ROWS[7][0].ref)
    (desk / "receipt.json").write_bytes(receipt_bytes(receipt).replace(b'"number":7', b'"number":6'))
    found = run("log", "check-receipt", "receipt.json", *KEY)
    assert found.status == 2
    assert "entry 6 is not in the log of `hub.example`" in found.err


async def test_there_is_no_receipt_before_the_next_checkpoint() -> None:
    for sealed in ([], [checkpoint(LOG_ROWS, 7)]):
        with pytest.raises(NotSignedYet):
            await receipt_of(MemoryLog(LOG_ROWS, sealed), LOG_ROWS[7][0].ref)


async def test_there_is_no_receipt_of_what_is_not_in_the_log() -> None:
    with pytest.raises(NoSuchThing):
        await receipt_of(MemoryLog(LOG_ROWS, [checkpoint(LOG_ROWS, 9)]), "3f2a")


# -- the store ----------------------------------------------------------------------------------------


async def test_the_export_is_what_the_ledger_makes_of_the_store() -> None:
    lines: list[bytes] = []
    last = await write_export(MemoryLog(LOG_ROWS, [checkpoint(LOG_ROWS, 5), checkpoint(LOG_ROWS, 11)]), lines.append, chunk=5)
    assert tuple(lines) == export(LOG_ROWS, 5, 11).lines
    assert last.size == 11


async def test_nothing_is_exported_that_nobody_signed() -> None:
    with pytest.raises(NothingSigned):
        await write_export(MemoryLog(LOG_ROWS), print)


async def test_the_latest_entries_are_shown_oldest_first(capsys: pytest.CaptureFixture[str]) -> None:
    found = await latest(MemoryLog([*LOG_ROWS[:11], (LOG_ROWS[11][0], None)]), 2)
    assert [each.entry.number for each in found] == [10, 11]
    assert len(await latest(MemoryLog(LOG_ROWS), 100)) == 12
    tell_entries(found)
    rows_shown = capsys.readouterr().out.splitlines()
    assert rows_shown[1].split()[:2] == ["10", "2026-11-20"]
    assert rows_shown[2].split()[-1] == "erased"
    assert Console().width >= max(map(len, rows_shown))


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with suppress(KeyError), fresh(path) as target:
        target.write(b"half")
        raise KeyError
    assert not path.exists()
    with fresh(path) as target:
        target.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadSettings, match="exists already"), fresh(path):
        pass
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("command", ["show", "export", "verify", "prove", "check-receipt", "replay"])
def test_help_is_a_page_with_an_example_and_the_exit_status(run: Command, command: str) -> None:
    page = run("log", command, "--help")
    assert page.status == 0
    assert f"  clearinghouse log {command} " in page.out
    assert "Exit status: 0 " in page.out
    assert all(len(line) <= 80 for line in page.out.splitlines())


def test_the_list_of_commands_tells_each_in_one_line(run: Command) -> None:
    page = run("log", "--help").out
    assert "..." not in page.partition("Commands:")[2]


@pytest.mark.parametrize("group", ["log", "credentials"])
def test_a_group_alone_says_where_its_commands_are_listed(run: Command, group: str) -> None:
    found = run(group)
    assert (found.status, found.out) == (2, "")
    assert found.err == f"error: missing command\n  `clearinghouse {group} --help` lists what there is\n"


def test_what_an_option_of_a_group_lacks_is_said_with_the_page_that_has_it(run: Command, log: Path) -> None:
    assert "`clearinghouse log verify --help`" in run("log", "verify", log.name).err


def test_whoever_gives_another_key_is_asked_whether_it_is_the_logs(run: Command, log: Path) -> None:
    found = run("log", "verify", log.name, "--log-key", OTHER.principal)
    assert found.status == 1
    assert f"  signatures were checked with the key {short(OTHER.principal)}: is it the log's?\n" in found.out


def test_errors_are_told_as_json(run: Command, log: Path) -> None:
    told = run("log", "verify", "absent.log", *KEY, "--json")
    assert (told.status, told.json["command"], told.json["ok"]) == (2, "log", False)
    assert json.loads(told.out)["error"]["code"] == "bad-settings"
    assert run("log", "verify", log.name).status == 2
