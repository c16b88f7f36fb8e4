"""A lock that names an address, or a file without a hash, would install something else on another machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
WANTED = sorted(REQUIREMENTS.glob("*.in"))

_PIN = re.compile(r"^(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>\d[\w.]*)(?: ; .+)? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
_COMMENT = re.compile(r"^\s*#")


def lock_of(wanted: Path) -> str:
    return wanted.with_suffix(".txt").read_text()


@pytest.mark.parametrize("wanted", WANTED, ids=lambda path: path.stem)
def test_lock_holds_exact_versions_and_hashes_only(wanted: Path) -> None:
    rows = [row for row in lock_of(wanted).splitlines() if not _COMMENT.match(row)]
    assert rows
    assert [row for row in rows if not _PIN.match(row) and not _HASH.match(row)] == []


@pytest.mark.parametrize("wanted", WANTED, ids=lambda path: path.stem)
def test_every_pin_has_a_hash(wanted: Path) -> None:
    rows = [row for row in lock_of(wanted).splitlines() if not _COMMENT.match(row)]
    bare = [pin for pin, after in zip(rows, [*rows[1:], ""], strict=True) if _PIN.match(pin) and not _HASH.match(after)]
    assert bare == []


@pytest.mark.parametrize("wanted", WANTED, ids=lambda path: path.stem)
def test_lock_names_no_address_and_no_place_on_a_machine(wanted: Path) -> None:
    text = lock_of(wanted) + wanted.read_text()
    assert re.findall(r"\w+://\S+|--[a-z-]*(?:index|find|host)[a-z-]*|(?<!\S)/\S+", text) == []


@pytest.mark.parametrize("wanted", WANTED, ids=lambda path: path.stem)
def test_lock_answers_what_is_wanted(wanted: Path) -> None:
    """Somebody who edits GROUP.in and forgets `make lock` learns it here."""
    names = re.findall(r"^([a-z0-9-]+)", wanted.read_text(), re.MULTILINE)
    direct = [name for name in names if not name.startswith("-")]
    assert direct
    assert [name for name in direct if not re.search(rf"^{name}==", lock_of(wanted), re.MULTILINE)] == []


def test_groups_agree_on_every_version() -> None:
    """They are installed side by side in one environment."""
    pins: dict[str, str] = {}
    for wanted in WANTED:
        for name, version in re.findall(r"^([a-z0-9-]+)==([^ ;]+)", lock_of(wanted), re.MULTILINE):
            assert pins.setdefault(name, version) == version, name


def test_build_backend_comes_from_a_lock() -> None:
    """Building the package fetches nothing: its backend is already there, with a hash."""
    backend = re.search(r'^requires = \["(\w+)', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert backend
    assert f"\n{backend[1]}==" in (REQUIREMENTS / "build.txt").read_text()
