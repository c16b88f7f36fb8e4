"""Set-up on a machine that is ready, and on one where nothing may be installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT_SERVERS = 3


def run(script: str, *arguments: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    search = os.environ["PATH"] if path is None else f"{path}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [ROOT / "scripts" / script, *arguments],
        env=os.environ | environment | {"PATH": search},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def powerless(tmp_path: Path) -> Path:
    """Programs that answer as on a machine without our packages, to a user without rights."""
    for name, body in {"id": "echo 1000", "sudo": "exit 1", "dpkg-query": "exit 1"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    return tmp_path


def test_later_run_installs_nothing_and_says_nothing() -> None:
    run("setup.sh", "test")
    again = run("setup.sh", "test")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_without_rights_it_names_what_is_missing_and_how_to_get_it(powerless: Path) -> None:
    done = run("setup.sh", "--servers", "test", path=powerless)
    assert done.returncode == WITHOUT_SERVERS
    assert done.stderr.splitlines() == [
        "setup: these Debian packages are missing and could not be installed from here:",
        "    ejabberd",
        "    prosody",
        "    lua-unbound",
        "    iproute2",
        "    postgresql",
        "    jabberd2",
        "setup: install them with: sudo apt-get install --no-install-recommends ejabberd prosody lua-unbound iproute2 postgresql jabberd2",
        "setup: without ejabberd and prosody the demonstration runs in memory, and the tests with real servers are left out",
    ]


def test_without_servers_set_up_asks_for_no_rights(powerless: Path) -> None:
    assert run("setup.sh", "test", path=powerless).returncode == 0


def test_continuous_integration_does_not_pass_without_the_servers(powerless: Path) -> None:
    done = run("test.sh", "--version", path=powerless, CI="true")
    assert done.returncode == 1
    assert "the tests with real servers must run" in done.stderr


def test_without_rights_the_demonstration_runs_in_memory_and_says_so(powerless: Path) -> None:
    done = run("demo.sh", "--help", path=powerless)
    assert "setup: the demonstration runs against a broker in memory instead" in done.stderr
