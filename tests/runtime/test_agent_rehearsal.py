"""The rehearsal of an agent; that it follows a real clearinghouse is in the tutorial, whose commands a test runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.demo import agent_rehearsal
from clearinghouse.demo.agent_rehearsal import Watch
from clearinghouse.demo.server_module import MemoryServer
from clearinghouse.federation.enforced.image import NOTHING, Grant, Image, LevelClass

NOW = 1_800_000_000
CLASSES = {"level-2": LevelClass(255), "level-1": LevelClass(NOTHING, "level level-1 is not admitted here"), "half": LevelClass(15)}
ROWS = {"b.example": "level-2", "c.example": "level-1", "d.example": "half"}


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer("a.example", "agent.a.example", lambda: NOW)


def image(serial: int, rows: dict[str, str], **more: object) -> Image:
    words = {"name": "a.example", "hosts": ("a.example",), "classes": CLASSES, "default_reason": "no level", "decision": "table 1.2"}
    return Image(**{**words, "serial": serial, "rows": rows, **more})  # type: ignore[arg-type]  # a test's own words


def test_what_passes_is_told_once_and_again_when_it_changes(server: MemoryServer, capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(server, (*ROWS, "e.example"))
    grant = Grant("g", "e.example", NOW + 60)
    for made in (image(1, {}, decision=""), image(2, ROWS), image(3, ROWS, decision="table 1.3"), image(4, {}, grants=(grant,))):
        server.images["a.example"] = made
        watch.look(made)
    assert capsys.readouterr().out.splitlines() == [
        "b.example: everything passes (table 1.2)",
        "c.example: nothing passes: level level-1 is not admitted here (table 1.2)",
        "d.example: some of it passes (table 1.2)",
        "e.example: nothing passes: no level (table 1.2)",
        "b.example: nothing passes: no level (table 1.2)",
        "c.example: nothing passes: no level (table 1.2)",
        "d.example: nothing passes: no level (table 1.2)",
        "e.example: everything passes (table 1.2)",
    ]


def test_in_shadow_mode_it_says_that_nothing_is_enforced(server: MemoryServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.images["a.example"] = image(1, ROWS, mode="shadow")
    Watch(server, ["c.example"]).look(server.images["a.example"])
    assert capsys.readouterr().out.startswith("c.example: if it were enforced, nothing passes")


def test_what_cannot_be_rehearsed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agent_rehearsal.main(["--help"]) == 0
    assert "usage" in capsys.readouterr().out
    assert agent_rehearsal.main([str(tmp_path / "agent.toml")]) == 2
    assert "usage" in capsys.readouterr().err
    assert agent_rehearsal.main([str(tmp_path / "agent.toml"), "b.example"]) == 2
    assert "there is no such file" in capsys.readouterr().err
