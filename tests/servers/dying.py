"""A clearinghouse that dies as by `kill -9` at one exact step of its life: ``python -m tests.servers.dying CONFIG WHEN NUMBER``.

The NUMBERth transaction that says something about decisions, cases or grants is the last thing that it begins
(WHEN is ``before``) or does (``after``).  It is the service as it always runs, with a store between that counts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from clearinghouse import telemetry
from clearinghouse.runtime.service import running, sql_store
from clearinghouse.settings import Settings, read_settings
from clearinghouse.storage.changes import CaseMoved, Change, Decided, EndCarriedOut, GrantEnded, Settled
from clearinghouse.storage.store import Store

STEPS = (Decided, CaseMoved, Settled, GrantEnded, EndCarriedOut)


class Dying:
    """A store whose process ends at one of its transactions."""

    def __init__(self, store: Store, when: str, number: int) -> None:
        self._store, self._when, self._left = store, when, number

    async def write(self, *changes: Change) -> None:
        if not any(isinstance(each, STEPS) for each in changes):
            await self._store.write(*changes)
            return
        self._left -= 1
        last = self._left == 0
        if last and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await self._store.write(*changes)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)


def dying(when: str, number: int) -> Callable[[Settings, Callable[[int], None]], AbstractAsyncContextManager[Store]]:
    @asynccontextmanager
    async def opened(settings: Settings, lost: Callable[[int], None]) -> AsyncIterator[Store]:
        async with sql_store(settings, lost) as store:
            yield cast("Store", Dying(store, when, number))

    return opened


async def main(config: str, when: str, number: str) -> None:
    telemetry.configure()
    async with running(read_settings(Path(config)), store_of=dying(when, int(number))):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
