"""Levels of a whole community at once: all of them, after changes, and what they keep; ``python -m tests.benchmarks.levels COUNT``."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from statistics import median

from clearinghouse.federation.levels.book import Change, LevelBook
from clearinghouse.keynote import Admitted
from tests.benchmarks.biscuit import Peers
from tests.benchmarks.federation import Federation, Turned, queried
from tests.benchmarks.measure import Effort, Side, WrongAnswer, race
from tests.benchmarks.report import Cell, Goal, Section

_FEW = 100
"""Members of whom those who are asked one by one are asked about."""
_ROUNDS = 61
_DAYS = 61


def levels(effort: Effort) -> Section:
    """Everybody's level at once, beside queries one by one and a loop of biscuit's authorizers, in one race."""
    count, peers = effort.crowd, Peers(_FEW)
    plain = Federation(count)
    us = race(
        (
            Side("biscuit", peers.levels, _FEW),
            Side("queries", _one_by_one(plain), ["level-1"] * _FEW),
            Side("one", _everybody(plain.book()), count),
            Side("three", _everybody(Federation(count, audits=True).book()), count),
        ),
        replace(effort, rounds=min(_ROUNDS, effort.rounds)),
    )
    biscuit, queries = us["biscuit"] / _FEW, us["queries"] / _FEW
    narrowed = _few_times(_everybody(Federation(count // 10, narrowed=True).book()), count // 10) / (count // 10)
    each = {
        "biscuit, an authorizer for each member": biscuit,
        "ours, a query with its proof for each member": queries,
        "ours at once, each member licensed by its region": us["one"] / count,
        "ours at once, and audited by two of three auditors": us["three"] / count,
        "ours at once, a pattern on the way reads the member's name": narrowed,
    }
    gc.unfreeze()
    return Section(
        f"Levels of {count:,} members, chains of three with three different conditions",
        ("", "us each", "ms for all", "biscuit / this"),
        [(name, each_us, each_us * count / 1000, biscuit / each_us) for name, each_us in each.items()],
        (
            Goal(f"levels of {count:,} members: milliseconds", "at most", 100.0 * count / 100_000, us["one"] / 1000),
            Goal("levels: a loop of biscuit's authorizers / ours at once", "at least", 25.0, biscuit / (us["one"] / count)),
        ),
        (
            f"biscuit and the queries were timed with {_FEW} members, those whose names a pattern reads with {count // 10:,}",
            f"biscuit ended {peers.out_of_time} calls at its own limit of 1 ms; they are counted as answers",
        ),
    )


def _one_by_one(federation: Federation) -> Callable[[], list[str]]:
    return queried(federation, _FEW)


def _everybody(book: LevelBook) -> Callable[[], int]:
    gc.collect()
    gc.freeze()  # as whoever keeps so much should

    def run() -> int:
        book.forget("*")
        return len(book.rows())

    return run


def _few_times(run: Callable[[], int], want: int) -> float:
    """Return the median time of one call in microseconds."""
    times = []
    for _ in range(7):
        started = time.perf_counter()
        if run() != want:
            raise WrongAnswer("somebody has no level")
        times.append(time.perf_counter() - started)
    return median(times) * 1e6


def changes(effort: Effort) -> Section:
    """What is looked at again when something changes, and what a member takes in memory."""
    federation = Federation(effort.crowd)
    book = federation.book()
    book.rows()
    (region,) = federation.above[1:2]
    gc.collect()
    gc.freeze()
    us = race(
        (Side("hundred", Turned(federation, book).change, 50), Side("region", _region(federation.book(), region), effort.crowd // 50)),
        replace(effort, rounds=min(_ROUNDS, effort.rounds)),
    )
    day = _a_day(book)
    gc.unfreeze()
    kept = _kept(effort.crowd)
    rows: list[tuple[Cell, ...]] = [
        ("100 credentials change", us["hundred"] / 1000, 50),
        ("a registrar with 1 % of the members goes, and comes back", us["region"] / 1000, effort.crowd // 50),
        ("a day begins on which some memberships end", day, effort.crowd // 365),
    ]
    return Section(
        f"Levels of {effort.crowd:,} members after a change (ms)",
        ("", "ms", "levels that change"),
        rows,
        (Goal("levels after 100 changed credentials: milliseconds", "at most", 5.0, us["hundred"] / 1000),),
        (
            f"a member takes {kept['book']:,.0f} bytes of the book, and {kept['audience']:,.0f} more for each audience",
            "the members' records and the credentials are not counted in that",
        ),
    )


def _region(book: LevelBook, assertion: Admitted) -> Callable[[], int]:
    book.rows()

    def run() -> int:
        gone = book.change(Change(withdrawn=[assertion.id]), now=book.now)
        back = book.change(Change(added=[assertion]), now=book.now)
        return sum(map(len, (*gone.values(), *back.values())))

    return run


def _a_day(book: LevelBook) -> float:
    """Return the median time in milliseconds to go to the next instant at which a level can change."""
    times = []
    for _ in range(_DAYS):
        until = book.stable_until
        if until is None:
            raise WrongAnswer("no membership ends")
        started = time.perf_counter()
        told = book.advance(until)
        times.append(time.perf_counter() - started)
        if not told:
            raise WrongAnswer("nothing changes at the second at which something should")
    return median(times) * 1e3


def _kept(count: int) -> dict[str, float]:
    """Return the bytes of one member, found in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.levels", str(count)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _main() -> None:
    count = int(sys.argv[1])
    federation = Federation(count)
    _ = federation.members, federation.own, federation.above
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    book = federation.book()
    gc.collect()
    made = tracemalloc.get_traced_memory()[0]
    if len(book.rows()) != count:
        raise WrongAnswer("somebody has no level")
    gc.collect()
    print(json.dumps({"book": (made - before) / count, "audience": (tracemalloc.get_traced_memory()[0] - made) / count}))


if __name__ == "__main__":
    _main()
