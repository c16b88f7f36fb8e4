from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.ledger.merkle import (
    EMPTY_ROOT,
    TILE,
    Frontier,
    Subtrees,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.ledger import naive

CT_LEAVES = [
    bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""The test cases of the Certificate Transparency reference implementation."""
CT_PATH_OF_THE_FIRST = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
LEAVES = [bytes([each]) for each in range(66)]
HASHES = [leaf_hash(each) for each in LEAVES]
ROOTS = [naive.mth(LEAVES[:size]) for size in range(len(LEAVES) + 1)]
sizes = st.integers(0, len(LEAVES))


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert Frontier().extended(map(leaf_hash, CT_LEAVES[:size])).root().hex() == CT_ROOTS[size]


def test_a_path_is_that_of_certificate_transparency() -> None:
    assert tuple(each.hex() for each in inclusion_proof(map(leaf_hash, CT_LEAVES), 0, 8)) == CT_PATH_OF_THE_FIRST


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == naive.mth(())


@given(sizes, sizes)
def test_the_right_edge_gives_the_roots_of_the_definition(begin: int, size: int) -> None:
    begin = min(begin, size)
    edge = Frontier().extended(HASHES[:begin])
    for each in HASHES[begin:size]:
        edge = edge.append(each)
    assert edge == Frontier().extended(HASHES[:size])
    assert edge.root() == ROOTS[size]


@pytest.mark.parametrize("size", range(1, 34))
def test_paths_are_those_of_the_definition_and_hold(size: int) -> None:
    for index in range(size):
        found = inclusion_proof(HASHES, index, size)
        assert list(found) == naive.path(index, LEAVES[:size])
        assert verify_inclusion(HASHES[index], index, size, found, ROOTS[size])


@pytest.mark.parametrize("new", range(34))
def test_consistency_proofs_are_those_of_the_definition_and_hold(new: int) -> None:
    for old in range(new + 1):
        found = consistency_proof(HASHES, old, new)
        assert list(found) == (naive.proof(old, LEAVES[:new]) if old else [])
        assert verify_consistency(old, new, ROOTS[old], ROOTS[new], found)


MANY = [leaf_hash(b"%d" % each) for each in range(5 * TILE + 3)]


@given(st.lists(st.integers(1, len(MANY)), min_size=1, max_size=4), st.data())
def test_remembered_subtrees_give_the_same_paths_whatever_was_asked_before(asked: list[int], data: st.DataObject) -> None:
    remembered = Subtrees()
    for size in asked:
        index = data.draw(st.integers(0, size - 1))
        assert remembered.inclusion_proof(MANY, index, size) == inclusion_proof(MANY, index, size)


@pytest.mark.parametrize("size", [1, TILE - 1, TILE, TILE + 1, 2 * TILE, 3 * TILE - 1, 4 * TILE, 5 * TILE + 1])
def test_remembered_subtrees_at_the_edges_of_tiles(size: int) -> None:
    remembered = Subtrees()
    for index in {0, size // 2, size - 1, min(TILE, size - 1), TILE * ((size - 1) // TILE)}:
        assert remembered.inclusion_proof(MANY, index, size) == inclusion_proof(MANY, index, size)
    with pytest.raises(ValueError, match="has no leaf"):
        remembered.inclusion_proof(MANY[: size - 1], size - 1, size)


@given(sizes.filter(bool), st.data())
def test_a_path_holds_for_one_leaf_at_one_place_of_one_tree(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    found = inclusion_proof(HASHES, index, size)
    other = data.draw(sizes)
    assert verify_inclusion(HASHES[index], other, size, found, ROOTS[size]) == (other == index)
    assert verify_inclusion(HASHES[other % len(HASHES)], index, size, found, ROOTS[size]) == (other % len(HASHES) == index)
    assert verify_inclusion(HASHES[index], index, size, found, ROOTS[other]) == (other == size)


@given(sizes, sizes, st.data())
def test_a_damaged_proof_holds_for_nothing(one: int, other: int, data: st.DataObject) -> None:
    old, new = sorted((one, other))
    found = list(consistency_proof(HASHES, old, new))
    broken = data.draw(damaged(found))
    assert not verify_consistency(old, new, ROOTS[old], ROOTS[new], broken)
    if old < new:
        path = list(inclusion_proof(HASHES, old, new))
        assert not verify_inclusion(HASHES[old], old, new, data.draw(damaged(path)), ROOTS[new])


def damaged(found: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    ways = [st.just([*found, HASHES[0]])]
    if found:
        ways += [st.just(found[:-1]), st.just(found[1:]), st.integers(0, len(found) - 1).map(lambda at: flipped(found, at))]
    return st.one_of(ways)


def flipped(found: list[bytes], at: int) -> list[bytes]:
    return [bytes([each[0] ^ 1]) + each[1:] if number == at else each for number, each in enumerate(found)]


def test_another_history_is_not_consistent() -> None:
    other = [*HASHES[:3], HASHES[40], *HASHES[4:]]
    root = Frontier().extended(other[:20]).root()
    for old in range(4, 20):
        for proof in (consistency_proof(other, old, 20), consistency_proof(HASHES, old, 20)):
            assert not verify_consistency(old, 20, ROOTS[old], root, proof)


def test_leaves_are_read_once_and_no_further_than_needed() -> None:
    source = iter(HASHES)
    inclusion_proof(source, 3, 8)
    assert next(source) == HASHES[8]


@pytest.mark.parametrize("index, size", [(0, 0), (3, 3), (-1, 3)])
def test_there_is_no_path_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_proof(HASHES, index, size)
    assert not verify_inclusion(HASHES[0], index, size, (), ROOTS[3])


def test_there_is_no_proof_of_a_tree_that_shrinks() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        consistency_proof(HASHES, 4, 3)
    assert not verify_consistency(4, 3, ROOTS[4], ROOTS[3], ())


def test_too_few_leaves_make_no_proof() -> None:
    with pytest.raises(ValueError, match="fewer than 8"):
        inclusion_proof(HASHES[:7], 0, 8)


@pytest.mark.parametrize("size, hashes", [(1, 0), (3, 1), (-1, 0), (2, 2)])
def test_an_edge_that_no_tree_has_is_refused(size: int, hashes: int) -> None:
    with pytest.raises(ValueError, match="right edge"):
        Frontier(size, tuple(HASHES[:hashes]))
