"""The right edge of the log as a writer needs it (pure): the tree so far, and the leaves since the last whole tile.

Every 256 leaves make a *tile*, a perfect subtree whose root and leaves are kept in one row: the edge of a
log of a million entries is rebuilt from 4,000 roots and at most 255 leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from clearinghouse.ledger.merkle import HASH_BYTES, Frontier, inclusion_ranges

TILE: Final = 256
"""Leaves of a tile, a power of two: 8 kB in a row, and one row in 256 of what the log costs."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The tree over all durable leaves; ``rest`` are the hashes of those after the last whole tile."""

    tree: Frontier = field(default_factory=Frontier)
    rest: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, roots: Iterable[bytes], rest: Sequence[bytes]) -> Edge:
        """Return the edge over whole tiles with these *roots* and the leaves that follow them."""
        upper = Frontier().extended(roots)
        return cls(Frontier(upper.size * TILE, upper.hashes).extended(rest), tuple(rest))

    def extended(self, hashes: Sequence[bytes]) -> tuple[Edge, list[tuple[int, bytes, bytes]]]:
        """Return the edge with further leaves, and the tiles that they complete: number, root, leaves."""
        leaves, first = (*self.rest, *hashes), (self.tree.size - len(self.rest)) // TILE
        whole = len(leaves) // TILE
        parts = (leaves[each * TILE : (each + 1) * TILE] for each in range(whole))
        tiles = [(number, Frontier().extended(part).root(), b"".join(part)) for number, part in enumerate(parts, first)]
        return Edge(self.tree.extended(hashes), leaves[whole * TILE :]), tiles

    def packed(self) -> bytes:
        """Return the hashes of the tree's edge, one after the other."""
        return b"".join(self.tree.hashes)


def split(packed: bytes) -> list[bytes]:
    """Return the hashes that stand in *packed*, one after the other."""
    return [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]


def path(roots: Sequence[bytes], leaves: Mapping[int, bytes], number: int, size: int) -> tuple[bytes, ...]:
    """Return the inclusion proof of leaf *number* in the tree over *size* leaves, from the *roots* of its whole tiles.

    *leaves* has the hashes of the leaves in the tile of *number* and after the last whole tile, by their numbers.
    """
    return tuple(_root(roots, leaves, first, end) for first, end in inclusion_ranges(number, size))


def _root(roots: Sequence[bytes], leaves: Mapping[int, bytes], first: int, end: int) -> bytes:
    """Return the root over the leaves from *first* to before *end*: part of a tile, or tiles and what follows them."""
    whole = end // TILE
    if end - first < TILE or first % TILE:
        return Frontier().extended(leaves[each] for each in range(first, end)).root()
    return Edge.of(roots[first // TILE : whole], [leaves[each] for each in range(whole * TILE, end)]).tree.root()
