"""Attribute names and constants."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clearinghouse.keynote import syntax
from clearinghouse.keynote.context import ACTION_AUTHORIZERS, MAX_TRUST, MIN_TRUST, VALUES
from clearinghouse.keynote.lint.advice import Advice
from clearinghouse.keynote.lint.source import Source
from clearinghouse.keynote.posix.parser import parse as parse_pattern
from clearinghouse.keynote.posix.tree import PatternFault
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

_SPECIALS = (ACTION_AUTHORIZERS, MIN_TRUST, MAX_TRUST, VALUES)
_CAPTURE = re.compile(r"_(?:0|[1-9][0-9]*)\Z")
_PLAIN_WORDS = frozenset({"values"})
"""An attribute may well be called so; with a leading underscore it is KeyNote's."""


def folded(name: str) -> str:
    """Return *name* without case and underscores."""
    return name.replace("_", "").lower()


_MEANT = {folded(name): name for name in _SPECIALS}


def specials(source: Source) -> Iterator[Advice]:
    """K101 and K102: names that are nearly, or not at all, KeyNote's own."""
    for node in source.attributes((source.tree.authorizer, source.tree.licensees, source.tree.conditions)):
        meant = _MEANT.get(folded(node.name))
        if meant is not None and node.name != meant and node.name not in _PLAIN_WORDS:
            message = f"`{node.name}` is an ordinary attribute; KeyNote's own is `{meant}`"
            yield source.advise("misnamed-special", node, message, f"write `{meant}`")
        elif node.name.startswith("_") and node.name not in _SPECIALS and not _CAPTURE.match(node.name):
            message = f"KeyNote does not define `{node.name}`, and no request can set it: it is always empty"
            mend = f"the names are {', '.join(f'`{name}`' for name in _SPECIALS)}, and `_1` after a `~=`"
            yield source.advise("unknown-special", node, message, mend)


def captures(source: Source) -> Iterator[Advice]:
    """K103: ``_N`` where no regular expression with so many groups stands before it."""
    told: set[int] = set()
    for path in source.paths:
        groups = -1
        for node in nodes((*path.outer, path.clause)):
            if isinstance(node, syntax.Match):
                groups = max(groups, _groups(node, source))
            elif isinstance(node, syntax.Attribute) and _CAPTURE.match(node.name) and int(node.name[1:]) > groups and id(node) not in told:
                told.add(id(node))
                before = "no `~=` stands before it" if groups < 0 else f"the patterns before it have at most {groups} groups"
                message = f"`{node.name}` is always empty here: {before}"
                mend = "match first, with a group in brackets for each text that is wanted"
                yield source.advise("capture-without-match", node, message, mend)


def _groups(node: syntax.Match, source: Source) -> int:
    """Return how many groups a match has, or more than any name has digits where that is not known."""
    pattern = fold(node.pattern, source.constants)
    if pattern is None:
        return 1 << 30
    try:
        return parse_pattern(pattern).last
    except PatternFault:
        return 1 << 30  # another rule speaks of it


def unused_constants(source: Source) -> Iterator[Advice]:
    """K104: constants that no field reads; ``$`` may read any."""
    everything = (source.tree.authorizer, source.tree.licensees, source.tree.conditions, source.tree.signature)
    used = {node.name for node in nodes(everything) if isinstance(node, syntax.Attribute)}
    if any(isinstance(node, syntax.Indirect) for node in nodes(everything)):
        return
    for name in source.constants.keys() - used:
        at = re.compile(rf"\b{name}\b").search(source.text, source.at("Local-Constants"))
        where = at.start() if at else 0
        yield source.advise("unused-constant", where, f"nothing uses the constant `{name}`", "remove it, or use it without quotation marks")


def variants(source: Source) -> Iterator[Advice]:
    """K105: two spellings of one attribute name."""
    first: dict[str, str] = {}
    for node in source.attributes(source.tree.conditions):
        known = first.setdefault(folded(node.name), node.name)
        if known != node.name and folded(node.name) not in _MEANT:
            first[folded(node.name)] = node.name
            message = f"`{node.name}` and `{known}` are two different attributes"
            yield source.advise("name-variants", node, message, "names are case-sensitive: write both in the same way")
