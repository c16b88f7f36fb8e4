"""Decisions whose question may come again, and rests on the same then (rule R20).

The key is a `Question`: the peer's requesters and *every* attribute of the query but the clock's, whether or not the
evaluation read it, together with the snapshot and what the signed records say of both domains.  That is more than rule
R20 wants, and can be built before anything is evaluated.  The clock is what remains: a precedent holds until the first
instant at which anything that could have a say, whatever the conditions on the way, reads it differently.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from clearinghouse.keynote import Admitted, Proof
from clearinghouse.keynote.clock import next_change
from clearinghouse.keynote.uses import clock_of
from clearinghouse.runtime.redirection.questions import Question

MAX_PRECEDENTS: Final = 10_000
"""Questions that are remembered, about 1 kB each: a hundred members that each reach a hundred others."""

LONGEST: Final = timedelta(hours=1)
"""How long one is used at most, so that the facts of the decision are never erased before an answer that repeats it."""


@dataclass(frozen=True, slots=True)
class Precedent:
    """A decision that is on the log: its id, what a peer is told (``code``, empty for a redirect), and from when until when it holds."""

    decision: str
    code: str
    since: datetime
    until: datetime


@dataclass(slots=True)
class Precedents:
    """The latest questions with their decisions; those of another snapshot than the newest are forgotten."""

    used: int = 0
    _version: str = ""
    _known: OrderedDict[Question, Precedent] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._known)

    def find(self, question: Question, now: datetime) -> Precedent | None:
        """Return the decision that *question* would be given at *now*, if it was given before."""
        found = self._known.get(question)
        if found is None or not found.since <= now < found.until:
            return None
        self._known.move_to_end(question)
        self.used += 1
        return found

    def keep(self, question: Question, precedent: Precedent) -> None:
        """Remember a decision that is on the log."""
        if question.version != self._version:
            self._version = question.version
            self._known.clear()
        self._known[question] = precedent
        if len(self._known) > MAX_PRECEDENTS:
            self._known.popitem(last=False)


def holds_until(proof: Proof | None, now: datetime) -> datetime | None:
    """Return until when an answer that rests on *proof* holds; ``None`` for one that must not be used again.

    Where nothing was evaluated, nothing reads the clock.
    """
    latest = now + LONGEST
    if proof is None:
        return latest
    if any(layer.dynamic for layer in proof.held.layers):  # the request decides who is trusted: too much to follow
        return None
    changes = (next_change(clock_of(each), now) for each in _having_a_say(proof))
    return min((latest, *(each for each in changes if each is not None)))


def _having_a_say(proof: Proof) -> Iterator[Admitted]:
    """Yield every assertion that the requesters could reach, whatever the conditions on the way."""
    layers = proof.held.layers
    names = {*proof.authorizers, *(each.authorizer for layer in layers for each in layer.anybody)}
    yield from (each for layer in layers for each in layer.anybody)
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        for assertion in (each for layer in layers for each in layer.by_licensee.get(name or "", ())):
            yield assertion
            if assertion.authorizer not in names:
                names.add(assertion.authorizer)
                waiting.append(assertion.authorizer)
