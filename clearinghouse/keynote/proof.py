"""The answer to a query, with everything that an operator may ask about it.

The value is known when the proof is made.  The rest is derived from the same immutable set of
assertions and the same attributes when it is first asked for, by the readable evaluator: it is
what the query saw, not a later state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from clearinghouse.keynote.chain import Link, Settled, links, readable
from clearinghouse.keynote.clock import instant_of, next_change
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.evaluation import Reached, evaluated, named_by
from clearinghouse.keynote.index import Held
from clearinghouse.keynote.missing import Missing, nearest
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.skipped import Skipped, of_reached, of_refused


class Proof:
    """A compliance value and why it is what it is."""

    # With `__dict__` among the slots, it is made when something is derived, and most proofs are asked for their value only.
    __slots__ = ("__dict__", "context", "held", "level", "settled")

    def __init__(self, held: Held, context: Context, settled: Settled, level: int) -> None:
        """Keep what the query saw."""
        self.held = held
        self.context = context
        self.settled = settled
        self.level = level
        self._known: dict[Admitted, Reached] = {}

    @property
    def value(self) -> str:
        """The compliance value, as the query wrote it."""
        return self.context.scale.written[self.level]

    @property
    def strongest(self) -> bool:
        """Whether the value is the strongest of the query's values."""
        return self.level == self.context.top

    @property
    def authorizers(self) -> tuple[str, ...]:
        """The requesters in normal form."""
        return self.context.requesters

    @cached_property
    def chain(self) -> tuple[Link, ...]:
        """The assertions that carried the value, from `POLICY` down; empty for the weakest value.

        Raises :class:`TooLarge` beyond ``limits.chain``.
        """
        return tuple(links(self.context, self.settled, self._evaluated))

    @cached_property
    def reached(self) -> tuple[Reached, ...]:
        """Every assertion that a settled principal leads to, evaluated."""
        return tuple(map(self._evaluated, dict.fromkeys(self._reached())))

    def _evaluated(self, assertion: Admitted) -> Reached:
        """Return what *assertion* does in this query, evaluated once."""
        if assertion not in self._known:
            self._known[assertion] = evaluated(self.context, assertion)
        return self._known[assertion]

    def _reached(self) -> Iterator[Admitted]:
        for layer in self.held.layers:
            yield from layer.anybody
            for principal in self.settled:
                yield from layer.by_licensee.get(principal, ())

    def _named_by_request(self) -> Iterator[Admitted]:
        """Yield the assertions whose principals are attributes: others would be reached with other values."""
        return (assertion for layer in self.held.layers for assertion in layer.dynamic)

    @cached_property
    def reads(self) -> Mapping[str, str]:
        """Every attribute that the evaluation read, with its value: the key of any cache (rule R20)."""
        merged: dict[str, str] = {}
        for assertion in self._named_by_request():
            merged.update(named_by(self.context, assertion.tree()))
        for reached in self.reached:
            merged.update(reached.reads)
        return readable(merged)

    @cached_property
    def stable_until(self) -> datetime | None:
        """The first instant at which the clock alone can change the answer; ``None``: never (rule R17)."""
        now = instant_of(self.context.action)
        if now is None:
            return None
        found = (next_change(assertion.clock_use(), now) for assertion in (*self._named_by_request(), *self._reached()))
        return min((each for each in found if each is not None), default=None)

    @cached_property
    def skipped(self) -> tuple[Skipped, ...]:
        """Every assertion that was left out or gave nothing, each with its reason and position."""
        carried = {link.id for link in self.chain}
        found = [of_refused(each) for each in self.held.refused]
        for each in self.reached:
            if each.assertion.name not in carried:
                found += of_reached(each, self.context, self.settled, revoked=self.held.is_revoked(each.assertion))
        return tuple(found)

    @cached_property
    def missing(self) -> tuple[Missing, ...]:
        """For the next and for the strongest value above this one, the nearest steps to it."""
        return nearest(self.held, self.context, self.level, self.reached)

    def as_json(self, missing: Sequence[Missing] | None = None) -> dict[str, Any]:
        """Return the proof in the documented schema (``docs/reference/json.md``).

        *missing* is given by whoever has found it already, or has no time to look for it.
        """
        until = self.stable_until
        return {
            "value": self.value,
            "strongest": self.strongest,
            "authorizers": [from_octets(each) for each in self.authorizers],
            "stable_until": until.isoformat() if until else None,
            "chain": [each.as_json() for each in self.chain],
            "skipped": [each.as_json() for each in self.skipped],
            "missing": [each.as_json() for each in (self.missing if missing is None else missing)],
        }
