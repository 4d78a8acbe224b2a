"""Merkle trees as RFC 6962 section 2.1 (and RFC 9162) defines them: roots, proofs, and their checks.

Leaves and inner nodes are hashed under different prefixes and no leaf is ever duplicated, so two
lists of entries never share a root. The length of a proof is checked before anything is hashed.
Standard library only: a pack's verifier carries this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from evidence.proofs.errors import InvalidProof

HASH_BYTES: Final = 32
LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

Nodes: TypeAlias = Callable[[int, int], bytes]
"""``nodes(level, n)``: the hash of the n-th complete subtree of ``2 ** level`` leaves."""

Span: TypeAlias = tuple[int, int]
"""Leaves from the first number up to, without, the second."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf's content."""
    return hashlib.sha256(LEAF_PREFIX + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """The right edge of a growing tree: all that is needed to append a leaf and to know the root.

    Attributes:
        size: leaves appended so far.
        peaks: hashes of the complete subtrees that tile the tree, largest first: one for each
            one-bit of `size`.
    """

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> list[bytes]:
        """Add a leaf hash; return the complete subtrees that it closes, from level 0 upwards."""
        return [row[0] for row in self.extend([leaf]) if row]

    def extend(self, leaves: Sequence[bytes]) -> list[list[bytes]]:
        """Add leaf hashes; return the complete subtrees that they close, a row for each level from 0 upwards.

        A level at a time, so that many leaves cost little more than their hashes.
        """
        rows = [list(leaves)]
        odd: list[bytes] = []
        below = self.size
        while rows[-1]:
            pairs = [self.peaks.pop(), *rows[-1]] if below & 1 else rows[-1]
            if len(pairs) & 1:
                odd.append(pairs[-1])
            rows.append(
                [
                    hashlib.sha256(NODE_PREFIX + left + right).digest()
                    for left, right in zip(pairs[::2], pairs[1::2], strict=False)
                ]
            )
            below >>= 1
        self.peaks += reversed(odd)
        self.size += len(leaves)
        return rows[:-1]

    def root(self) -> bytes:
        """The tree's root; of an empty tree, the hash of nothing."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    frontier.extend(list(leaves))
    return frontier.root()


def nodes_of(leaves: Sequence[bytes]) -> Nodes:
    """A `Nodes` function over leaf hashes held in memory."""

    def node(level: int, n: int) -> bytes:
        width = 1 << level
        return tree_root(leaves[n * width : (n + 1) * width])

    return node


def span_root(nodes: Nodes, span: Span) -> bytes:
    """The hash over the leaves of a span that begins at a multiple of its own subtree's width."""
    start, end = span
    width = end - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return nodes(level, start >> level)
    middle = start + _left_width(width)
    return node_hash(span_root(nodes, (start, middle)), span_root(nodes, (middle, end)))


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The subtrees whose hashes prove leaf `index` in a tree of `size` leaves, lowest first."""
    if not 0 <= index < size:
        raise InvalidProof(f"entry {index} is not in a tree of {size}")
    spans: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _left_width(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old_size: int, size: int) -> list[Span]:
    """The subtrees whose hashes prove that a tree of `size` begins with the tree of `old_size`."""
    if not 0 <= old_size <= size:
        raise InvalidProof(f"a tree of {size} cannot extend a tree of {old_size}")
    if old_size in (0, size):
        return []
    spans: list[Span] = []
    start, end = 0, size
    while end != old_size:
        middle = start + _left_width(end - start)
        if old_size <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    if start:
        spans.append((start, end))
    return spans[::-1]


def inclusion_proof(nodes: Nodes, index: int, size: int) -> tuple[bytes, ...]:
    """The audit path of leaf `index` (RFC 6962 section 2.1.1)."""
    return tuple(span_root(nodes, span) for span in inclusion_spans(index, size))


def consistency_proof(nodes: Nodes, old_size: int, size: int) -> tuple[bytes, ...]:
    """The consistency proof between two sizes (RFC 6962 section 2.1.2); empty from 0 and to itself."""
    return tuple(span_root(nodes, span) for span in consistency_spans(old_size, size))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` is the leaf hash at `index` of the tree with this size and root.

    Raises:
        InvalidProof: wrong length of the proof or of a hash, or another root.
    """
    spans = inclusion_spans(index, size)
    _check_shape((leaf, root, *proof), got=len(proof), expected=len(spans))
    computed = leaf
    for (start, _), sibling in zip(spans, proof, strict=True):
        computed = node_hash(computed, sibling) if start > index else node_hash(sibling, computed)
    if computed != root:
        raise InvalidProof(f"entry {index} leads to root {computed.hex()}, expected {root.hex()}")


def verify_consistency(
    old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (`size`, `root`) begins with the tree (`old_size`, `old_root`).

    Raises:
        InvalidProof: wrong length of the proof or of a hash, or roots that it does not connect.
    """
    spans = consistency_spans(old_size, size)
    _check_shape((old_root, root, *proof), got=len(proof), expected=len(spans))
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise InvalidProof("the old root is not the root of an empty tree")
    if old_size == size and old_root != root:
        raise InvalidProof(f"two roots for one size {size}: {old_root.hex()} and {root.hex()}")
    if spans:
        _fold_consistency(old_size, spans, (old_root, root), proof)


def _fold_consistency(
    old_size: int, spans: Sequence[Span], roots: tuple[bytes, bytes], proof: Sequence[bytes]
) -> None:
    """Rebuild both roots at once: what lies left of the old size is in both trees, the rest in the new."""
    whole = spans[0][0] == old_size
    # Without a first hash of its own, the old tree is one complete subtree and its root is that hash.
    old = new = roots[0] if whole else proof[0]
    steps = zip(spans, proof, strict=True) if whole else zip(spans[1:], proof[1:], strict=True)
    for (start, _), sibling in steps:
        if start < old_size:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if (old, new) != roots:
        raise InvalidProof(f"the first {old_size} entries are not those of the older tree")


def _check_shape(hashes: Iterable[bytes], *, got: int, expected: int) -> None:
    if got != expected:
        raise InvalidProof(f"the proof has {got} hashes, expected {expected}")
    if any(len(item) != HASH_BYTES for item in hashes):
        raise InvalidProof(f"a hash is not {HASH_BYTES} bytes long")


def _left_width(width: int) -> int:
    """The largest power of two smaller than `width`: how RFC 6962 splits a tree."""
    return 1 << (width - 1).bit_length() - 1
