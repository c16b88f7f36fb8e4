"""YAML as a tree with lines, from any bytes: nothing is made of tags, mappings keep repeated keys, depth and size are bounded.

PyYAML's loaders call themselves for what is nested, and drop all but the last of equal keys, which
ejabberd's access rules have (``deny: a``, ``deny: b``).  So its events are taken, and the tree is built here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Final

import yaml

from clearinghouse.errors import OperatorError

NESTING: Final = 64
"""Levels of lists and mappings; an ``ejabberd.yml`` has eight."""

MOST_NODES: Final = 4_000_000
"""Values in one file: four for each of a million domains."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}


class BadList(OperatorError):
    """A file that is not of the format as which it is read, so that nothing in it can be told apart."""

    code: ClassVar[str] = "bad-list"


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its line: a text, a number, a truth value, nothing, a list, or pairs of a mapping."""

    value: Scalar | list[Node] | Pairs
    line: int

    def get(self, *names: str) -> Node | None:
        """Return what stands under a name, and under a name in that; of equal keys, the last."""
        found: Node | None = self
        for name in names:
            pairs = found.pairs() if found else ()
            found = next((value for key, value in reversed(list(pairs)) if key.value == name), None)
        return found

    def pairs(self) -> Iterator[tuple[Node, Node]]:
        """Yield the pairs of a mapping; of anything else, none."""
        if isinstance(self.value, Pairs):
            yield from self.value.items

    def items(self) -> Iterator[Node]:
        """Yield the values of a list; of one value, itself."""
        if isinstance(self.value, list):
            yield from self.value
        else:
            yield self

    @property
    def text(self) -> str:
        """The value as text; of a list or a mapping, none."""
        match self.value:
            case bool():
                return "true" if self.value else "false"
            case str() | int():
                return str(self.value)
            case _:
                return ""


Scalar = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mapping as it is written, equal keys included."""

    items: list[tuple[Node, Node]] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """A list or mapping that has not ended; *keys* of a mapping are taken in pairs when it ends."""

    line: int
    anchor: str | None
    mapping: bool
    children: list[Node] = field(default_factory=list)


def read_yaml(text: str, file: str) -> Node:
    """Return the first document of *text*; raises `BadList` with the line."""
    try:
        return _Builder(file).build(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = str(getattr(error, "problem", None) or "it cannot be read").splitlines()[0]
        raise _bad(file, mark.line + 1 if mark else 0, f"is no YAML: {what}") from None


def _bad(file: str, line: int, fact: str) -> BadList:
    place = f"`{file}`, line {line}," if line else f"`{file}`"
    return BadList(f"{place} {fact}", mend="mend it, or give its lines as a plain list of domains")


class _Builder:
    """Builds the tree of one document from events, without calling itself."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._count = 0
        self._root: Node | None = None

    def build(self, text: str) -> Node:
        for event in yaml.parse(text, Loader=_LOADER):
            match event:
                case yaml.DocumentEndEvent():
                    break
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin(event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.ScalarEvent():
                    self._take(Node(_scalar(event), _line(event)), event.anchor)
                case yaml.AliasEvent():
                    self._alias(event)
                case _:
                    pass  # the beginning and the end of what is around
        return self._root or Node(None, 1)

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        line = _line(event)
        if len(self._open) >= NESTING:
            raise _bad(self._file, line, f"has more than {NESTING} levels")
        self._open.append(_Open(line, event.anchor, isinstance(event, yaml.MappingStartEvent)))

    def _end(self) -> None:
        done = self._open.pop()
        children = done.children
        pairs = list(zip(children[::2], children[1::2], strict=True)) if done.mapping else []
        self._take(Node(Pairs(pairs) if done.mapping else children, done.line), done.anchor)

    def _alias(self, event: yaml.AliasEvent) -> None:
        line = _line(event)
        known = self._anchors.get(event.anchor or "")
        if known is None:  # also of what has not ended: a value within itself has no meaning here
            raise _bad(self._file, line, f"uses the unknown anchor `{event.anchor}`")
        self._take(known, None)

    def _take(self, node: Node, anchor: str | None) -> None:
        self._count += 1
        if self._count > MOST_NODES:
            raise _bad(self._file, node.line, f"has more than {MOST_NODES} values")
        if anchor:
            self._anchors[anchor] = node
        if self._open:
            self._open[-1].children.append(node)
        elif self._root is None:
            self._root = node


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    """Return a plain scalar as what it means to ejabberd, a quoted one as text."""
    written: str = event.value
    if not event.implicit[0]:
        return written
    if written in _WORDS:
        return _WORDS[written]
    return int(written) if _NUMBER.fullmatch(written) else written
