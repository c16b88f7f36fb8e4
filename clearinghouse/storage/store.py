"""What every store does, and what it gives back.

The store is the memory of the service across restarts: decisions, which of them have still to be carried
out, what lasts beyond them, the log of it all, the highest time ever seen (rule R17), and what policy was
and how it changed (rule R16).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from clearinghouse.clearing.cases import Case, Grant, Revocation
from clearinghouse.clearing.clear import Ledger
from clearinghouse.clearing.people import KeptCredential
from clearinghouse.clearing.request import Place
from clearinghouse.federation.membership.registry import Kept
from clearinghouse.ledger.entry import Entry
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import Change, EnvelopeSeen
from clearinghouse.storage.following import Followed
from clearinghouse.storage.recorded import MAX_SKIPPED, Effect, Event, Recorded

__all__ = ["AT_RUN_TIME", "FINE", "MAX_SKIPPED", "Effect", "Event", "KeptEntry", "Recorded", "Standing", "Store"]

AT_RUN_TIME: Final = "added at run time"
"""What stands where a credential from a folder names its file."""

FINE: Final = timedelta(days=1)
"""How long every checkpoint is kept: one each 10 seconds makes 6 MB a day, and one each hour 7 MB in 400 days."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a service that starts has to know: everything that lasts and is not over.

    ``cases`` are open or approved; ``grants`` are active, or over and the broker has still to be told;
    ``revocations`` are all of them, the lifted ones included; ``credentials`` were added at run time;
    ``seen`` are the envelopes that must not come again.  Each is in the order in which it came to be.
    """

    cases: Sequence[Case] = ()
    grants: Sequence[Grant] = ()
    revocations: Sequence[Revocation] = ()
    credentials: Sequence[KeptCredential] = ()
    seen: Sequence[EnvelopeSeen] = ()


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """An entry of the log with its leaf's hash; ``salt`` and ``record`` are ``None`` once they are erased."""

    entry: Entry
    leaf_hash: bytes
    salt: bytes | None
    record: bytes | None


class Store(Ledger, Followed, Protocol):
    """Where decisions live; every method raises `StoreUnavailable` when the store cannot be used now."""

    # -- writing

    async def write(self, *changes: Change) -> None:
        """Make *changes* durable, all or none, each but bookkeeping with its entry in the log.

        They share a transaction with what others write at the same time, and fail alone where the fault is
        theirs.  Raises `Replayed` for an envelope that was taken already, `TooLarge` for what no entry can hold.
        """

    async def settle(self, identity: str, effect: Effect, *, at: datetime, latency: timedelta | None = None) -> None:
        """Note that the effect of a decision has been carried out, or never will be."""

    async def note(self, event: Event) -> None:
        """Keep an event; its time counts as seen."""

    async def archive(self, archive: Archive, *, at: datetime) -> None:
        """Keep what a snapshot was made of; the one that was archived last is never erased."""

    async def erase(self, before: datetime) -> int:
        """Erase what is older than *before* and no longer needed; return how many entries lost their records.

        Entries lose salt and record, decisions who asked for what and the proof, unless their effect is owed or
        a standing case or grant needs them; closed cases, told ends, lifted bars, withdrawn credentials, events
        and snapshots that nothing refers to go.  One entry of the log says what was erased, if anything was.
        Whatever *before* is, of checkpoints older than `FINE` the last of each hour stays.
        """

    async def close(self) -> None:
        """Finish what was begun, and let go."""

    # -- what lasts

    async def standing(self) -> Standing:
        """Return all that lasts; for a service that starts."""

    async def federation(self) -> Kept:
        """Return all that lasts of a federation; for a service that starts."""

    async def case(self, prefix: str) -> Case | None:
        """Return the case whose id begins with *prefix*, open or closed; ``None`` where there is none, or several."""

    async def cases(self, last: int) -> Sequence[Case]:
        """Return the *last* cases, open and closed, oldest first."""

    async def grant(self, prefix: str) -> Grant | None:
        """Return the grant whose id begins with *prefix*; ``None`` where there is none, or several."""

    async def grants(self, last: int, *, ended: bool) -> Sequence[Grant]:
        """Return the *last* grants, oldest first; with *ended* also those that are over."""

    # -- decisions

    async def owed(self) -> Sequence[Recorded]:
        """Return the decisions whose effect is still owed, oldest first."""

    async def ruled(self, place: Place) -> Recorded | None:
        """Return the last decision about *place*, the broker's own name of the request included."""

    async def decision(self, identity: str) -> Recorded | None:
        """Return the decision whose id begins with *identity*; ``None`` where there is none, or several."""

    async def decisions(self, last: int) -> Sequence[Recorded]:
        """Return the *last* decisions, oldest first."""

    async def archived(self, version: str) -> Archive | None:
        """Return what the snapshot *version* was made of."""

    async def events(self, last: int) -> Sequence[Event]:
        """Return the *last* events, oldest first."""

    # -- the log

    @property
    def log_size(self) -> int:
        """How many entries are durable."""

    @property
    def log_root(self) -> bytes:
        """The 32-byte root of the Merkle tree over them (RFC 6962, section 2.1)."""

    async def entries(self, first: int, last: int) -> Sequence[KeptEntry]:
        """Return the entries from number *first* to number *last*, both included, as far as there are any."""

    async def leaf_hashes(self, size: int) -> Sequence[bytes]:
        """Return the hashes of the first *size* leaves, or of all that there are."""

    async def inclusion(self, number: int, size: int) -> tuple[bytes, ...]:
        """Return the inclusion proof of entry *number* in the log as it was with *size* entries (RFC 6962, section 2.1.1).

        It costs the same few milliseconds in a log of any usual length; raises ``ValueError`` where there is no
        such entry.
        """

    async def entry_of(self, ref: str) -> KeptEntry | None:
        """Return the first entry that refers to exactly *ref*: of a decision's id, the decision's."""

    async def keep_checkpoint(self, sealed: bytes, size: int, at: datetime) -> None:
        """Keep a checkpoint over the first *size* entries that the log's key has signed."""

    async def checkpoints(self) -> Sequence[bytes]:
        """Return the sealed checkpoints that are kept, oldest first."""
