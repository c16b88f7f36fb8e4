"""What it costs to make decisions durable, with their entries in the log and their effects settled."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from statistics import median, quantiles

from clearinghouse.clearing.decision import Decision
from clearinghouse.demo.postgres import Cluster, cluster
from clearinghouse.storage.changes import Decided
from clearinghouse.storage.database import pragmas
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.opening import open_postgres
from clearinghouse.storage.sql_store import SqlStore, open_store
from clearinghouse.storage.store import Effect
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Section
from tests.storage.conftest import Decisions

WRITERS = (1, 16, 64)
EACH = {1: 300, 16: 2_000, 64: 4_000}
"""Decisions in one round: about half a second."""

GROUP = 1_000
"""Decisions that one caller writes at once."""

Open = Callable[[], AbstractAsyncContextManager[SqlStore]]


def storing(effort: Effort) -> Section:
    """Every round has a new file or database; sides take turns.  Each is where temporary files are: name a real disk by TMPDIR."""
    rounds = max(3, effort.repeats)
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    commits = []
    with cluster(durable=True) as postgres, tempfile.TemporaryDirectory() as directory:
        for number in range(rounds):
            commits.append(_commits())
            for name, opened in _sides(postgres, Path(directory) / f"{number}"):
                for writers in WRITERS:
                    found[f"{name}, {writers}"].append(asyncio.run(_round(opened, writers)))
                found[f"{name}, {GROUP:,} in one call"].append(asyncio.run(_group(opened)))
    rows = [(name, *(median(column) for column in zip(*each, strict=True))) for name, each in found.items()]
    return Section(
        "Decisions made durable, each with its entry in the log, and settled unless they come in one call",
        ("store, writers at once", "decisions per second", "processor us each", "p50 ms", "p99 ms"),
        rows,
        notes=(
            f"medians of {rounds} rounds; this disk makes {median(commits):.0f} SQLite transactions of one row durable in a second",
            "processor time is our process's; what PostgreSQL's own processes use comes on top",
        ),
    )


def _sides(postgres: Cluster, prefix: Path) -> Iterator[tuple[str, Open]]:
    """Yield every kind of store, each empty for each use."""
    numbers = count()
    yield "SQLite", lambda: open_store(prefix.with_suffix(f".{next(numbers)}.db"))
    yield "PostgreSQL", lambda: open_postgres(Address.of(postgres.url(postgres.database())))


def _commits(count: int = 200) -> float:
    """Return how many transactions of one row become durable in a second: what a disk can do without us."""
    with tempfile.TemporaryDirectory() as directory, closing(sqlite3.connect(Path(directory) / "bare.db", isolation_level=None)) as bare:
        for pragma in pragmas(read_only=False):
            bare.execute(f"PRAGMA {pragma}")
        bare.execute("CREATE TABLE t (x BLOB)")
        began = time.perf_counter()
        for _ in range(count):
            bare.execute("INSERT INTO t VALUES (zeroblob(1000))")
        return count / (time.perf_counter() - began)


async def _group(opened: Open) -> tuple[float, float, float, float]:
    """Return the same of decisions that are written in one call."""
    changes = [Decided(each) for each in _decisions(GROUP)]
    async with opened() as store:
        busy, began = _processor(), time.perf_counter()
        await store.write(*changes)
        seconds, busy = time.perf_counter() - began, _processor() - busy
    return GROUP / seconds, busy / GROUP * 1e6, seconds * 1e3, seconds * 1e3


async def _round(opened: Open, writers: int) -> tuple[float, float, float, float]:
    """Return decisions per second, microseconds of processor each, and milliseconds until one was durable."""
    made = _decisions(EACH[writers])
    waited: list[float] = []
    async with opened() as store:
        busy, began = _processor(), time.perf_counter()
        await asyncio.gather(*(_write(store, made, waited) for _ in range(writers)))
        seconds, busy = time.perf_counter() - began, _processor() - busy
    percents = quantiles(waited, n=100)
    return len(waited) / seconds, busy / len(waited) * 1e6, percents[49] * 1e3, percents[98] * 1e3


async def _write(store: SqlStore, made: Iterator[Decision], waited: list[float]) -> None:
    for decision in made:
        began = time.perf_counter()
        await store.record(decision)
        waited.append(time.perf_counter() - began)
        await store.settle(decision.id, Effect.DONE, at=decision.at, latency=timedelta(milliseconds=5))


def _decisions(count: int) -> Iterator[Decision]:
    """Return *count* grants that differ by their ids; what their proof tells is derived beforehand."""
    one = Decisions().granted()
    return iter([replace(one, id=os.urandom(16).hex()) for _ in range(count)])


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
