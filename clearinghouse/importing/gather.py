"""From files to everything that they say: each is read as what it is, or as what it is said to be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from clearinghouse.errors import ClearinghouseError
from clearinghouse.importing.ejabberd_lists import from_ejabberd
from clearinghouse.importing.entries import EVERYWHERE, Found, Lists, white_list
from clearinghouse.importing.files import read_bytes, text_of
from clearinghouse.importing.firewall import from_script
from clearinghouse.importing.plain import from_csv, from_text
from clearinghouse.importing.prosody_lists import from_prosody


class Format(StrEnum):
    """How a list may be written."""

    AUTO = "auto"
    PROSODY = "prosody"
    EJABBERD = "ejabberd"
    TEXT = "text"
    CSV = "csv"


_ENDINGS: Final = {".lua": Format.PROSODY, ".pfw": Format.PROSODY, ".yml": Format.EJABBERD, ".yaml": Format.EJABBERD, ".csv": Format.CSV}
_SCRIPT: Final = ".pfw"
_LOOKED_AT: Final = 65_536
"""Characters at the beginning of a file by which its format is told."""

_PROSODY: Final = re.compile(r"^\s*(?:VirtualHost|Component|Include)\b|^\s*(?:modules_enabled|s2s_\w+)\s*=", re.MULTILINE)
_EJABBERD: Final = re.compile(r"^(?:hosts|acl|access_rules|s2s_access|listen|modules)\s*:", re.MULTILINE)
_COMMA: Final = re.compile(r"^[^#\n][^\n,]*,|^#domain,", re.MULTILINE)


def gathered(
    paths: Iterable[Path], *, kind: Format = Format.AUTO, local: str = EVERYWHERE
) -> tuple[Found, list[tuple[Path, ClearinghouseError]]]:
    """Return what all files say, and an error for each that cannot be read; *local* is the domain whose list a plain one is."""
    found = Found()
    plain: list[Lists] = []
    problems: list[tuple[Path, ClearinghouseError]] = []
    for path in paths:
        try:
            its = told(path) if kind is Format.AUTO else kind
            read = _read(path, its, local)
        except ClearinghouseError as error:
            problems.append((path, error))
            continue
        if its in {Format.TEXT, Format.CSV}:
            plain += read.lists
            read.lists = []
        found.add(read)
    found.lists += _together(plain, local)
    return found, problems


def _together(plain: list[Lists], local: str) -> Iterator[Lists]:
    """Yield plain lists as one: who stands in any of them is admitted, unless a list of refusals has it."""
    white = [each for each in plain if not each.admits("", "in")]
    if white:
        domains = (domain for each in white for rule in each.rules["in"] for domain in rule.domains)
        yield white_list(local, domains, (place for each in white for place in each.places))
    yield from (each for each in plain if each not in white)


def told(path: Path) -> Format:
    """Return a file's format by its name's ending, or by what is in it."""
    if path.suffix in _ENDINGS:
        return _ENDINGS[path.suffix]
    text = text_of(read_bytes(path))[:_LOOKED_AT]
    for kind, sign in ((Format.PROSODY, _PROSODY), (Format.EJABBERD, _EJABBERD), (Format.CSV, _COMMA)):
        if sign.search(text):
            return kind
    return Format.TEXT


def _read(path: Path, kind: Format, local: str) -> Found:
    match kind:
        case Format.PROSODY:
            return from_script(path, local) if path.suffix == _SCRIPT else from_prosody(path)
        case Format.EJABBERD:
            return from_ejabberd(path)
        case Format.CSV:
            return from_csv(path, local)
        case _:
            return from_text(path, local)
