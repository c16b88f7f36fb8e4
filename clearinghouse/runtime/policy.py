"""Follows the folders of policies and credentials: loads what changes, and says what was refused (rule R16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Admissions, Admitted
from clearinghouse.settings import Settings
from clearinghouse.storage.folders import Folders, Look
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.settling import SETTLE_SECONDS, settled
from clearinghouse.storage.store import Event, Store

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between looks at the folders, or twenty times as long as a look takes: one at 100,000 files takes 1 s."""

MAX_NAMED: Final = 1_000
"""Assertions that one event names."""

_ONE_LOOK: Final = (ClearinghouseError, OSError, ValueError, LookupError, RuntimeError, MemoryError)
"""What may go wrong in one look without ending the next."""

MAX_TOLD: Final = 50
"""Refusals that are told one by one at one time; the rest are counted."""


def loader_for(settings: Settings, desk: str = "") -> Loader:
    """Return a loader that judges as the settings say; *desk* is the principal that signs approvals, if one does."""
    admissions = Admissions(allow_legacy=settings.allow_legacy_signatures)
    return Loader(admissions, settings.limits, settings.shared_keys, desk)


def folders_of(settings: Settings) -> Folders:
    """Return the folders that the settings name."""
    return Folders(settings.policies.directory, settings.credentials.directory)


@dataclass(slots=True)
class PolicyKeeper:
    """Keeps ``holdings`` what the folders say; ``adopt`` makes them count, and returns the version that decisions name then.

    It archives what is new first, so that every decision names a snapshot which can be looked at again.  ``behind``
    says that something else than the folders has still to be believed.
    """

    folders: Folders
    loader: Loader
    store: Store
    now: Callable[[], datetime]
    adopt: Callable[[Holdings], Awaitable[str]]
    holdings: Holdings = field(default_factory=Holdings)
    reload: asyncio.Event = field(default_factory=asyncio.Event)
    behind: Callable[[], bool] = lambda: False
    _seen: Look = ()
    _version: str = ""

    async def load(self) -> None:
        """Load the folders as they are when they have settled; raises `StoreUnavailable`, and then everything stays as it was."""
        await self._adopt(await settled(self.folders, await asyncio.to_thread(self.folders.look), SETTLE_SECONDS))

    async def watch(self) -> None:
        """Follow the folders until cancelled: at each change, and at once when ``reload`` is set."""
        pause = LOOK_SECONDS
        while True:
            asked = await _happens(self.reload, pause)
            pause = max(LOOK_SECONDS, 20 * await self._followed(always=asked))

    async def _followed(self, *, always: bool) -> float:
        """Load what has changed, or *always*; return how many seconds a look took."""
        clock = asyncio.get_running_loop().time
        began = looked = clock()
        try:
            look = await asyncio.to_thread(self.folders.look)
            looked = clock()
            if always or self.behind() or look != self._seen:
                await self._adopt(await settled(self.folders, look, SETTLE_SECONDS))
        except _ONE_LOOK as error:
            reason, mend = _said(error)
            log.error("policy_not_adopted", reason=reason, mend=mend)  # noqa: TRY400 - the mend, not the frames
        return looked - began

    async def _adopt(self, look: Look) -> None:
        before = self.holdings
        after = await asyncio.to_thread(self._read, look, before)
        version = await self.adopt(after)
        if before.snapshot.version != after.snapshot.version or set(map(str, before.problems)) != set(map(str, after.problems)):
            versions = {"before": self._version or before.snapshot.version, "after": version}
            await self.store.note(Event(self.now(), "policy-changed", versions | changes(before, after)))
        self.holdings, self._seen, self._version = after, look, version
        _tell(before, after)

    def _read(self, look: Look, before: Holdings) -> Holdings:
        return self.loader.load(self.folders.read(look), before)


def _said(error: Exception) -> tuple[str, str]:
    """Return the fact and the mend of what ended a look."""
    if isinstance(error, ClearinghouseError):
        return error.message, error.mend
    return f"{type(error).__name__}: {error}", "mend what it names; what was loaded before stays in force"


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Wait for *event*, at most so long; say whether it happened, and clear it."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True


def changes(before: Holdings, after: Holdings) -> dict[str, Any]:
    """Return what an event says about a change of policy: what came, what went, what was refused."""
    old, new = ({each.name: each for each in holdings.admitted()} for holdings in (before, after))
    return {
        "added": _named(each for name, each in new.items() if name not in old),
        "removed": _named(each for name, each in old.items() if name not in new),
        "refused": [str(each) for each in after.problems][:MAX_NAMED],
    }


def _named(assertions: Iterable[Admitted]) -> list[dict[str, str]]:
    return [{"id": each.name, "source": each.source} for each in assertions][:MAX_NAMED]


def _tell(before: Holdings, after: Holdings) -> None:
    """Log what is new: each refusal once, and one line with the counts."""
    known = set(map(str, before.problems))
    news = [each for each in after.problems if str(each) not in known]
    for each in news[:MAX_TOLD]:
        error = each.error
        log.warning("left_out", file=each.file, line=each.line, column=each.column, reason=error.message, mend=error.mend, kept=each.kept)
    if len(news) > MAX_TOLD:
        log.warning("more_left_out", count=len(news) - MAX_TOLD, mend="`clearinghouse serve --check` names them all")
    log.info(
        "policy_loaded",
        version=after.snapshot.version[:12],
        policies=sum(map(len, after.policies.values())),
        credentials=len(after.credentials),
        left_out=len(after.problems),
    )
