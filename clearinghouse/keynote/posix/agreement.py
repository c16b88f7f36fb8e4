r"""Patterns whose groups RE2 finds as POSIX says, told by their shape alone.

Among the ways to match one span, RE2 takes the first in Perl's order (first branch, most
iterations, from left to right); POSIX gives each part, from left to right, the longest text.
The two agree where the ways come in the order of falling length to begin with.  Three facts
carry the rules below:

1. A *delimited* node has one end for each start (``abc``, ``[a-z]+\.``, ``(com|net)``), so there
   is nothing to order; repeating it, without null iterations, gives falling lengths.
2. In a *chain* of single bytes, each plain or repeated, with groups around (``([a-z]+)@(.*)``),
   let way B come before way A in Perl's order and yet some part end earlier in B.  Before that
   part A is ahead of B, after it behind, so between the two both stand at one byte and one place
   of the chain; B can go on there as A does, and that way comes before B.
3. The last part of a sequence has its end given, and so needs no order.

A pattern that no rule covers only costs more: `clearinghouse.keynote.posix.submatches` settles it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from clearinghouse.keynote.posix.tree import Either, End, Group, Node, Octet, Repeat, Sequence, Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of a node.

    ``shortest`` and ``longest`` are the bytes that it can match (``None``: without end);
    ``first`` is the set of bytes that a match can begin with, as in `Octet.members`; ``run`` is
    the set of bytes that it repeats, if it does nothing else.  ``chain`` and ``delimited`` are
    explained above.  ``settled``: between a given start and end, RE2's groups are those of POSIX.
    ``ordered``: also where the end is open, because Perl tries longer matches first.
    """

    shortest: int
    longest: int | None
    first: int
    run: int = 0
    chain: bool
    delimited: bool
    settled: bool
    ordered: bool


def settled(pattern: Group) -> bool:
    """Tell whether RE2 finds the groups of *pattern* that POSIX prescribes."""
    return traits(pattern).settled


def traits(node: Node) -> Traits:
    """Return the traits of *node*, from those of what it consists of."""
    match node:
        case Octet(members):
            return Traits(shortest=1, longest=1, first=members, chain=True, delimited=True, settled=True, ordered=True)
        case Start() | End():
            return Traits(shortest=0, longest=0, first=0, chain=True, delimited=True, settled=True, ordered=True)
        case Group(body=body):
            return traits(body)
        case Repeat():
            return _of_repeat(node, traits(node.body))
        case Sequence(parts):
            return _of_sequence(tuple(map(traits, parts)))
        case Either(branches):
            return _of_either(tuple(map(traits, branches)))


def _of_repeat(node: Repeat, body: Traits) -> Traits:
    single = isinstance(node.body, Octet)
    # Null iterations have rules of their own, and RE2 keeps what an inner group matched in an earlier iteration.
    falling = body.shortest > 0 and body.delimited and not _holds_groups(node.body)
    optional = body.shortest > 0 and node.most == 1
    longest = 0 if body.longest == 0 else None if body.longest is None or node.most is None else body.longest * node.most
    return Traits(
        shortest=body.shortest * node.least,
        longest=longest,
        first=body.first,
        run=body.first if single else 0,
        chain=single,
        delimited=body.delimited and (node.least == node.most or longest == 0),
        settled=body.settled and (falling or optional),
        ordered=body.ordered and (falling or optional),
    )


def _holds_groups(body: Octet | Group) -> bool:
    return isinstance(body, Group) and body.number < body.last


def _of_sequence(parts: tuple[Traits, ...]) -> Traits:
    chain = all(part.chain for part in parts)
    settled = chain or (all(part.ordered for part in parts[:-1]) and parts[-1].settled)
    stopped = all(part.delimited or _stopped(part, then) for part, then in pairwise(parts))
    delimited = stopped and parts[-1].delimited
    longests = [part.longest for part in parts if part.longest is not None]
    return Traits(
        shortest=sum(part.shortest for part in parts),
        longest=sum(longests) if len(longests) == len(parts) else None,
        first=_first(parts),
        chain=chain,
        delimited=delimited,
        settled=settled,
        ordered=chain or (settled and (delimited or _one_is_open(parts))),
    )


def _stopped(part: Traits, then: Traits) -> bool:
    """Tell whether *part* repeats bytes that cannot begin *then*, so that it must take them all."""
    return part.run != 0 and then.shortest > 0 and part.run & then.first == 0


def _one_is_open(parts: tuple[Traits, ...]) -> bool:
    """Tell whether one part alone has a choice of length, and what follows it has a fixed length."""
    begun = next(number for number, part in enumerate(parts) if not part.delimited)
    return parts[begun].ordered and all(part.shortest == part.longest for part in parts[begun + 1 :])


def _of_either(branches: tuple[Traits, ...]) -> Traits:
    shortest = min(branch.shortest for branch in branches)
    longests = [branch.longest for branch in branches if branch.longest is not None]
    longest = max(longests) if len(longests) == len(branches) else None
    told = _begin_apart(branches) and all(branch.shortest > 0 and branch.delimited for branch in branches)
    settled = all(branch.settled for branch in branches)
    return Traits(
        shortest=shortest,
        longest=longest,
        first=_union(branches),
        chain=False,
        delimited=told or shortest == longest,
        settled=settled,
        ordered=settled and (told or shortest == longest),
    )


def _begin_apart(branches: tuple[Traits, ...]) -> bool:
    """Tell whether the first byte says which branch it is."""
    seen = 0
    for branch in branches:
        if branch.first & seen:
            return False
        seen |= branch.first
    return True


def _first(parts: tuple[Traits, ...]) -> int:
    needed = next((number for number, part in enumerate(parts) if part.shortest > 0), len(parts))
    return _union(parts[: needed + 1])


def _union(nodes: tuple[Traits, ...]) -> int:
    found = 0
    for node in nodes:
        found |= node.first
    return found
