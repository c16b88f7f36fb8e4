"""DNS data that somebody hands in: a zone file, or what ``dig`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TYPES: Final = {"SRV": 4, "A": 1, "AAAA": 1}
"""The types that are looked at, and how many words their data has."""
_CLASSES: Final = {"IN", "CH", "HS"}
_SERVICES: Final = ("_xmpp-server._tcp.", "_xmpps-server._tcp.")


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its owner, type, and data as words, all without final dots and in lower case."""

    name: str
    type: str
    data: tuple[str, ...]
    line: int

    @property
    def domain(self) -> str:
        """The domain whose servers an SRV record names, empty for other records."""
        return next((self.name.removeprefix(each) for each in _SERVICES if self.name.startswith(each) and self.type == "SRV"), "")

    @property
    def target(self) -> str:
        """The last word of its data: a host, or an address."""
        return self.data[-1]


def records(text: str) -> Iterator[Record]:
    """Yield the records of *text* that are about servers; a line without an owner has the one before it."""
    owner = ""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition(";")[0].split()
        if not words or words[0].startswith("$"):
            continue
        if not line[:1].isspace():
            owner, *words = words
        while words and (words[0].isdigit() or words[0].upper() in _CLASSES):
            words = words[1:]
        kind = words[0].upper() if words else ""
        if len(words) - 1 == _TYPES.get(kind, -1):
            yield Record(_plain(owner), kind, tuple(map(_plain, words[1:])), number)


def _plain(word: str) -> str:
    return word.lower().rstrip(".") or "."
