r"""The text of a POSIX extended regular expression, read into the tree of `clearinghouse.keynote.posix.tree`.

The language is that of IEEE Std 1003.1, section 9.4, in the C locale, over octet strings.  What
the standard leaves undefined, or conforming libraries read differently, is refused, so that an
accepted pattern means the same everywhere:

* an escape of anything but ``^ . [ ] $ ( ) | * + ? { } \``, hence ``\d``, ``\b`` and ``\1``;
* an empty pattern, branch or group, and a ``(`` or ``)`` without its partner;
* a repetition of nothing, of an anchor or of a repetition, hence ``(?:``, ``(?=`` and ``*?``;
* a ``{`` that opens no interval, and an interval above 255 (`RE_DUP_MAX`);
* in brackets, a range whose end is no single character or begins another range, and names of
  collating elements (``[.hyphen.]``); ``[.-.]`` and ``[=a=]`` are the character itself.

Often forgotten: ``^`` and ``$`` are anchors wherever they stand; inside brackets a backslash is
an ordinary character.  A NUL, which a C string cannot hold, is a byte like any other.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from clearinghouse.keynote.posix.tree import ANY, Either, End, Group, Node, Octet, PatternFault, Repeat, Sequence, Start

DUP_MAX = 255
"""Largest count of an interval; POSIX promises no more."""

GROUP_DEPTH = 32
"""Groups inside groups; each costs a dozen of the thousand stack frames that Python has."""

_INTERVAL = re.compile(r"\{([0-9]{1,9})(,?)([0-9]{0,9})\}")
_REPEATS = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_ESCAPABLE = frozenset("^.[]$()|*+?{}\\")
_INSTEAD = {"d": "[0-9]", "D": "[^0-9]", "s": "[[:space:]]", "S": "[^[:space:]]", "w": "[[:alnum:]_]", "W": "[^[:alnum:]_]"}


def _members(characters: str) -> int:
    return sum(1 << ord(character) for character in set(characters))


_CLASSES = {
    "alnum": _members(string.ascii_letters + string.digits),
    "alpha": _members(string.ascii_letters),
    "blank": _members(" \t"),
    "cntrl": _members("".join(map(chr, range(32))) + "\x7f"),
    "digit": _members(string.digits),
    "graph": _members("".join(map(chr, range(33, 127)))),
    "lower": _members(string.ascii_lowercase),
    "print": _members("".join(map(chr, range(32, 127)))),
    "punct": _members(string.punctuation),
    "space": _members(" \t\n\v\f\r"),
    "upper": _members(string.ascii_uppercase),
    "xdigit": _members(string.hexdigits),
}
"""The classes of the C locale, as sets of bytes (see `Octet.members`)."""


def parse(pattern: str) -> Group:
    """Return the tree of *pattern* as group 0, whose ``last`` is the number of groups; raise `PatternFault`."""
    return _Reader(pattern).whole()


def _fault(reason: str) -> PatternFault:
    return PatternFault("regex-syntax", reason)


@dataclass(slots=True)
class _Reader:
    """A pattern and how far it has been read; each method reads one rule of the grammar."""

    pattern: str
    at: int = 0
    groups: int = 0
    depth: int = 0

    def peek(self) -> str:
        """Return the next character, or the empty string at the end."""
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        """Return the next character and step over it."""
        self.at += 1
        return self.pattern[self.at - 1 : self.at]

    def whole(self) -> Group:
        body = self.alternation()
        if self.peek():
            raise _fault("there is a `)` without its `(`: write `[)]` for the character")
        return Group(0, self.groups, body)

    def alternation(self) -> Node:
        branches = [self.branch()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.branch())
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def branch(self) -> Node:
        parts: list[Node] = []
        while (character := self.peek()) and character not in "|)":
            parts.append(self.piece())
        if not parts:
            raise _fault("a pattern, a branch or a group is empty: use `?` after a group for what may be missing")
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def piece(self) -> Node:
        start = self.at
        atom = self.atom()
        times = self.repetition()
        if times is None:
            return atom
        if isinstance(atom, Start | End):
            raise _fault(f"`{self.pattern[start : self.at]}` repeats an anchor: remove the repetition")
        if self.peek() and self.peek() in "*+?{":
            raise _fault(f"`{self.pattern[start : self.at + 1]}` repeats a repetition: POSIX knows one alone, and always takes the longest")
        return atom if times == (1, 1) else Repeat(atom, *times)

    def atom(self) -> Octet | Start | End | Group:
        match self.take():
            case "^":
                return Start()
            case "$":
                return End()
            case ".":
                return Octet(ANY)
            case "(":
                return self.group()
            case "[":
                return Octet(self.bracket())
            case "\\":
                return self.escape()
            case "*" | "+" | "?" | "{" as symbol:
                raise _fault(f"nothing stands before `{symbol}` to repeat: write `[{symbol}]` for the character")
            case character:
                return Octet(1 << ord(character))

    def group(self) -> Group:
        self.groups += 1
        number = self.groups
        self.depth += 1
        if self.depth > GROUP_DEPTH:
            raise PatternFault("regex-size", f"groups are nested deeper than {GROUP_DEPTH}")
        body = self.alternation()
        if self.take() != ")":
            raise _fault("there is a `(` without its `)`: write `[(]` for the character")
        self.depth -= 1
        return Group(number, self.groups, body)

    def escape(self) -> Octet:
        character = self.take()
        if not character:
            raise _fault("the pattern ends with a backslash: for the character itself a KeyNote string has four of them")
        if character not in _ESCAPABLE:
            mend = _INSTEAD.get(character, character)
            raise PatternFault("regex-escape", f"POSIX does not know `\\{character}`: write `{mend}`")
        return Octet(1 << ord(character))

    def repetition(self) -> tuple[int, int | None] | None:
        """Return the least and the most times of the repetition that stands here, if one does."""
        if (symbol := self.peek()) in _REPEATS:
            self.at += 1
            return _REPEATS[symbol]
        return self.interval() if symbol == "{" else None

    def interval(self) -> tuple[int, int | None]:
        found = _INTERVAL.match(self.pattern, self.at)
        if found is None or (found[3] and not found[2]):
            raise _fault("`{` opens no interval such as `{2}`, `{2,}` or `{2,5}`: write `[{]` for the character")
        self.at = found.end()
        least = int(found[1])
        most = int(found[3]) if found[3] else None if found[2] else least
        if max(least, most or 0) > DUP_MAX:
            raise PatternFault("regex-size", f"`{found[0]}` asks for more than {DUP_MAX} repetitions")
        if most is not None and most < least:
            raise _fault(f"`{found[0]}` ends below its start: write the smaller number first")
        return least, most

    # -- bracket expressions (9.3.5) --------------------------------------------------------------

    def bracket(self) -> int:
        """Return the set of bytes of the bracket expression whose ``[`` has just been read."""
        inverted = self.peek() == "^"
        self.at += inverted
        members = self.element()  # a `]` that stands first is a character
        while (character := self.peek()) != "]":
            if not character:
                raise _fault("there is a `[` without its `]`: write `[[]` for the character")
            members |= self.element()
        self.at += 1
        return ANY & ~members if inverted else members

    def element(self) -> int:
        """Return the set of one character, one range or one ``[:class:]``."""
        if self.pattern.startswith("[:", self.at):
            return self.character_class()
        first = self.endpoint()
        if self.peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in {"]", ""}:
            return 1 << first
        self.at += 1
        last = self.endpoint()
        if last < first:
            raise _fault(f"the range `{chr(first)}-{chr(last)}` is reversed: write the smaller character first")
        self.refuse_range(f"the range `{chr(first)}-{chr(last)}`")
        return (1 << last + 1) - (1 << first)

    def refuse_range(self, what: str) -> None:
        """Refuse a range that begins here, after *what*; a ``-`` before the ``]`` is a character."""
        if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] != "]":
            raise _fault(f"{what} cannot begin a range: write the `-` last for the character")

    def character_class(self) -> int:
        name = self.named(":")
        if name not in _CLASSES:
            raise _fault(f"`[:{name}:]` is no class: the classes are {', '.join(_CLASSES)}")
        self.refuse_range(f"`[:{name}:]`")
        return _CLASSES[name]

    def endpoint(self) -> int:
        """Return the byte that stands here, also as ``[.c.]`` or ``[=c=]``."""
        for mark in ".=:":
            if self.pattern.startswith("[" + mark, self.at):
                name = self.named(mark)
                if len(name) != 1 or mark == ":":
                    raise _fault(f"`[{mark}{name}{mark}]` is no single character")
                return ord(name)
        character = self.take()
        if not character:
            raise _fault("there is a `[` without its `]`: write `[[]` for the character")
        return ord(character)

    def named(self, mark: str) -> str:
        """Return what stands between ``[:`` and ``:]``, or with *mark* instead of the colon."""
        end = self.pattern.find(mark + "]", self.at + 3)  # `[.].]` and `[=]=]` name a bracket
        if end < 0:
            raise _fault(f"there is a `[{mark}` without its `{mark}]`")
        name = self.pattern[self.at + 2 : end]
        self.at = end + 2
        return name
