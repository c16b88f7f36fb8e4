"""What is made of the kept log: its latest entries, an export of all of it, the receipt of one entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import ClassVar, Final, Protocol

from clearinghouse.clearing.dsse import CHECKPOINT, opened
from clearinghouse.clearing.people import NoSuchThing
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.errors import Unavailable
from clearinghouse.ledger.book import Binder, Page
from clearinghouse.ledger.checkpoint import Checkpoint, Receipt, read_checkpoint
from clearinghouse.ledger.entry import Entry, Opening
from clearinghouse.ledger.merkle import inclusion_proof
from clearinghouse.storage.changes import SHARED_CHARACTERS
from clearinghouse.storage.store import Recorded

CHUNK: Final = 1_000
"""Entries that are read at once: of usual ones 2 MB, of the longest that there may be 500 MB."""


class NotSignedYet(Unavailable):
    """The entry is in the log, and no checkpoint covers it until the log's key signs the next one."""

    code: ClassVar[str] = "not-signed-yet"


class Kept(Protocol):
    """An entry as the store keeps it; ``salt`` and ``record`` are ``None`` once they are erased."""

    @property
    def entry(self) -> Entry:
        """What is in the tree."""

    @property
    def leaf_hash(self) -> bytes:
        """32 bytes."""

    @property
    def salt(self) -> bytes | None:
        """32 bytes."""

    @property
    def record(self) -> bytes | None:
        """Canonical JSON."""


class LogStore(Protocol):
    """What is needed here of `clearinghouse.storage.store.Store`."""

    @property
    def log_size(self) -> int:
        """How many entries are durable."""

    async def entries(self, first: int, last: int) -> Sequence[Kept]:
        """Return the entries from number *first* to number *last*, both included."""

    async def leaf_hashes(self, size: int) -> Sequence[bytes]:
        """Return the hashes of the first *size* leaves."""

    async def entry_of(self, ref: str) -> Kept | None:
        """Return the entry about *ref*."""

    async def checkpoints(self) -> Sequence[bytes]:
        """Return every sealed checkpoint, oldest first."""

    async def decision(self, identity: str) -> Recorded | None:
        """Return the decision whose id begins with *identity*."""


async def latest(store: LogStore, last: int) -> Sequence[Kept]:
    """Return the *last* entries, oldest first."""
    size = store.log_size
    return [each async for each in _pages(store, max(0, size - last), size)]


async def write_export(store: LogStore, write: Callable[[bytes], object], *, chunk: int = CHUNK) -> Checkpoint:
    """Give every line of an export to *write*, and return the checkpoint that it ends with; raises `NothingSigned`.

    *chunk* is how many entries are read at once.
    """
    binder = Binder(await store.checkpoints())
    for line in binder.header():
        write(line)
    async for kept in _pages(store, 0, binder.last.size, chunk):
        for line in binder.bind(Page(kept.entry, kept.leaf_hash, opening_of(kept))):
            write(line)
    return binder.last


async def receipt_of(store: LogStore, identity: str) -> Receipt:
    """Return the receipt of the decision whose id begins with *identity*, or of the entry about exactly that.

    Answers that repeat a decision share an entry, which is about what their ids have in common.

    Raises `NoSuchThing`, and `NotSignedYet` where the last checkpoint does not cover the entry.
    """
    decision = await store.decision(identity)
    about = identity if decision is None else decision.decision.id
    kept = await store.entry_of(about)
    if kept is None and decision is not None and decision.repeats:
        kept = await store.entry_of(about[:SHARED_CHARACTERS])
    if kept is None:
        raise NoSuchThing(f"`{shown(identity)}` names no entry of the log", mend="give an id that `clearinghouse log show` lists")
    number = kept.entry.number
    covering = _last(await store.checkpoints())
    if covering is None or covering[1] <= number:
        raise NotSignedYet(f"no checkpoint covers entry {number} yet", mend="try again in some seconds, while the service runs")
    sealed, size = covering
    return Receipt(kept.entry, inclusion_proof(await store.leaf_hashes(size), number, size), sealed, opening_of(kept))


def opening_of(kept: Kept) -> Opening | None:
    """Return what opens the commitment of an entry, unless that is erased."""
    return None if kept.salt is None or kept.record is None else Opening(kept.salt, kept.record)


def _last(checkpoints: Sequence[bytes]) -> tuple[bytes, int] | None:
    """Return the last checkpoint and its size."""
    if not checkpoints:
        return None
    return checkpoints[-1], read_checkpoint(opened(checkpoints[-1], payload_type=CHECKPOINT).payload).size


async def _pages(store: LogStore, first: int, end: int, chunk: int = CHUNK) -> AsyncIterator[Kept]:
    """Yield the entries from number *first* to before number *end*, in order."""
    for begin in range(first, end, chunk):
        for each in await store.entries(begin, min(begin + chunk, end) - 1):
            yield each
