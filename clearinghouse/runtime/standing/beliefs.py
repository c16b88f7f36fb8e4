"""What is believed now: what the folders say, with what was added and less what was revoked while the service ran (rule R15)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Final

import structlog

from clearinghouse.clearing.cases import Revocation, RevocationKind
from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.people import KeptCredential
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Admitted
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.standing.books import Books
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import Change, CredentialAdded, CredentialWithdrawn, Revoked
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.store import AT_RUN_TIME, Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Supposed:
    """What might be: credentials added and taken away (by id in hex), and revocations made."""

    more: tuple[KeptCredential, ...] = ()
    less: frozenset[str] = frozenset()
    revoked: tuple[Revocation, ...] = ()


NOTHING: Final = Supposed()


@dataclass(slots=True)
class Beliefs:
    """Keeps ``desk.snapshot`` what folders and books say; whoever is in ``heard`` is told when it has changed.

    ``holdings`` is what the folders said last, ``left_out`` what is wrong with credentials of the books, by id.
    ``principal`` is the one that signs approvals, empty for none.
    """

    desk: Desk
    books: Books
    store: Store
    loader: Loader
    chance: Chance
    principal: str = ""
    heard: list[Callable[[], None]] = field(default_factory=list)
    holdings: Holdings = field(default_factory=Holdings)
    left_out: dict[str, ClearinghouseError] = field(default_factory=dict)
    _admitted: dict[str, Admitted] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changes: int = 0
    _believed: int = 0

    def __post_init__(self) -> None:
        self.books.heard.append(self._hear)

    @property
    def stale(self) -> bool:
        """Whether the books have changed, and that is not believed yet: where it failed, whoever follows the folders tries again."""
        return self._believed < self._changes

    def _hear(self, change: Change) -> None:
        match change:
            case Revoked(revocation) if revocation.kind is RevocationKind.HOLDER:
                pass  # of one platform at one topic, which no query sees
            case CredentialAdded() | CredentialWithdrawn() | Revoked():
                self._changes += 1
            case _:
                pass

    async def follow(self, holdings: Holdings) -> None:
        """Believe what the folders say now; raises `StoreUnavailable`, and then nothing changes."""
        async with self._turn:
            await self._adopt(holdings)

    async def refresh(self) -> None:
        """Believe what the books say now: a credential came or went, or something was revoked."""
        async with self._turn:
            await self._adopt(self.holdings)

    async def supposed(self, change: Supposed = NOTHING) -> Holdings:
        """Return what would be believed after *change*; nothing is kept."""
        return await asyncio.to_thread(self._believing, self.holdings, self._added(change), self._revoked(change))

    async def _adopt(self, holdings: Holdings) -> None:
        changes = self._changes
        believed = await asyncio.to_thread(self._believing, holdings, self._added(NOTHING), self._revoked(NOTHING))
        before = self.desk.snapshot.version
        # A decision names its snapshot, so that one is kept before any decision is made from it (rule R16).
        await self.store.archive(Archive.of(believed), at=self.chance.now())
        self.holdings, self.desk.snapshot, self._believed = holdings, believed.snapshot, changes
        self._admitted = {name: each for name, each in self._admitted.items() if name in self.books.credentials}
        self.left_out = {name: each for name, each in self.left_out.items() if name in self.books.credentials}
        if before != believed.snapshot.version:
            log.info(
                "believed", version=believed.snapshot.version[:12], at_run_time=len(self.books.credentials), left_out=len(self.left_out)
            )
            for told in self.heard:
                told()

    def _added(self, change: Supposed) -> list[Admitted]:
        """Return what was added at run time, admitted; not in a thread, because whoever rules shares the memory of admissions."""
        kept = (*(each for each in self.books.credentials.values() if each.id not in change.less), *change.more)
        return [admitted for each in kept if (admitted := self._admit(each)) is not None]

    def _revoked(self, change: Supposed) -> tuple[Revocation, ...]:
        return (*self.books.revocations.values(), *change.revoked)

    def _believing(self, holdings: Holdings, added: Iterable[Admitted], revocations: Iterable[Revocation]) -> Holdings:
        every = list(revocations)
        return holdings.believing(
            added,
            desk=self.principal,
            withdrawn=[bytes.fromhex(name) for name in _named(every, RevocationKind.CREDENTIAL)],
            revoked=_named(every, RevocationKind.PRINCIPAL),
            below=_named(every, RevocationKind.BELOW),
        )

    def _admit(self, kept: KeptCredential) -> Admitted | None:
        """Judge a credential of the books like one of a folder: a bad one is named, and keeps no other from counting."""
        if kept.id in self._admitted:
            return self._admitted[kept.id]
        try:
            found = copy(self.admit(kept.raw))
        except ClearinghouseError as error:
            if kept.id not in self.left_out:
                log.warning("left_out", credential=kept.id, reason=error.message, mend=error.mend)
            self.left_out[kept.id] = error
            return None
        found.source = AT_RUN_TIME
        self._admitted[kept.id] = found
        return found

    def admit(self, raw: bytes) -> Admitted:
        """Return what is to be added, admitted as the settings say; raises `HolderError` and `TooLarge`."""
        return self.desk.admissions.admit(raw, policy=False, limits=self.loader.limits)


def _named(revocations: Iterable[Revocation], kind: RevocationKind) -> Iterator[str]:
    return iter([each.name for each in revocations if each.kind is kind and each.lifted is None])
