"""What signs and what verifies, as Protocols, and how a key is named.

Standard library only. `evidence.proofs.signers` fulfils these with the cryptography package,
`evidence.proofs.ed25519` verifies without it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Protocol


class Verifier(Protocol):
    """One public key. `public` is its raw 32 bytes (RFC 8032)."""

    @property
    def public(self) -> bytes:
        """The raw public key."""
        ...

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return when the signature is by this key over the message, else raise `InvalidSignature`."""
        ...


class Signer(Protocol):
    """One private key, wherever it lies."""

    @property
    def key_id(self) -> str:
        """The name under which signatures are found again: `key_id(public)`."""
        ...

    @property
    def public(self) -> bytes:
        """The raw public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over the message."""
        ...


@lru_cache(maxsize=256)
def key_id(public: bytes) -> str:
    """The DSSE key id: SHA-256 of the raw public key in hex, preceded by the algorithm."""
    return "ed25519:" + hashlib.sha256(public).hexdigest()
