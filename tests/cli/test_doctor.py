"""`doctor` tells findings for people and programs, and ends with 1 where there is more than a note."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.doctor.checks import ALL
from tests.cli.conftest import Command
from tests.cli.test_pages import documented
from tests.docs.pages import ROOT, table_rows

BAD = 'modules_enabled = { "dialback", "clearinghouse" }\nVirtualHost "a.example"\n'
GOOD = """
plugin_paths = { "." }
modules_enabled = { "tls" }
s2s_secure_auth = true
"""


def test_findings_are_told_the_worst_first_with_their_mend(run: Command, desk: Path) -> None:
    (desk / "prosody.cfg.lua").write_text(BAD)
    done = run("doctor", "--prosody", "prosody.cfg.lua")
    assert done.status == 1
    lines = done.out.splitlines()
    assert lines[0] == "danger D101 prosody-unproven-peers"
    assert "prosody.cfg.lua:2: `a.example` believes servers without a valid certificate" in done.out
    assert lines[-1] == "4 dangers, 2 warnings, 1 note in the configuration of Prosody"


def test_json_has_the_same(run: Command, desk: Path) -> None:
    (desk / "prosody.cfg.lua").write_text(BAD)
    told = run("doctor", "--prosody", "prosody.cfg.lua", "--json").json
    assert told["summary"] == {"danger": 4, "warning": 2, "note": 1}
    assert told["inspected"] == ["the configuration of Prosody"]
    assert [each["id"] for each in told["findings"]] == ["D101", "D104", "D109", "D112", "D102", "D113", "D108"]
    assert set(told["findings"][0]) == {"id", "name", "severity", "where", "finding", "mend"}


@pytest.mark.parametrize("more", ["", "if x then y = 1 end\n"])
def test_notes_leave_the_status_at_0(run: Command, desk: Path, more: str) -> None:
    (desk / "prosody.cfg.lua").write_text(GOOD + more)
    done = run("doctor", "--prosody", "prosody.cfg.lua")
    said = "1 note" if more else "nothing unsafe"
    assert (done.status, done.out.splitlines()[-1]) == (0, f"{said} in the configuration of Prosody")


def test_something_has_to_be_named(run: Command, desk: Path) -> None:
    done = run("doctor")
    assert (done.status, "nothing says what to inspect" in done.err) == (2, True)
    (desk / "agent.toml").write_text("no settings")
    assert "agent.toml" in run("doctor").err


def test_hostile_names_do_no_harm(run: Command, desk: Path) -> None:
    (desk / "prosody.cfg.lua").write_text('VirtualHost "\\27[2J\u202e"\n')
    done = run("doctor", "--prosody", "prosody.cfg.lua")
    assert done.status == 1
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out


def test_the_page_lists_every_check() -> None:
    rows = list(table_rows(ROOT / "docs/reference/doctor.md", "id", "name", "severity", "what is unsafe", "mend"))
    assert rows == [(each.id, f"`{each.name}`", each.severity.value, each.about, each.mend) for each in ALL.values()]


@pytest.mark.parametrize(
    "words",
    [
        ("import", "list.txt", "--community", "net", "--dry-run"),
        ("shadow", "report", "--members", "drafts.jsonl", "--local", "a.example", "--all"),
        ("doctor", "--prosody", "prosody.cfg.lua"),
    ],
    ids=lambda words: words[0],
)
def test_every_member_of_the_answers_is_documented(run: Command, desk: Path, words: tuple[str, ...]) -> None:
    (desk / "prosody.cfg.lua").write_text(BAD)
    (desk / "list.txt").write_text("b.example\n*.c.example\n")
    run("import", "list.txt", "--community", "net", "--output", "drafts.jsonl")
    answer = run(*words, "--json").json
    page = documented()
    assert set(answer) - {"schema", "command", "ok"} == page[words[0]]
    for owner in ("pairs", "findings"):
        for each in answer.get(owner, ()):
            assert set(each) == page[f"{words[0]}/{owner}"]
