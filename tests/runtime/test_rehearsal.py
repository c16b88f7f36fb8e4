from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from clearinghouse.cli.main import app
from clearinghouse.demo import rehearsal


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    made = CliRunner().invoke(app, ["init", str(tmp_path / "hub"), "--community", "csirt-net"])
    assert made.exit_code == 0
    return tmp_path / "hub"


def test_a_rehearsal_leaves_nothing_behind(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(hub.rglob("*"))
    assert rehearsal.main([str(hub / "clearinghouse.toml"), "ann@hub.example"]) == 0
    assert "pending: ask" in capsys.readouterr().out
    assert sorted(hub.rglob("*")) == before


@pytest.mark.parametrize("jid", ["", "ann", "hub.example", "ann@hub.example/desk", "Ann@hub.example", "@hub.example", "ann@"])
def test_what_is_no_bare_jid_is_said(hub: Path, jid: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearsal.main([str(hub / "clearinghouse.toml"), jid]) == 2
    assert "is no bare JID" in capsys.readouterr().err


def test_a_decision_that_does_not_come_is_said(hub: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "PATIENCE_SECONDS", -1.0)
    assert rehearsal.main([str(hub / "clearinghouse.toml"), "ann@hub.example"]) == 3
    assert "nothing came of it in time" in capsys.readouterr().err


def test_help_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearsal.main(["--help"]) == 0
    assert "usage:" in capsys.readouterr().out
    assert rehearsal.main([]) == 2
