"""A process that writes to a store until something ends it: ``python -m tests.storage.child WHAT DIRECTORY``.

Whatever was answered is printed at once, one line each, so that whoever started it can look for it afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast

from clearinghouse import telemetry
from clearinghouse.clearing.cases import CaseChange
from clearinghouse.errors import StoreUnavailable
from clearinghouse.storage.changes import CaseMoved, Decided, Settled
from clearinghouse.storage.connection import WritingConnection
from clearinghouse.storage.sql_store import SqlStore, open_store
from clearinghouse.storage.store import Effect
from tests.storage.conftest import Decisions
from tests.storage.lasting import case_of
from tests.world import NOON

NAME = "clearinghouse.db"
WRITERS = 8
FILLER_BYTES = 600_000
LIMIT_BYTES = 1_200_000


def say(*words: str) -> None:
    """Print a line that is out before anything else happens."""
    os.write(1, (" ".join(words) + "\n").encode())


async def live(store: SqlStore, tag: str, numbers: Iterator[int]) -> None:
    """Write the life of one case after the other: opened, its effect settled, denied."""
    made = Decisions().pending()
    for number in numbers:
        decision = replace(made, id=f"{tag}-{number}")
        case = case_of(decision)
        await store.write(Decided(decision, opens=case))
        say("decided", decision.id)
        await store.write(Settled(decision.id, Effect.DONE, NOON), CaseMoved(case.moved(CaseChange.DENY, at=NOON), "deny", NOON))
        say("denied", decision.id)


async def until_killed(path: Path) -> None:
    """Write as fast as possible; never returns."""
    numbers = count()
    async with open_store(path) as store:
        await asyncio.gather(*(live(store, str(os.getpid()), numbers) for _ in range(WRITERS)))


class Mortal:
    """A connection that kills its process before its statement number *at*, counted from 1."""

    def __init__(self, raw: sqlite3.Connection, at: int) -> None:
        self.raw, self.left = raw, at

    def execute(self, text: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.raw.execute(text, parameters)

    def close(self) -> None:
        self.raw.close()


async def die_at(path: Path, step: int) -> None:
    """Write one life, and die before statement number *step* of the transactions."""
    async with open_store(path) as store:
        target = cast("WritingConnection", store.writer.target)
        store.writer.target = WritingConnection(target.site, target.opened, cast("Any", Mortal(target.raw, step)))
        await live(store, f"step{step}", iter(range(1)))
        say("done", str(step))


def die_at_every_step(path: Path) -> None:
    """Let one child after the other die, each one statement later, until one lives."""
    for step in count(1):
        child = os.fork()
        if child == 0:
            asyncio.run(die_at(path, step))
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return


async def until_full(path: Path, make_room: Callable[[], None]) -> None:
    """Write until nothing more can be written, make room, and write again; print what happened."""
    lost: list[int] = []
    made = Decisions().granted()
    errors: list[str] = []
    kept: list[str] = []

    async def put(number: int) -> None:
        try:
            await store.record(replace(made, id=f"id-{number}"))
            kept.append(f"id-{number}")
        except StoreUnavailable as error:
            errors.append(error.mend)

    async with open_store(path, lost=lost.append) as store:
        for first in range(0, 5_000, WRITERS):
            await asyncio.gather(*map(put, range(first, first + WRITERS)))
            if errors:
                break
        failed = len(errors)
        make_room()
        await asyncio.gather(*map(put, range(90_000, 90_000 + WRITERS)))
        say(json.dumps({"kept": kept, "failed": failed, "after": len(errors) - failed, "lost": sum(lost), "mends": sorted(set(errors))}))


def _limited() -> Callable[[], None]:
    """Let no file grow beyond a limit until what is returned is called."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def _filled(directory: Path) -> Callable[[], None]:
    """Take some of the room on the disk; what is returned gives it back."""
    filler = directory / "filler"
    filler.write_bytes(bytes(FILLER_BYTES))
    return filler.unlink


def main() -> None:
    telemetry.configure()
    what, directory = sys.argv[1], Path(sys.argv[2])
    match what:
        case "write":
            asyncio.run(until_killed(directory / NAME))
        case "steps":
            die_at_every_step(directory / NAME)
        case "full":
            asyncio.run(until_full(directory / NAME, _filled(directory)))
        case _:
            asyncio.run(until_full(directory / NAME, _limited()))


if __name__ == "__main__":
    main()
