"""``conformance``: the engine against cases whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from clearinghouse.cli.options import Json
from clearinghouse.cli.output import as_json, clean, console, finish, mark, say
from clearinghouse.cli.reading import name_of, read
from clearinghouse.cli.vectors import Result, run_file

EPILOG = """
\b
Example:
  clearinghouse conformance tests/conformance/*.jsonl

\b
A case is one line, a JSON object: id, assertions (text, policy), action,
authorizers, values (weakest first), expect (a value, or the error
no-authorizers), and the indices malformed and badsig. SHA-1, MD5, DSA and
short keys are allowed, because such cases use them. An assertion whose
tampering left text that cannot be parsed counts as refused for badsig, too.
A published case that contradicts the others is judged by its erratum, and
named.

\b
Exit status: 0 all passed; 1 a case failed, or there was none; 2 a file
cannot be read.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(conformance)


def conformance(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files of cases, or - for standard input.")],
    json: Json = False,
) -> None:
    """Run KeyNote cases with known answers.

    Each failed case is printed with what was wanted and what came out; the last line says how many
    passed and failed.
    """
    given = [(name_of(file), read(file)) for file in files]
    results = list(_watched(given))
    failed = [each for each in results if not each.passed]
    ok = bool(results) and not failed  # no case at all has shown nothing
    counts = {"passed": len(results) - len(failed), "failed": len(failed)}
    if json:
        as_json("conformance", ok=ok, **counts, **_as_json(failed, results))
    else:
        _tell(failed, _errata(results))
        say(f"{counts['passed']} passed, {counts['failed']} failed")
    finish(ok=ok)


def _errata(results: list[Result]) -> list[Result]:
    return [each for each in results if each.erratum]


def _as_json(failed: list[Result], results: list[Result]) -> dict[str, object]:
    return {"failures": [each.as_json() for each in failed], "errata": [each.as_json() for each in _errata(results)]}


def _watched(files: list[tuple[str, bytes]]) -> Iterator[Result]:
    """Run the files; where somebody watches, count the cases on standard error."""
    screen = console(error=True)
    with screen.status("") as status:
        for file, data in files:
            for number, result in enumerate(run_file(file, data), start=1):
                if number % 50 == 1:
                    status.update(f"{clean(file)}: {number}")
                yield result


def _tell(failed: list[Result], errata: list[Result]) -> None:
    for result in failed:
        for difference in result.differences:
            say(mark(good=False), f" {clean(result.file)}:{result.line}: {result.id}: {difference}")
    for result in errata:
        say(f"erratum: {result.id} is judged against other cases, not as it stands: {result.erratum}")
