"""``fmt``: one layout for every assertion that is not signed."""

from __future__ import annotations

import difflib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Json, Sources
from clearinghouse.cli.output import Located, as_json, clean, error_json, finish, raw_bytes, say, tell_error
from clearinghouse.cli.reading import Piece, inputs, is_literal, located, name_of, read
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.keynote.fields import split_assertions
from clearinghouse.keynote.layout import layout

EPILOG = """
\b
Examples:
  clearinghouse fmt policies/
  clearinghouse fmt --check --diff draft.kn
  clearinghouse fmt - < draft.kn

\b
Exit status: 0 all is in its form, or was written; 1 with --check, a file is
not in its form; 2 a file cannot be read or parsed, or holds a credential.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(fmt)


@dataclass(frozen=True, slots=True)
class Formed:
    """An input as it is, and in its form."""

    where: str
    before: bytes
    after: bytes

    @property
    def changed(self) -> bool:
        """Whether the form differs."""
        return self.before != self.after

    def as_json(self) -> dict[str, object]:
        """Return it in the documented schema."""
        return {"file": name_of(self.where), "changed": self.changed, "text": self.after.decode("utf-8", "replace")}


def fmt(
    files: Sources,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file is not in its form.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what changes, and write nothing.")] = False,
    json: Json = False,
) -> None:
    """Lay assertions out in one form, in place.

    What came as - or as text goes to standard output. The meaning stays, and so do comments. Signed
    credentials are refused: a new layout would break their signature.
    """
    done = [_formed(where) for given in files for where in inputs(given)]
    unread = [each for each in done if isinstance(each, Located)]
    formed = [each for each in done if isinstance(each, Formed)]
    if not check and not diff:
        formed = [each for each in formed if _is_written(each, unread, json=json)]
    ok = not unread and not (check and any(each.changed for each in formed))
    if json:
        as_json("fmt", ok=ok, files=[each.as_json() for each in formed], errors=[error_json(each) for each in unread])
    else:
        _report(formed, unread, check=check, diff=diff)
    finish(ok=ok, unread=unread)


def _formed(where: str) -> Formed | Located:
    try:
        data = read(where)
    except ClearinghouseError as error:
        return Located(error, name_of(where))
    try:
        return Formed(where, data, file_layout(data, name_of(where)))
    except Located as problem:
        return problem


def file_layout(data: bytes, where: str) -> bytes:
    """Return a whole file in its form: one empty line between assertions, comments between them as they are."""
    known = {line: Piece(where, line, raw) for line, raw in split_assertions(data)}
    parts = []
    for line, raw in _paragraphs(data):
        piece = known.get(line)
        try:
            parts.append(layout(piece.raw) if piece else raw)
        except ClearinghouseError as error:
            raise located(error, piece or Piece(where, line, raw)) from None
    return b"\n".join(parts)


def _paragraphs(data: bytes) -> list[tuple[int, bytes]]:
    """Return the blocks of lines between empty lines, each with the number of its first line."""
    found: list[tuple[int, list[bytes]]] = []
    apart = True
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line:
            apart = True
            continue
        if apart:
            found.append((number, []))
        found[-1][1].append(line)
        apart = False
    return [(number, b"\n".join(lines) + b"\n") for number, lines in found]


def _is_written(formed: Formed, unwritten: list[Located], *, json: bool) -> bool:
    """Put the form in place; where that cannot be, add why to *unwritten*."""
    problem = _written(formed, json=json)
    if problem is not None:
        unwritten.append(problem)
    return problem is None


def _written(formed: Formed, *, json: bool) -> Located | None:
    """Put the form in place: all of it or nothing, with the mode of the file that it replaces."""
    if formed.where == "-" or is_literal(formed.where):
        if not json:
            raw_bytes(formed.after)
        return None
    try:
        if formed.changed:
            _replace(Path(formed.where), formed.after)
    except OSError as error:
        return Located(BadSettings(f"it cannot be written ({error.strerror})", mend="check the file and its folder"), formed.where)
    return None


def _replace(path: Path, data: bytes) -> None:
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        Path(name).chmod(target.stat().st_mode)
        Path(name).replace(target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _report(formed: list[Formed], unread: list[Located], *, check: bool, diff: bool) -> None:
    for each in formed:
        if each.changed and diff:
            for row in _difference(each):
                say(clean(row))
        elif each.changed and (check or not _goes_out(each)):
            say(f"{clean(name_of(each.where))}: {'is not in its form' if check else 'laid out'}", error=not check)
    for problem in unread:
        tell_error(problem)


def _goes_out(formed: Formed) -> bool:
    return formed.where == "-" or is_literal(formed.where)


def _difference(formed: Formed) -> list[str]:
    before, after = (data.decode("utf-8", "replace").splitlines() for data in (formed.before, formed.after))
    name = name_of(formed.where)
    return list(difflib.unified_diff(before, after, name, f"{name}, in its form", lineterm=""))
