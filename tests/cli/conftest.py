"""A folder with keys, a policy and credentials, and a way to run commands in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clearinghouse.cli.main import app
from clearinghouse.keynote.keys import PrivateKey, from_seed, write_key_file
from clearinghouse.keynote.signing import sign

HUB = from_seed(b"hub" + bytes(29))
ANN = from_seed(b"ann" + bytes(29))
EVE = from_seed(b"eve" + bytes(29))

POLICY = f"""\
# Who may receive the incidents.
Local-Constants: Hub = "{HUB.principal}"
Authorizer: "POLICY"
Licensees: Hub
Conditions: operation == "subscribe" && topic == "incidents" -> "ask";
  operation == "subscribe" && topic == "news" -> "allow";
"""


def credential(licensee: str, *, until: str = "20270101", key: PrivateKey = HUB) -> bytes:
    """Return a credential by the hub for one licensee."""
    text = f'Authorizer: "{key.principal}"\nLicensees: "{licensee}"\nConditions: operation == "subscribe" && date < "{until}";\n'
    return sign(text.encode(), key)


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Command = Callable[..., Run]


@pytest.fixture
def run(desk: Path) -> Command:  # noqa: ARG001 - commands run in that folder
    """Return a function that runs one command, given as words."""

    def run_command(*words: str, given: bytes | str = b"") -> Run:
        result = CliRunner().invoke(app, list(words), input=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Run(result.exit_code, result.stdout, result.stderr)

    return run_command


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with keys and assertions, and work in it; the clock of credentials is 2026."""
    for name, key in (("hub", HUB), ("ann", ANN), ("eve", EVE)):
        write_key_file(tmp_path / f"{name}.key", key)
        (tmp_path / f"{name}.pub").write_text(key.principal + "\n")
    (tmp_path / "topic.kn").write_text(POLICY)
    (tmp_path / "ann.kn").write_bytes(credential(ANN.principal))
    (tmp_path / "past.kn").write_bytes(credential(EVE.principal, until="20200101"))
    (tmp_path / "draft.kn").write_text(f'Authorizer: "{HUB.principal}"\nLicensees: "{ANN.principal}"\n')
    (tmp_path / "tampered.kn").write_bytes(credential(EVE.principal, until="20200101").replace(b"2020", b"2030"))
    (tmp_path / "broken.kn").write_text('Authorizer: "POLICY"\nLicensee: "hub"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
