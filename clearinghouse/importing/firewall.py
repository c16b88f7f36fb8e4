"""Scripts of Prosody's `mod_firewall`, as far as a rule says plainly which domains pass (its README, revision of 2023).

A rule block is conditions and then actions; the first block that matches and passes, drops or bounces decides.
Blocks with one condition about domains are read; every other block that could stop a stanza is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clearinghouse.errors import ClearinghouseError
from clearinghouse.importing.entries import BOTH, Entry, Found, Lists, Place, Rule, Unread
from clearinghouse.importing.files import read_bytes, text_of

_DEFINITION: Final = re.compile(r"%\s*([A-Z]+)\s+([\w-]+)\s*:\s*(.*)")
_CONDITION: Final = re.compile(r"(NOT\s+)?([A-Z][A-Z_ ]*?)(\s+NOT)?\s*(?::\s*(.*)|\?)")
_ACTION: Final = re.compile(r"([A-Z][A-Z_ ]*?)\s*(?:\.|=(.*))")
_USERS_OF: Final = re.compile(r"<\*>@([^<>@/\s]+)(?:/<\*>)?")
_CONTAINS: Final = re.compile(r"([\w-]+)\s+contains\s+\$?<@(from|to)\|host>")
_ZONE: Final = re.compile(r"[^@/\s,]+")

_PASSES: Final = {"PASS": True, "DROP": False, "BOUNCE": False}
_HARMLESS: Final = {"LOG", "MARK_ORIGIN", "UNMARK_ORIGIN", "MARK_USER", "UNMARK_USER", "INJECT", "STRIP", "COPY", "FORWARD", "REPORT_TO"}
"""Actions that stop nothing."""

_DIRECTIONS: Final = {"deliver": "in", "deliver_remote": "out", "preroute": "out"}
"""The chains about which a rule can say who may federate; ``deliver`` is the one without a name."""
_FACING: Final = {"in": ("FROM", "from", "LEAVING"), "out": ("TO", "to", "ENTERING")}


@dataclass(slots=True)
class _Block:
    """One rule: where it begins, its chain, its conditions as (name, negated, value), its actions."""

    place: Place
    chain: str
    conditions: list[tuple[str, bool, str]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)


def from_script(path: Path, local: str) -> Found:
    """Return what a script says for one local domain."""
    return _Script(path, local).found()


class _Script:
    """Reads one script."""

    def __init__(self, path: Path, local: str) -> None:
        self._path = path
        self._local = local
        self._named: dict[str, frozenset[str]] = {}
        self._places: dict[str, Place] = {}
        self._result = Found(files=[str(path)])
        self._rules: dict[str, list[Rule]] = {each: [] for each in BOTH}
        self._unclear = False

    def found(self) -> Found:
        for block in self._blocks():
            self._read(block)
        rules = {each: tuple(found) for each, found in self._rules.items()}
        place = Place(str(self._path))
        self._result.lists.append(Lists(self._local, rules, dict.fromkeys(BOTH, True), unclear=self._unclear, places=(place,)))
        return self._result

    def _blocks(self) -> Iterator[_Block]:
        chain, block = "deliver", None
        for number, written in enumerate(text_of(read_bytes(self._path)).splitlines(), start=1):
            line = written.strip()
            place = Place(str(self._path), number)
            if line.startswith("#"):
                continue
            condition, action = _CONDITION.fullmatch(line), _ACTION.fullmatch(line)
            if not (condition or action):
                if block is not None:
                    yield block
                block = None
                chain = self._other(line, place, chain)
                continue
            if block is None or (condition and not action and block.actions):
                if block is not None:
                    yield block
                block = _Block(place, chain)
            if condition and not action:
                block.conditions.append((condition[2], bool(condition[1] or condition[3]), (condition[4] or "").strip()))
            elif action:
                block.actions.append(action[1])
        if block is not None:
            yield block

    def _other(self, line: str, place: Place, chain: str) -> str:
        """Read a line that is no part of a rule; returns the chain that holds after it."""
        if line.startswith("::"):
            return line[2:].strip()
        definition = _DEFINITION.fullmatch(line)
        if definition:
            self._define(place, *definition.groups())
        elif line:
            self._left(place, line, "is neither a condition nor an action that is known here")
        return chain

    def _define(self, place: Place, kind: str, name: str, value: str) -> None:
        if kind == "ZONE":
            parts = [part.strip() for part in value.split(",")]
            self._named[name] = frozenset(part for part in parts if _ZONE.fullmatch(part))
            for part in parts:
                if part not in self._named[name]:
                    self._left(place, part, "is an address and no domain")
        elif kind == "LIST" and value.startswith("file:"):
            self._named[name] = self._list_file(Path(value.removeprefix("file:").partition(" ")[0]), place)
        elif kind == "LIST":
            self._left(place, f"%LIST {name}", "is kept elsewhere than in a file, and was not read")

    def _list_file(self, named: Path, place: Place) -> frozenset[str]:
        path = self._path.parent / named
        try:
            lines = text_of(read_bytes(path)).splitlines()
        except ClearinghouseError as error:
            self._left(place, str(named), error.message)
            return frozenset()
        self._result.files.append(str(path))
        items = {line.strip(): Place(str(path), number) for number, line in enumerate(lines, start=1) if line.strip()}
        for item, where in items.items():
            if "@" in item:
                self._left(where, item, "is an address and no domain")
        domains = frozenset(item for item in items if "@" not in item)
        self._places |= {item: items[item] for item in domains}
        return domains

    def _read(self, block: _Block) -> None:
        verdicts = [_PASSES[action] for action in block.actions if action in _PASSES]
        unknown = [action for action in block.actions if action not in _PASSES and action not in _HARMLESS]
        direction = _DIRECTIONS.get(block.chain)
        if not verdicts and not unknown:
            return
        rule = self._rule(block, verdicts[0], direction) if verdicts and not unknown and direction else None
        if rule is None or direction is None:
            self._unclear = True
            self._left(block.place, _shown(block), "decides by more than a domain, and was not read")
            return
        self._rules[direction].append(rule)
        allowed = rule.allowed != rule.outside  # `NOT` the list is bounced: those of the list pass
        self._result.entries += [Entry(domain, self._places.get(domain, block.place), allowed) for domain in sorted(rule.domains)]

    def _rule(self, block: _Block, allowed: bool, direction: str) -> Rule | None:  # noqa: FBT001 - of a rule
        if not block.conditions:
            return Rule(allowed, frozenset(), outside=True)
        if len(block.conditions) != 1:
            return None
        name, negated, value = block.conditions[0]
        domains = self._domains(name, value, direction)
        return None if domains is None else Rule(allowed, domains, outside=negated)

    def _domains(self, name: str, value: str, direction: str) -> frozenset[str] | None:
        """Return the remote domains that a condition names, or ``None`` where it asks for something else."""
        address, party, crossing = _FACING[direction]
        if name == address and (users := _USERS_OF.fullmatch(value)) and "*" not in users[1]:
            return frozenset({users[1]})
        if name == crossing:
            return self._named.get(value)
        if name == "CHECK LIST" and (contains := _CONTAINS.fullmatch(value)) and contains[2] == party:
            return self._named.get(contains[1])
        return None

    def _left(self, place: Place, text: str, fact: str) -> None:
        self._result.unread.append(Unread(place, text, fact, "write a policy for it, or add the domains by hand"))


def _shown(block: _Block) -> str:
    conditions = ", ".join(f"{'NOT ' if negated else ''}{name}: {value}" for name, negated, value in block.conditions)
    return f"{conditions or 'every stanza'} -> {', '.join(block.actions)}"
