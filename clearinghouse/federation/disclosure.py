"""Which credentials a request needs, so that no others are shown to whom it is sent.

Credentials say who works with whom.  An agent that asks another server hands in the shortest chain
that leads from one of that server's keys to itself, and keeps the rest of its store to itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from clearinghouse.errors import TooLarge
from clearinghouse.keynote import POLICY, Admitted, Assertions, Limits, Proof, admit, print_assertion, syntax
from clearinghouse.keynote.clock import clock_attributes
from clearinghouse.keynote.context import Context, octets_of
from clearinghouse.keynote.licensees import Anybody, Every, Nobody, Quorum, Some, Trusted, principals
from clearinghouse.keynote.principals import normalise

_THEIRS: Final = Limits()
"""What the receiver reads of one request: more would be refused."""
_OURS: Final = Limits.local()

Way = frozenset[Admitted]
"""Credentials by which a principal is reached from the requester."""


def needed_chain(
    credentials: Iterable[Admitted],
    *,
    requester: str,
    targets: Iterable[str],
    action: Mapping[str, str],
    values: Sequence[str],
    now: datetime,
) -> tuple[Admitted, ...] | None:
    """Return the credentials that lead from one of the keys *targets* to *requester*, none of which can be left out.

    They give *action* the strongest of *values* that any of *credentials* give it.  The first is by a target's key;
    where the requester is a target itself, none is needed.  ``None``: there is no such chain, or it is longer than
    a receiver reads.  What the receiver's own policy asks for beyond that, nobody else can know.
    """
    keys = tuple(dict.fromkeys(normalise(octets_of(each)) for each in targets))
    held = tuple({each.id: each for each in credentials}.values())
    if not keys:
        return None
    search = _Search(_root(keys), requester, {**action, **clock_attributes(now)}, tuple(values))
    proof = search.proof(held)
    if proof.level == 0:
        return None
    try:
        found = _shortest(held, proof, keys) or frozenset(_carriers(proof, held))
        needed = _carriers(search.proof(_without_spare(search, found, proof.level)), found)
    except TooLarge:
        return None
    fits = len(needed) <= _THEIRS.assertions and sum(len(each.raw) for each in needed) <= _THEIRS.request_bytes
    return needed if fits else None


class _Search:
    """One question, put to any set of credentials."""

    def __init__(self, root: Admitted, requester: str, action: Mapping[str, str], values: tuple[str, ...]) -> None:
        self._root, self._requester, self._action, self._values = root, requester, action, values

    def proof(self, held: Iterable[Admitted]) -> Proof:
        known = Assertions(policies=(self._root,), credentials=held, limits=_OURS)
        return known.query(authorizers=(self._requester,), action=self._action, values=self._values)


def _root(keys: Sequence[str]) -> Admitted:
    """Return a policy that trusts each of *keys*, as the target's does for all that anybody else can know."""
    named = tuple(syntax.Principal(syntax.Literal(each)) for each in keys)
    tree = syntax.Assertion(syntax.Literal(POLICY), named[0] if len(named) == 1 else syntax.AnyOf(named))
    return admit(print_assertion(tree).encode("latin-1"), policy=True)


def _carriers(proof: Proof, held: Iterable[Admitted]) -> tuple[Admitted, ...]:
    """Return those of *held* that carry *proof*, from the target down; raises TooLarge for an endless chain."""
    known = {each.name: each for each in held}
    return tuple(known[link.id] for link in proof.chain if link.id in known)


def _without_spare(search: _Search, found: Way, level: int) -> Way:
    """Leave out whatever the rest does without."""
    for each in sorted(found, key=lambda each: (-len(each.raw), each.id)):
        if search.proof(fewer := found - {each}).level >= level:
            found = fewer
    return found


def _shortest(held: Iterable[Admitted], proof: Proof, keys: Collection[str]) -> Way | None:
    """Return the fewest credentials that each allow as much as *proof*, in the order of reaching them.

    For chains it is the shortest; of thresholds that share credentials it is a short one.
    ``None`` where principals depend on the request: then the engine's own chain is taken.
    """
    usable = [each for each in held if each.trusted_by is not None and _allowed(each, proof.context) >= proof.level]
    postings: dict[str, list[Admitted]] = {}
    for each in usable:
        for name in principals(each.trusted_by or Nobody()):
            postings.setdefault(name, []).append(each)
    ways: dict[str, Way] = dict.fromkeys(proof.authorizers, frozenset())
    waiting = deque(each for each in usable if isinstance(each.trusted_by, Anybody))
    waiting += [each for name in proof.authorizers for each in postings.get(name, ())]
    while waiting:
        each = waiting.popleft()
        way = _way(each.trusted_by or Nobody(), ways)
        author = each.authorizer or ""
        if way is not None and (author not in ways or len(way) + 1 < len(ways[author])):
            ways[author] = way | {each}
            waiting += postings.get(author, ())
    return min((ways[key] for key in keys if key in ways), key=len, default=None)


def _allowed(assertion: Admitted, context: Context) -> int:
    context.budget.spend(assertion.cost)
    return context.top if assertion.function is None else assertion.function(context, assertion.constants)


def _way(trusted: Trusted, ways: Mapping[str, Way]) -> Way | None:
    """Return credentials by which licensees hold, few of them; ``None`` while they do not."""
    match trusted:
        case str():
            return ways.get(trusted)
        case Quorum(k, weights):
            return _of_quorum(k, weights, ways)
        case Every(parts):
            found = [way for part in parts if (way := _way(part, ways)) is not None]
            return frozenset[Admitted]().union(*found) if len(found) == len(parts) else None
        case Some(parts):
            return min((way for part in parts if (way := _way(part, ways)) is not None), key=len, default=None)
        case Anybody():
            return frozenset()
        case Nobody():
            return None


def _of_quorum(k: int, weights: Mapping[str, int], ways: Mapping[str, Way]) -> Way | None:
    count, found = 0, frozenset[Admitted]()
    for name in sorted((name for name in weights if name in ways), key=lambda name: len(ways[name])):
        if count < k:
            count += weights[name]
            found |= ways[name]
    return found if count >= k else None
