"""What the commands are given: a file, a folder of ``.kn`` files, ``-`` for standard input, or the text itself."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from clearinghouse.cli.output import Located, clean
from clearinghouse.errors import BadQuery, BadSettings, ClearinghouseError, MalformedAssertion, TooLarge
from clearinghouse.keynote import split_assertions
from clearinghouse.keynote.keys import PrivateKey, read_key_file

ENDING = ".kn"
"""How the files of a folder end that hold assertions."""

_AT_MOST = 1 << 28
"""Bytes of one input; `Limits.local().request_bytes`."""

_ATTRIBUTE = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")
"""An AttributeID of RFC 2704, section 4.2."""

_LITERAL = re.compile(
    r"\A\s*(?:#[^\n]*\n\s*)*(?:KeyNote-Version|Local-Constants|Authorizer|Licensees|Conditions|Comment)\s*:", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One assertion's bytes, the input that they stand in, and the line there, from 1."""

    where: str
    line: int
    raw: bytes

    @property
    def place(self) -> str:
        """The input and, below its first assertion, the line."""
        return self.where if self.line == 1 else f"{self.where}:{self.line}"


def pieces(given: Iterable[str]) -> Iterator[Piece | Located]:
    """Yield every assertion of the inputs, and an error for each input that cannot be read."""
    for where in (each for argument in given for each in inputs(argument)):
        try:
            yield from split(where, read(where))
        except Located as problem:
            yield problem
        except ClearinghouseError as error:
            yield Located(error, name_of(where))


def inputs(argument: str) -> list[str]:
    """Return the files of a folder, or the argument itself; an empty folder is read as a file, and fails."""
    if is_literal(argument) or not os.path.isdir(argument):  # noqa: PTH112 - Path.is_dir() raises for long names
        return [argument]
    return sorted(str(path) for path in Path(argument).rglob(f"*{ENDING}")) or [argument]


def split(argument: str, data: bytes) -> list[Piece]:
    """Return the assertions in *data*, what was read of an input; raises Located for none."""
    try:
        found = split_assertions(data)
    except ClearinghouseError as error:
        raise Located(error, name_of(argument)) from None
    if not found:
        raise Located(_nothing(), name_of(argument))
    return [Piece(name_of(argument), line, raw) for line, raw in found]


def _nothing() -> MalformedAssertion:
    return MalformedAssertion("there is no assertion here", mend="write at least an Authorizer field")


def is_literal(argument: str) -> bool:
    """Tell whether an argument is the text of an assertion and no file's name."""
    return "\n" in argument or _LITERAL.match(argument) is not None


def name_of(argument: str) -> str:
    """Return how an input is called in messages."""
    return "standard input" if argument == "-" else "the argument" if is_literal(argument) else argument


def read(argument: str) -> bytes:
    """Return the bytes of one input; raises BadSettings for a file that cannot be read."""
    if is_literal(argument):
        return argument.encode("utf-8", "surrogateescape")
    if argument == "-" and sys.stdin is None:
        raise BadSettings("there is no standard input", mend="name a file")
    if argument == "-":
        return _bounded(sys.stdin.buffer.read(_AT_MOST + 1))
    try:
        with Path(argument).open("rb") as file:
            if not _is_text(os.fstat(file.fileno()).st_mode):
                raise BadSettings(f"`{clean(argument)}` is no file", mend="name a file, or `-` for standard input")
            return _bounded(file.read(_AT_MOST + 1))
    except (OSError, ValueError) as error:
        raise _unreadable(argument, error) from None


def _unreadable(argument: str, error: OSError | ValueError) -> BadSettings:
    reason = error.strerror if isinstance(error, OSError) else "there is a NUL byte in its name"
    if isinstance(error, IsADirectoryError):
        return BadSettings(f"there is no file that ends in `{ENDING}` in `{clean(argument)}`", mend="name the files themselves")
    return BadSettings(f"`{clean(argument)}` cannot be read ({reason})", mend="check its name and its mode")


def _is_text(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _bounded(data: bytes) -> bytes:
    if len(data) > _AT_MOST:
        raise TooLarge(f"the input has more than {_AT_MOST} bytes", mend="give less at once")
    return data


def one(argument: str) -> Piece:
    """Return the single assertion of an input; raises Located."""
    where = name_of(argument)
    found = split_assertions(read(argument))
    if not found:
        raise Located(_nothing(), where)
    if len(found) > 1:
        message = "there are several assertions here, and one is wanted"
        raise Located(MalformedAssertion(message, mend="give one at a time", line=found[1][0]), where)
    return Piece(where, *found[0])


def located(error: ClearinghouseError, piece: Piece) -> Located:
    """Return an assertion's error with its place in the input."""
    return Located(_shifted(error, piece.line - 1), piece.where if isinstance(error, MalformedAssertion) else piece.place)


def _shifted(error: ClearinghouseError, lines: int) -> ClearinghouseError:
    if not isinstance(error, MalformedAssertion) or not lines:
        return error
    return MalformedAssertion(
        error.message,
        mend=error.mend,
        line=error.line + lines,
        column=error.column,
        source=error.source,
        caret=error.caret,
        width=error.width,
        others=error.others,
    )


# -- keys, attributes, the clock ----------------------------------------------------------------------


def private_key(file: Path, passphrase_file: Path | None, *, allow_demo: bool) -> PrivateKey:
    """Return the key of a key file; demonstration keys only where they are allowed."""
    return read_key_file(file, passphrase=passphrase(passphrase_file), allow_demo=allow_demo)


def passphrase(file: Path | None) -> bytes | None:
    """Return the first line of a passphrase file."""
    if file is None:
        return None
    found = read(str(file)).split(b"\n", 1)[0].rstrip(b"\r")
    if not found:
        raise BadSettings(f"the first line of `{clean(str(file))}` is empty", mend="write the passphrase on it")
    return found


def attributes(given: Iterable[str], file: str | None) -> dict[str, str]:
    """Return the action attributes of a JSON file and of ``NAME=VALUE`` arguments, which win."""
    found: dict[str, str] = {}
    for argument in given:
        name, equals, value = argument.partition("=")
        if not equals or not name:
            raise BadSettings(f"`{clean(argument)}` is no attribute", mend="write `--attribute NAME=VALUE`")
        if name in found:
            raise BadQuery(f"the attribute `{clean(name)}` is given twice", mend="give each attribute once")
        found[name] = value
    found = (_json_attributes(file) if file is not None else {}) | found
    for name in found:
        if not _ATTRIBUTE.match(name):
            mend = "names are ASCII letters, digits and underscores, and begin with no digit"
            raise BadQuery(f"`{clean(name)}` is not the name of an attribute", mend=mend)
    return found


def _json_attributes(file: str) -> dict[str, str]:
    try:
        found = json.loads(read(file))
    except (ValueError, RecursionError):
        raise BadSettings(f"`{clean(name_of(file))}` is no JSON", mend='write one object, as in `{"topic": "incidents"}`') from None
    if not isinstance(found, dict):
        raise BadSettings(f"`{clean(name_of(file))}` is no JSON object", mend='write one, as in `{"topic": "incidents"}`')
    for name, value in found.items():
        if not isinstance(value, str):
            mend = (
                f'write `{clean(name)}` in quotation marks: `"{clean(json.dumps(value))}"`' if isinstance(value, int) else "write a string"
            )
            raise BadSettings(f"the attribute `{clean(name)}` is no text, and KeyNote knows no others", mend=mend)
    return found


def values(given: str) -> tuple[str, ...]:
    """Return the compliance values of ``weakest,...,strongest``."""
    found = tuple(each.strip() for each in given.split(","))
    if not all(found):
        raise BadSettings(f"`{clean(given)}` has an empty value", mend="write `--values deny,ask,allow`, from the weakest to the strongest")
    if len(found) == 1:  # the weakest and the strongest in one: it would be the answer to everybody
        raise BadQuery(
            f"`{clean(given)}` is one value, which anybody gets", mend="give at least two, `--values deny,allow`, the weakest first"
        )
    return found


def instant(given: str | None) -> datetime:
    """Return the time that was given, in UTC where it names no zone, or the clock's."""
    if given is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise BadSettings(f"`{clean(given)}` is no date or time", mend="write it as in `2026-11-20` or `2026-11-20T12:00:00Z`") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
