"""All ways in which a POSIX pattern matches a text, and the best: the definition, far too slow to use.

After Okui and Suzuki, *Disambiguation in Regular Expression Matching via Position Automata with
Augmented Transitions* (2010): of two ways the better is the one whose first subpattern (outer
before inner, left before right) of another length is longer; one that takes no part is shortest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from clearinghouse.keynote.posix.tree import Either, End, Group, Node, Octet, Repeat, Sequence, Start

NO_GROUPS = range(0)


@dataclass(frozen=True, slots=True)
class Way:
    """One way for one node; ``None`` stands for a branch that takes no part.

    ``groups`` is the number of the node's own group and of those inside it.
    """

    begin: int
    end: int
    inner: tuple[Way | None, ...] = ()
    groups: range = NO_GROUPS


class TooMany(Exception):
    """There are more ways than it is worth looking at."""


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways in one text; what was found once is kept, or failing searches alone would take hours."""

    text: bytes
    most: int
    known: dict[tuple[object, int, int], list[Way]] = field(default_factory=dict)

    def of(self, node: Node, begin: int, end: int) -> list[Way]:
        """Return every way of *node* to match exactly from *begin* to *end*; raise `TooMany`."""
        key = node, begin, end
        if key not in self.known:
            self.known[key] = self.few(self.find(node, begin, end))
        return self.known[key]

    def few(self, found: Iterator[Way]) -> list[Way]:
        ways = list(islice(found, self.most + 1))
        if len(ways) > self.most:
            raise TooMany
        return ways

    def find(self, node: Node, begin: int, end: int) -> Iterator[Way]:
        match node:
            case Octet(members):
                possible = end - begin == 1 and members >> self.text[begin] & 1
                yield from [Way(begin, end)] if possible else []
            case Start():
                yield from [Way(0, 0)] if begin == end == 0 else []
            case End():
                yield from [Way(begin, end)] if begin == end == len(self.text) else []
            case Group(number, last, body):
                yield from (Way(begin, end, (way,), range(number, last + 1)) for way in self.of(body, begin, end))
            case Either(branches):
                for place, branch in enumerate(branches):
                    yield from (Way(begin, end, (*[None] * place, way)) for way in self.of(branch, begin, end))
            case Sequence(parts):
                yield from self.rows(parts, begin, end)
            case Repeat(body, least, most):
                for times in range(least, 1 + (least + end - begin + 1 if most is None else most)):
                    yield from self.iterations(body, times, least, begin, end)

    def iterations(self, body: Node, times: int, least: int, begin: int, end: int) -> Iterator[Way]:
        """A null iteration is for the minimum, or the only one."""
        null_allowed = times in {1, least} if begin == end else times == least
        for row in self.rows((body,) * times, begin, end):
            if null_allowed or all(way is not None and way.begin < way.end for way in row.inner):
                yield row

    def rows(self, parts: tuple[Node, ...], begin: int, end: int) -> list[Way]:
        """Return the ways of *parts*, one after the other."""
        key = parts, begin, end
        if key not in self.known:
            self.known[key] = self.few(self.find_rows(parts, begin, end))
        return self.known[key]

    def find_rows(self, parts: tuple[Node, ...], begin: int, end: int) -> Iterator[Way]:
        if not parts:
            yield from [Way(begin, end)] if begin == end else []
            return
        for stop in range(begin, end + 1):
            for first in self.of(parts[0], begin, stop):
                yield from (Way(begin, end, (first, *rest.inner)) for rest in self.rows(parts[1:], stop, end))


def better(one: Way, other: Way) -> Way:
    lengths, others = dict(places(one)), dict(places(other))
    for place in sorted(lengths.keys() | others.keys()):
        length, another = lengths.get(place, -1), others.get(place, -1)
        if length != another:
            return one if length > another else other
    return one


def places(way: Way, place: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], int]]:
    """Return each subpattern's place in the tree, and its length."""
    yield place, way.end - way.begin
    for number, inner in enumerate(way.inner):
        if inner is not None:
            yield from places(inner, (*place, number))


def groups_of(way: Way, count: int) -> list[tuple[int, int]]:
    """Return the span of each group, that of its last iteration; (-1, -1) where it took no part."""
    spans = [(-1, -1)] * (count + 1)
    _note(way, spans)
    return spans


def _note(way: Way, spans: list[tuple[int, int]]) -> None:
    for number in way.groups:
        spans[number] = (way.begin, way.end) if number == way.groups.start else (-1, -1)
    for inner in way.inner:
        if inner is not None:
            _note(inner, spans)
