"""Merkle trees (RFC 6962, section 2; the checks are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2).

A leaf's hash is SHA-256 over 0x00 and the leaf, a node's over 0x01 and both children's hashes.  The tree
over *n* > 1 leaves has at its left the perfect tree over the largest power of two below *n*.  So all that
is needed to go on with a log is its right edge: `Frontier`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

HASH_BYTES: Final = 32
"""Bytes of every hash: SHA-256."""

TILE: Final = 256
"""Leaves under one remembered root: reading and hashing two tiles takes 0.3 ms, as the roots of a million leaves do."""

EMPTY_ROOT: Final = hashlib.sha256().digest()
"""The root of the tree without leaves: the hash of nothing."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf, 32 bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two hashes, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree over ``size`` leaves, immutable.

    ``hashes`` are the roots of the perfect trees that it is made of, the largest (leftmost) first: one for
    each bit that is set in ``size``.  Raises ``ValueError`` for any other number of them.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an edge that no tree has."""
        if self.size < 0 or self.size.bit_count() != len(self.hashes):
            raise ValueError(f"a tree over {self.size} leaves has no right edge of {len(self.hashes)} hashes")

    def append(self, hashed: bytes) -> Frontier:
        """Return the edge with one more leaf, given by its hash."""
        edge, whole = self.hashes, self.size
        while whole & 1:
            hashed, edge, whole = node_hash(edge[-1], hashed), edge[:-1], whole >> 1
        return Frontier(self.size + 1, (*edge, hashed))

    def extended(self, hashes: Iterable[bytes]) -> Frontier:
        """Return the edge with further leaves, given by their hashes in order."""
        edge, size = list(self.hashes), self.size
        for each in hashes:
            hashed, whole = each, size
            while whole & 1:
                hashed, whole = node_hash(edge.pop(), hashed), whole >> 1
            edge.append(hashed)
            size += 1
        return Frontier(size, tuple(edge))

    def root(self) -> bytes:
        """Return the hash of the whole tree, 32 bytes."""
        if not self.hashes:
            return EMPTY_ROOT
        *left, found = self.hashes
        for each in reversed(left):
            found = node_hash(each, found)
        return found


def inclusion_proof(hashes: Iterable[bytes], index: int, size: int) -> tuple[bytes, ...]:
    """Return the hashes that lead from leaf *index* to the root of the tree over the first *size* leaves.

    PATH(m, D[n]) of RFC 6962, section 2.1.1.  *hashes* are the leaves' hashes from the first on; they are read
    once, and no more than the proof is kept.  Raises ``ValueError`` where there is no such leaf.
    """
    return _roots(hashes, inclusion_ranges(index, size))


def inclusion_ranges(index: int, size: int) -> list[_Range]:
    """Return the subtrees whose roots `inclusion_proof` gives, for whoever has roots without going through all leaves.

    Each goes from its first leaf to before its last.  Raises ``ValueError`` where there is no leaf *index*.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree over {size} leaves has no leaf {index}")
    return list(_beside(index, 0, size))


def consistency_proof(hashes: Iterable[bytes], old: int, new: int) -> tuple[bytes, ...]:
    """Return the hashes that show that the tree over *new* leaves begins with the tree over *old*.

    PROOF(m, D[n]) of RFC 6962, section 2.1.2; empty where *old* is 0 or *new*.  *hashes* as for `inclusion_proof`.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree over {new} leaves does not begin with one over {old}")
    return _roots(hashes, list(_between(old, new)))


class Subtrees:
    """Makes inclusion proofs of one growing tree, and hashes each leaf once for all of them.

    It remembers the roots over each `TILE` leaves: a proof from a million leaves then hashes 5,000 nodes instead
    of as many as there are leaves.  Of another tree than before it gives wrong proofs.
    """

    __slots__ = ("_roots",)

    def __init__(self) -> None:
        """Know nothing yet."""
        self._roots: list[bytes] = []

    def inclusion_proof(self, hashes: Sequence[bytes], index: int, size: int) -> tuple[bytes, ...]:
        """Return what the function of this name returns; *hashes* are those of all leaves, at least *size*."""
        if not 0 <= index < size <= len(hashes):
            raise ValueError(f"a tree over {min(size, len(hashes))} leaves has no leaf {index}")
        for begin in range(len(self._roots) * TILE, size - TILE + 1, TILE):
            self._roots.append(Frontier().extended(hashes[begin : begin + TILE]).root())
        return tuple(self._root(hashes, *each) for each in _beside(index, 0, size))

    def _root(self, hashes: Sequence[bytes], first: int, end: int) -> bytes:
        if first % TILE:  # a subtree within one tile: larger ones begin where a tile does
            return Frontier().extended(hashes[first:end]).root()
        whole = end // TILE
        tiles = Frontier().extended(self._roots[first // TILE : whole])
        return Frontier(tiles.size * TILE, tiles.hashes).extended(hashes[whole * TILE : end]).root()


def verify_inclusion(hashed: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the leaf of hash *hashed* is number *index* of the tree over *size* leaves with *root*."""
    if not 0 <= index < size:
        return False
    first, last, found = index, size - 1, hashed
    for each in proof:
        if last == 0:
            return False
        if first & 1 or first == last:
            found = node_hash(each, found)
            while not first & 1 and first != 0:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, each)
        first, last = first >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether the tree over *new* leaves with *new_root* begins with the tree over *old* with *old_root*.

    Every tree begins with the empty one, whose root is `EMPTY_ROOT`.
    """
    if not 0 <= old <= new:
        return False
    if old in {0, new}:
        return not proof and old_root == (EMPTY_ROOT if old == 0 else new_root)
    # A perfect old tree is itself the first node, and is left out of the proof.
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    return bool(path) and _consistent(old, new, old_root, new_root, path)


def _consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    of_old = of_new = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            of_old, of_new = node_hash(each, of_old), node_hash(each, of_new)
            while not first & 1 and first != 0:
                first, last = first >> 1, last >> 1
        else:
            of_new = node_hash(of_new, each)
        first, last = first >> 1, last >> 1
    return last == 0 and of_old == old_root and of_new == new_root


_Range = tuple[int, int]
"""Leaves of a subtree: from the first, to before the second."""


def _split(first: int, end: int) -> int:
    """Return where the right subtree begins: after the largest power of two below the number of leaves."""
    return first + (1 << (end - first - 1).bit_length() - 1)


def _beside(index: int, first: int, end: int) -> Iterator[_Range]:
    """Yield the subtrees beside the way from leaf *index* up, the lowest first."""
    down: list[_Range] = []
    while end - first > 1:
        middle = _split(first, end)
        if index < middle:
            down.append((middle, end))
            end = middle
        else:
            down.append((first, middle))
            first = middle
    return reversed(down)


def _between(old: int, new: int) -> Iterator[_Range]:
    """Yield the subtrees of which both trees can be built, the lowest first; none where one is the other, or empty."""
    down: list[_Range] = []
    first, end = 0, new
    while old not in {first, end}:
        middle = _split(first, end)
        if old <= middle:
            down.append((middle, end))
            end = middle
        else:
            down.append((first, middle))
            first = middle
    if first > 0:  # the part of the old tree that is no perfect subtree from its first leaf on
        down.append((first, end))
    return reversed(down)


def _roots(hashes: Iterable[bytes], ranges: Sequence[_Range]) -> tuple[bytes, ...]:
    """Return the roots of disjoint *ranges*, in their order, in one pass over the leaves."""
    source, at = iter(hashes), 0
    found: dict[_Range, bytes] = {}
    for first, end in sorted(ranges):
        leaves = islice(source, first - at, end - at)
        edge = Frontier().extended(leaves)
        if edge.size != end - first:
            raise ValueError(f"there are fewer than {end} leaves")
        found[first, end], at = edge.root(), end
    return tuple(found[each] for each in ranges)
