"""`import` writes drafts that can be signed, signs them where the key is given, and says what is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clearinghouse.cli.importing import Written
from clearinghouse.federation.enforced.shadow import today_of
from clearinghouse.federation.published.members import read_member, read_payload
from clearinghouse.importing.gather import Format
from tests.cli.conftest import HUB, Command

LIST = "b.example # CSIRT of B\nc.example\n*.d.example\n"


@pytest.fixture
def lists(desk: Path) -> Path:
    (desk / "list.txt").write_text(LIST)
    return desk


def test_a_folder_has_drafts_whom_is_admitted_and_what_is_left(run: Command, lists: Path) -> None:
    done = run("import", "list.txt", "--community", "net", "--local", "a.example", "--output", "out")
    assert done.status == 1
    assert done.out.splitlines()[0] == "2 drafts of members, 0 refused today, 1 row left for you"
    assert "list.txt:3: *.d.example is a pattern and no domain" in done.out
    drafts = [read_payload(line) for line in (lists / "out/members.jsonl").read_bytes().splitlines()]
    assert [(each.domain, each.community, each.note) for each in drafts] == [("b.example", "net", "CSIRT of B"), ("c.example", "net", "")]
    assert today_of(json.loads((lists / "out/today/a.example.json").read_text())).inbound.allow == {"b.example", "c.example"}
    assert json.loads((lists / "out/left-over.json").read_text())["left"][0]["line"] == 3


def test_records_are_signed_with_the_registrars_key(run: Command, lists: Path) -> None:
    (lists / "list.txt").write_text("b.example\n")
    done = run("import", "list.txt", "--community", "net", "--key", "hub.key", "--output", "records.jsonl")
    assert done.status == 0
    (line,) = (lists / "records.jsonl").read_bytes().splitlines()
    found = read_member(line)
    assert (found.member.domain, found.signers) == ("b.example", (HUB.principal,))


def test_json_names_every_row(run: Command, lists: Path) -> None:
    (lists / "blocks.csv").write_text("#domain,#severity,#public_comment\nevil.example,suspend,spam\n")
    done = run("import", "list.txt", "blocks.csv", "--community", "net", "--dry-run", "--json")
    told = done.json
    assert (done.status, told["ok"], told["files"], told["errors"]) == (1, False, [], [])
    assert [each["domain"] for each in told["members"]] == ["b.example", "c.example"]
    assert told["members"][0]["places"] == ["list.txt:1"]
    assert told["refused"] == [{"domain": "evil.example", "places": ["blocks.csv:2"], "note": "suspend; spam"}]
    assert told["left"][0] | {"mend": ""} == {
        "file": "list.txt",
        "line": 3,
        "text": "*.d.example",
        "fact": "is a pattern and no domain",
        "mend": "",
    }
    assert told["today"] == [{"local": "*", "default": {"inbound": False, "outbound": False}, "unclear": False}]
    assert sorted(path.name for path in lists.iterdir() if path.suffix in {".jsonl", ".json"}) == []


def test_nothing_is_overwritten(run: Command, lists: Path) -> None:
    assert run("import", "list.txt", "--community", "net").status == 1
    again = run("import", "list.txt", "--community", "net")
    assert (again.status, "is there already, and not empty" in again.err) == (2, True)
    (lists / "out.jsonl").write_text("mine")
    assert run("import", "list.txt", "--community", "net", "--output", "out.jsonl").status == 2
    assert (lists / "out.jsonl").read_text() == "mine"


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_written(run: Command, lists: Path) -> None:
    done = run("import", "list.txt", "none.txt", "--community", "net")
    assert done.status == 2
    assert "`none.txt` cannot be read" in done.err
    assert not (lists / "imported").exists()


def test_the_community_is_asked_for(run: Command, lists: Path) -> None:  # noqa: ARG001 - its files are read
    done = run("import", "list.txt")
    assert (done.status, "nothing says for which community" in done.err) == (2, True)
    assert run("import", "list.txt", "--dry-run").status == 1


def test_names_cannot_leave_the_folder(run: Command, lists: Path) -> None:
    (lists / "e.yml").write_text("hosts: ['../../evil']\n")
    run("import", "e.yml", "--community", "net", "--output", "out")
    assert [path.name for path in (lists / "out/today").iterdir()] == ["evil.json"]


def test_the_formats_are_those_that_are_read() -> None:
    assert [each.value for each in Written] == [each.value for each in Format]
