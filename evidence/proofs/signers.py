"""Keys by reference: `file:path`, `env:NAME`, and whatever scheme is added to `SCHEMES`.

A configuration names a key and never contains it. Private keys are Ed25519 in PEM PKCS#8, encrypted
when a passphrase is given; a key file that others can read is refused, as OpenSSH does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature as OpenSslRefusal
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from evidence.proofs import keys
from evidence.proofs.ed25519 import refuse_weak_key, refuse_weak_signature
from evidence.proofs.errors import InvalidSignature, KeyProblem
from evidence.proofs.keys import Signer

UNLOCK_VARIABLE: Final = "POSTURE_KEY_PASSPHRASE"
"""Environment variable with the passphrase of encrypted keys."""

OTHERS_MAY_TOUCH: Final = stat.S_IRWXG | stat.S_IRWXO
MAX_KEY_BYTES: Final = 16 * 1024

Loader: TypeAlias = Callable[[str], Signer]
"""From what follows the scheme's colon to a signer; raises `KeyProblem`."""


class Ed25519Signer:
    """An Ed25519 private key held in memory."""

    __slots__ = ("_private", "key_id", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes_raw()
        self.key_id: str = keys.key_id(self.public)

    @classmethod
    def from_seed(cls, seed: bytes) -> Ed25519Signer:
        """The key of a 32-byte seed (RFC 8032 section 5.1.5)."""
        try:
            return cls(Ed25519PrivateKey.from_private_bytes(seed))
        except ValueError as error:
            raise KeyProblem(f"an Ed25519 seed has 32 bytes, got {len(seed)}") from error

    def sign(self, message: bytes) -> bytes:
        """The signature over the message."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.key_id})"


class Ed25519Verifier:
    """A raw Ed25519 public key; accepts exactly what `ed25519.PureVerifier` accepts, 40 times faster.

    Raises:
        KeyProblem: not a canonical point of the curve, or one of small order.
    """

    __slots__ = ("_public", "public")

    def __init__(self, public: bytes) -> None:
        refuse_weak_key(public)
        self.public = public
        self._public = Ed25519PublicKey.from_public_bytes(public)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return when the signature holds, else raise `InvalidSignature`."""
        refuse_weak_signature(signature)
        try:
            self._public.verify(signature, message)
        except OpenSslRefusal as error:
            raise InvalidSignature(
                f"the signature is not by key {self.public.hex()} over these bytes"
            ) from error

    def __repr__(self) -> str:
        return f"Ed25519Verifier({self.public.hex()})"


def load_signer(reference: str) -> Signer:
    """The signer behind a reference such as ``file:/etc/posture/ledger.pem`` or ``env:LEDGER_KEY``.

    Raises:
        KeyProblem: unknown scheme, unreadable, readable by others, encrypted without the right
            passphrase in POSTURE_KEY_PASSPHRASE, or not an Ed25519 key.
    """
    scheme, colon, rest = reference.partition(":")
    if not colon or scheme not in SCHEMES:
        known = ", ".join(f"{name}:" for name in sorted(SCHEMES))
        raise KeyProblem(f"key reference {reference[:40]!r} has no known scheme; use one of {known}")
    return SCHEMES[scheme](rest)


def create_key(path: Path, *, passphrase: bytes | None = None) -> Ed25519Signer:
    """Make a new key in a new file that only its owner can read, durable on return.

    Raises:
        KeyProblem: the file exists (a key is never overwritten) or cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _encryption(passphrase)
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyProblem(f"{path} exists; a key is never overwritten, choose another path") from error
    except OSError as error:
        raise KeyProblem(f"cannot create key file {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    return Ed25519Signer(private)


def _encryption(passphrase: bytes | None) -> serialization.KeySerializationEncryption:
    if passphrase is None:
        return serialization.NoEncryption()
    return serialization.BestAvailableEncryption(passphrase)


def _from_file(location: str) -> Signer:
    path = Path(location).expanduser()
    try:
        # Mode and content come from one descriptor, so the file cannot be swapped between the two.
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise KeyProblem(f"cannot read key file {path}: {error.strerror}") from error
    if mode & OTHERS_MAY_TOUCH:
        raise KeyProblem(f"key file {path} has mode {mode & 0o777:04o}; run: chmod 600 {path}")
    return _from_pem(pem, f"key file {path}")


def _from_environment(name: str) -> Signer:
    text = os.environ.get(name)
    if not text:
        raise KeyProblem(f"environment variable {name} is not set; it should hold a PEM PKCS#8 key")
    return _from_pem(text.encode(), f"environment variable {name}")


def _from_pem(pem: bytes, where: str) -> Ed25519Signer:
    passphrase = os.environ.get(UNLOCK_VARIABLE)
    encrypted = b"ENCRYPTED" in pem
    if encrypted and not passphrase:
        raise KeyProblem(f"{where} is encrypted; set {UNLOCK_VARIABLE}")
    try:
        private = serialization.load_pem_private_key(
            pem, passphrase.encode() if encrypted and passphrase else None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "wrong passphrase, or damaged" if encrypted else "not a PEM PKCS#8 private key"
        raise KeyProblem(f"{where}: {reason}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyProblem(f"{where} is {type(private).__name__}; expected Ed25519")
    return Ed25519Signer(private)


SCHEMES: Final[dict[str, Loader]] = {"file": _from_file, "env": _from_environment}
"""Where keys can lie. Another module adds a scheme (``awskms``) by adding its loader here."""
