"""Races: the sides of a comparison take turns in short batches, and medians are compared."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Batches are shorter than a time slice, so that most of them run undisturbed on a busy machine.
    ``crowd`` is the number of credentials where many are loaded; ``repeats`` how often each hostile
    request is made.  ``clock`` is that of the wall, or, where one call takes longer than a time slice, that of
    this process: what others do meanwhile does not count.
    """

    rounds: int = 201
    batch_seconds: float = 0.001
    crowd: int = 100_000
    repeats: int = 7
    clock: Callable[[], float] = time.perf_counter

    @classmethod
    def quick(cls) -> Effort:
        """Enough to see whether something broke."""
        return cls(rounds=31, crowd=10_000, repeats=3)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a race: what it does, and what the answer must be."""

    name: str
    run: Callable[[], Any]
    want: object


class WrongAnswer(AssertionError):
    """What was to be timed is not what it claims to be."""


def race(sides: Sequence[Side], effort: Effort) -> dict[str, float]:
    """Return the median time of one call of each side, in microseconds.

    Chance orders each round: nobody always runs in the wake of the same other.
    """
    for side in sides:
        if (answer := side.run()) != side.want:
            raise WrongAnswer(f"`{side.name}` answers {answer!r} instead of {side.want!r}")
    gc.collect()
    batches = {side.name: _batch(side, effort) for side in sides}
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    order, chance = list(sides), random.Random(len(sides))  # noqa: S311 - an order, not a secret
    for _ in range(effort.rounds):
        chance.shuffle(order)
        for side in order:
            times[side.name].append(_timed(side.run, batches[side.name], effort.clock))
    return {name: median(each) * 1e6 for name, each in times.items()}


def _batch(side: Side, effort: Effort) -> int:
    """Return how many calls fill a batch."""
    calls = 1
    while (each := _timed(side.run, calls, effort.clock)) * calls < effort.batch_seconds / 4:
        calls *= 2
    return max(1, round(effort.batch_seconds / each))


def _timed(run: Callable[[], Any], calls: int, clock: Callable[[], float]) -> float:
    """Return the seconds that one of *calls* calls takes."""
    started = clock()
    for _ in range(calls):
        run()
    return (clock() - started) / calls
