"""A node beside the main service, in a process of its own; its first line says where the store is."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from clearinghouse import telemetry
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.opening import open_postgres
from clearinghouse.storage.sql_store import SqlStore
from tests.storage.child import say
from tests.storage.conftest import Decisions

WRITERS = 8


async def write(store: SqlStore, tag: str, count: int) -> None:
    """Record *count* decisions, some at a time."""
    made = Decisions().granted()

    async def one(writer: int) -> None:
        for number in range(writer, count, WRITERS):
            await store.record(replace(made, id=f"{tag}-{number}"))
            say(f"{tag}-{number}")

    await asyncio.gather(*map(one, range(WRITERS)))


async def beside(url: str, tag: str, count: int) -> None:
    async with open_postgres(Address.of(url), main=False) as store:
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)  # so that all begin together
        await write(store, tag, count)


if __name__ == "__main__":
    telemetry.configure()
    asyncio.run(beside(sys.stdin.readline().strip(), sys.argv[1], int(sys.argv[2])))
