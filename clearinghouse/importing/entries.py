"""What readers give: rules of today's lists, and what could not become one, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

EVERYWHERE: Final = "*"
"""The local domain of a list that does not say for which it is."""

BOTH: Final = ("in", "out")
"""The directions: streams and stanzas that come in, and those that go out."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A file, or another input, and a line in it, from 1 (0: the whole file)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        """Return ``file:line``."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Entry:
    """One domain of a list: whether servers admit it, and what the list says of it besides."""

    domain: str
    place: Place
    allowed: bool = True
    note: str = ""
    host: str = ""
    port: int = 0
    contacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """Something of an input that did not become an entry: what stands there, why, and what to do about it."""

    place: Place
    text: str
    fact: str
    mend: str = ""

    def as_json(self) -> dict[str, object]:
        """Return it in the documented schema."""
        return {"file": self.place.file, "line": self.place.line, "text": self.text, "fact": self.fact, "mend": self.mend}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ordered list: these domains, or with *outside* all others, are admitted or not."""

    allowed: bool
    domains: frozenset[str]
    outside: bool = False

    def covers(self, domain: str) -> bool:
        """Whether it decides about *domain*; the empty text stands for one that no list names."""
        return (domain in self.domains) != self.outside


@dataclass(frozen=True, slots=True)
class Lists:
    """What one local domain does today, in each direction: the first rule that names a domain decides.

    *unclear* says that something was left out which could change the answer for domains that are not named.
    """

    local: str
    rules: dict[str, tuple[Rule, ...]]
    default: dict[str, bool]
    unclear: bool = False
    places: tuple[Place, ...] = ()

    def admits(self, domain: str, direction: str) -> bool:
        """Return what happens to *domain* (`Rule.covers`) in one direction."""
        return next((rule.allowed for rule in self.rules[direction] if rule.covers(domain)), self.default[direction])


@dataclass(slots=True)
class Found:
    """Everything that was found in the inputs."""

    entries: list[Entry] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    lists: list[Lists] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Take what was found in another input as well."""
        self.entries += other.entries
        self.unread += other.unread
        self.lists += other.lists
        self.files += other.files


def white_list(local: str, domains: Iterable[str], places: Iterable[Place] = ()) -> Lists:
    """Return what a server does that admits these domains and no others."""
    rule = Rule(allowed=True, domains=frozenset(domains))
    return Lists(local, dict.fromkeys(BOTH, (rule,)), dict.fromkeys(BOTH, False), places=tuple(places))


def black_list(local: str, domains: Iterable[str], places: Iterable[Place] = ()) -> Lists:
    """Return what a server does that admits everybody but these domains."""
    rule = Rule(allowed=False, domains=frozenset(domains))
    return Lists(local, dict.fromkeys(BOTH, (rule,)), dict.fromkeys(BOTH, True), places=tuple(places))
