"""The decision log over time: signed again when it has grown, receipts for those who ask, facts erased when they are old."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Final, Protocol

import structlog

from clearinghouse.clearing.people import NoSuchThing
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.ledger.checkpoint import Checkpoint, Receipt, checkpoint_payload, receipt_bytes
from clearinghouse.ledger.merkle import inclusion_proof
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.records.logbook import opening_of
from clearinghouse.storage.store import Store

log = structlog.get_logger(__name__)

ERASE_EVERY: Final = timedelta(days=1)
"""Between looks for facts that are older than the retention rule keeps them."""

LOOK_SECONDS: Final = 60.0
"""The longest sleep before the time of day is read again, as a suspended machine has no timers."""


class LogSigner(Protocol):
    """The process that has the log's key, as far as the log's keeper needs it."""

    async def sign_checkpoint(self, payload: bytes) -> bytes:
        """Return the sealed envelope of a checkpoint; raises `Unavailable`, and refuses what would shorten the log."""


class NoReceipts(Unavailable):
    """There is no key for the log, so nothing that it says is signed."""

    code: ClassVar[str] = "no-receipts"


@dataclass(frozen=True, slots=True)
class _Signed:
    """A checkpoint that is kept: how many entries it covers, and its sealed bytes."""

    size: int
    sealed: bytes


@dataclass(slots=True)
class LogKeeper:
    """Keeps the log of *origin*, a community; ``signer`` is ``None`` where the settings name no key for it.

    ``erased`` counts the entries that lost their facts since the start.
    """

    origin: str
    store: Store
    signer: LogSigner | None
    chance: Chance
    every: timedelta
    retention: timedelta
    erased: int = 0
    _last: _Signed | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def signed(self) -> int:
        """How many entries the last signature covers; 0 where nothing was signed since the start."""
        return 0 if self._last is None else self._last.size

    async def run(self) -> None:
        """Sign what has grown, until cancelled."""
        while self.signer is not None:
            await asyncio.sleep(self.every.total_seconds())
            await self._tried()

    async def finish(self) -> None:
        """Sign once more at the end, if there is anything to sign."""
        if self.signer is not None:
            await self._tried()

    async def erase(self) -> None:
        """Erase what is older than the retention rule keeps it, at once and then each day, until cancelled."""
        due = self.chance.now()
        while True:
            if (now := self.chance.now()) >= due:
                await self._erased()
                due = now + ERASE_EVERY
            await asyncio.sleep(min(LOOK_SECONDS, max(0.0, (due - now).total_seconds())))

    async def sign(self) -> _Signed | None:
        """Sign the log as it is now, unless the last signature covers all of it; ``None`` where it is empty.

        Raises `NoReceipts`, `StoreUnavailable`, and what the signer raises.
        """
        if self.signer is None:
            raise NoReceipts("the log has no key", mend="name one in `[ledger]` in the settings")
        async with self._turn:  # several that ask at once are served by one signature
            size, root = self.store.log_size, self.store.log_root
            if size == 0 or (self._last is not None and self._last.size == size):
                return self._last
            now = self.chance.now()
            sealed = await self.signer.sign_checkpoint(checkpoint_payload(Checkpoint(self.origin, size, root, now)))
            await self.store.keep_checkpoint(sealed, size, now)
            self._last = _Signed(size, sealed)
            log.debug("log_signed", size=size)
            return self._last

    async def receipt(self, identity: str, *, opened: bool = True) -> bytes:
        """Return a receipt for the entry of the decision with this id, under a checkpoint that covers it.

        Unless it is *opened*, it proves that there is such an entry, and does not tell the record (rule R22).
        Raises what `sign` raises, and `NoSuchThing`.
        """
        kept = await self.store.entry_of(identity)
        signed = self._last
        if kept is not None and (signed is None or signed.size <= kept.entry.number):
            signed = await self.sign()
        if kept is None or signed is None:
            raise NoSuchThing("no such entry in the log", mend="ask with the id of a decision")
        hashes = await self.store.leaf_hashes(signed.size)
        proof = await asyncio.to_thread(_path, hashes, kept.entry.number, signed.size)
        return receipt_bytes(Receipt(kept.entry, proof, signed.sealed, opening_of(kept) if opened else None))

    async def _tried(self) -> None:
        try:
            await self.sign()
        except ClearinghouseError as error:
            log.warning("log_not_signed", reason=error.message, mend=error.mend)

    async def _erased(self) -> None:
        try:
            count = await self.store.erase(self.chance.now() - self.retention)
        except ClearinghouseError as error:
            log.warning("nothing_erased", reason=error.message, mend=error.mend)
        else:
            self.erased += count
            if count:
                log.info("erased", count=count, days=self.retention.days)


def _path(hashes: Sequence[bytes], number: int, size: int) -> tuple[bytes, ...]:
    return inclusion_proof(hashes, number, size)
