"""An agent's credentials, and hellos written with them.

For the agent, and for probes that need hellos no honest agent writes: every field can be set, and
the MAC is made over whatever is set. Where the MAC itself is to be wrong, replace it afterwards.
"""

import secrets
import time
from dataclasses import dataclass, field, replace
from uuid import UUID

from core_platform.ingress.hello import (
    MIN_NONCE_BYTES,
    VERSION,
    Hello,
    clock_hint,
    derive_agent_key,
    hello_mac,
)
from core_platform.ingress.proto import agent_pb2


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Who an agent is, and its 32-byte key (see `identity_from_pepper` for how it is made)."""

    tenant: UUID
    key_id: str
    agent_id: UUID
    key: bytes = field(repr=False)


def identity_from_pepper(pepper: bytes, *, tenant: UUID, key_id: str, agent_id: UUID) -> AgentIdentity:
    """The identity that provisioning hands to an agent; the pepper stays with the platform."""
    key = derive_agent_key(pepper, tenant, key_id)
    return AgentIdentity(tenant=tenant, key_id=key_id, agent_id=agent_id, key=key)


def build_hello(
    identity: AgentIdentity,
    audience: str,
    *,
    ts_ms: int | None = None,
    nonce: bytes | None = None,
    challenge: bytes = b"",
    capabilities: bytes = b"",
) -> Hello:
    """A hello with a right MAC; by default dated now, with a fresh nonce."""
    hello = Hello(
        tenant=identity.tenant,
        key_id=identity.key_id,
        agent_id=identity.agent_id,
        ts_ms=time.time_ns() // 1_000_000 if ts_ms is None else ts_ms,
        nonce=secrets.token_bytes(MIN_NONCE_BYTES) if nonce is None else nonce,
        audience=audience,
        challenge=challenge,
        capabilities=capabilities,
    )
    return replace(hello, mac=hello_mac(identity.key, hello))


def hello_message(hello: Hello) -> agent_pb2.AgentMessage:
    """A hello as it goes over the wire, right or wrong."""
    return agent_pb2.AgentMessage(
        hello=agent_pb2.Hello(
            version=VERSION,
            tenant=hello.tenant.bytes,
            key_id=hello.key_id,
            agent_id=hello.agent_id.bytes,
            ts_ms=hello.ts_ms,
            nonce=hello.nonce,
            audience=hello.audience,
            challenge=hello.challenge,
            capabilities=hello.capabilities,
            mac=hello.mac,
        )
    )


def server_clock_ms(identity: AgentIdentity, hello: Hello, hint: bytes) -> int | None:
    """The server's time from the hint of a `clock_skew` refusal; None if we cannot trust it."""
    server_ms = int.from_bytes(hint[:8], "big")
    expected = clock_hint(identity.key, server_ms, hello.nonce)
    return server_ms if secrets.compare_digest(expected, hint) else None
