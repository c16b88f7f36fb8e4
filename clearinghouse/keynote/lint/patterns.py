"""Regular expressions: what ``~=`` finds, and what the string's own escapes leave of a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clearinghouse.keynote import syntax
from clearinghouse.keynote.lint.advice import Advice
from clearinghouse.keynote.lint.source import Source, quoted
from clearinghouse.keynote.posix import tree as ere
from clearinghouse.keynote.posix.parser import parse as parse_pattern
from clearinghouse.keynote.posix.tree import PatternFault
from clearinghouse.keynote.principals import shown
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

_ESCAPE = re.compile(r"\\(0[0-7]{1,2}|[1-7][0-7]{2}|[\s\S])")
_LEGAL = frozenset('\\"nrtf\n')
_INSTEAD = {"d": "[0-9]", "D": "[^0-9]", "s": "[[:space:]]", "w": "[[:alnum:]_]", "b": "(^|[^[:alnum:]_])"}
_NAME_DOT = re.compile(r"(?<=[A-Za-z0-9])\.(?=[A-Za-z0-9])")
_BRACKETS = re.compile(r"\\.|\[\^?\]?[^\]]*\]")
_ANYTHING = ere.Repeat(ere.Octet(ere.ANY), 0, None)


def lost_backslashes(source: Source) -> Iterator[Advice]:
    """K502: a backslash before a character that needs none, which the string takes away."""
    matches = [node for node in nodes(source.tree.conditions) if isinstance(node, syntax.Match)]
    patterns = {id(part) for node in matches for part in nodes(node.pattern)}
    for node in nodes((source.tree.authorizer, source.tree.licensees, source.tree.conditions)):
        lost = _lost(source.written(node)) if isinstance(node, syntax.Literal) else []
        if lost and id(node) in patterns:
            yield _lost_in_pattern(source, node, lost)
        elif lost:
            message = f"the backslash before `{shown(lost[0])}` is taken away when the string is read"
            yield source.advise("lost-backslash", node, message, f"write `\\\\{lost[0]}` for a backslash, or leave it out")


def _lost(written: str) -> list[str]:
    """Return the characters that stand after a backslash and do not need it."""
    escaped = [found.group(1) for found in _ESCAPE.finditer(written)]
    return [each for each in escaped if len(each) == 1 and each not in _LEGAL]


def _lost_in_pattern(source: Source, node: syntax.Literal, lost: list[str]) -> Advice:
    each = list(dict.fromkeys(lost))
    written = ", ".join(f"`\\{shown(character)}`" for character in each)
    mends = [f"write `{_INSTEAD[c]}` for `\\{c}`" if c in _INSTEAD else f"write `\\\\{c}` for `\\{c}`" for c in each]
    message = f"the string takes the backslashes of {written} away, and the pattern is `{shown(node.text)}`"
    return source.advise("lost-backslash", node, message, ", ".join(mends))


def patterns(source: Source) -> Iterator[Advice]:
    """K501, K503 and K504: patterns that find too much, or nothing."""
    for node in nodes(source.tree.conditions):
        if isinstance(node, syntax.Match) and (pattern := fold(node.pattern, source.constants)) is not None:
            try:
                tree = parse_pattern(pattern)
            except PatternFault as fault:
                message, _, mend = f"`{shown(pattern)}` is no pattern, so its test is false: {fault.reason}".rpartition(": ")
                yield source.advise("bad-pattern", node.pattern, message, mend)
                continue
            yield from _unanchored(source, node, tree.body)
            if not any(_lost(source.written(each)) for each in nodes(node.pattern) if isinstance(each, syntax.Literal)):
                yield from _dots(source, node, pattern)


def _unanchored(source: Source, node: syntax.Match, body: ere.Node) -> Iterator[Advice]:
    match _is_held(body, ere.Start, 0), _is_held(body, ere.End, -1):
        case True, True:
            return
        case False, False:
            where, mend = "anywhere in the text", "begin it with `^` and end it with `$`"
        case False, True:
            where, mend = "at the end of any text", "begin it with `^`"
        case _:
            where, mend = "at the beginning of any text", "end it with `$`"
    message = f"{quoted(node)} finds its pattern {where}"
    yield source.advise("unanchored-pattern", node, message, f"{mend}, or write `.*` where any text may stand")


def _is_held(node: ere.Node, anchor: type[ere.Start | ere.End], edge: int) -> bool:
    """Tell whether every match of *node* begins (ends) at its anchor, or is free on purpose."""
    match node:
        case ere.Sequence(parts):
            return _is_held(parts[edge], anchor, edge)
        case ere.Group(body=body):
            return _is_held(body, anchor, edge)
        case ere.Either(branches):
            return all(_is_held(branch, anchor, edge) for branch in branches)
        case _:
            return isinstance(node, anchor) or node == _ANYTHING


def _dots(source: Source, node: syntax.Match, pattern: str) -> Iterator[Advice]:
    plain = _BRACKETS.sub(lambda found: "\0" * len(found.group()), pattern)
    if _NAME_DOT.search(plain):
        message = f"in `{shown(pattern)}` a `.` stands for any byte, so other addresses and domains match too"
        yield source.advise("unescaped-dot", node.pattern, message, "write `\\\\.` in the string for a dot")
