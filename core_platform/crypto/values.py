"""One value sealed for one place: AES-256-GCM under a key derived for tenant and purpose.

The associated data names tenant, table, column and row, so a ciphertext moved to another row or tenant
does not open (NIST SP 800-38D). The blob is ``0x01 | u32 key version | 12-byte nonce | ciphertext | tag``.
The root key is given by the deployment; a root in KMS takes its place without changing this format.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core_platform.errors import PlatformError
from core_platform.tenancy.context import TenantId

FORMAT: Final = 0x01
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32

_HEADER: Final = struct.Struct(">BI")
_SALT: Final = b"core-platform/tenant-value-key/v1"


class SealedValueError(PlatformError):
    """A sealed value does not open here: another place or tenant, another key, or damaged."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value belongs: ``schema.table``, column and the row's key as text."""

    table: str
    column: str
    row: str


@dataclass(frozen=True, slots=True)
class TenantValueKey:
    """The key of one tenant for one purpose. Make it with `derive`."""

    tenant: TenantId
    version: int
    key: bytes = field(repr=False)

    @classmethod
    def derive(cls, root: bytes, tenant: TenantId, purpose: str, *, version: int = 1) -> TenantValueKey:
        """HKDF-SHA-256 (RFC 5869) of the root key for a tenant, a purpose and a key version."""
        info = _joined(tenant.uuid.bytes, purpose.encode(), version.to_bytes(4, "big"))
        key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=_SALT, info=info).derive(root)
        return cls(tenant, version, key)

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        """The blob to store at `place`; sealing the same value twice gives different blobs."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self.key).encrypt(nonce, plaintext, self._bound(place))
        return _HEADER.pack(FORMAT, self.version) + nonce + sealed

    def open(self, blob: bytes, place: Place) -> bytes:
        """The value behind a blob that was sealed for `place`.

        Raises:
            SealedValueError: it was not, or not by this key, or it is cut short or changed.
        """
        start = _HEADER.size + NONCE_BYTES
        if len(blob) < start or _HEADER.unpack_from(blob) != (FORMAT, self.version):
            raise SealedValueError(f"{place.table}.{place.column}: not a value of key version {self.version}")
        try:
            return AESGCM(self.key).decrypt(blob[_HEADER.size : start], blob[start:], self._bound(place))
        except InvalidTag:
            raise SealedValueError(f"{place.table}.{place.column}: the value does not open here") from None

    def _bound(self, place: Place) -> bytes:
        parts = (place.table, place.column, place.row)
        return _joined(b"v1", self.tenant.uuid.bytes, *(part.encode() for part in parts))


def _joined(*parts: bytes) -> bytes:
    """Length-prefixed, so that no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
