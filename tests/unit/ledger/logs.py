"""Small logs, the same each time: entries, their openings, checkpoints, and the lines of an export."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clearinghouse.keynote.keys import PrivateKey, from_seed
from clearinghouse.ledger.book import bound
from clearinghouse.ledger.checkpoint import Checkpoint, seal_checkpoint
from clearinghouse.ledger.entry import Entry, Kind, Opening, commit, leaf, record_bytes
from clearinghouse.ledger.merkle import Frontier, leaf_hash

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOG = from_seed(b"log" + bytes(29), demo=True)
OTHER = from_seed(b"other" + bytes(27), demo=True)
ORIGIN = "hub.example"
KINDS = tuple(Kind)

Row = tuple[Entry, Opening | None]


def row(number: int, *, about: str = "") -> Row:
    """Return an entry and what opens it; *about* tells one history from another."""
    salt = hashlib.sha256(f"salt {number}".encode()).digest()
    opening = Opening(salt, record_bytes({"about": about, "number": number, "who": "xmpp:***@a.example"}))
    ref = hashlib.sha256(f"ref {number}".encode()).hexdigest()[:32]
    at = NOON + timedelta(seconds=number)
    return Entry(number, at, KINDS[number % len(KINDS)], ref, commit(opening.record, salt)), opening


def rows(size: int, *, about: str = "") -> list[Row]:
    return [row(number, about=about) for number in range(size)]


def hashes(log: Iterable[Row]) -> list[bytes]:
    return [leaf_hash(leaf(entry)) for entry, _ in log]


def checkpoint(log: Sequence[Row], size: int, *, origin: str = ORIGIN, key: PrivateKey = LOG, later: int = 0) -> bytes:
    """Return the sealed checkpoint of the first *size* entries."""
    root = Frontier().extended(hashes(log[:size])).root()
    return seal_checkpoint(Checkpoint(origin, size, root, NOON + timedelta(seconds=size + later)), key)


@dataclass(frozen=True, slots=True)
class Export:
    """A whole export as its lines."""

    lines: tuple[bytes, ...]

    @property
    def raw(self) -> bytes:
        return b"".join(self.lines)


def export(log: Sequence[Row], *sizes: int) -> Export:
    """Return the export of *log* with checkpoints of these *sizes*."""
    return Export(tuple(bound(log, [checkpoint(log, size) for size in sizes])))
