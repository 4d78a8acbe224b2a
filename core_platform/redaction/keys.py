"""The keys that content is hashed with: one for each tenant, so that hashes link nothing across them.

A plain SHA-256 of a short prompt is found by guessing, and equal prompts of two tenants would show as
equal. Whoever lacks the tenant's key can do neither.
"""

import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core_platform.tenancy import TenantId

_SALT = b"tensorcost/redaction-key/v1"
#: Names algorithm and layout; "h1" was a plain SHA-256 and is no longer written.
_SCHEME = "h2:"


@dataclass(frozen=True, slots=True)
class TenantHasher:
    """Hashes of one tenant's content; ``domain`` keeps a prompt's apart from a session's."""

    key: bytes = field(repr=False)

    def digest(self, domain: str, *parts: bytes | memoryview) -> str:
        """``h2:`` and HMAC-SHA-256 in hexadecimal of the domain, a zero byte and the parts."""
        content = b"".join((domain.encode(), b"\x00", *parts))
        return _SCHEME + hmac.digest(self.key, content, "sha256").hex()


@dataclass(frozen=True, slots=True)
class HashKeyring:
    """The master key, at least 32 bytes, and the tenants' keys derived from it."""

    master: bytes = field(repr=False)

    def of(self, tenant: TenantId) -> TenantHasher:
        """The hasher of one tenant."""
        hkdf = HKDF(hashes.SHA256(), 32, salt=_SALT, info=tenant.uuid.bytes)
        return TenantHasher(hkdf.derive(self.master))
