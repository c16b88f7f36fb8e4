"""Which assertions stand between ``POLICY`` and who asks, and what became of each: what `explain` draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from clearinghouse.cli.loading import Loaded
from clearinghouse.errors import BadPrincipal
from clearinghouse.keynote import POLICY, Admitted, Link, Proof
from clearinghouse.keynote import Step as MissingStep
from clearinghouse.keynote.evaluation import Reached, environment_of, evaluated
from clearinghouse.keynote.licensees import Every, Quorum, Some, Trusted, met, principals
from clearinghouse.keynote.octets import from_octets, to_octets
from clearinghouse.keynote.principals import is_key, normalise, short, shown
from clearinghouse.keynote.reasons import describe, failing
from clearinghouse.keynote.skipped import of_reached

_SOME = 3
"""Assertions shown where none leads to who asks; the rest are counted."""

_MANY = 12
"""Assertions shown of one authorizer."""

_PARTS = 4
"""Failed parts shown of one clause."""

_DEEPEST = 64
"""Delegations shown below each other; `Limits.chain`."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an assertion gave its value, or what failed in it."""

    text: str
    good: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One assertion as it is drawn.

    ``value`` is what its conditions give, ``carried`` says whether it counted, and ``licensees`` are several
    in words, empty for one.
    """

    assertion: Admitted
    carried: bool
    value: str
    licensees: str
    reasons: tuple[Reason, ...]
    below: tuple[Person, ...]

    @property
    def failed(self) -> bool:
        """Whether one of its conditions failed."""
        return any(not reason.good for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Person:
    """A principal as it is drawn: ``value`` is what it has in this query, empty for nothing."""

    name: str
    asks: bool
    value: str
    steps: tuple[Step, ...] = ()
    more: int = 0
    above: bool = False


class Delegations:
    """The assertions of one answer, from ``POLICY`` down."""

    def __init__(self, proof: Proof, loaded: Loaded, *, everything: bool) -> None:
        """*everything* draws also what leads to nobody who asks."""
        self._proof = proof
        self._everything = everything
        self._links: dict[str, Link] = {link.id: link for link in proof.chain}
        self._reached: dict[bytes, Reached] = {each.assertion.id: each for each in proof.reached}
        self._assertions = [found.assertion if (found := self._reached.get(each.id)) else each for each in loaded.admitted]
        self._drawn: set[str] = set()

    def top(self) -> Person:
        """Return ``POLICY`` with all that is below it."""
        return self._person(POLICY, 0)

    @cached_property
    def _by_author(self) -> dict[str, list[Admitted]]:
        found: dict[str, list[Admitted]] = {}
        for assertion in self._assertions:
            if assertion.authorizer is not None:
                found.setdefault(assertion.authorizer, []).append(assertion)
        return found

    @cached_property
    def _leading(self) -> set[bytes]:
        """The ids of assertions from which licences, whether or not they hold, lead down to who asks."""
        licensing: dict[str, list[Admitted]] = {}
        for assertion in self._assertions:
            for name in principals(assertion.trusted_by) if assertion.trusted_by is not None else ():
                licensing.setdefault(name, []).append(assertion)
        waiting, seen, leading = list(self._proof.authorizers), set[str](), set[bytes]()
        while waiting:
            name = waiting.pop()
            for assertion in licensing.get(name, ()) if name not in seen else ():
                leading.add(assertion.id)
                if assertion.authorizer is not None:
                    waiting.append(assertion.authorizer)
            seen.add(name)
        return leading

    @cached_property
    def _names(self) -> dict[str, str]:
        """What the policies call each key in their Local-Constants; a credential may not name others."""
        found: dict[str, str] = {}
        for assertion in self._assertions:
            if assertion.policy:
                found |= {_normal(value): name for name, value in assertion.tree().constants if is_key(value)}
        return found

    def name_of(self, principal: str) -> str:
        """Return how a principal is shown: by its name in the policies, and by the key's first digits."""
        known = self._names.get(principal)
        return f"{shown(known)} ({short(principal)})" if known else short(principal)

    # -- from POLICY down -----------------------------------------------------------------------------

    def _person(self, principal: str, depth: int) -> Person:
        level, _ = self._proof.settled.get(principal, (0, None))
        value = from_octets(self._proof.context.scale.names[level]) if level else ""
        person = Person(self.name_of(principal), principal in self._proof.authorizers, value)
        wanted, more = self._wanted(principal)
        if principal in self._drawn or depth >= _DEEPEST:
            return replace(person, above=bool(wanted))
        self._drawn.add(principal)
        return replace(person, steps=tuple(self._step(each, depth) for each in wanted), more=more)

    def _wanted(self, principal: str) -> tuple[list[Admitted], int]:
        """Return the assertions of *principal* to show, those that carried the value first, and how many are left."""
        found = sorted(self._by_author.get(principal, ()), key=self._rank)
        leading = sum(1 for each in found if each.id in self._leading)
        many = len(found) if self._everything else min(leading, _MANY) if leading else _SOME
        return found[:many], max(0, len(found) - many)

    def _rank(self, assertion: Admitted) -> tuple[bool, bool, bool]:
        return assertion.name not in self._links, assertion.id not in self._reached, assertion.id not in self._leading

    def _step(self, assertion: Admitted, depth: int) -> Step:
        link = self._links.get(assertion.name)
        reached = self._reached.get(assertion.id) or evaluated(self._proof.context, assertion)
        named = principals(assertion.trusted_by) if assertion.trusted_by is not None else ()
        return Step(
            assertion,
            carried=link is not None,
            value=from_octets(self._proof.context.scale.names[reached.level]),
            licensees=self._together(assertion.trusted_by),
            reasons=tuple(_held(link) if link else self._reasons(reached)),
            below=tuple(self._person(each, depth + 1) for each in named),
        )

    def _reasons(self, reached: Reached) -> Iterator[Reason]:
        if self._proof.held.is_revoked(reached.assertion):
            yield Reason("it has been revoked", good=False)
        elif reached.level == 0:
            yield from self._failures(reached) if reached.outcomes else [Reason("its Conditions are empty", good=False)]
        elif reached.assertion.trusted_by is not None and not met(reached.assertion.trusted_by, self._proof.settled):
            yield Reason("its licensees have too little", good=False)
        else:
            yield Reason("no conditions" if reached.tree.conditions is None else "its conditions hold", good=True)

    def _failures(self, reached: Reached) -> Iterator[Reason]:
        """Yield each part of each clause that failed, on a line of its own."""
        for skipped, outcome in zip(
            of_reached(reached, self._proof.context, self._proof.settled, revoked=False), reached.outcomes, strict=True
        ):
            parts = () if outcome.held or outcome.fault else failing(outcome.clause.test, environment_of(self._proof.context, reached.tree))
            if not parts:
                yield Reason(skipped.detail, good=False)
            for number, part in enumerate(parts[:_PARTS]):
                place = f"clause {'.'.join(map(str, outcome.path))}: " if number == 0 else "and "
                yield Reason(place + describe(part, environment_of(self._proof.context, reached.tree)), good=False)
            if len(parts) > _PARTS:
                yield Reason(f"and {len(parts) - _PARTS} more", good=False)

    def _together(self, trusted: Trusted | None) -> str:
        """Return several licensees as people say it; a single one stands below in any case."""
        match trusted:
            case Quorum(k, weights) if len(weights) == sum(weights.values()) == k:
                return " and ".join(map(self._brief, weights))
            case Quorum(1, weights):
                return " or ".join(map(self._brief, weights))
            case Quorum(k, weights):
                return f"{k} of " + ", ".join(self._brief(name) for name, times in weights.items() for _ in range(times))
            case Every(parts):
                return " and ".join(map(self._inner, parts))
            case Some(parts):
                return " or ".join(map(self._inner, parts))
            case _:
                return ""

    def _inner(self, trusted: Trusted) -> str:
        return self._brief(trusted) if isinstance(trusted, str) else f"({self._together(trusted)})"

    def _brief(self, principal: str) -> str:
        known = self._names.get(principal)
        return shown(known) if known else short(principal)

    def named(self, step: MissingStep) -> str:
        """Return a missing step with the names of its keys."""
        text = step.text
        for written in {step.authorizer, step.licensee}:
            key = short(to_octets(written))
            text = text.replace(f"`{key}`", self.name_of(to_octets(written))) if to_octets(written) in self._names else text
        return text


def _held(link: Link) -> Iterator[Reason]:
    """Yield what a link of the chain read."""
    if not link.clause:
        yield Reason("no conditions", good=True)
        return
    read = ", ".join(f"{shown(to_octets(name))} is `{shown(to_octets(value))}`" for name, value in link.reads.items())
    yield Reason(f"clause {'.'.join(map(str, link.clause))}: {read or 'always'}", good=True)


def _normal(value: str) -> str:
    try:
        return normalise(value)
    except BadPrincipal:
        return value
