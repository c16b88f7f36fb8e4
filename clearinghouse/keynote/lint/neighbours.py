"""What is seen only when texts, or assertions, are laid side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from clearinghouse.errors import BadPrincipal
from clearinghouse.keynote import syntax
from clearinghouse.keynote.context import POLICY
from clearinghouse.keynote.lint.advice import Advice
from clearinghouse.keynote.lint.names import folded
from clearinghouse.keynote.lint.source import Source, compared
from clearinghouse.keynote.principals import normalise, short, shown
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

_LONG = 6
"""Letters of a word that one letter more or less makes a slip of, and not another word."""


class Compared(NamedTuple):
    """A text in a condition, and the attribute that it is compared with (`->`: the value of a clause)."""

    attribute: str
    text: str
    node: syntax.Text


def texts_of(source: Source) -> Iterator[Compared]:
    """Yield each text that an attribute is tested to equal, and each compliance value."""
    for node in nodes(source.tree.conditions):
        parts = compared(node, source.constants)
        if parts is not None and parts[0] in {"==", "!="}:
            yield Compared(parts[1].name, parts[2], parts[3])
        elif isinstance(node, syntax.Clause) and isinstance(node.value, syntax.Literal):
            yield Compared("->", node.value.text, node.value)


def near_misses(source: Source) -> Iterator[Advice]:
    """K701 within one assertion."""
    seen: dict[str, list[str]] = {}
    for item in texts_of(source):
        yield from _near(source, item, seen.setdefault(item.attribute, []), "")
        seen[item.attribute].append(item.text)


class Neighbourhood:
    """The texts and names of the assertions so far, to lay the next one beside."""

    def __init__(self) -> None:
        """Know none yet."""
        self._texts: dict[str, dict[str, None]] = {}
        self._names: dict[str, str] = {}

    def add(self, source: Source) -> Iterator[Advice]:
        """Yield K701 and K105 between *source* and those before it, and keep it for those after."""
        for item in texts_of(source):
            yield from _near(source, item, self._texts.get(item.attribute, {}), " in another assertion")
        for item in texts_of(source):
            self._texts.setdefault(item.attribute, {})[item.text] = None
        names = {node.name: node for node in reversed(source.attributes(source.tree.conditions))}
        for name, node in names.items():
            known = self._names.get(folded(name), name)
            if known != name:
                message = f"`{name}` and `{known}`, in another assertion, are two different attributes"
                yield source.advise("name-variants", node, message, "names are case-sensitive: write both in the same way")
        self._names |= {folded(name): name for name in names}


def _near(source: Source, item: Compared, others: Collection[str], where: str) -> Iterator[Advice]:
    close = None if item.text in others else next((text for text in others if is_slip(text, item.text)), None)
    if close is not None:
        what = "the value" if item.attribute == "->" else f"`{item.attribute}`"
        message = f"{what} is `{shown(item.text)}` here and `{shown(close)}`{where}"
        yield source.advise("near-miss", item.node, message, f'if they mean the same, write `"{shown(close)}"` in both places')


def is_slip(one: str, other: str) -> bool:
    """Tell whether two different texts differ by the case, order or number of a few letters only."""
    if one == other or not any(c.isalpha() for c in one):
        return False
    plain, also = (text.lower().replace("-", "").replace("_", "").replace(" ", "") for text in (one, other))
    if plain == also or sorted(plain) == sorted(also):
        return True
    short_one, long_one = sorted((plain, also), key=len)
    return short_one.isalpha() and len(short_one) >= _LONG and len(long_one) == len(short_one) + 1 and _drops_to(long_one, short_one)


def _drops_to(text: str, shorter: str) -> bool:
    return any(text[:at] + text[at + 1 :] == shorter for at in range(len(text)))


# -- who licenses whom --------------------------------------------------------------------------------


def roles(sources: Sequence[Source]) -> list[list[Advice]]:
    """K801 and K802, for each assertion: authorizers whom nothing leads to, from ``POLICY`` down."""
    edges = [(_name(source.authorizer), _licensees(source)) for source in sources]
    trusted = _trusted(edges)
    advice: list[list[Advice]] = [[] for _ in sources]
    if not any(author == POLICY for author, _ in edges):
        return advice
    swapped = {author for author, licensees in edges if author not in trusted and licensees & trusted}
    for found, source, (author, licensees) in zip(advice, sources, edges, strict=True):
        if author is None or author in trusted:
            continue
        if licensees & trusted:
            found.append(_swapped(source, author, min(licensees & trusted)))
        elif author not in swapped:
            message = f"nothing in this set licenses `{short(author)}`, so this assertion counts for nothing here"
            mend = "add the credential that licenses it, or the policy"
            found.append(source.advise("unlicensed", source.at("Authorizer"), message, mend))
    return advice


def _swapped(source: Source, author: str, licensee: str) -> Advice:
    author, licensee = short(author), short(licensee)
    message = f"`{author}` licenses `{licensee}`, but it is `{licensee}` that is trusted here, and nothing licenses `{author}`"
    mend = f"perhaps Authorizer and Licensees are swapped: `{licensee}` would license `{author}`"
    return source.advise("reversed", source.at("Authorizer"), message, mend)


def _trusted(edges: Sequence[tuple[str | None, set[str]]]) -> set[str]:
    """Return every principal that a path of licences from ``POLICY`` leads to."""
    below: dict[str, set[str]] = {}
    for author, licensees in edges:
        if author is not None:
            below.setdefault(author, set()).update(licensees)
    reached, waiting = {POLICY}, [POLICY]
    while waiting:
        for name in below.get(waiting.pop(), set()) - reached:
            reached.add(name)
            waiting.append(name)
    return reached


def _licensees(source: Source) -> set[str]:
    found = {_name(fold(node.name, source.constants)) for node in nodes(source.tree.licensees) if isinstance(node, syntax.Principal)}
    return {name for name in found if name is not None}


def _name(written: str | None) -> str | None:
    try:
        return None if written is None else normalise(written)
    except BadPrincipal:
        return written
