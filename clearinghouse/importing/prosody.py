"""A Prosody configuration as Prosody would see it, as far as it is plainly written (core/configmanager.lua of 0.12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clearinghouse.errors import ClearinghouseError
from clearinghouse.importing import lua
from clearinghouse.importing.entries import Place, Unread
from clearinghouse.importing.files import Files, included

GLOBAL: Final = "*"
"""The section before the first host, as Prosody calls it."""

AUTOLOADED: Final = frozenset({"presence", "message", "iq", "offline", "c2s", "s2s", "s2s_auth_certs"})
INHERITED_BY_COMPONENTS: Final = frozenset({"tls", "saslauth", "dialback", "iq", "s2s", "s2s_bidi", "smacks", "server_contact_info"})
"""Modules that hosts have without being told, and those of the global section that a component has (core/modulemanager.lua of 0.12)."""

_HOST_WORDS: Final = ("VirtualHost", "Host", "host")
_COMPONENT_WORDS: Final = ("Component", "component")
_INCLUDE_WORDS: Final = ("Include", "include")


@dataclass(frozen=True, slots=True)
class Option:
    """An option's value and where it stands."""

    value: lua.Value
    place: Place


@dataclass(slots=True)
class Section:
    """A host, a component, or the global section: its options; *component* is the module of a component."""

    name: str
    place: Place
    component: str = ""
    options: dict[str, Option] = field(default_factory=dict)


@dataclass(slots=True)
class ProsodyConfig:
    """Sections by name, and everything that could not be read."""

    sections: dict[str, Section]
    unread: list[Unread] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    comments: dict[str, dict[int, str]] = field(default_factory=dict)

    @property
    def hosts(self) -> list[Section]:
        """The hosts and components, in the order of the file."""
        return [each for name, each in self.sections.items() if name != GLOBAL]

    def option(self, host: str, name: str) -> Option | None:
        """Return an option of a host, which it has from the global section where it has none of its own."""
        own = self.sections[host].options.get(name) if host in self.sections else None
        return own or self.sections[GLOBAL].options.get(name)

    def plain(self, host: str, name: str) -> lua.Plain:
        """Return an option's value, ``None`` where it is not set."""
        found = self.option(host, name)
        return found.value.plain if found else None

    def texts(self, host: str, name: str) -> list[tuple[str, Place]]:
        """Return the texts of an option that is a list, or the one text that it is."""
        found = self.option(host, name)
        return list(texts_of(found)) if found else []

    def inherited(self, host: str, name: str) -> list[tuple[str, Place]]:
        """Return a host's list and the global one together (``get_option_inherited_set``)."""
        own, around = self.texts(host, name), self.texts(GLOBAL, name)
        return own + [each for each in around if each not in own]

    def modules(self, host: str) -> frozenset[str]:
        """Return the modules that a host loads (``get_modules_for_host``)."""
        section = self.sections[host]
        globally = AUTOLOADED | self._named(GLOBAL, "modules_enabled")
        globally -= self._named(GLOBAL, "modules_disabled")
        if section.component:
            globally &= INHERITED_BY_COMPONENTS
        return frozenset((globally | self._named(host, "modules_enabled")) - self._named(host, "modules_disabled"))

    def _named(self, section: str, name: str) -> frozenset[str]:
        found = self.sections[section].options.get(name)
        return frozenset(text for text, _ in texts_of(found)) if found else frozenset()


def texts_of(option: Option) -> Iterator[tuple[str, Place]]:
    """Yield the texts in an option, each with its place."""
    plain = option.value.plain
    values = plain.items if isinstance(plain, lua.Table) else (option.value,)
    for each in values:
        if isinstance(each.plain, str):
            yield each.plain, Place(option.place.file, each.line)


def read_prosody(path: Path) -> ProsodyConfig:
    """Return a configuration with the files that it includes; raises what `files.read_bytes` raises for the first file."""
    reader = _Reader()
    reader.read(path)
    reader.config.files = reader.files.read
    return reader.config


class _Reader:
    """Goes through the statements of the files in the order in which Prosody would."""

    def __init__(self) -> None:
        self.files = Files()
        self.config = ProsodyConfig({GLOBAL: Section(GLOBAL, Place(""))})
        self._current = GLOBAL
        self._file = ""
        self._depth = 0

    def read(self, path: Path) -> None:
        text = self.files.open(path)
        if text is None:
            return
        outer, self._file, self._current = (self._file, self._current), str(path), GLOBAL
        program = lua.read(text)
        self.config.comments[self._file] = program.comments
        for statement in program.statements:
            self._take(statement)
        self._file, self._current = outer

    def _take(self, statement: lua.Statement) -> None:
        match statement:
            case lua.Assigned(name, value, line):
                self._set(self._current, name, Option(value, Place(self._file, line)))
            case lua.Called(name, arguments, line) if name in {*_HOST_WORDS, *_COMPONENT_WORDS}:
                self._begin(name, arguments, Place(self._file, line))
            case lua.Called(name, (lua.Value(str(pattern), _), *_), line) if name in _INCLUDE_WORDS:
                self._include(pattern, Place(self._file, line))
            case lua.Called(name, _, line):
                self._left(line, f"{name} ...", "is a call that only Prosody can make")
            case lua.Skipped(what, line, last):
                lines = f" up to line {last}" if last > line else ""
                self._left(line, what, f"is no plain setting{lines}, and was not read")

    def _set(self, section: str, name: str, option: Option) -> None:
        self.config.sections[section].options[name] = option
        for each in _dark(option.value):
            self._left(each.line, name, f"has a value that only running it would tell ({_what(each)})")

    def _begin(self, word: str, arguments: tuple[lua.Value, ...], place: Place) -> None:
        name, *others = arguments or (lua.Value(lua.Dark("no name"), place.line),)
        if not isinstance(name.plain, str):
            self._left(place.line, word, "has a name that only running it would tell; what follows was read as part of no host")
            self._current = f"{word} of {place}"
            self.config.sections[self._current] = Section(self._current, place)
            return
        kind = next((each.plain for each in others if isinstance(each.plain, str)), "component") if word in _COMPONENT_WORDS else ""
        known = self.config.sections.setdefault(name.plain.lower(), Section(name.plain.lower(), place))
        known.component = kind
        self._current = known.name
        for each in others:
            if isinstance(each.plain, lua.Table):
                for option, value in each.plain.fields.items():
                    self._set(known.name, option, Option(value, Place(place.file, value.line)))
                self._current = GLOBAL  # as `VirtualHost "x" { ... }` does

    def _include(self, pattern: str, place: Place) -> None:
        paths = list(included(pattern, Path(self._file)))
        for path in paths:
            try:
                self.read(path)
            except ClearinghouseError as error:
                self._left(place.line, f'Include "{pattern}"', error.message)

    def _left(self, line: int, text: str, fact: str) -> None:
        self.config.unread.append(
            Unread(Place(self._file, line), text, fact, "write it as a plain value, or add by hand what it would add")
        )


def _dark(value: lua.Value) -> Iterator[lua.Value]:
    """Yield the parts of a value that are unknown; a table that stands in many places is looked at once."""
    waiting, seen = [value], set[int]()
    for each in waiting:  # which grows meanwhile
        if isinstance(each.plain, lua.Dark):
            yield each
        elif isinstance(each.plain, lua.Table) and id(each.plain) not in seen:
            seen.add(id(each.plain))
            waiting += (*each.plain.items, *each.plain.fields.values())


def _what(value: lua.Value) -> str:
    return value.plain.what if isinstance(value.plain, lua.Dark) else ""
