"""Ed25519 verification in the standard library alone (RFC 8032 section 5.1), for a stranger's machine.

It is the strict variant without cofactor: S below the group order, canonical encodings only, and no
public key or R of small order, because such keys sign anything. Verification handles public values,
so nothing here runs in constant time; signing is left to `evidence.proofs.signers`. The checks of
`refuse_weak` are shared with the fast verifier there, so that both accept exactly the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

from evidence.proofs.errors import InvalidSignature, KeyProblem

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

PRIME: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
CURVE_D: Final = -121665 * pow(121666, -1, PRIME) % PRIME
ROOT_OF_MINUS_ONE: Final = pow(2, (PRIME - 1) // 4, PRIME)

Point: TypeAlias = tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z."""

NEUTRAL: Final[Point] = (0, 1, 1, 0)


def _add(a: Point, b: Point) -> Point:
    """RFC 8032 section 5.1.4; complete, so it also doubles and adds the neutral element."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % PRIME
    f = (a[1] + a[0]) * (b[1] + b[0]) % PRIME
    g = 2 * CURVE_D * a[3] * b[3] % PRIME
    h = 2 * a[2] * b[2] % PRIME
    return (
        (f - e) * (h - g) % PRIME,
        (h + g) * (f + e) % PRIME,
        (h - g) * (h + g) % PRIME,
        (f - e) * (f + e) % PRIME,
    )


def _decompress(encoded: bytes) -> Point | None:
    """The point of a canonical encoding (RFC 8032 section 5.1.3), or None."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= PRIME:
        return None
    u, v = (y * y - 1) % PRIME, (CURVE_D * y * y + 1) % PRIME
    x = u * pow(v, 3, PRIME) * pow(u * pow(v, 7, PRIME), (PRIME - 5) // 8, PRIME) % PRIME
    if (v * x * x - u) % PRIME:
        x = x * ROOT_OF_MINUS_ONE % PRIME
    if (v * x * x - u) % PRIME or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = PRIME - x
    return (x, y, 1, x * y % PRIME)


def _compress(point: Point) -> bytes:
    inverse = pow(point[2], -1, PRIME)
    x, y = point[0] * inverse % PRIME, point[1] * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(KEY_BYTES, "little")


def _two_products(first: int, a: Point, second: int, b: Point) -> Point:
    """``first * a + second * b``, sharing the doublings (Straus)."""
    table = (NEUTRAL, a, b, _add(a, b))
    total = NEUTRAL
    for bit in range(max(first.bit_length(), second.bit_length()) - 1, -1, -1):
        total = _add(total, total)
        choice = (first >> bit & 1) | (second >> bit & 1) << 1
        if choice:
            total = _add(total, table[choice])
    return total


def _base_point() -> Point:
    point = _decompress((4 * pow(5, -1, PRIME) % PRIME).to_bytes(KEY_BYTES, "little"))
    if point is None:  # pragma: no cover - the curve's own constant
        raise AssertionError("the base point of Ed25519 is on the curve")
    return point


BASE: Final = _base_point()

SMALL_ORDER: Final = frozenset(
    bytes.fromhex(encoding)
    for encoding in (
        "0100000000000000000000000000000000000000000000000000000000000000",  # 1
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # 2
        "0000000000000000000000000000000000000000000000000000000000000000",  # 4
        "0000000000000000000000000000000000000000000000000000000000000080",  # 4
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # 8
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",  # 8
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",  # 8
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",  # 8
    )
)
"""The eight points whose order divides the cofactor, in their canonical encodings."""


def refuse_weak_key(public: bytes) -> None:
    """Refuse a public key that is not 32 bytes, not canonical, not on the curve or of small order.

    Raises:
        KeyProblem: saying which of these it is.
    """
    if len(public) != KEY_BYTES:
        raise KeyProblem(f"an Ed25519 public key has {KEY_BYTES} bytes, got {len(public)}")
    if public in SMALL_ORDER:
        raise KeyProblem(f"public key {public.hex()} has small order: anyone can sign for it")
    if _decompress(public) is None:
        raise KeyProblem(f"public key {public.hex()} is not a canonical point of Ed25519")


def refuse_weak_signature(signature: bytes) -> None:
    """Refuse a signature of another length, with S not below the group order, or with a small R.

    Raises:
        InvalidSignature: saying which of these it is.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidSignature(f"an Ed25519 signature has {SIGNATURE_BYTES} bytes, got {len(signature)}")
    if int.from_bytes(signature[KEY_BYTES:], "little") >= ORDER:
        raise InvalidSignature("S is not below the group order: the signature was altered")
    if signature[:KEY_BYTES] in SMALL_ORDER:
        raise InvalidSignature("R has small order")


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature over a message.

    Raises:
        KeyProblem: the public key is unusable (see `refuse_weak_key`).
        InvalidSignature: the signature is malformed or does not match.
    """
    refuse_weak_key(public)
    refuse_weak_signature(signature)
    key = _decompress(public)
    if key is None:  # pragma: no cover - refuse_weak_key has decompressed it
        raise KeyProblem("not a point")
    r, s = signature[:KEY_BYTES], int.from_bytes(signature[KEY_BYTES:], "little")
    challenge = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % ORDER
    minus_key: Point = (PRIME - key[0], key[1], 1, PRIME - key[3])
    if _compress(_two_products(s, BASE, challenge, minus_key)) != r:
        raise InvalidSignature(f"the signature is not by key {public.hex()} over these bytes")


@dataclass(frozen=True, slots=True)
class PureVerifier:
    """A `Verifier` that needs nothing but Python; about 4 ms for each signature."""

    public: bytes

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature (see `verify`)."""
        verify(self.public, message, signature)
