from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from clearinghouse.cli.scenario_run import Result, run_file
from clearinghouse.demo.keys import demonstration_key
from clearinghouse.keynote import admit, split_assertions
from clearinghouse.keynote.keys import DEMO_MARK, is_demo, read_key_file
from clearinghouse.keynote.licensees import Nobody, met

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "policies").rglob("*scenarios.toml"))
COMMUNITIES = {
    "demo",
    "federation-demo",
    "federation-demo-south",
    "federation-levels",
    "redirection",
    "paper-section-3",
    "paper-section-4",
    "paper-section-5",
}


@cache
def results(path: Path) -> list[Result]:
    return run_file(path)


CASES = [(path, number) for path in FILES for number in range(1, len(results(path)) + 1)]
NAMES = [f"{path.parent.name}-{path.stem}-{number}: {results(path)[number - 1].scenario.note}" for path, number in CASES]


@pytest.mark.parametrize("path,number", CASES, ids=NAMES)
def test_decision_is_the_wanted_one(path: Path, number: int) -> None:
    assert results(path)[number - 1].failures == ()


def test_every_community_has_scenarios() -> None:
    assert {path.parent.name for path in FILES} == COMMUNITIES


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_community_shows_what_is_granted_and_what_is_not(path: Path) -> None:
    outcomes = {result.decision.outcome.value for result in results(path)}
    assert {"granted", "refused"} <= outcomes


def assertions() -> set[tuple[str, int]]:
    """File and line of every assertion under policies/ and credentials/, as a proof names them."""
    found = set()
    for folder in ("policies", "credentials"):
        for path in (ROOT / folder).rglob("*.kn"):
            name = (
                f"credentials/{path.relative_to(ROOT / folder)}"
                if folder == "credentials"
                else f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
            )
            pieces = split_assertions(path.read_bytes())
            found |= {(name, line if len(pieces) > 1 else 0) for line, _ in pieces}
    return found


def place(source: str, community: str) -> tuple[str, int]:
    name, _, line = source.partition(":")
    return (name if name.startswith("credentials/") else f"{community}/{name}", int(line or 0))


def weighed() -> set[tuple[str, int]]:
    """File and line of every assertion that the requesters of a scenario reach, or that was left out as it says."""
    used = set()
    for path in FILES:
        for result in results(path):
            proof = result.decision.proof
            if proof is not None:
                left_out = {each.source for each in proof.skipped if each.reason in result.scenario.want.skipped}
                used |= {place(source, path.parent.name) for source in left_out | {each.assertion.source for each in proof.reached}}
    return used


def test_every_assertion_is_weighed_in_a_scenario() -> None:
    handed_in = {place(name, "") for path in FILES for result in results(path) for name in _handed_in(path, result)}
    unseen = {place(name, "") for path in FILES for result in results(path) for name in _unseen(path, result)}
    assert assertions() - weighed() - handed_in - unseen == set()


def _handed_in(path: Path, result: Result) -> list[str]:
    """Return the files of credentials that came with a request, which a proof knows by number only."""
    return [_named(file) for file in _files(path, (*result.scenario.request.credentials, *result.scenario.request.approvals))]


def _unseen(path: Path, result: Result) -> list[str]:
    """Return the files with what the desk has signed for a requester who was refused without it (rule R2)."""
    desk, asking = demonstration_key("Desk").principal, {*result.decision.request.requesters}
    if result.decision.outcome.value != "refused":
        return []
    held = {file: admit(file.read_bytes(), policy=True) for file in _files(path, result.scenario.store.credentials)}
    return [_named(file) for file, each in held.items() if each.authorizer == desk and met(each.trusted_by or Nobody(), asking)]


def _files(path: Path, names: tuple[str, ...]) -> list[Path]:
    return [file for each in (path.parent / name for name in names) for file in (sorted(each.glob("*.kn")) if each.is_dir() else [each])]


def _named(file: Path) -> str:
    return file.resolve().relative_to(ROOT).as_posix()


# -- credentials and their keys -----------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "credentials/make.py", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_script_that_made_the_credentials_makes_the_same_ones() -> None:
    assert run("--check").stdout == ""


def test_demonstration_keys_are_marked_and_private(tmp_path: Path) -> None:
    assert run("--keys", str(tmp_path / "keys")).returncode == 0
    written = sorted((tmp_path / "keys").iterdir())
    assert written
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    for path in written:
        key = read_key_file(path, allow_demo=True)
        assert (key.principal, key.demo) == (demonstration_key(path.stem).principal, True)


def test_the_list_of_principals_is_marked() -> None:
    assert is_demo((ROOT / "credentials/demo-keys.toml").read_bytes())
    assert DEMO_MARK.startswith("#")


def test_no_private_key_lies_in_the_repository() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\n")
    begin = re.compile(rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----", re.MULTILINE)
    assert [name for name in tracked if (ROOT / name).is_file() and begin.search((ROOT / name).read_bytes())] == []
