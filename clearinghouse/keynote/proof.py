"""The answer to a query, with everything that an operator may ask about it.

The value is known when the proof is made.  The rest is derived from the same immutable set of
assertions and the same attributes when it is first asked for, by the readable evaluator: it is
what the query saw, not a later state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.clock import instant_of, next_change
from clearinghouse.keynote.conditions import Environment, Outcome, outcomes
from clearinghouse.keynote.context import POLICY, Context
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.licensees import Every, Quorum, Some, Trusted
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.places import line_and_column
from clearinghouse.keynote.reasons import why_not

if TYPE_CHECKING:
    from clearinghouse.keynote.compliance import Assertions, Index, Settled
    from clearinghouse.keynote.missing import Missing


@dataclass(frozen=True, slots=True)
class Link:
    """One assertion that carried the value.

    ``clause`` numbers the clause that fired, inner clauses after their outer one; it is empty where
    there are no Conditions.  ``reads`` are the attributes that this clause read, with their values;
    ``licensees`` the principals that met the Licensees field.
    """

    id: str
    policy: bool
    source: str
    authorizer: str
    licensees: tuple[str, ...]
    value: str
    clause: tuple[int, ...]
    reads: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Skipped:
    """One assertion that did not count, and why.

    ``reason`` is ``malformed``, ``bad-signature``, ``weak-key``, ``too-large``, ``revoked``,
    ``condition-failed``, ``run-time-error``, ``unknown-value`` or ``licensees-not-met``;
    ``line`` and ``column`` are the place in the assertion, from 1.
    """

    id: str
    source: str
    reason: str
    detail: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Reached:
    """An assertion whose licensees, at least in part, the requesters reach, evaluated readably."""

    assertion: Admitted
    tree: syntax.Assertion
    level: int
    outcomes: tuple[Outcome, ...]
    reads: Mapping[str, str]


class Proof:
    """A compliance value and why it is what it is."""

    def __init__(self, assertions: Assertions, layers: tuple[Index, ...], context: Context, settled: Settled, level: int) -> None:
        """Keep what the query saw."""
        self.assertions = assertions
        self.layers = layers
        self.context = context
        self.settled = settled
        self.level = level

    @property
    def value(self) -> str:
        """The compliance value, as the query wrote it."""
        return from_octets(self.context.scale.names[self.level])

    @property
    def strongest(self) -> bool:
        """Whether the value is the strongest of the query's values."""
        return self.level == self.context.top

    @property
    def authorizers(self) -> tuple[str, ...]:
        """The requesters in normal form."""
        return self.context.requesters

    # -- the chain --------------------------------------------------------------------------------

    @cached_property
    def chain(self) -> tuple[Link, ...]:
        """The assertions that carried the value, from `POLICY` down; empty for the weakest value.

        Raises :class:`TooLarge` beyond ``limits.chain``.
        """
        from clearinghouse.keynote.compliance import check_chain

        links: list[Link] = []
        waiting, done = [POLICY], set()
        while waiting:
            principal = waiting.pop(0)
            carrier = self.settled.get(principal, (0, None))[1]
            if carrier is None or principal in done:
                continue
            done.add(principal)
            used = tuple(_used(carrier.trusted_by, self.settled, self.settled[principal][0]))
            links.append(self._link(carrier, used))
            check_chain(len(links), self.context.limits)
            waiting += used
        return tuple(links)

    def _link(self, carrier: Admitted, used: tuple[str, ...]) -> Link:
        reached = self._evaluated(carrier)
        best = _best(reached.outcomes)
        level = reached.level if reached.tree.conditions is not None else self.context.top
        reads = _readable(best.reads) if best else {}
        return Link(
            id=carrier.name,
            policy=carrier.policy,
            source=carrier.source,
            authorizer=from_octets(carrier.authorizer or ""),
            licensees=tuple(map(from_octets, used)),
            value=from_octets(self.context.scale.names[level]),
            clause=best.path if best else (),
            reads=reads,
        )

    # -- what was reached -------------------------------------------------------------------------

    def _environment(self, tree: syntax.Assertion) -> Environment:
        context = Context(self.context.requesters, self.context.action, self.context.scale, self.context.limits, Budget(self.context.budget.allowed))
        return Environment(context, dict(tree.constants))

    def _evaluated(self, assertion: Admitted) -> Reached:
        tree = assertion.tree()
        if tree.conditions is None:
            return Reached(assertion, tree, self.context.top, (), {})
        env = self._environment(tree)
        found = outcomes(tree.conditions, env)
        return Reached(assertion, tree, max((each.level for each in found), default=0), found, dict(env.reads))

    @cached_property
    def reached(self) -> tuple[Reached, ...]:
        """Every assertion that a settled principal leads to, evaluated."""
        found = {id(assertion): assertion for assertion in self._reached_assertions()}
        return tuple(self._evaluated(assertion) for assertion in found.values())

    def _reached_assertions(self) -> Iterator[Admitted]:
        for layer in self.layers:
            yield from layer.anybody
            for principal in self.settled:
                yield from layer.by_licensee.get(principal, ())

    @cached_property
    def reads(self) -> Mapping[str, str]:
        """Every attribute that the evaluation read, with its value: the key of any cache (rule R20)."""
        merged: dict[str, str] = {}
        for reached in self.reached:
            merged.update(reached.reads)
        return _readable(merged)

    @cached_property
    def stable_until(self) -> datetime | None:
        """The first instant at which the clock alone can change the answer; ``None``: never (rule R17)."""
        now = instant_of(self.context.action)
        if now is None:
            return None
        found = (next_change(assertion.clock_use(), now) for assertion in self._reached_assertions())
        return min((each for each in found if each is not None), default=None)

    @cached_property
    def skipped(self) -> tuple[Skipped, ...]:
        """Every assertion that was left out or gave nothing, each with its reason and position."""
        refused = [_refused(each.source, each.error, each.raw) for each in self.assertions.refused]
        carried = {link.id for link in self.chain}
        return (*refused, *(skipped for each in self.reached if each.assertion.name not in carried for skipped in self._why_skipped(each)))

    def _why_skipped(self, reached: Reached) -> Iterator[Skipped]:
        assertion = reached.assertion
        if assertion.id in self.assertions.withdrawn or assertion.authorizer in self.assertions.revoked:
            yield Skipped(assertion.name, assertion.source, "revoked", "it has been revoked", 1, 1)
        elif reached.level == 0:
            yield from (self._clause_skipped(reached, outcome) for outcome in reached.outcomes)
        elif (missing := _unmet(assertion.trusted_by, self.settled)) is not None:
            yield Skipped(assertion.name, assertion.source, "licensees-not-met", missing, 1, 1)

    def _clause_skipped(self, reached: Reached, outcome: Outcome) -> Skipped:
        line, column = line_and_column(reached.assertion.raw.decode("latin-1"), outcome.clause.start)
        number = ".".join(map(str, outcome.path))
        if outcome.fault:
            reason, detail = "run-time-error", f"clause {number}: {outcome.fault}"
        elif outcome.held and outcome.said is not None:
            reason, detail = "unknown-value", f"clause {number}: `{from_octets(outcome.said)}` is not a value of this query"
        elif outcome.held:
            reason, detail = "condition-failed", f"clause {number}: no inner clause gave a value"
        else:
            reason, detail = "condition-failed", f"clause {number}: {why_not(outcome.clause.test, self._environment(reached.tree))}"
        return Skipped(reached.assertion.name, reached.assertion.source, reason, detail, line, column)

    @cached_property
    def missing(self) -> tuple[Missing, ...]:
        """For the next and for the strongest value above this one, the nearest steps to it."""
        from clearinghouse.keynote.missing import nearest

        return nearest(self)

    def as_json(self) -> dict[str, Any]:
        """Return the proof in the documented schema (``docs/reference/json.md``)."""
        until = self.stable_until
        return {
            "value": self.value,
            "strongest": self.strongest,
            "authorizers": [from_octets(each) for each in self.authorizers],
            "stable_until": until.isoformat() if until else None,
            "chain": [
                {
                    "id": link.id,
                    "channel": "policy" if link.policy else "credential",
                    "source": link.source,
                    "authorizer": link.authorizer,
                    "licensees": list(link.licensees),
                    "value": link.value,
                    "clause": list(link.clause),
                    "reads": dict(link.reads),
                }
                for link in self.chain
            ],
            "skipped": [
                {"id": each.id, "source": each.source, "reason": each.reason, "detail": each.detail, "line": each.line, "column": each.column}
                for each in self.skipped
            ],
            "missing": [each.as_json() for each in self.missing],
        }


def _readable(reads: Mapping[str, str]) -> Mapping[str, str]:
    return {name: from_octets(value) for name, value in reads.items()}


def _used(trusted: Trusted | None, settled: Settled, level: int) -> Iterator[str]:
    """Yield the principals by which licensees hold at *level*: no more than are needed."""
    match trusted:
        case str():
            yield trusted
        case Quorum(k, weights):
            count = 0
            for name, weight in weights.items():
                if count < k and settled.get(name, (0, None))[0] >= level:
                    count += weight
                    yield name
        case Every(parts):
            for part in parts:
                yield from _used(part, settled, level)
        case Some(parts):
            yield from next((found for part in parts if (found := tuple(_used(part, settled, level))) and _holds(part, settled, level)), ())
        case _:
            return


def _holds(trusted: Trusted, settled: Settled, level: int) -> bool:
    from clearinghouse.keynote.licensees import met

    return met(trusted, {name for name, (reached, _) in settled.items() if reached >= level})


def _unmet(trusted: Trusted | None, settled: Settled) -> str | None:
    """Return what an unmet Licensees field still lacks, or ``None`` where it is met."""
    from clearinghouse.keynote.licensees import met
    from clearinghouse.keynote.principals import short

    if trusted is None or met(trusted, settled):
        return None
    if isinstance(trusted, Quorum):
        present = sum(weight for name, weight in trusted.weights.items() if name in settled)
        absent = ", ".join(f"`{short(name)}`" for name in trusted.weights if name not in settled)
        return f"{trusted.k} of its principals are needed, {present} are there; not reached: {absent}"
    return "its licensees are met in part only"


def _best(found: tuple[Outcome, ...]) -> Outcome | None:
    """Return the innermost clause that gave the strongest level."""
    best = max((each for each in found if each.level > 0), key=lambda each: each.level, default=None)
    while best is not None and best.inner:
        best = max(best.inner, key=lambda each: each.level)
    return best


def _refused(source: str, error: Exception, raw: bytes) -> Skipped:
    line, column = (error.line, error.column) if isinstance(error, MalformedAssertion) else (1, 1)
    del raw
    return Skipped("", source, getattr(error, "code", "error"), str(getattr(error, "message", error)), line, column)
