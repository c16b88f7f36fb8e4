"""When a condition on the clock can change its answer (authority rule R17).

``date`` (``YYYYMMDD``) and ``time`` (``YYYYMMDDhhmmss``) are UTC and compare as text.  Compared
with a literal or a constant, the instant at which the answer changes is found exactly; used in
any other way, the attribute's next tick is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from clearinghouse.keynote import syntax
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

DATE, TIME = "date", "time"
_FORMATS = {DATE: "%Y%m%d", TIME: "%Y%m%d%H%M%S"}
_TICKS = {DATE: timedelta(days=1), TIME: timedelta(seconds=1)}
_MIRRORED: Mapping[syntax.Relation, syntax.Relation] = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
FLIPPED_BY: Mapping[bool, frozenset[syntax.Relation]] = {
    False: frozenset({"<", ">=", "==", "!="}),
    True: frozenset({"<=", ">", "==", "!="}),
}
"""Relations that change when ``clock < literal``, and when (true) ``clock <= literal``, becomes false."""
_DIGITS = re.compile(r"[0-9]{8}(?:[0-9]{6})?\Z")
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def instant_of(action: Mapping[str, str]) -> datetime | None:
    """Return the instant that the action's ``time`` (or else ``date``) states, if it states one."""
    for name in (TIME, DATE):
        written = action.get(name, "")
        if _DIGITS.match(written):
            try:
                return _instant(written)
            except ValueError:
                return None
    return None


def _instant(written: str) -> datetime:
    """Return what 8 or 14 digits state, in a tenth of the time that `datetime.strptime` takes."""
    year, month, day = int(written[:4]), int(written[4:6]), int(written[6:8])
    hour, minute, second = int(written[8:10] or 0), int(written[10:12] or 0), int(written[12:14] or 0)
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def clock_attributes(now: datetime) -> dict[str, str]:
    """Return ``date`` and ``time`` for *now* (an aware datetime)."""
    utc = now.astimezone(UTC)
    return {name: utc.strftime(form) for name, form in _FORMATS.items()}


@dataclass(frozen=True, slots=True)
class ClockUse:
    """How an assertion reads the clock: comparisons with fixed texts, and the tick of any other use."""

    comparisons: tuple[tuple[str, syntax.Relation, str], ...]
    tick: timedelta | None


def clock_use(part: object, constants: Mapping[str, str]) -> ClockUse:
    """Return how a node, or a tuple of nodes, reads ``date`` and ``time``; a constant of that name is no clock."""
    clocks = _TICKS.keys() - constants.keys()
    comparisons = []
    mentions: list[str] = []
    for node in nodes(part):
        match node:
            case syntax.TextRelation(relation, left, right):
                comparisons += [
                    (clock.name, written, literal)
                    for clock, other, written in ((left, right, relation), (right, left, _MIRRORED[relation]))
                    if isinstance(clock, syntax.Attribute) and clock.name in clocks and (literal := fold(other, constants)) is not None
                ]
            case syntax.Attribute(name) if name in clocks:
                mentions.append(name)
            case syntax.Indirect(term):
                named = fold(term, constants) if isinstance(term, syntax.Literal | syntax.Attribute) else None
                mentions += clocks if named is None else clocks & {named}  # `$x` may name either
            case _:
                pass
    tick = min((_TICKS[name] for name in mentions), default=None) if len(mentions) > len(comparisons) else None
    return ClockUse(tuple(comparisons), tick)


def mirrored(relation: syntax.Relation) -> syntax.Relation:
    """Return what *relation* is when its sides change places."""
    return _MIRRORED[relation]


def next_change(use: ClockUse, now: datetime) -> datetime | None:
    """Return the first instant after *now* at which the clock can change what *use* saw."""
    found = list(_flips(use, now))
    if use.tick is not None and now <= _LAST - use.tick:
        found.append(_floor(now, use.tick) + use.tick)
    return min(found, default=None)


def _flips(use: ClockUse, now: datetime) -> Iterator[datetime]:
    """Yield when ``clock < literal`` or ``clock <= literal`` next becomes false.

    Of all literals ahead the least is met first, so one search answers for hundreds of them.
    """
    for name in {used for used, _, _ in use.comparisons}:
        clock = now.strftime(_FORMATS[name])
        for equal, relations in FLIPPED_BY.items():
            literals = {literal for used, relation, literal in use.comparisons if used == name and relation in relations}
            ahead = [literal for literal in literals if (clock <= literal if equal else clock < literal)]
            if ahead and (flip := first_false(name, min(ahead), equal=equal)) is not None:
                yield flip


def _floor(now: datetime, tick: timedelta) -> datetime:
    return now.replace(microsecond=0) if tick == _TICKS[TIME] else now.replace(hour=0, minute=0, second=0, microsecond=0)


@lru_cache(maxsize=4_096)
def first_false(name: str, literal: str, *, equal: bool) -> datetime | None:
    """Return the first tick at which ``clock < literal`` (or ``<=``) is false: by bisection."""
    form, tick = _FORMATS[name], _TICKS[name]

    def before(ticks: int) -> bool:
        clock = (_FIRST + ticks * tick).strftime(form)
        return clock <= literal if equal else clock < literal

    low, high = 0, (_LAST - _FIRST) // tick
    if not before(low) or before(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if before(middle) else (low, middle)
    return _FIRST + high * tick
