"""The nearest missing step: what would have to be different for a stronger value.

A search from the requesters upward over what is loaded, in which a failed condition may be passed
at the price of what failed in it, a revoked assertion at the price of issuing it again, and any
authorizer on the way down from `POLICY` may grant the missing licence.  The cheapest way to
`POLICY` is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from heapq import heappop, heappush
from itertools import count
from typing import Any

from clearinghouse.keynote import syntax
from clearinghouse.keynote.conditions import Environment, text_of
from clearinghouse.keynote.context import POLICY, Context
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.evaluation import Reached, environment_of, evaluated
from clearinghouse.keynote.index import Held
from clearinghouse.keynote.licensees import Anybody, Every, Nobody, Quorum, Some, Trusted, principals
from clearinghouse.keynote.numbers import RuntimeFault
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import is_key, short, shown
from clearinghouse.keynote.reasons import describe, failing

CONSIDERED = 200
"""Assertions that the search evaluates; beyond them the answer is the nearest step among these."""
_LOOKED_AT = 10_000
"""Assertions that the search looks at to find them; passing by one that leads nowhere takes about 1 us."""
_HOP, _FAILURE, _FURTHER, _SWAPPED, _LICENCE, _POLICY_LICENCE, _REISSUE = 0.01, 1.0, 0.05, 1.2, 1.3, 100.0, 2.0
"""What a step costs: mending a clause is nearer than a new licence; a new policy is the last resort."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is missing.

    ``kind`` is ``condition``, ``licence`` or ``revoked``; ``id`` and ``clause`` name the assertion
    and clause where there is one; ``authorizer`` and ``licensee`` the principals of a licence.
    """

    kind: str
    text: str
    id: str = ""
    source: str = ""
    clause: tuple[int, ...] = ()
    authorizer: str = ""
    licensee: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the step in the documented schema."""
        return {
            "kind": self.kind,
            "text": self.text,
            "id": self.id,
            "source": self.source,
            "clause": list(self.clause),
            "authorizer": self.authorizer,
            "licensee": self.licensee,
        }


@dataclass(frozen=True, slots=True)
class Missing:
    """What *value* would need: every step of one, the nearest, way."""

    value: str
    steps: tuple[Step, ...]

    def sentence(self) -> str:
        """Return the steps as one sentence: what failed, and what the value would need besides."""
        failed = [step.text for step in self.steps if step.kind == "condition"]
        needed = [step.text for step in self.steps if step.kind != "condition"]
        return "; and ".join([*failed, *([f"`{self.value}` would need {', and '.join(needed)}"] if needed else [])])

    def as_json(self) -> dict[str, Any]:
        """Return value and steps in the documented schema."""
        return {"value": self.value, "steps": [step.as_json() for step in self.steps]}


_Way = tuple[float, tuple[Step, ...]]


def nearest(held: Held, context: Context, level: int, reached: Sequence[Reached]) -> tuple[Missing, ...]:
    """Return the nearest steps from *level* to the next and to the strongest value; none for the strongest."""
    if level == context.top:
        return ()
    search = _Search(held, context, reached)
    found = {wanted: search.steps_to(wanted) for wanted in dict.fromkeys((level + 1, context.top))}
    told: list[Missing] = []
    for wanted, steps in found.items():
        if told and told[-1].steps == steps:
            told.pop()  # the same steps lead further than the next value
        if steps:
            told.append(Missing(from_octets(context.scale.names[wanted]), steps))
    return tuple(told)


class _Search:
    """Assertions below `POLICY` and above the requesters, with what it costs to pass each."""

    def __init__(self, held: Held, context: Context, reached: Sequence[Reached]) -> None:
        self.held = held
        self.context = context
        self.risen = {each.assertion.authorizer for each in reached if each.level > 0 and isinstance(each.assertion.trusted_by, str)}
        below = dict.fromkeys(self._below_policy())
        self.granters = {each.authorizer for each in below if each.authorizer} | {POLICY}
        self.granters |= {name for each in below if each.trusted_by is not None for name in principals(each.trusted_by)}
        known = {each.assertion for each in reached}
        self.reached = [*reached, *(evaluated(context, each) for each in below if each not in known)]

    def _below_policy(self) -> Iterator[Admitted]:
        """Yield assertions from `POLICY` downward, nearest first, up to the bound; dead ends last."""
        waiting, seen = deque([POLICY]), {POLICY}
        ends: list[Admitted] = []
        looked = considered = 0
        while waiting:
            authorizer = waiting.popleft()
            for assertion in (each for layer in self.held.layers for each in layer.by_authorizer.get(authorizer, ())):
                looked += 1
                if looked > _LOOKED_AT or considered >= CONSIDERED:
                    return
                names = tuple(principals(assertion.trusted_by)) if assertion.trusted_by is not None else ()
                if not any(map(self._leads_on, names)):
                    ends.append(assertion)
                    continue
                considered += 1
                yield assertion
                waiting.extend(name for name in names if name not in seen)
                seen.update(names)
        yield from ends[: CONSIDERED - considered]

    def _leads_on(self, name: str) -> bool:
        """Say whether *name* may be on a way: somebody who asks, whom they reach, or who could license them.

        A name that is no key can sign nothing, so only a policy could speak for it.
        """
        return (
            is_key(name)
            or name in self.context.requesters
            or name in self.risen
            or any(name in layer.by_authorizer for layer in self.held.layers)
        )

    def steps_to(self, level: int) -> tuple[Step, ...]:
        """Return the steps of the cheapest way to give `POLICY` at least *level* (Knuth's algorithm)."""
        ways = {id(each): self._way_through(each, level) for each in self.reached}
        by_licensee: dict[str, list[Reached]] = {}
        for each in self.reached:
            for name in principals(each.assertion.trusted_by) if each.assertion.trusted_by is not None else ():
                by_licensee.setdefault(name, []).append(each)
        tie = count()
        heap: list[tuple[float, int, str, tuple[Step, ...]]] = []
        for name, way in self._seeds():
            heappush(heap, (way[0], next(tie), name, way[1]))
        for each in self.reached:
            if isinstance(each.assertion.trusted_by, Anybody) and (through := ways[id(each)]) and each.assertion.authorizer:
                heappush(heap, (through[0], next(tie), each.assertion.authorizer, through[1]))
        best: dict[str, _Way] = {}
        while heap:
            price, _, name, steps = heappop(heap)
            if name in best:
                continue
            best[name] = (price, steps)
            if name == POLICY:
                return steps
            for each in by_licensee.get(name, ()):
                through, licensed = ways[id(each)], _cheapest(each.assertion.trusted_by, best)
                if through and licensed and each.assertion.authorizer:
                    total = through[0] + licensed[0] + _HOP
                    heappush(heap, (total, next(tie), each.assertion.authorizer, tuple(dict.fromkeys((*through[1], *licensed[1])))))
        return ()

    def _seeds(self) -> Iterator[tuple[str, _Way]]:
        """Yield where a way may begin: a requester, or an authorizer that would license one."""
        requesters = [requester for requester in self.context.requesters if requester not in self.held.revoked]
        if not requesters:
            return  # no licence helps whoever has been revoked
        for requester in requesters:
            yield requester, (0.0, ())
        subject = requesters[0]
        for name in sorted(self.granters - set(requesters) - self.held.revoked):  # of equal ways always the same
            price = _POLICY_LICENCE if name == POLICY else _LICENCE
            yield name, (price, (self._licence(name, subject),))
            for authorizer in self._reversed(name):
                yield name, (_SWAPPED, (self._licence(name, authorizer),))

    def _reversed(self, name: str) -> Iterator[str]:
        """Yield whom the requesters reach and who licenses *name*, where *name* would have to license them."""
        authors = (each.authorizer for layer in self.held.layers for each in layer.by_licensee.get(name, ()) if each.trusted_by == name)
        return (author for author in authors if author is not None and author in self.risen)

    def _licence(self, authorizer: str, licensee: str) -> Step:
        who = "a policy" if authorizer == POLICY else f"`{short(authorizer)}`"
        text = f"a licence for `{short(licensee)}` from {who}"
        if self._is_reversed(authorizer, licensee):
            text += f"; there is one the other way round, in which `{short(licensee)}` licenses `{short(authorizer)}`"
            text += ": perhaps Authorizer and Licensees were swapped"
        return Step("licence", text, authorizer=from_octets(authorizer), licensee=from_octets(licensee))

    def _is_reversed(self, authorizer: str, licensee: str) -> bool:
        postings = (each for layer in self.held.layers for each in layer.by_licensee.get(authorizer, ()))
        return any(each.authorizer == licensee for each in postings)

    def _way_through(self, reached: Reached, level: int) -> _Way | None:
        """Return what it costs to get *level* through an assertion's own conditions."""
        assertion, revoked = reached.assertion, self.held.revoked
        if assertion.authorizer in revoked:
            return None
        extra: tuple[Step, ...] = ()
        if assertion.id in self.held.withdrawn:
            text = f"{_named(assertion)} to be issued again: it has been revoked"
            extra = (Step("revoked", text, assertion.name, assertion.source),)
        if reached.tree.conditions is None or reached.level >= level:
            return _REISSUE * len(extra), extra
        way = self._way_through_program(reached, reached.tree.conditions, level, ())
        return way and (way[0] + _REISSUE * len(extra), (*extra, *way[1]))

    def _way_through_program(self, reached: Reached, program: syntax.Program, level: int, path: tuple[int, ...]) -> _Way | None:
        found = (
            self._way_through_clause(reached, clause, level, (*path, number)) for number, clause in enumerate(program.clauses, start=1)
        )
        return min((way for way in found if way is not None), key=lambda way: way[0], default=None)

    def _way_through_clause(self, reached: Reached, clause: syntax.Clause, level: int, path: tuple[int, ...]) -> _Way | None:
        env = environment_of(self.context, reached.tree)
        failed = failing(clause.test, env)
        number = ".".join(map(str, path))
        steps = tuple(
            Step(
                "condition",
                f"{describe(test, env)} in {_named(reached.assertion)}, clause {number}",
                reached.assertion.name,
                reached.assertion.source,
                path,
            )
            for test in failed
        )
        match clause.value:
            case syntax.Program() as block:
                inner = self._way_through_program(reached, block, level, path)
                return inner and (inner[0] + _price(steps), (*steps, *inner[1]))
            case None:
                return _price(steps), steps
            case value:
                said, known = _said(value, env), self.context.levels
                if said not in known:
                    steps = (*steps, self._unknown_value(reached, said, path))
                return (_price(steps), steps) if known.get(said, level) >= level else None

    def _unknown_value(self, reached: Reached, said: str, path: tuple[int, ...]) -> Step:
        """Return the step for a clause whose value is none of this query's: as a rule it is misspelt."""
        close = get_close_matches(said, self.context.scale.names, n=1)
        meant = f"did you mean `{shown(close[0])}`?" if close else f"the values are {', '.join(map(shown, self.context.scale.names))}"
        number = ".".join(map(str, path))
        text = f"{_named(reached.assertion)}, clause {number}, gives `{shown(said)}`, which is no value here: {meant}"
        return Step("condition", text, reached.assertion.name, reached.assertion.source, path)


def _price(failures: tuple[Step, ...]) -> float:
    """Return what it costs to mend the conditions of one clause, all of them at once."""
    return _FAILURE + _FURTHER * (len(failures) - 1) if failures else 0.0


def _said(value: syntax.Text, env: Environment) -> str:
    try:
        return text_of(value, env)
    except RuntimeFault:
        return env.context.scale.names[0]


def _named(assertion: Admitted) -> str:
    kind = "policy" if assertion.policy else "credential"
    return f"{kind} {assertion.name[:8]}" + (f" ({assertion.source})" if assertion.source else "")


def _cheapest(trusted: Trusted | None, best: Mapping[str, _Way]) -> _Way | None:
    """Return the cheapest way to meet *trusted* from the principals priced so far."""
    match trusted:
        case str():
            return best.get(trusted)
        case Quorum(k, weights):
            return _enough(
                k, sorted(((best[name], weight) for name, weight in weights.items() if name in best), key=lambda priced: priced[0][0])
            )
        case Every(parts):
            return _together(_cheapest(part, best) for part in parts)
        case Some(parts):
            ways = [way for part in parts if (way := _cheapest(part, best)) is not None]
            return min(ways, key=lambda way: way[0], default=None)
        case Anybody():
            return 0.0, ()
        case Nobody() | None:
            return None


def _enough(k: int, priced: list[tuple[_Way, int]]) -> _Way | None:
    taken, weight = [], 0
    for way, each in priced:
        if weight < k:
            taken.append(way)
            weight += each
    return _together(taken) if weight >= k else None


def _together(ways: Iterable[_Way | None]) -> _Way | None:
    price = 0.0
    steps: list[Step] = []
    for way in ways:
        if way is None:
            return None
        price += way[0]
        steps += way[1]
    return price, tuple(dict.fromkeys(steps))
