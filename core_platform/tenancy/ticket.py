"""The sealed ticket that tells the database which tenant a transaction belongs to.

A plain setting would not do: one injected `set_config` moves a session to another tenant. The ticket
is `kid.tenant.expiry.mac`, its MAC HMAC-SHA-256 (RFC 2104) over the first three parts; the database
verifies it with a key that no login role can read. `app.current_tenant()` is the other half.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from core_platform.tenancy.context import TenantId

SETTING: Final = "app.tenant_ticket"
DOMAIN: Final = b"core-platform/tenant-ticket/v1\0"
LIFETIME: Final = timedelta(minutes=5)
REUSED: Final = timedelta(minutes=1)

_BLOCK_BYTES: Final = 64
_LEAST_SECRET_BYTES: Final = 32
_MOST_TICKETS: Final = 10_000
_KID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class SealKey:
    """The key that seals tickets: its public id and 32 to 64 secret bytes, which `repr` hides."""

    kid: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KID.fullmatch(self.kid):
            raise ValueError("a seal key id has 1 to 32 letters, digits, '_' or '-'")
        if not _LEAST_SECRET_BYTES <= len(self.secret) <= _BLOCK_BYTES:
            raise ValueError("a seal key has 32 to 64 secret bytes")

    @classmethod
    def generate(cls, kid: str) -> SealKey:
        """A fresh key from the operating system's generator."""
        return cls(kid, secrets.token_bytes(_LEAST_SECRET_BYTES))

    def pads(self) -> tuple[bytes, bytes]:
        """The inner and outer pad of HMAC (RFC 2104, section 2), as the database stores them."""
        block = self.secret.ljust(_BLOCK_BYTES, b"\0")
        return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)


class TicketBook:
    """Tickets that are used again while they are fresh: sealing one costs as much as sending it.

    A ticket lives `LIFETIME` and is handed out for the first `REUSED` of it, so a transaction always has
    four minutes left. Safe to share between threads: at worst two seal the same ticket.
    """

    __slots__ = ("_key", "_tickets")

    def __init__(self, key: SealKey) -> None:
        self._key = key
        self._tickets: dict[TenantId, tuple[float, str]] = {}

    def ticket(self, tenant: TenantId) -> str:
        """A ticket for `tenant`, sealed less than `REUSED` ago."""
        now = time.time()
        sealed_at, ticket = self._tickets.get(tenant, (0.0, ""))
        if not 0 <= now - sealed_at < REUSED.total_seconds():
            if len(self._tickets) >= _MOST_TICKETS:
                self._tickets.clear()
            ticket = seal(self._key, tenant)
            self._tickets[tenant] = (now, ticket)
        return ticket


def seal(key: SealKey, tenant: TenantId, *, expires: float | None = None) -> str:
    """A ticket for `tenant` until `expires` (Unix seconds; by default `LIFETIME` from now)."""
    until = time.time() + LIFETIME.total_seconds() if expires is None else expires
    body = f"{key.kid}.{tenant}.{int(until)}"
    return f"{body}.{hmac.digest(key.secret, DOMAIN + body.encode(), 'sha256').hex()}"
