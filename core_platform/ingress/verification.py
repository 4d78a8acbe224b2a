"""Whether a hello is accepted, in an order in which strangers can spend nothing of ours.

Called by the server for each stream. The cheap refusals come first, the MAC before the database and
before anything is written, the nonce last; an unknown key costs the same time and gets the same
answer as a wrong MAC.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from uuid import UUID

from core_platform.errors import InvalidTenant, PlatformError
from core_platform.ingress.hello import (
    CHALLENGE_BYTES,
    SKEW_MS,
    VERSION,
    Hello,
    HelloFormatError,
    check_lengths,
    clock_hint,
    derive_agent_key,
    hello_mac,
    parse_id,
    pepper_version,
)
from core_platform.ingress.nonces import Answer, NonceStore, NonceStoreUnavailable
from core_platform.ingress.proto import agent_pb2
from core_platform.ingress.refusals import Refusal, StreamRefused
from core_platform.tenancy import TenantId


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream is stored: every batch of ``epoch`` up to ``high_water_mark``."""

    epoch: UUID
    high_water_mark: int


@dataclass(frozen=True, slots=True)
class Registration:
    """What the database knows of an active agent: where its newest stream stands, if it has one."""

    position: Position | None


@dataclass(frozen=True, slots=True)
class VerifiedAgent:
    """Who the stream belongs to. Made only by `HelloVerifier`; the tenant of every row it sends."""

    tenant: TenantId
    agent_id: UUID
    key_id: str
    position: Position | None
    hello: Hello = field(repr=False)


#: The registration of key and agent, or None: not registered, revoked, or the tenant not active.
FindRegistered = Callable[[Hello], Awaitable[Registration | None]]


class ChallengeRequired(PlatformError):
    """The hello is authentic, but only an answer to a challenge can show that it is fresh."""


@dataclass(frozen=True, slots=True)
class HelloVerifier:
    """Every check of a hello. ``peppers`` are 32 bytes or more, by version."""

    peppers: Mapping[str, bytes]
    audience: str
    find_registered: FindRegistered
    nonces: NonceStore
    _no_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    async def verify(self, wire: agent_pb2.Hello, *, challenge: bytes = b"") -> VerifiedAgent:
        """Accept one hello of a stream on which ``challenge`` was sent (empty: none was).

        Raises:
            StreamRefused: it is not accepted.
            ChallengeRequired: send a challenge and verify the hello that answers it.
        """
        hello = parse_hello(wire, self.audience)
        key = self._key_or_dummy(hello)
        _check_clock(hello, key)
        _check_mac(hello, key, challenge)
        registration = await self.find_registered(hello)
        if registration is None:
            raise _not_registered()
        await self._check_fresh(hello)
        return VerifiedAgent(
            tenant=TenantId.parse(hello.tenant),
            agent_id=hello.agent_id,
            key_id=hello.key_id,
            position=registration.position,
            hello=hello,
        )

    async def check_again(self, agent: VerifiedAgent) -> None:
        """Whether an open stream may go on.

        Raises:
            StreamRefused: its key was revoked, or its agent or tenant is no longer active.
        """
        if await self.find_registered(agent.hello) is None:
            raise _not_registered()

    def _key_or_dummy(self, hello: Hello) -> bytes:
        """The agent's key; for a pepper we do not hold, one that no MAC was made with."""
        pepper = self.peppers.get(pepper_version(hello.key_id), self._no_key)
        return derive_agent_key(pepper, hello.tenant, hello.key_id)

    async def _check_fresh(self, hello: Hello) -> None:
        try:
            decision = await self.nonces.decide(hello, challenged=bool(hello.challenge))
        except NonceStoreUnavailable:
            raise StreamRefused(
                Refusal.STORE_UNAVAILABLE,
                "try again later",
                retry_after_ms=1000 + secrets.randbelow(4000),
            ) from None
        if decision.answer is Answer.FRESH:
            return
        if decision.answer is Answer.FORGOTTEN:
            raise ChallengeRequired("the nonce store cannot vouch for the past")
        raise _NOT_FRESH[decision.answer](decision.wait_ms)


_NOT_FRESH: dict[Answer, Callable[[int], StreamRefused]] = {
    Answer.REPLAYED: lambda _: StreamRefused(Refusal.REPLAYED, "this hello was used before"),
    Answer.STALE: lambda _: StreamRefused(Refusal.CLOCK_SKEW, "too old for the nonce store"),
    Answer.THROTTLED: lambda wait_ms: StreamRefused(
        Refusal.THROTTLED, "too many hellos of this tenant", retry_after_ms=wait_ms
    ),
}


def parse_hello(wire: agent_pb2.Hello, audience: str) -> Hello:
    """The hello on the wire as a value, with every length and constant checked.

    Raises:
        StreamRefused: `Refusal.MALFORMED`, naming the field.
    """
    try:
        hello = Hello(
            tenant=parse_id(wire.tenant, "tenant"),
            key_id=wire.key_id,
            agent_id=parse_id(wire.agent_id, "agent_id"),
            ts_ms=wire.ts_ms,
            nonce=wire.nonce,
            audience=wire.audience,
            challenge=wire.challenge,
            capabilities=wire.capabilities,
            mac=wire.mac,
        )
        check_lengths(hello)
        TenantId.parse(hello.tenant)
    except (HelloFormatError, InvalidTenant) as error:
        raise StreamRefused(Refusal.MALFORMED, str(error)) from None
    if wire.version != VERSION:
        raise StreamRefused(Refusal.MALFORMED, f"version: this server speaks {VERSION}")
    if hello.audience != audience:
        raise StreamRefused(Refusal.MALFORMED, "audience: written for another server")
    return hello


def new_challenge() -> bytes:
    """Fresh bytes for one stream to prove its hello over."""
    return secrets.token_bytes(CHALLENGE_BYTES)


def _not_registered() -> StreamRefused:
    return StreamRefused(Refusal.NOT_REGISTERED, "agent, key or tenant is not active")


def _check_clock(hello: Hello, key: bytes) -> None:
    now_ms = time.time_ns() // 1_000_000
    if abs(now_ms - hello.ts_ms) > SKEW_MS:
        raise StreamRefused(
            Refusal.CLOCK_SKEW,
            f"more than {SKEW_MS} ms from the server's clock",
            clock_hint=clock_hint(key, now_ms, hello.nonce),
        )


def _check_mac(hello: Hello, key: bytes, challenge: bytes) -> None:
    expected = hello_mac(key, hello)
    if not compare_digest(expected, hello.mac):
        raise StreamRefused(Refusal.UNAUTHENTICATED, "hello refused")
    if not compare_digest(challenge, hello.challenge):
        raise StreamRefused(Refusal.UNAUTHENTICATED, "not an answer to this challenge")
