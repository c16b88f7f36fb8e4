"""``python -m tests.fuzz [--seconds N] [--seed N] [--without-atheris] [--documents|--streams]``: status 1 and what breaks it, in hex."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz import documents_target, streams_target
from tests.fuzz.mutation import TOKENS, search
from tests.fuzz.parser_target import check
from tests.properties.vectors import texts


def main() -> int:
    """Fuzz, and say how it went."""
    options = _options()
    if options.documents:
        tried, broken = search(documents_target.check, documents_target.documents(), options.seconds, options.seed)
        print(f"{tried} damaged documents, seed {options.seed}, without coverage")
        return _report([broken] if broken is not None else [])
    if options.streams:
        tried, broken = search(streams_target.check, streams_target.corpus(), options.seconds, options.seed)
        print(f"{tried} damaged talks of servers, seed {options.seed}, without coverage")
        return _report([broken] if broken is not None else [])
    if options.without_atheris or find_spec("atheris") is None:
        tried, broken = search(check, texts(), options.seconds, options.seed)
        print(f"{tried} mutated texts, seed {options.seed}, without coverage")
        return _report([broken] if broken is not None else [])
    with tempfile.TemporaryDirectory() as directory:
        status = _libfuzzer(Path(directory), options.seconds, options.seed)
        found = [file.read_bytes() for file in sorted(Path(directory, "found").iterdir())]
    return _report(found) or status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="look for input that breaks the parser")
    parser.add_argument("--seconds", type=int, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, default=1, help="another seed tries other texts (1)")
    parser.add_argument("--without-atheris", action="store_true", help="mutate without coverage, also where atheris is installed")
    parser.add_argument("--documents", action="store_true", help="damage published documents instead of assertions")
    parser.add_argument("--streams", action="store_true", help="damage what servers say to each other instead of assertions")
    return parser.parse_args()


def _libfuzzer(directory: Path, seconds: int, seed: int) -> int:
    """Run atheris in a process of its own, which it ends itself; what breaks the parser is left in ``found``."""
    corpus, found, words = directory / "corpus", directory / "found", directory / "words"
    corpus.mkdir()
    found.mkdir()
    for number, text in enumerate(texts()[::7]):
        (corpus / str(number)).write_bytes(text)
    words.write_text("".join(map(_entry, TOKENS)))
    arguments = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        "-max_len=4096",
        f"-artifact_prefix={found}/",
        f"-dict={words}",
        "-verbosity=0",
    ]
    command = [sys.executable, "-m", "tests.fuzz.libfuzzer", *arguments, "-print_final_stats=1", str(corpus)]
    return subprocess.run(command, check=False).returncode


def _entry(token: bytes) -> str:
    """Return the line for *token* in libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{octet:02x}" for octet in token) + '"\n'


def _report(broken: list[bytes]) -> int:
    for text in broken:
        print(f"it breaks; the input in hex: {text.hex()}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
