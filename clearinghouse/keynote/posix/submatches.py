"""What each group of a POSIX pattern matched, once the span of the whole match is known.

POSIX (IEEE Std 1003.1, 9.1): *consistent with the whole match being the longest of the leftmost
matches, each subpattern, from left to right, shall match the longest possible string*; a null
string is longer than no match, and a repetition matches one only where nothing else will do.
RE2 finds the span by this rule, but the groups by Perl's: the first branch that works and the
most iterations.  ``(x|xy)(y?)`` on ``xy`` is ``xy`` and nothing for POSIX, ``x`` and ``y`` for RE2.

`settled` recognises the many patterns for which both rules agree.  For the rest `submatches`
applies the sentence above from the outside in.  Where it is silent, this module says: of two
branches that match the same text the first counts; a group inside a repetition reports its
part in the last iteration, and nothing when it took none (in ``((a)|b)*`` on ``ab`` group 2 is
unmatched; RE2, Perl and the GNU C library report ``a``).

A set of positions is an integer whose bit *k* stands for "before byte *k* of the span", so one
machine operation moves 64 positions at once.
"""

from __future__ import annotations

from functools import lru_cache

from clearinghouse.keynote.numbers import RuntimeFault
from clearinghouse.keynote.posix.tree import ANY, Either, End, Group, Node, Octet, Repeat, Sequence, Start

Span = tuple[int, int]
NO_MATCH: Span = (-1, -1)

OPERATIONS = 8_000
"""Most set operations for one search, of 1 us each; only ambiguous repetitions in long texts come near."""


def submatches(pattern: Group, text: bytes, span: Span) -> list[Span]:
    """Return the spans of group 0 (which is *span*, a match in *text*) to the last; `NO_MATCH` for those left out.

    `RuntimeFault` when that takes more than `OPERATIONS`.
    """
    settler = _Settler(pattern.last, text, span)
    settler.settle(pattern, 0, span[1] - span[0])
    return [(span[0] + begin, span[0] + end) if begin >= 0 else NO_MATCH for begin, end in settler.spans]


def bound(pattern: Group, length: int) -> int:
    """Return the most set operations that `submatches` may do in a text of *length* bytes."""
    return min(OPERATIONS, _to_settle(pattern, length) * _width(length))


def _to_settle(node: Node, length: int) -> int:
    match node:
        case Group(number, last, body):
            return _to_settle(body, length) if number < last else 0
        case Sequence(parts):
            return sum(2 * _to_reach(part, length) + _to_settle(part, length) for part in parts)
        case Either(branches):
            return _to_reach(node, length) + sum(_to_settle(branch, length) for branch in branches)
        case Repeat(Group() as body):
            return 2 * _to_reach(node, length) + _to_reach(body, length) + _to_settle(body, length)
        case _:
            return 0


def _to_reach(node: Node, length: int) -> int:
    match node:
        case Octet():
            return 1
        case Start() | End():
            return 0
        case Group(body=body):
            return _to_reach(body, length)
        case Sequence(parts) | Either(parts):
            return sum(_to_reach(part, length) for part in parts)
        case Repeat(Octet(), least, None):
            return least + (length + 1).bit_length()
        case Repeat(body, least, most):
            return _to_reach(body, length) * (least + length + 1 if most is None else max(most, least))


def _width(length: int) -> int:
    """Return how many operations one on sets of *length* positions counts for."""
    return 1 + (length >> 12)


class _Settler:
    """One matched span and the groups found so far; positions count from the span's start."""

    __slots__ = ("end", "left", "spans", "start", "text", "unit", "where")

    def __init__(self, groups: int, text: bytes, span: Span) -> None:
        begin, end = span
        self.text = text[begin:end]
        self.start = 1 if begin == 0 else 0
        self.end = 1 << (end - begin) if end == len(text) else 0
        self.where: dict[int, int] = {ANY: (1 << (end - begin)) - 1}
        self.spans = [NO_MATCH] * (groups + 1)
        self.left = OPERATIONS
        self.unit = _width(end - begin)

    def settle(self, node: Node, begin: int, end: int) -> None:
        """Find the groups of *node*, which matches from *begin* to *end*."""
        match node:
            case Group(number, last, body):
                self.spans[number] = (begin, end)
                self.spans[number + 1 : last + 1] = [NO_MATCH] * (last - number)
                if number < last:
                    self.settle(body, begin, end)
            case Sequence(parts):
                self.settle_parts(parts, begin, end)
            case Either(branches):
                self.settle(next(b for b in branches if self.reach(b, 1 << begin) >> end & 1), begin, end)
            case Repeat(Group() as body, least, most):
                self.settle_iterations(body, least, most, begin, end)
            case _:
                pass

    def settle_parts(self, parts: tuple[Node, ...], begin: int, end: int) -> None:
        """Each part, from left to right, takes the most that lets the others match to *end*."""
        goals = [1 << end]
        for part in reversed(parts[1:]):
            goals.append(self.reach(part, goals[-1], back=True))
        for part in parts:
            stop = _last(self.reach(part, 1 << begin) & goals.pop())
            self.settle(part, begin, stop)
            begin = stop

    def settle_iterations(self, body: Group, least: int, most: int | None, begin: int, end: int) -> None:
        """Each iteration takes the most that lets the others match to *end*; the last one counts."""
        if begin == end:
            if most != 0 and self.reach(body, 1 << begin) >> begin & 1:
                self.settle(body, begin, begin)
            return
        goals = self.goals(body, least, most, end)
        last, done = NO_MATCH, 0
        while begin != end or done < least:
            done += 1
            stops = self.reach(body, 1 << begin) & goals[min(done, len(goals) - 1)]
            last = begin, _last(stops)
            begin = last[1]
        self.settle(body, *last)

    def goals(self, body: Group, least: int, most: int | None, end: int) -> list[int]:
        """Return, for each number of iterations done, from where the rest of them can reach *end*."""
        if most is None:
            goals = [self.reach(Repeat(body, 0, None), 1 << end, back=True)]
        else:
            goals = [1 << end]
            for _ in range(most - least):
                goals.append(goals[0] | self.reach(body, goals[-1], back=True))
        for _ in range(least):
            goals.append(self.reach(body, goals[-1], back=True))
        return goals[::-1]

    # -- where a node can lead ------------------------------------------------------------------

    def reach(self, node: Node, at: int, *, back: bool = False) -> int:
        """Return where *node* can end when it starts in *at*; backwards, where it starts to end in *at*."""
        match node:
            case Octet(members):
                self.left -= self.unit
                if self.left < 0:
                    raise RuntimeFault(f"what the groups of a pattern match in {len(self.text)} bytes takes too long to tell")
                where = self.positions(members)
                return at >> 1 & where if back else (at & where) << 1
            case Start():
                return at & self.start
            case End():
                return at & self.end
            case Group(body=body):
                return self.reach(body, at, back=back)
            case Sequence(parts):
                for part in reversed(parts) if back else parts:
                    at = self.reach(part, at, back=back)
                return at
            case Either(branches):
                found = 0
                for branch in branches:
                    found |= self.reach(branch, at, back=back)
                return found
            case Repeat():
                return self.reach_repeated(node, at, back=back)

    def reach_repeated(self, node: Repeat, at: int, *, back: bool) -> int:
        for _ in range(node.least):
            at = self.reach(node.body, at, back=back)
        if node.most is None and isinstance(node.body, Octet):
            return self.run(node.body, at, back=back)
        rounds = len(self.text) if node.most is None else node.most - node.least
        found = fresh = at
        while fresh and rounds:
            fresh = self.reach(node.body, fresh, back=back) & ~found
            found |= fresh
            rounds -= 1
        return found

    def run(self, body: Octet, at: int, *, back: bool) -> int:
        """Return *at* and where any number of *body* leads: steps of 1, 2, 4 ... bytes."""
        open_ = self.positions(body.members)
        step = 1
        while open_:
            self.left -= self.unit
            if back:
                at |= at >> step & open_
                open_ &= open_ >> step
            else:
                at |= (at & open_) << step
                open_ &= open_ >> step
            step *= 2
        return at

    def positions(self, members: int) -> int:
        """Return before which bytes a byte of the set *members* stands."""
        if members not in self.where:
            self.where[members] = int(self.text.translate(_digits(members))[::-1] or b"0", 2)
        return self.where[members]


@lru_cache(maxsize=128)
def _digits(members: int) -> bytes:
    """Return for each byte the digit ``1`` when it is in the set, else ``0``."""
    return bytes(ord("0") + (members >> byte & 1) for byte in range(256))


def _last(positions: int) -> int:
    return positions.bit_length() - 1
