"""Merkle trees: RFC 6962's known answers, a second implementation, and every forged proof refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from evidence.proofs.errors import InvalidProof
from evidence.proofs.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    nodes_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# The eight leaves and roots of the Certificate Transparency reference implementation (RFC 6962).
CT_LEAVES = [
    leaf_hash(bytes.fromhex(content))
    for content in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                    "606162636465666768696a6b6c6d6e6f")
]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
SIZES = st.integers(1, 600)


def _leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert tree_root(CT_LEAVES[:size]).hex() == CT_ROOTS[size - 1]


@pytest.mark.parametrize(("sizes", "proof"), CT_CONSISTENCY.items())
def test_consistency_proofs_are_those_of_certificate_transparency(
    sizes: tuple[int, int], proof: list[str]
) -> None:
    assert [item.hex() for item in consistency_proof(nodes_of(CT_LEAVES), *sizes)] == proof


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert tree_root([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_roots_and_audit_paths_agree_with_pymerkle() -> None:
    entries = [b"entry %d" % number for number in range(70)]
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries(entries)
    leaves = [leaf_hash(entry) for entry in entries]
    for size in range(1, 71):
        assert tree_root(leaves[:size]) == tree.get_root(size)
        for index in range(0, size, 5):
            theirs = tree.prove_inclusion(index + 1, size).serialize()["path"]
            ours = [item.hex() for item in inclusion_proof(nodes_of(leaves), index, size)]
            # pymerkle counts from one and begins its path with the leaf itself.
            assert theirs[1:] == ours


@given(SIZES, st.data())
def test_every_entry_is_proved_and_no_other(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    index = data.draw(st.integers(0, size - 1))
    root = tree_root(leaves)
    proof = inclusion_proof(nodes_of(leaves), index, size)
    verify_inclusion(leaves[index], index, size, proof, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index)) if size > 1 else None
    if other is not None:
        with pytest.raises(InvalidProof):
            verify_inclusion(leaves[index], other, size, proof, root)
    with pytest.raises(InvalidProof):
        verify_inclusion(leaf_hash(b"forged"), index, size, proof, root)


@given(SIZES, st.data())
def test_every_older_tree_is_proved_and_no_rewritten_one(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    old_size = data.draw(st.integers(0, size))
    old_root, root = tree_root(leaves[:old_size]), tree_root(leaves)
    proof = consistency_proof(nodes_of(leaves), old_size, size)
    verify_consistency(old_size, old_root, size, root, proof)
    rewritten = [leaf_hash(b"forged"), *leaves[1:]]
    if old_size:
        with pytest.raises(InvalidProof):
            verify_consistency(old_size, tree_root(rewritten[:old_size]), size, root, proof)
        if old_size < size:
            with pytest.raises(InvalidProof):
                verify_consistency(old_size, old_root, size, tree_root(rewritten), proof)


@given(SIZES, st.data())
def test_a_proof_of_another_length_is_refused_before_hashing(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(nodes_of(leaves), index, size)
    for wrong in ((*proof, b"\0" * 32), proof[:-1] if proof else (b"",)):
        with pytest.raises(InvalidProof, match=r"the proof has \d+ hashes"):
            verify_inclusion(leaves[index], index, size, wrong, tree_root(leaves))


def test_a_short_hash_is_refused() -> None:
    with pytest.raises(InvalidProof, match="32 bytes"):
        verify_inclusion(CT_LEAVES[0], 0, 2, (CT_LEAVES[1][:31],), tree_root(CT_LEAVES[:2]))


def test_repeating_the_last_leaf_changes_the_root() -> None:
    a, b, c = CT_LEAVES[:3]
    assert tree_root([a, b, c]) != tree_root([a, b, c, c])


def test_an_inner_node_is_never_a_leaf() -> None:
    left, right = CT_LEAVES[:2]
    assert tree_root([left, right]) != leaf_hash(left + right)


def test_sizes_that_make_no_sense_are_refused() -> None:
    root = tree_root(CT_LEAVES)
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(InvalidProof):
            verify_inclusion(CT_LEAVES[0], index, size, (), root)
    for old, new in ((9, 8), (-1, 8)):
        with pytest.raises(InvalidProof):
            verify_consistency(old, root, new, root, ())
    with pytest.raises(InvalidProof, match="empty tree"):
        verify_consistency(0, CT_ROOTS[0].encode()[:32], 8, root, ())
    with pytest.raises(InvalidProof, match="two roots"):
        verify_consistency(8, root, 8, tree_root(CT_LEAVES[::-1]), ())


def test_appending_costs_a_logarithm_and_keeps_the_root() -> None:
    frontier = Frontier()
    leaves = _leaves(300)
    roots = []
    for number, leaf in enumerate(leaves, start=1):
        frontier.append(leaf)
        assert len(frontier.peaks) == number.bit_count()
        roots.append(frontier.root())
    assert roots[-1] == tree_root(leaves)
    assert all(older != newer for older, newer in pairwise(roots))


def test_a_frontier_reports_each_complete_subtree_once() -> None:
    frontier = Frontier()
    leaves = _leaves(8)
    closed = [frontier.append(leaf) for leaf in leaves]
    assert [len(levels) for levels in closed] == [1, 2, 1, 3, 1, 2, 1, 4]
    assert closed[7][3] == tree_root(leaves)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_many_leaves_at_once_are_the_same_as_one_after_the_other(batches: list[int]) -> None:
    one, many = Frontier(), Frontier()
    for size in batches:
        leaves = _leaves(one.size + size)[one.size :]
        rows: list[list[bytes]] = []
        for leaf in leaves:
            for level, subtree in enumerate(one.append(leaf)):
                rows += [[]] * (level == len(rows))
                rows[level] = [*rows[level], subtree]
        closed = many.extend(leaves)
        assert [row for row in closed if row] == rows
        assert (many.size, many.peaks, many.root()) == (one.size, one.peaks, tree_root(_leaves(one.size)))
