"""What `make` offers, it has; what the shell scripts say, the shell understands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci/run"]
OFFERED = {"help", "setup", "demo", "test", "lint", "fmt", "bench", "fuzz", "docs", "lock", "clean"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_is_the_default_and_lists_every_target() -> None:
    shown = run("make").stdout
    assert shown == run("make", "help").stdout
    assert set(re.findall(r"^  make (\w+)", shown, re.MULTILINE)) == OFFERED


@pytest.mark.parametrize("target", sorted(OFFERED))
def test_target_exists_and_what_it_calls_exists(target: str) -> None:
    plan = run("make", "--dry-run", target)
    assert plan.returncode == 0, plan.stderr
    assert [name for name in re.findall(r"scripts/[\w-]+\.sh", plan.stdout) if not (ROOT / name).is_file()] == []


def test_every_module_that_make_runs_exists() -> None:
    called = (ROOT / "Makefile").read_text() + "".join(path.read_text() for path in SCRIPTS)
    modules = set(re.findall(r"-m ((?:clearinghouse|tests)[.\w]*)", called))
    paths = {module: ROOT / module.replace(".", "/") for module in modules}
    assert [m for m, path in paths.items() if not (path / "__main__.py").is_file() and not path.with_suffix(".py").is_file()] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shell_understands_the_script(script: Path) -> None:
    assert run("bash", "-n", str(script)).stderr == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_can_be_started_unless_it_is_sourced(script: Path) -> None:
    assert bool(script.stat().st_mode & 0o111) == (script.name != "lib.sh")
