"""JSON and instants as our own formats write them, and as they are read: without any latitude (pure).

JSON readers disagree about what they forgive (RFC 8259, sections 4 and 6: members given twice, huge
numbers), and whoever signs must know that every reader sees the same.  So members come once, numbers are
whole, text is UTF-8 without lone surrogates, and each format says exactly which members there are.

Functions raise ``ValueError`` with what is wrong; the format that calls makes an error of its own of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from clearinghouse.clearing.vocabulary import shown

INTEGER_DIGITS: Final = 16
"""Digits of a whole number with its sign; every reader agrees about numbers up to 2 to the 53 (RFC 8259, section 6)."""

_ESCAPED_SURROGATE = "\\ud"
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def canonical(value: Mapping[str, Any]) -> bytes:
    r"""Return the one form of a JSON object: members sorted by name, no white space, ASCII.

    Control characters, the quotation mark, the backslash and all beyond ASCII are escaped, in the short form
    (``\n``) where JSON has one, else as ``\u`` with four lower-case hexadecimal digits.  Raises ``ValueError``
    for a number that is not whole.
    """
    _check_numbers(value)
    return _encode(value).encode("ascii")


def read_canonical(raw: bytes) -> dict[str, Any]:
    """Return the object that `canonical` wrote as *raw*; any other spelling of it is a ``ValueError``."""
    found = read_object(raw)
    try:
        same = canonical(found) == raw
    except RecursionError:  # reading may go a level deeper than writing
        same = False
    if not same:
        raise ValueError("is not in its canonical form")
    return found


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in *raw*, in any layout."""
    try:
        text = raw.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_once, parse_int=_whole, parse_float=_no_number, parse_constant=_no_number)
        if _ESCAPED_SURROGATE in text.lower():
            json.dumps(found, ensure_ascii=False).encode("utf-8")  # lone ones have no UTF-8
    except _Told:
        raise
    except (ValueError, RecursionError):
        raise ValueError("is not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - of the text, not of an argument
    return found


def check_members(found: Mapping[str, Any], wanted: Mapping[str, type], *, optional: Iterable[str] = ()) -> None:
    """Refuse members that are missing, unknown or of another type; a boolean is no whole number."""
    for name in found:
        if name not in wanted:
            raise ValueError(f"has the unknown member `{shown(name)}`")
    absent = [name for name in wanted if name not in found and name not in optional]
    if absent:
        raise ValueError(f"has no member `{absent[0]}`")
    for name, value in found.items():
        if type(value) is not wanted[name]:
            raise ValueError(f"has a member `{name}` that is no {_TYPES[wanted[name]]}")


def stamp(at: datetime) -> str:
    """Return an instant in its one form, UTC with microseconds: ``2026-11-20T12:00:00.000000Z`` (RFC 3339)."""
    if at.tzinfo is None:
        raise ValueError("an instant without a time zone is none")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def read_stamp(text: str) -> datetime:
    """Return the instant that `stamp` wrote; any other spelling is a ``ValueError``."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is UTC and stamp(at) == text:
            return at
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"has the time `{shown(text)}`, which is not written like 2026-11-20T12:00:00.000000Z")


class _Told(ValueError):
    """What is wrong is said already."""


_TYPES: Final[Mapping[type, str]] = {str: "text", int: "whole number", dict: "object", list: "list"}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Told(f"has the member `{shown(name)}` twice")
        found[name] = value
    return found


def _whole(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS:
        raise _Told(f"has a number of more than {INTEGER_DIGITS} digits")
    return int(digits)


def _no_number(text: str) -> NoReturn:
    raise _Told(f"has the number `{shown(text)}`, which is not whole")


def _check_numbers(value: object) -> None:
    waiting = [value]
    for each in waiting:  # which grows meanwhile
        if isinstance(each, float):
            raise ValueError("numbers are whole")  # noqa: TRY004 - the value is wrong, a number is welcome
        if isinstance(each, Mapping):
            waiting += (inner for inner in each.values() if type(inner) is not str)
        elif isinstance(each, list | tuple):
            waiting += (inner for inner in each if type(inner) is not str)
