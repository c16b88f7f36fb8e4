"""What is plainly written in a Lua configuration; nothing in it is ever run (Lua 5.4 manual, section 3).

A Prosody configuration is a program, and only running it says for certain what it means.  What people
write is nearly always plain: names that become literal values, and ``VirtualHost``, ``Component`` and
``Include`` with a text.  That is read; everything else is reported with its lines, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from clearinghouse.importing.lua_tokens import Kind, Token, tokens

NESTING: Final = 32
"""Tables within tables; Prosody's deepest option has four."""

_OPENING: Final = ("function", "if", "do", "repeat")
_CLOSING: Final = ("end", "until")
_STATEMENTS: Final = ("if", "for", "while", "repeat", "function", "do")
_WORDS_ALONE: Final = ("return", "goto", "break", "end", "else", "elseif", "until", "then", "in")
_BINARY: Final = ("+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<", ">", "<=", ">=", "&", "|", "~", "<<", ">>")
_PAIRS: Final = {"(": ")", "{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what stands in it one after the other, and what has a name."""

    items: tuple[Value, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Dark:
    """An expression whose value only running it would tell; *what* says what is in the way."""

    what: str


Plain = str | int | float | bool | Table | Dark | None
"""What an expression may be here."""


@dataclass(frozen=True, slots=True)
class Value:
    """An expression's value, and the line on which it begins."""

    plain: Plain
    line: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """``name = value``."""

    name: str
    value: Value
    line: int


@dataclass(frozen=True, slots=True)
class Called:
    """``name "text"``, ``name "text" { ... }``, ``name("text")``."""

    name: str
    arguments: tuple[Value, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not read, from *line* to *last*, and what it is."""

    what: str
    line: int
    last: int


Statement = Assigned | Called | Skipped


class _TooDeep(Exception):
    """Tables, or signs before a value, beyond `NESTING`."""


def _deeper(depth: int) -> int:
    if depth >= NESTING:
        raise _TooDeep
    return depth + 1


@dataclass(frozen=True, slots=True)
class Program:
    """The statements in order, and the comments by line; neighbours that were not read are one statement."""

    statements: list[Statement]
    comments: dict[int, str]


def read(text: str) -> Program:
    """Return what is plainly written in a configuration."""
    reader = _Reader(text)
    found: list[Statement] = []
    for each in reader.statements():
        before = found[-1] if found else None
        if isinstance(each, Skipped) and isinstance(before, Skipped) and each.line <= before.last + 1 and each.what == before.what:
            found[-1] = Skipped(before.what, before.line, max(before.last, each.last))
        else:
            found.append(each)
    return Program(found, reader.comments)


class _Reader:
    """Reads one text from word to word."""

    def __init__(self, text: str) -> None:
        words = list(tokens(text))
        self._words = [each for each in words if each.kind is not Kind.COMMENT]
        self.comments = {each.line: each.text for each in words if each.kind is Kind.COMMENT}
        self._at = 0
        self._locals: dict[str, Value] = {}

    # -- statements -----------------------------------------------------------------------------------

    def statements(self) -> Iterator[Statement]:
        while self._now.kind is not Kind.END:
            if self._now.is_sign(";"):
                self._at += 1
                continue
            begin = self._at
            try:
                found = self._statement()
            except _TooDeep:
                self._at = begin
                found = self._skip_line(f"more than {NESTING} levels")
            if found is not None:
                yield found

    def _statement(self) -> Statement | None:
        first, second = self._now, self._next
        if first.is_word("local"):
            return self._local()
        if first.is_word(*_STATEMENTS):
            return self._skip_block(f"`{first.text}`")
        if first.kind is not Kind.NAME or first.is_word(*_WORDS_ALONE):
            return self._skip_line("no statement")
        if second.is_sign("="):
            self._at += 2
            return Assigned(first.text, self._expression(), first.line)
        if second.kind is Kind.TEXT or second.is_sign("(", "{"):
            return self._call()
        return self._skip_line("no plain assignment")

    def _local(self) -> Skipped | None:
        """Remember ``local name = value``, so that the name can be used; say nothing of it where it is plain."""
        if self._next.is_word("function"):
            self._at += 1
            return self._skip_block("`local function`")
        name, sign = self._next, self._peek(2)
        if name.kind is not Kind.NAME or not sign.is_sign("="):
            return self._skip_line("`local` with several names")
        self._at += 3
        self._locals[name.text] = self._expression()
        return None

    def _call(self) -> Statement:
        name = self._now
        self._at += 1
        arguments: list[Value] = []
        while self._now.kind is Kind.TEXT or self._now.is_sign("(", "{"):
            arguments += self._arguments()
        if self._now.is_sign(".", ":", "[", "="):
            return self._skip_line(f"`{name.text}`", line=name.line)
        return Called(name.text, tuple(arguments), name.line)

    def _arguments(self) -> list[Value]:
        if not self._now.is_sign("("):
            return [self._primary(0)]
        self._at += 1
        found: list[Value] = []
        while not self._now.is_sign(")") and self._now.kind is not Kind.END:
            before = self._at
            found.append(self._expression())
            if self._now.is_sign(",") or self._at == before:
                self._at += 1
        self._at += 1
        return found

    # -- expressions ----------------------------------------------------------------------------------

    def _expression(self, depth: int = 0) -> Value:
        """Return an expression's value: literals, known names, texts joined; all others are dark."""
        found = self._primary(depth)
        while self._now.is_sign(*_BINARY) or self._now.is_word("and", "or"):
            operator = self._now.text
            self._at += 1
            other = self._primary(depth)
            both = isinstance(found.plain, str) and isinstance(other.plain, str)
            joined = f"{found.plain}{other.plain}" if both and operator == ".." else Dark(f"`{operator}`")
            found = Value(joined, found.line)
        return found

    def _primary(self, depth: int) -> Value:
        word = self._now
        if word.is_sign("{"):
            found = Value(self._table(_deeper(depth)), word.line)
        elif word.is_sign("("):
            self._skip_pair()
            found = Value(Dark("an expression in brackets"), word.line)
        elif word.is_word("function"):
            self._skip_block("`function`")
            found = Value(Dark("a function"), word.line)
        elif word.is_sign("-", "#", "~") or word.is_word("not"):
            self._at += 1
            found = _negated(word, self._primary(_deeper(depth)))
        else:
            found = self._word(word)
        return self._suffixed(found, callable_=word.kind is Kind.NAME or word.is_sign("("))

    def _word(self, word: Token) -> Value:
        literals: dict[str, bool | None] = {"true": True, "false": False, "nil": None}
        if word.kind is Kind.NAME and word.text in literals:
            plain: Plain = literals[word.text]
        elif word.kind is Kind.NAME:
            plain = self._locals[word.text].plain if word.text in self._locals else Dark(f"the name `{word.text}`")
        elif word.kind is Kind.TEXT:
            plain = word.text
        elif word.kind is Kind.NUMBER:
            plain = _number(word.text)
        else:
            plain = Dark("what is no expression")
        if word.kind is not Kind.END and not word.is_sign("}", ")", "]", ";", ","):  # these end what is around
            self._at += 1
        return Value(plain, word.line)

    def _suffixed(self, value: Value, *, callable_: bool) -> Value:
        """Read on over calls and members of a name, which only running it would resolve."""
        dark = value
        while callable_ and (self._now.is_sign(".", ":", "[", "(", "{") or self._now.kind is Kind.TEXT):
            dark = Value(value.plain if isinstance(value.plain, Dark) else Dark("a call or a member"), value.line)
            if self._now.is_sign("[", "(", "{"):
                self._skip_pair()
            else:
                self._at += 2 if self._now.is_sign(".", ":") else 1
        return dark

    def _table(self, depth: int) -> Table:
        self._at += 1
        items: list[Value] = []
        fields: dict[str, Value] = {}
        while not self._now.is_sign("}") and self._now.kind is not Kind.END:
            before = self._at
            key = self._key(depth)
            value = self._expression(depth)
            if key is None:
                items.append(value)
            else:
                fields[key] = value
            if self._now.is_sign(",", ";") or self._at == before:
                self._at += 1
        self._at += 1
        return Table(tuple(items), MappingProxyType(fields))

    def _key(self, depth: int) -> str | None:
        """Read ``name =`` or ``["name"] =`` before a value; of a key that only running it would tell, its place stands for it."""
        if self._now.kind is Kind.NAME and self._next.is_sign("="):
            self._at += 2
            return self._words[self._at - 2].text
        if not self._now.is_sign("["):
            return None
        line = self._now.line
        self._at += 1
        key = self._expression(depth).plain
        for sign in ("]", "="):
            if self._now.is_sign(sign):
                self._at += 1
        if isinstance(key, int) and not isinstance(key, bool):
            return None  # `[1] = "x"` is an item of the list
        return key if isinstance(key, str) else f"[...] of line {line}"

    # -- going on -------------------------------------------------------------------------------------

    @property
    def _now(self) -> Token:
        return self._peek(0)

    @property
    def _next(self) -> Token:
        return self._peek(1)

    def _peek(self, ahead: int) -> Token:
        return self._words[min(self._at + ahead, len(self._words) - 1)]

    def _skip_line(self, what: str, *, line: int = 0) -> Skipped:
        """Leave the rest of this line, and what its brackets hold together, unread."""
        first = line or self._now.line
        last = self._now.line
        while self._now.kind is not Kind.END and self._now.line <= last:
            if self._now.is_sign(*_PAIRS):
                self._skip_pair()
                last = self._words[self._at - 1].line
            else:
                self._at += 1
        return Skipped(what, first, last)

    def _skip_block(self, what: str) -> Skipped:
        """Leave everything up to the matching ``end`` unread."""
        first, depth = self._now.line, 0
        while self._now.kind is not Kind.END:
            word = self._now
            self._at += 1
            depth += word.is_word(*_OPENING) - word.is_word(*_CLOSING)
            if depth <= 0 and word.is_word(*_CLOSING):
                if word.is_word("until"):
                    self._expression()
                break
        return Skipped(what, first, self._words[self._at - 1].line if self._at else first)

    def _skip_pair(self) -> None:
        """Leave brackets with what is in them."""
        waiting: list[str] = []
        while self._now.kind is not Kind.END:
            word = self._now
            self._at += 1
            if word.is_sign(*_PAIRS):
                waiting.append(_PAIRS[word.text])
            elif waiting and word.is_sign(waiting[-1]):
                waiting.pop()
            if not waiting:
                return


def _negated(sign: Token, value: Value) -> Value:
    if sign.is_sign("-") and isinstance(value.plain, int | float) and not isinstance(value.plain, bool):
        return Value(-value.plain, sign.line)
    if sign.is_word("not") and isinstance(value.plain, bool | None):
        return Value(not value.plain, sign.line)
    return Value(Dark(f"`{sign.text}`"), sign.line)


def _number(text: str) -> Plain:
    try:
        return int(text, 0) if text.lower().startswith("0x") else float(text) if set(text) & set(".eE") else int(text[:15])
    except ValueError:
        return Dark(f"the number `{text}`")
