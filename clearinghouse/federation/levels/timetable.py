"""When the clock can change what assertions say, kept so that coming and going costs little (rule R17; pure)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from datetime import datetime, timedelta

from clearinghouse.keynote import Admitted
from clearinghouse.keynote.clock import DATE, FLIPPED_BY, TIME, ClockUse, clock_attributes, first_false, next_change
from clearinghouse.keynote.compiler import Function
from clearinghouse.keynote.uses import clock_of, uses_of

_TICKS = {timedelta(days=1): DATE, timedelta(seconds=1): TIME}


class _Turns:
    """Assertions by the text with which they compare a clock; *equal* says that they change after it, not at it."""

    __slots__ = ("at", "clock", "equal", "texts")

    def __init__(self, clock: str, *, equal: bool) -> None:
        self.clock, self.equal = clock, equal
        self.at: dict[str, set[Admitted]] = {}
        self.texts: list[str] = []

    def put(self, text: str, assertion: Admitted) -> None:
        found = self.at.get(text)
        if found is None:
            self.at[text] = {assertion}
            insort(self.texts, text)
        else:
            found.add(assertion)

    def drop(self, text: str, assertion: Admitted) -> None:
        found = self.at.get(text, set())
        found.discard(assertion)
        if not found and text in self.at:
            del self.at[text]
            del self.texts[bisect_left(self.texts, text)]

    def _ahead(self, clock: str) -> int:
        return bisect_left(self.texts, clock) if self.equal else bisect_right(self.texts, clock)

    def next(self, clock: str) -> datetime | None:
        place = self._ahead(clock)
        return first_false(self.clock, self.texts[place], equal=self.equal) if place < len(self.texts) else None

    def passed(self, before: str, clock: str) -> Iterator[Admitted]:
        for text in self.texts[self._ahead(before) : self._ahead(clock)]:
            yield from self.at[text]


class Timetable:
    """Assertions by the instants at which the clock can change what they say."""

    __slots__ = ("_plans", "_ticking", "_turns")

    def __init__(self) -> None:
        """Begin with none."""
        self._turns = {(clock, equal): _Turns(clock, equal=equal) for clock in (DATE, TIME) for equal in FLIPPED_BY}
        self._ticking: dict[timedelta, set[Admitted]] = {tick: set() for tick in _TICKS}
        self._plans: dict[Function, tuple[tuple[_Turns, int], ...] | None] = {}

    def put(self, assertion: Admitted) -> None:
        """Take note of *assertion*; twice is once."""
        if assertion.function is None:
            return
        plan = self._plans.get(assertion.function) or self._plan(assertion.function, assertion)
        if plan is not None:
            constants = assertion.constants
            for turns, place in plan:
                turns.put(constants[place], assertion)
            return
        use = clock_of(assertion)
        for turns, text in self._turned_by(use):
            turns.put(text, assertion)
        if use.tick is not None:
            self._ticking[use.tick].add(assertion)

    def _plan(self, function: Function, assertion: Admitted) -> tuple[tuple[_Turns, int], ...] | None:
        """Return where assertions with this function belong, ``None`` where each must be looked at by itself."""
        clock = uses_of(assertion).clock
        plan = None
        if clock is not None:
            plan = tuple(
                (self._turns[name, equal], place)
                for name, relation, place in clock
                for equal, relations in FLIPPED_BY.items()
                if relation in relations
            )
            self._plans[function] = plan
        return plan

    def _turned_by(self, use: ClockUse) -> Iterator[tuple[_Turns, str]]:
        for name, relation, text in use.comparisons:
            for equal, relations in FLIPPED_BY.items():
                if relation in relations:
                    yield self._turns[name, equal], text

    def drop(self, assertion: Admitted) -> None:
        """Forget *assertion*."""
        use = clock_of(assertion)
        for turns, text in self._turned_by(use):
            turns.drop(text, assertion)
        if use.tick is not None:
            self._ticking[use.tick].discard(assertion)

    def next(self, now: datetime) -> datetime | None:
        """Return the first instant after *now* at which any of them can change."""
        clocks = clock_attributes(now)
        found = [turns.next(clocks[turns.clock]) for turns in self._turns.values()]
        found += [next_change(ClockUse((), tick), now) for tick, ticking in self._ticking.items() if ticking]
        return min((each for each in found if each is not None), default=None)

    def passed(self, before: datetime, now: datetime) -> set[Admitted]:
        """Return those that the clock can have changed after *before*, up to *now*."""
        then, clocks = clock_attributes(before), clock_attributes(now)
        found = {each for turns in self._turns.values() for each in turns.passed(then[turns.clock], clocks[turns.clock])}
        for tick, ticking in self._ticking.items():
            if then[_TICKS[tick]] != clocks[_TICKS[tick]]:
                found |= ticking
        return found
