"""An ejabberd configuration as ejabberd would see it: macros, included files, and what holds for each host (23.01)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clearinghouse.errors import ClearinghouseError
from clearinghouse.importing.entries import Place, Unread
from clearinghouse.importing.files import Files
from clearinghouse.importing.yaml_tree import Node, Pairs, read_yaml

_INCLUDE: Final = "include_config_file"
_MACROS: Final = "define_macro"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it stands."""

    node: Node
    file: str

    @property
    def place(self) -> Place:
        """Its file and line."""
        return Place(self.file, self.node.line)

    def get(self, *names: str) -> Setting | None:
        """Return what stands below."""
        found = self.node.get(*names)
        return Setting(found, self.file) if found else None

    def pairs(self) -> Iterator[tuple[str, Setting]]:
        """Yield names and values of a mapping, or of a list of mappings with one pair each, as older files have."""
        parts = self.node.value if isinstance(self.node.value, list) else [self.node]
        for part in parts:
            for key, value in part.pairs():
                yield key.text, Setting(value, self.file)


@dataclass(slots=True)
class EjabberdConfig:
    """The options of all files, in order; of several values of one option, the last counts unless it is joined."""

    top: dict[str, list[Setting]]
    text: dict[str, list[str]]
    unread: list[Unread] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> list[tuple[str, Place]]:
        """The virtual hosts."""
        return [(node.text, Place(each.file, node.line)) for each in self.top.get("hosts", ()) for node in each.node.items()]

    def option(self, name: str, host: str = "") -> Setting | None:
        """Return an option as it holds for a host, or for all."""
        own = self._of_host("host_config", host, name)
        found = own or self.top.get(name, [])
        return found[-1] if found else None

    def joined(self, name: str, host: str = "") -> list[tuple[str, Setting]]:
        """Return the pairs of an option that is made of several: `acl`, `access_rules`, `modules`; later ones win."""
        own = self._of_host("host_config", host, name)
        parts = own or self.top.get(name, [])
        if name in {"acl", "access_rules"}:  # a host's are added to those of all
            parts = self.top.get(name, []) + own
        return [pair for each in parts + self._of_host("append_host_config", host, name) for pair in each.pairs()]

    def listeners(self) -> list[Setting]:
        """Return the listeners."""
        return [Setting(node, each.file) for each in self.top.get("listen", ()) for node in each.node.items()]

    def comment(self, place: Place) -> str:
        """Return the comment on a line, behind its value."""
        lines = self.text.get(place.file, [])
        line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
        return line.partition(" #")[2].lstrip("#").strip()

    def _of_host(self, section: str, host: str, name: str) -> list[Setting]:
        found = [each.get(host, name) for each in self.top.get(section, ())] if host else []
        return [each for each in found if each]


def read_ejabberd(path: Path) -> EjabberdConfig:
    """Return a configuration with the files that it includes; raises what stands in the way of the first file."""
    reader = _Reader()
    reader.read(path)
    reader.config.files = reader.files.read
    return reader.config


class _Reader:
    """Takes the files in the order in which they are included."""

    def __init__(self) -> None:
        self.files = Files()
        self.config = EjabberdConfig({}, {})
        self._macros: dict[str, Node] = {}
        self._done: dict[int, tuple[Node, Node]] = {}

    def read(self, path: Path, *, only: frozenset[str] | None = None, without: frozenset[str] = frozenset()) -> None:
        text = self.files.open(path)
        if text is None:
            return
        name = str(path)
        root = read_yaml(text, name)
        self.config.text[name] = text.splitlines()
        if root.value is not None and not isinstance(root.value, Pairs):
            self._left(Place(name, root.line), name, "is no mapping of options, and was not read")
        for key, value in root.pairs():
            if key.text == _MACROS:
                self._macros |= {macro.text: node for macro, node in value.pairs()}
        for key, value in root.pairs():
            if key.text == _INCLUDE:
                self._include(value, path)
            elif key.text != _MACROS and (only is None or key.text in only) and key.text not in without:
                self.config.top.setdefault(key.text, []).append(Setting(self._filled(value), name))

    def _include(self, node: Node, beside: Path) -> None:
        """Read included files; ``FILE: {allow_only: [...]}`` limits what is taken from one."""
        named = [(key, options) for part in node.items() for key, options in part.pairs()] or [
            (each, Node(None, 0)) for each in node.items()
        ]
        for key, options in named:
            only, without = options.get("allow_only"), options.get("disallow")
            limit = frozenset(each.text for each in only.items()) if only else None
            self._included(beside.parent / key.text, Place(str(beside), key.line), limit, without)

    def _included(self, path: Path, place: Place, only: frozenset[str] | None, without: Node | None) -> None:
        try:
            self.read(path, only=only, without=frozenset(each.text for each in without.items()) if without else frozenset())
        except ClearinghouseError as error:
            self._left(place, f"{_INCLUDE}: {path}", f"could not be read: {error.message}")

    def _filled(self, node: Node) -> Node:
        """Put the values of macros where their names stand; a part that stands in many places (an alias) is done once."""
        if not self._macros or id(node) in self._done:
            return self._done[id(node)][1] if self._macros else node
        match node.value:
            case str() if node.value in self._macros:
                filled = Node(self._macros[node.value].value, node.line)
            case list():
                filled = Node([self._filled(each) for each in node.value], node.line)
            case Pairs(items):
                filled = Node(Pairs([(key, self._filled(value)) for key, value in items]), node.line)
            case _:
                return node
        self._done[id(node)] = (node, filled)  # the node is kept, so that its identity stays its own
        return filled

    def _left(self, place: Place, text: str, fact: str) -> None:
        self.config.unread.append(Unread(place, text, fact, "give that file as well, or add by hand what it would add"))
