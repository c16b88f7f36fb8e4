"""The fuzzer finds nothing in a minute (``FUZZ_SECONDS`` says how long), and would find something if there were something."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import parser_target
from tests.fuzz.mutation import mutated, search
from tests.fuzz.parser_target import Broken, check
from tests.properties.vectors import texts

ROOT = Path(__file__).parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS + 120
    )


@pytest.mark.slow
def test_fuzzing_finds_nothing() -> None:
    """Half the time with coverage, where atheris is installed, and half without."""
    for arguments in ((), ("--without-atheris",)):
        done = fuzz("--seconds", str(max(1, SECONDS // 2)), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_vector_holds_the_invariant() -> None:
    for text in texts()[::5]:
        check(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#",
        b"\n",
        b"\0",
        b"\xff" * 64,
        b'"' * 64,
        b"Authorizer:",
        b"# only\n",
        b"Conditions: (((",
        b'Authorizer: "a"\nSignature: "\\\n \n "\n',
    ],
    ids=repr,
)
def test_small_hostile_inputs(data: bytes) -> None:
    check(data)


def test_the_fuzzer_would_find_a_broken_printer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_target, "print_assertion", lambda tree: "Authorizer: " + repr(tree.authorizer))
    with pytest.raises(Broken, match="does not parse"):
        check(texts()[0])
    tried, found = search(check, texts(), 10, seed=1)
    assert found is not None
    assert tried < 1_000


def test_mutation_is_repeatable() -> None:
    one, two = random.Random(7), random.Random(7)  # noqa: S311 - repeatable, not secret
    assert [mutated(one, texts()) for _ in range(50)] == [mutated(two, texts()) for _ in range(50)]
