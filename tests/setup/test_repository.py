"""The repository speaks of no machine but the reader's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = {".git", ".venv", ".venv-lock", "__pycache__", "_build", "build", "dist"}
MADE_ENDINGS = ("_cache", ".egg-info", ".hypothesis")

# Written in pieces, so that this file does not find itself.
_PLACES = re.compile(
    "|".join(
        (
            r"(?<![\w.])/(?:home|root|Users|work|mnt|opt)" + r"/[\w.]",
            r"py" + r"pi\.org",
            r"python" + r"hosted",
            r"https?://[^\s\"'<>]*(?:/sim" + r"ple\b|\.deb\b)",
            r"--(?:extra-)?index-" + r"url\s*\S",
        )
    )
)


def is_made(path: Path) -> bool:
    return any(part in MADE or part.endswith(MADE_ENDINGS) for part in path.relative_to(ROOT).parts)


def texts() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*")) if path.is_file() and not is_made(path)]


def test_no_file_names_a_place_on_a_machine_or_a_package_index() -> None:
    found = []
    for path in texts():
        for number, row in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := _PLACES.search(row):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert found == []


@pytest.mark.parametrize("directory", ["scripts", ".ci"])
def test_directories_of_scripts_hold_nothing_else(directory: str) -> None:
    first = {path.name: path.read_text().split("\n", 1)[0] for path in (ROOT / directory).iterdir()}
    assert first
    assert [name for name, row in first.items() if row != "#!/usr/bin/env bash" and name != "lib.sh"] == []
