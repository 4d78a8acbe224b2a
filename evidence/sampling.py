"""Samples that nobody can choose: how picks follow from a population, a nonce and a log.

Commit and reveal. The population's root is in the log; then the auditor's nonce is promised in the log by
its SHA-256; the tree that ends with the promise has a root that nobody knew when the nonce was chosen,
and that was fixed before anybody but the auditor knew the nonce. From the three follows the seed, and
from the seed each pick, for everyone who recomputes it (`trust_portal/packs/rederive.py` does so on one
page). Standard library only, and pure.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from evidence.errors import EvidenceError
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.errors import InvalidProof
from evidence.proofs.merkle import (
    HASH_BYTES,
    Frontier,
    Nodes,
    inclusion_proof,
    leaf_hash,
    verify_inclusion,
)

DOMAIN: Final = b"posture.sample/v1"
ITEM_DOMAIN: Final = b"posture.population/v1"
NONCE_BYTES: Final = 32
SALT_BYTES: Final = 32
ITEM_SALT_BYTES: Final = 16
WORD_BITS: Final = 64

DEVIATIONS: Final = (1, 2, 3, 5, 10)
"""Of how many deviations the chance to miss them all is told,"""
RATES: Final = (Fraction(1, 100), Fraction(5, 100))
"""and of which shares of the population."""

_DIGITS: Final = 3
_LEAST: Final = Fraction(1, 10**6)

Row = Mapping[str, str]


class SamplingError(EvidenceError):
    """A sample that does not follow from what it names, or that cannot be drawn."""


@dataclass(frozen=True, slots=True)
class Miss:
    """How likely a sample holds none of so many deviations."""

    deviations: int
    chance: Fraction


def item_salt(salt: bytes, index: int) -> bytes:
    """The salt of one item; showing it tells nothing of the salts of others."""
    return hmac.digest(salt, ITEM_DOMAIN + index.to_bytes(8, "big"), "sha256")[:ITEM_SALT_BYTES]


def item_leaf(row: Row, salt: bytes) -> bytes:
    """The leaf hash of an item with its own salt."""
    return leaf_hash(canonical_bytes({"row": dict(row), "salt": salt.hex()}))


def item_leaves(rows: Sequence[Row], salt: bytes) -> list[bytes]:
    """The leaf hashes of all items of a population, in their order."""
    return [item_leaf(row, item_salt(salt, index)) for index, row in enumerate(rows)]


class ItemTree:
    """The tree over a population's items: its root, and a proof for each item.

    Args:
        leaves: leaf hashes in the order of the items.
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        frontier = Frontier()
        self._levels = frontier.extend(leaves)
        self.size = frontier.size
        self.root = frontier.root()

    @property
    def nodes(self) -> Nodes:
        """Complete subtrees by level and number."""
        return lambda level, n: self._levels[level][n]

    def proof(self, index: int) -> tuple[bytes, ...]:
        """The audit path of one item."""
        return inclusion_proof(self.nodes, index, self.size)


def verify_item(row: Row, salt: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a row is the item with this index of the population with this size and root.

    Raises:
        SamplingError: it is not.
    """
    try:
        verify_inclusion(item_leaf(row, salt), index, size, proof, root)
    except InvalidProof as error:
        raise SamplingError(f"item {index} is not in the population: {error}") from error


def commitment_of(nonce: bytes) -> bytes:
    """What is shown of a nonce before it is told.

    Raises:
        SamplingError: not `NONCE_BYTES` long.
    """
    if len(nonce) != NONCE_BYTES:
        raise SamplingError(f"a nonce has {NONCE_BYTES} bytes, this one {len(nonce)}")
    return hashlib.sha256(nonce).digest()


def seed_of(population_root: bytes, nonce: bytes, checkpoint_root: bytes) -> bytes:
    """SHA-256 over the domain, the population's root, the nonce and the checkpoint's root, 32 bytes each.

    Raises:
        SamplingError: a part is not 32 bytes long.
    """
    parts = (population_root, nonce, checkpoint_root)
    if any(len(part) != HASH_BYTES for part in parts):
        raise SamplingError(f"a seed is made of three times {HASH_BYTES} bytes")
    return hashlib.sha256(b"".join((DOMAIN, *parts))).digest()


def drawn(seed: bytes, count: int, size: int) -> tuple[int, ...]:
    """`size` different numbers below `count`, in the order of drawing; the first k are the sample of k.

    Block i is HMAC-SHA-256 under the seed over i (8 bytes, big endian). The first bits of a block, as
    many as the largest number has, are a candidate; one that is not below `count`, or that was drawn
    before, is passed over. So every item is as likely as any other.

    Raises:
        SamplingError: fewer items than picks, or nothing to draw.
    """
    if not 1 <= size <= count:
        raise SamplingError(f"cannot draw {size} of {count} items without repeating one")
    picks: dict[int, None] = {}
    for candidate in _candidates(seed, count):
        if candidate < count:
            picks.setdefault(candidate)
            if len(picks) == size:
                break
    return tuple(picks)


def _candidates(seed: bytes, count: int) -> Iterator[int]:
    shift = WORD_BITS - (count - 1).bit_length()
    block = 0
    while True:
        word = hmac.digest(seed, block.to_bytes(8, "big"), "sha256")[: WORD_BITS // 8]
        yield int.from_bytes(word, "big") >> shift
        block += 1


def chance_of_missing(count: int, size: int, deviations: int) -> Fraction:
    """The chance that `size` of `count` items hold none of `deviations` (hypergeometric, exact)."""
    return Fraction(math.comb(count - deviations, size), math.comb(count, size))


def misses(count: int, size: int) -> tuple[Miss, ...]:
    """The chances for `DEVIATIONS` and `RATES` of the population, rounded up to whole items, rising."""
    rates = (math.ceil(count * rate) for rate in RATES)
    numbers = sorted({number for number in (*DEVIATIONS, *rates) if number <= count})
    return tuple(Miss(number, chance_of_missing(count, size, number)) for number in numbers)


def percent(chance: Fraction) -> str:
    """A chance in percent with three digits; one that is neither 0 nor 1 is never shown as that."""
    if chance in (0, 1):
        return "100 %" if chance else "0 %"
    if chance < _LEAST:
        return "< 0.0001 %"
    if 1 - chance < Fraction(1, 10**4):
        return "> 99.99 %"
    value = Decimal((chance * 100).numerator) / Decimal((chance * 100).denominator)
    places = max(0, _DIGITS - 1 - value.adjusted())
    if value > 99:
        places = 2
    shown = f"{value:.{places}f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} %"
