"""The hello: which bytes an agent authenticates, and with which key.

Shared by the agent and the ingress, so that both hold one definition. Fields are length-prefixed
because joined text is ambiguous (``"ten|ant", "k"`` and ``"ten", "ant|k"``); the key is derived by
HKDF (RFC 5869) from a pepper whose version the key id names, so that peppers rotate without a table
of secrets. Nothing here imports grpc or a database.
"""

import hashlib
import hmac
import re
import struct
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = 1
#: How far an agent's clock may be from ours, both ways and inclusive, in milliseconds.
SKEW_MS = 300_000
MAC_BYTES = 32
CHALLENGE_BYTES = 32
ID_BYTES = 16
MIN_NONCE_BYTES = 16
MAX_NONCE_BYTES = 32
MAX_AUDIENCE_CHARS = 255
MAX_CAPABILITIES_BYTES = 1024

_HELLO_DOMAIN = b"tensorcost/agent-hello/v1\x00"
_CLOCK_DOMAIN = b"tensorcost/agent-clock/v1\x00"
_KEY_SALT = b"tensorcost/agent-key/v1"
_KEY_ID = re.compile(r"[a-z]{2}_[A-Za-z0-9_-]{1,64}\.(p[0-9]{1,6})", re.ASCII)


class HelloFormatError(ValueError):
    """A hello that is not well formed; the message names the field, never its content."""


@dataclass(frozen=True, slots=True)
class Hello:
    """An agent's proof of who it is, for one stream. ``ts_ms`` is milliseconds since 1970."""

    tenant: UUID
    key_id: str
    agent_id: UUID
    ts_ms: int
    nonce: bytes
    audience: str
    challenge: bytes = b""
    capabilities: bytes = b""
    mac: bytes = b""


def length_prefixed(content: bytes) -> bytes:
    """``content`` behind its length as four bytes, big-endian."""
    return struct.pack(">I", len(content)) + content


def canonical_bytes(hello: Hello) -> bytes:
    """The bytes that the MAC covers; two different hellos never have the same."""
    return b"".join(
        (
            _HELLO_DOMAIN,
            length_prefixed(hello.tenant.bytes),
            length_prefixed(hello.key_id.encode()),
            length_prefixed(hello.agent_id.bytes),
            struct.pack(">Q", hello.ts_ms),
            length_prefixed(hello.nonce),
            length_prefixed(hello.audience.encode()),
            length_prefixed(hello.challenge),
            length_prefixed(hashlib.sha256(hello.capabilities).digest()),
        )
    )


def hello_mac(key: bytes, hello: Hello) -> bytes:
    """HMAC-SHA-256 of the canonical bytes."""
    return hmac.digest(key, canonical_bytes(hello), "sha256")


def clock_hint(key: bytes, server_ms: int, nonce: bytes) -> bytes:
    """The server's time, authenticated for one hello, so that no stranger can steer a clock."""
    stamp = struct.pack(">Q", server_ms)
    return stamp + hmac.digest(key, _CLOCK_DOMAIN + stamp + length_prefixed(nonce), "sha256")


def pepper_version(key_id: str) -> str:
    """The pepper that a key id names: ``p3`` of ``ak_01.p3``.

    Raises:
        HelloFormatError: the key id has another form.
    """
    if match := _KEY_ID.fullmatch(key_id):
        return match[1]
    raise HelloFormatError("key_id: expected two letters, '_', a name, '.p' and a number")


def derive_agent_key(pepper: bytes, tenant: UUID, key_id: str) -> bytes:
    """The 32-byte key of one key id of one tenant.

    Raises:
        HelloFormatError: the key id names no pepper version.
    """
    version = pepper_version(key_id)
    info = (
        length_prefixed(version.encode()) + length_prefixed(tenant.bytes) + length_prefixed(key_id.encode())
    )
    return HKDF(hashes.SHA256(), 32, salt=_KEY_SALT, info=info).derive(pepper)


def check_lengths(hello: Hello) -> None:
    """Refuse a hello with a field out of bounds, before anything is compared or computed.

    ``hmac.compare_digest(b"", b"")`` is true, so an unchecked empty MAC could one day pass.

    Raises:
        HelloFormatError: naming the field.
    """
    pepper_version(hello.key_id)
    if len(hello.mac) != MAC_BYTES:
        raise HelloFormatError(f"mac: {len(hello.mac)} bytes, expected {MAC_BYTES}")
    if not MIN_NONCE_BYTES <= len(hello.nonce) <= MAX_NONCE_BYTES:
        raise HelloFormatError(f"nonce: {len(hello.nonce)} bytes, expected 16 to 32")
    if len(hello.challenge) not in (0, CHALLENGE_BYTES):
        raise HelloFormatError(f"challenge: {len(hello.challenge)} bytes, expected 0 or 32")
    if not 0 < len(hello.audience) <= MAX_AUDIENCE_CHARS:
        raise HelloFormatError(f"audience: {len(hello.audience)} characters, expected 1 to 255")
    if len(hello.capabilities) > MAX_CAPABILITIES_BYTES:
        raise HelloFormatError(f"capabilities: {len(hello.capabilities)} bytes, at most 1024")


def parse_id(content: bytes, field: str) -> UUID:
    """A 16-byte identifier from the wire.

    Raises:
        HelloFormatError: another length.
    """
    if len(content) != ID_BYTES:
        raise HelloFormatError(f"{field}: {len(content)} bytes, expected {ID_BYTES}")
    return UUID(bytes=content)
