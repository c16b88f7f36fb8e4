"""What is wrong in a settings file, each mistake with its place and its mend (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pydantic_core import PydanticCustomError

from clearinghouse.errors import BadSettings

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(?:#.*)?\Z")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: the line that it stands on (from 1; 0 where it stands on none), the fact, the mend."""

    line: int
    fact: str
    mend: str


def wrong(fact: str, mend: str) -> PydanticCustomError:
    """Return the error of a validator; `mistakes_in` finds both parts again."""
    return PydanticCustomError("setting", "{fact}", {"fact": fact, "mend": mend})


def refusal(file: str, mistakes: Sequence[Mistake]) -> BadSettings:
    """Return the error that names every mistake in *file*."""
    if len(mistakes) == 1:
        return BadSettings(f"{_place(file, mistakes[0])}: {mistakes[0].fact}", mend=mistakes[0].mend)
    rows = [f"  {_place(file, each)}: {each.fact}: {each.mend}" for each in mistakes]
    return BadSettings(f"`{file}` has {len(mistakes)} mistakes", mend="\n".join(["mend each of them", *rows]))


def _place(file: str, mistake: Mistake) -> str:
    return f"`{file}`, line {mistake.line}" if mistake.line else f"`{file}`"


def mistakes_in(errors: Iterable[Mapping[str, Any]], text: str, known: Mapping[str, Sequence[str]]) -> Iterator[Mistake]:
    """Yield a mistake for each of pydantic's *errors* about the file *text*.

    *known* are the names of settings by section, those of the file's first part under ``""``.
    """
    for error in errors:
        at = _inner(tuple(error["loc"]), known)
        section = str(at[0]) if len(at) > 1 and at[0] in known else ""
        at = at if section else at[:1]  # one value of a list has no line of its own
        fact, mend = _told(error, at, known[section])
        yield Mistake(_line_of(text, at), fact, mend)


def _inner(at: tuple[str | int, ...], known: Mapping[str, Sequence[str]]) -> tuple[str | int, ...]:
    """Return *at* with the name of a section inside another as TOML has it: `redirect.node`."""
    inner = ".".join(map(str, at[:2]))
    return (inner, *at[2:]) if len(at) > 2 and inner in known else at  # noqa: PLR2004 - a section, a section in it, and a place there


def _told(error: Mapping[str, Any], at: tuple[str | int, ...], known: Sequence[str]) -> tuple[str, str]:
    name = _name(at)
    match error["type"]:
        case "setting":
            return f"{name}{error['ctx']['fact']}", error["ctx"]["mend"]
        case "missing":
            return f"{name}is missing", f"add `{at[-1]} = ...`"
        case "tuple_type":
            return f"{name}is one value, and takes a list", 'write it in brackets, as in `["..."]`'
        case "extra_forbidden" | "unexpected_keyword_argument":
            close = get_close_matches(str(at[-1]), known, n=1)
            return f"{name}is not a setting", f"did you mean `{close[0]}`?" if close else f"the settings here are {', '.join(known)}"
        case _:
            said = str(error["msg"]).removeprefix("Input ")
            return f"{name}is not usable", f"it {said[:1].lower()}{said[1:]}"


def _name(at: tuple[str | int, ...]) -> str:
    """Return where *at* is, in words: ``topic`` 0 ``title`` becomes "`title` in [[topic]] number 1"."""
    match at:
        case (name,):
            return f"`{name}` "
        case (section, int(index)):
            return f"[[{section}]] number {index + 1} "
        case (section, int(index), name, *_):
            return f"`{name}` in [[{section}]] number {index + 1} "
        case (section, name, *_):
            return f"`{name}` in [{section}] "
        case _:
            return ""


def _line_of(text: str, at: tuple[str | int, ...]) -> int:
    """Return the line on which *at* is set, or its section begins; 0 for neither."""
    section, name = _split(at)
    found, current, begun = 0, ("", 0), Counter[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            current = (header[2], begun[header[2]] if header[1] == "[[" else 0)
            begun[header[2]] += 1
            if current == section or (section == _TOP and header[2] == name):
                found = found or number
        elif key and current == section and key[1] == name:
            return number
    return found


_TOP: Final = ("", 0)
"""The file's first part, before any section."""


def _split(at: tuple[str | int, ...]) -> tuple[tuple[str, int], str]:
    match at:
        case (str(section), int(index), *rest):
            return (section, index), str(rest[0]) if rest else ""
        case (str(section), name, *_):
            return (section, 0), str(name)
        case _:
            return _TOP, str(at[0]) if at else ""
