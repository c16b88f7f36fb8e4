"""Every command of the pages is run, and says what the page says that it says.

In a block marked ``console`` each line that begins with ``$ `` is a command; one that ends with a backslash goes
on in the next line.  The lines below it are what it prints, standard error included:

- a line ``...`` stands for any lines, ``...`` within a line for any characters;
- a last line ``[1]`` says with which status it ends; without one it must end with 0;
- if nothing is shown, what it prints does not matter.

The commands of one page run one after the other in an empty directory with copies of ``policies/`` and
``credentials/``; ``cd`` lasts.  ``$ make TARGET`` is not run, because it would run these tests: its target must
exist.  A line that begins with ``# `` is typed by root on the reader's own server, and is not run.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, name

_STATUS = re.compile(r"\[(\d+)\]\Z")
_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed, the lines that are shown below it, the status that it ends with, and its line in the page."""

    typed: str
    shown: tuple[str, ...]
    status: int
    line: int


def commands(path: Path) -> Iterator[Command]:
    for block in blocks(path, "console"):
        rows = block.text.splitlines()
        at = 0
        while at < len(rows):
            begin = at
            if not rows[at].startswith("$ "):
                assert rows[at].startswith("# "), f"{name(path)}:{block.line + at}: neither `$ `, `# ` nor what a command prints"
                at += 1
                continue
            typed = rows[at][2:]
            while typed.endswith("\\"):
                at += 1
                typed = typed[:-1] + rows[at].lstrip()
            at += 1
            shown = []
            while at < len(rows) and not rows[at].startswith(("$ ", "# ")):
                shown.append(rows[at])
                at += 1
            status = _STATUS.match(shown[-1]) if shown else None
            yield Command(typed, tuple(shown[:-1] if status else shown), int(status[1]) if status else 0, block.line + begin)


def pattern(shown: tuple[str, ...]) -> re.Pattern[str]:
    rows = [r"(?:.*\n)*?" if row.strip() == "..." else re.escape(row.rstrip()).replace(r"\.\.\.", ".*?") + r"[ \t]*\n" for row in shown]
    return re.compile("".join(rows) + r"\Z")


def environment(place: Path) -> dict[str, str]:
    search = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    kept = {key: value for key, value in os.environ.items() if key in {"LANG", "LC_ALL", "TMPDIR"}}
    return kept | {"PATH": search, "HOME": str(place), "TZ": "UTC", "COLUMNS": "110", "NO_COLOR": "1", "PYTHONUTF8": "1"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    for folder in ("policies", "credentials"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / ".place").write_text(str(tmp_path))
    yield tmp_path
    end_what_runs(tmp_path)


def end_what_runs(place: Path) -> None:
    """End what the page has started in the background and, where it went another way, not ended."""
    ours = f"\0HOME={place}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone already, or somebody else's
            if ours in b"\0" + (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


@pytest.mark.parametrize("path", [path for path in PAGES if any(commands(path))], ids=name)
def test_commands_say_what_the_page_says(path: Path, place: Path) -> None:
    for command in commands(path):
        if command.typed.startswith("make "):
            assert command.typed.split()[1] in _TARGETS, f"{name(path)}:{command.line}"
        else:
            check(command, f"{name(path)}:{command.line}", place)


def check(command: Command, where: str, place: Path) -> None:
    remember = place / ".place"
    script = f"{command.typed}\nstatus=$?; pwd >{remember}; exit $status"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=remember.read_text().strip(),
        env=environment(place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode != command.status:
        pytest.fail(f"{where}: `{command.typed}` ended with {done.returncode}\n{done.stdout}", pytrace=False)
    if command.shown and not pattern(command.shown).match(done.stdout):
        pytest.fail(f"{where}: `{command.typed}` said\n{done.stdout}", pytrace=False)


def test_a_readme_has_the_two_commands() -> None:
    typed = [command.typed for command in commands(ROOT / "README.md")]
    assert {"make demo", "make test"} <= set(typed)


def test_no_page_shows_commands_in_a_block_that_is_not_run() -> None:
    found = [
        f"{name(path)}:{block.line}"
        for path in PAGES
        for block in blocks(path, "", "text", "sh", "bash", "shell")
        if re.search(r"^(\$ |(sudo |\.venv/bin/)?(make|clearinghouse) [a-z])", block.text, re.MULTILINE)
    ]
    assert found == []
