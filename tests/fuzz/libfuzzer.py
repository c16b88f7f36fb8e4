"""The parser's target under libFuzzer, which takes the arguments: ``python -m tests.fuzz.libfuzzer -max_total_time=60 CORPUS``."""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    with atheris.instrument_imports(include=["clearinghouse.keynote"]):
        from tests.fuzz.parser_target import check  # noqa: PLC0415 - imported here, so that atheris sees its branches
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
