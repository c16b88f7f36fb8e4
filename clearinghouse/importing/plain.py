"""Lists of one domain a line, and tables with commas: ours, and the ones in which Mastodon servers exchange their blocks."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from clearinghouse.importing.entries import Entry, Found, Place, Unread, black_list, white_list
from clearinghouse.importing.files import read_bytes, text_of
from clearinghouse.importing.yaml_tree import BadList

COLUMNS: Final = ("domain", "address", "port", "contact", "note")
"""The columns of a table without a header, in their order; with a header, in any order."""

MOST_FIELD_CHARACTERS: Final = 65_536
"""Characters of one field of a table: a public comment has some hundred."""

MOST_FIELDS: Final = 64
"""Columns of a table; the widest list in use has seven."""

_COMMENT: Final = re.compile(r"(?:^|\s)#(.*)|(?:^|\s)(?://|;)(.*)")
_CONTACTS: Final = re.compile(r"[;\s]+")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_MASTODON: Final = ("#domain", "#severity")
_LAST_PORT: Final = 65_535


def from_text(path: Path, local: str) -> Found:
    """Return a plain list: a domain a line, what follows ``#`` is its note."""
    found = Found(files=[str(path)])
    for number, written in enumerate(text_of(read_bytes(path)).splitlines(), start=1):
        comment = _COMMENT.search(written)
        words = (written[: comment.start()] if comment else written).split()
        place = Place(str(path), number)
        if len(words) > 1:
            found.unread.append(Unread(place, written.strip(), "has several words", "write one domain a line, and notes after `#`"))
        elif words:
            note = (comment[1] or comment[2] or "").strip() if comment else ""
            found.entries.append(Entry(words[0], place, note=note))
    found.lists.append(white_list(local, (entry.domain for entry in found.entries), [Place(str(path))]))
    return found


def from_csv(path: Path, local: str) -> Found:
    """Return a table with commas: members, or (with Mastodon's header) refusals; raises `BadList` for what is no table."""
    found = Found(files=[str(path)])
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        return found
    names = tuple(each.strip().lower() for each in first[1])
    if names[:2] == _MASTODON:
        for number, row in rows:
            _take_refusal(found, Place(str(path), number), dict(zip(names, row, strict=False)))
        found.lists.append(black_list(local, (entry.domain for entry in found.entries), [Place(str(path))]))
        return found
    header = "domain" in names
    columns = names if header else COLUMNS
    for name in columns if header else ():
        if name not in COLUMNS:
            found.unread.append(
                Unread(Place(str(path), first[0]), name, "is a column that is not known here", f"known: {', '.join(COLUMNS)}")
            )
    for number, row in rows if header else _again(first, rows):
        _take_row(found, Place(str(path), number), row, columns)
    found.lists.append(white_list(local, (entry.domain for entry in found.entries), [Place(str(path))]))
    return found


def _again(first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rows


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows with anything in them, each with the line on which it ends."""
    csv.field_size_limit(MOST_FIELD_CHARACTERS)
    reader = csv.reader(text_of(read_bytes(path)).replace("\0", "\ufffd").splitlines(keepends=True))
    try:
        for row in reader:
            if len(row) > MOST_FIELDS:
                raise BadList(f"`{path}`, line {reader.line_num}, has more than {MOST_FIELDS} columns", mend="give a table with commas")
            if any(each.strip() for each in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise BadList(f"`{path}`, line {reader.line_num}, is no table: {error}", mend="give a table with commas") from None


def _take_row(found: Found, place: Place, row: list[str], columns: tuple[str, ...]) -> None:
    cells = {name: value.strip() for name, value in zip(columns, row, strict=False)}
    if len(row) > len(columns):
        extra = ", ".join(row[len(columns) :])
        found.unread.append(Unread(place, extra, "stands beyond the last column and was left out", "quote a note that has commas"))
    if cells.get("domain", "").startswith("#"):
        return
    port = cells.get("port", "")
    if port and not (_PORT.fullmatch(port) and 0 < int(port) <= _LAST_PORT):
        found.unread.append(Unread(place, port, "is no port, and was left out", "write a number from 1 to 65535"))
        port = ""
    if port and not cells.get("address"):
        found.unread.append(Unread(place, port, "is a port without an address, and was left out", "give the address as well"))
    contacts = tuple(each for each in _CONTACTS.split(cells.get("contact", "")) if each)
    domain, address = cells.get("domain", ""), cells.get("address", "")
    note = cells.get("note", "")
    found.entries.append(Entry(domain, place, note=note, host=address, port=int(port or 0), contacts=contacts))


def _take_refusal(found: Found, place: Place, cells: dict[str, str]) -> None:
    """Take a row of Mastodon's: what is silenced there is refused here, since servers of XMPP admit or do not."""
    severity = cells.get("#severity", "").strip()
    domain, comment = cells.get("#domain", "").strip(), cells.get("#public_comment", "").strip()
    if severity not in {"suspend", "silence"}:
        found.unread.append(Unread(place, f"{domain} {severity}", "is not refused by that list, and was left out", "nothing"))
        return
    note = "; ".join(part for part in (severity, comment) if part)
    found.entries.append(Entry(domain, place, allowed=False, note=note))
