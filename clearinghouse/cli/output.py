"""What the commands say: lines for people, or one JSON object with ``--json``.

The members are documented in ``docs/reference/json.md``.  Text that somebody else wrote is escaped
by :func:`clearinghouse.keynote.principals.shown` before it gets here, or by :func:`clean`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.style import Style
from rich.text import Text

from clearinghouse.errors import BadSettings, ClearinghouseError, MalformedAssertion

SCHEMA = "clearinghouse/1"
"""The first member of every JSON answer; it changes when a member changes its meaning or goes."""

OK, OTHER, BAD_INPUT = 0, 1, 2
"""Exit status: the strongest value or all well; any other value or findings; input that cannot be used."""

GOOD, BAD, DIM, STRONG = Style(color="green"), Style(color="red"), Style(dim=True), Style(bold=True)
CAUTION = Style(color="yellow")

ID_SHOWN = 8
"""Characters of an id in a list: enough to name one of a million."""


class Located(Exception):
    """An error together with the file, or other input, that it is about."""

    def __init__(self, error: ClearinghouseError, where: str) -> None:
        """Keep both."""
        super().__init__(where)
        self.error = error
        self.where = where


def console(*, error: bool = False) -> Console:
    """Return a console on standard output, or on standard error; nothing in a text is taken for markup."""
    return Console(stderr=error, markup=False, highlight=False, emoji=False)


class Unwritable(BadSettings):
    """Standard output or standard error takes nothing: a full disk, a lost terminal."""


@contextmanager
def _writing() -> Iterator[None]:
    """Tell a stream that takes nothing from any other file; a reader that went away is for the parser to end quietly."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unwritable(f"the answer cannot be written ({error.strerror})", mend="give it somewhere to go") from None


Part = str | Text | tuple[str, str | Style]
"""A piece of a line, with its style."""


@_writing()
def say(*parts: Part, error: bool = False, indent: int = 0) -> None:
    """Print one line for people: wrapped at words in a terminal, left whole in a file or pipe."""
    target = console(error=error)
    line = Text.assemble(*parts)
    if not target.is_terminal:
        target.print(Text.assemble(" " * indent, line), soft_wrap=True)
        return
    for row in line.wrap(target, max(20, target.width - indent)):
        target.print(Text.assemble(" " * indent, row), soft_wrap=True)


def mark(*, good: bool) -> tuple[str, str | Style]:
    """Return a check or a cross, in words of ASCII where the terminal knows no others."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    return ("+" if plain else "✔", GOOD) if good else ("x" if plain else "✘", BAD)


def clean(text: str) -> str:
    """Return *text* with every character escaped that could move a terminal, hide or turn round other text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


@_writing()
def as_json(command: str, *, ok: bool, **members: Any) -> None:  # noqa: ANN401 - any JSON
    """Print the one JSON object of a command."""
    answer = {"schema": SCHEMA, "command": command, "ok": ok, **members}
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    sys.stdout.flush()


@_writing()
def raw_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are: text that is signed, or laid out, must not change."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def finish(*, ok: bool, unread: Collection[Located] = ()) -> None:
    """End the command: with status 2 if an input could not be read, with 1 unless all is well."""
    if unread:
        raise typer.Exit(max(each.error.exit_code for each in unread))
    if not ok:
        raise typer.Exit(OTHER)


def error_json(problem: ClearinghouseError | Located) -> dict[str, Any]:
    """Return an error as JSON, with the file that it is about."""
    if isinstance(problem, Located):
        return problem.error.as_json() | {"file": problem.where}
    return problem.as_json()


def tell_error(problem: ClearinghouseError | Located, *, error: bool = True) -> None:
    """Print an error for people: where, what, the line with a caret, and the mend; *error* is for standard error."""
    found, where = (problem.error, problem.where) if isinstance(problem, Located) else (problem, "")
    place = f"{clean(where)}: " if where and f"`{clean(where)}`" not in found.message else ""
    if isinstance(found, MalformedAssertion):
        say(("error: ", BAD), f"{place}line {found.line}, column {found.column}: {clean(found.message)}", error=error)
        _show_source(found, console(error=error))
    else:
        say(("error: ", BAD), place, clean(found.message), error=error)
    for line in found.mend.splitlines():  # indented, so that no text of a mistake can pass for a line of ours
        say(clean(line), error=error, indent=2)


@_writing()
def _show_source(error: MalformedAssertion, target: Console) -> None:
    """Print the line of text and a caret under what is wrong; tabs keep their width under the caret."""
    if error.source:
        pad = "".join("\t" if c == "\t" else " " for c in error.source[: error.caret - 1])
        target.print(Text.assemble("  ", error.source), soft_wrap=True)
        target.print(Text.assemble("  ", pad, ("^" * max(1, error.width), BAD)), soft_wrap=True)


def fail(problem: ClearinghouseError | Located, *, command: str, json_wanted: bool) -> int:
    """Report the error that ended a command, and return its exit status."""
    if json_wanted:
        as_json(command, ok=False, error=error_json(problem))
    else:
        tell_error(problem)
    return problem.error.exit_code if isinstance(problem, Located) else problem.exit_code
