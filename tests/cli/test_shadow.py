"""`shadow report` compares the agent's image, or a table, with what servers do today."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.federation.enforced.shadow import Side, Today, today_as_json
from clearinghouse.federation.published.documents import digest, joined
from clearinghouse.federation.published.tables import Head, content_of, seal_head, written
from tests.cli.conftest import HUB, Command

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LEVELS = ("deny", "level-1", "level-2")
ROWS = {"b.example": "level-2", "c.example": "level-1", "new.example": "level-2"}
AGENT = f"""
community = "net"
domain = "a.example"
root_digest = "{"0" * 64}"
key_file = "agent.key"
mode = "shadow"
[server]
kind = "prosody"
component = "agent.a.example"
secret_file = "secret"
[admit]
minimum = "level-2"
"""


@pytest.fixture
def files(desk: Path) -> Path:
    content = content_of(ROWS, LEVELS)
    head = Head(
        community="net",
        audience="*",
        epoch=1,
        version=3,
        issued=NOW,
        expires=NOW + timedelta(days=7),
        previous="",
        levels=LEVELS,
        count=len(ROWS),
        size=len(content),
        content=digest(content),
        delta="",
    )
    (desk / "table.txt").write_bytes(joined(seal_head(written(head), [HUB]), content))
    (desk / "agent.toml").write_text(AGENT)
    side = Side(default=False, allow=frozenset({"b.example", "c.example"}))
    (desk / "today").mkdir()
    (desk / "today/a.example.json").write_text(json.dumps(today_as_json(Today("a.example", side, side))))
    return desk


def image() -> dict[str, Any]:
    rows = {"level-1": ["c.example"], "level-2": ["b.example", "new.example"]}
    classes = {"level-1": {"mask": 0, "reason": "no"}, "level-2": {"mask": 255, "reason": ""}}
    grant = {"id": "1", "remote": "d.example", "user": "*", "local": "*", "mask": 255, "address": "*", "until": 1 << 40, "decision": ""}
    return {
        "image": "a.example",
        "serial": 7,
        "mode": "shadow",
        "default": "deny",
        "default_reason": "",
        "expires": 0,
        "hosts": ["a.example"],
        "classes": classes,
        "rows": rows,
        "grants": [grant],
        "decision": "table 1.3",
    }


def fates(done_json: dict[str, Any]) -> dict[str, str]:
    return {pair["remote"]: pair["fate"] for pair in done_json["pairs"]}


WANTED = {"b.example": "same-allow", "c.example": "cut", "new.example": "opened", "*": "same-deny"}


@pytest.mark.parametrize("how", [("--minimum", "level-2", "--local", "a.example"), ("--config", "agent.toml")], ids=["alone", "agent"])
def test_of_a_table(run: Command, files: Path, how: tuple[str, ...]) -> None:  # noqa: ARG001 - its files are read
    done = run("shadow", "report", "--table", "table.txt", *how, "--today", "today", "--all", "--json", "--now", "2026-11-21")
    assert (done.status, done.json["ok"]) == (1, False)
    assert fates(done.json) == WANTED
    assert done.json["summary"] == {"cut": 1, "narrowed": 0, "opened": 1, "same-allow": 1, "same-deny": 1, "unknown": 0}
    assert done.json["images"][0]["decision"] == "table 1.3"


def test_of_the_agents_state_with_what_was_counted(run: Command, files: Path) -> None:
    (files / "state/images").mkdir(parents=True)
    (files / "state/images/a.example.json").write_text(json.dumps(image()))
    row = {"local": "a.example", "remote": "c.example", "direction": "in", "kind": "message", "allowed": False, "count": 12}
    (files / "state/module-status.json").write_text(json.dumps({"module": "1", "seen": [row]}))
    done = run("shadow", "report", "--today", "today/a.example.json", "--all", "--json")
    assert fates(done.json) == WANTED | {"d.example": "opened"}
    assert (done.json["pairs"][0]["seen"], done.json["pairs"][0]["refused"]) == (12, 12)
    told = run("shadow", "report", "--today", "today")
    assert told.status == 1
    assert told.out.splitlines()[:3] == ["       1 pair would be cut", "       0 pairs would be narrowed", "       2 pairs would be opened"]
    assert "cut: a.example and c.example (today in open, out open; policy: level-1; 12 stanzas seen" in " ".join(told.out.split())
    (files / "other.json").write_text(json.dumps({"module": {"seen": [row | {"count": 13}]}}))
    assert run("shadow", "report", "--status", "other.json", "--json").json["pairs"][0]["seen"] == 13


def test_nothing_lost_is_status_0(run: Command, files: Path) -> None:
    side = Side(default=False, allow=frozenset({"b.example"}))
    (files / "today/a.example.json").write_text(json.dumps(today_as_json(Today("a.example", side, side))))
    done = run("shadow", "report", "--table", "table.txt", "--today", "today", "--now", "2026-11-21")
    assert (done.status, "0 pairs would be cut" in done.out) == (0, True)


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "the agent has made no image yet"),
        (("--config", "none.toml"), "`none.toml`"),
        (("--table", "agent.toml"), "agent.toml: the envelope is not JSON"),
        (("--table", "table.txt", "--minimum", "level-9"), "`level-9` is no level of this table"),
        (("--table", "table.txt", "--today", "agent.toml"), "`agent.toml` is not what it should be"),
        (("--table", "table.txt", "--today", "odd.json"), "`odd.json` is no list of who is allowed today"),
        (("--table", "table.txt", "--status", "odd.json", "--today", "none.json"), "`none.json` cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(run: Command, files: Path, words: tuple[str, ...], said: str) -> None:
    (files / "odd.json").write_text('{"local": 1}')
    done = run("shadow", "report", *words)
    assert done.status == 2
    assert said in " ".join(done.err.split())
