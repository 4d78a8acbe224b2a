"""The memory of hellos: is this one fresh, and may its tenant send another now?

Asked by the verification after the MAC, so strangers cannot make it grow. Nonce and rate bucket are
decided in one Lua call (nonces.lua). The store knows since when its memory is complete: after a
restart or a flush, hellos that it could have seen and forgotten must answer a challenge instead.
Whatever keeps an answer from coming is `NonceStoreUnavailable`, never an acceptance.
"""

from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core_platform.errors import PlatformError
from core_platform.ingress.hello import SKEW_MS, Hello

#: How far the ingress's clock and Redis's clock may disagree before a nonce could die too early.
CLOCK_MARGIN_MS = 30_000
MEMORY_KEY = "ingress:memory"
_SCRIPT = resources.files(__package__).joinpath("nonces.lua").read_text(encoding="utf-8")


class NonceStoreUnavailable(PlatformError):
    """Redis is down, slow, full, read-only or configured to forget; nobody is accepted."""


class Answer(StrEnum):
    """What the store says of one hello."""

    FRESH = "fresh"
    REPLAYED = "replayed"
    THROTTLED = "throttled"
    FORGOTTEN = "forgotten"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, and for a throttled hello the milliseconds until one may pass."""

    answer: Answer
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class HelloRate:
    """A tenant's hellos: ``burst`` at once, then ``per_second``."""

    burst: int
    per_second: int


class NonceStore:
    """Nonces and rate buckets in one Redis."""

    def __init__(self, url: str, rate: HelloRate, *, timeout_ms: int = 500) -> None:
        self._rate = rate
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=timeout_ms / 1000,
            socket_connect_timeout=timeout_ms / 1000,
            # A repeated call after a lost reply would see its own nonce and call it a replay.
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._redis.register_script(_SCRIPT)
        self._vetted_run: bytes | None = None

    async def decide(self, hello: Hello, *, challenged: bool) -> Decision:
        """Remember an authentic hello and say whether it is the first of its kind.

        ``challenged`` says that its MAC covers a challenge of this stream, which proves freshness
        without memory.

        Raises:
            NonceStoreUnavailable: no trustworthy answer came in time.
        """
        try:
            word, wait_ms, run = await self._script(
                keys=[_nonce_key(hello), f"ingress:hellos:{hello.tenant}", MEMORY_KEY],
                args=[
                    hello.ts_ms,
                    SKEW_MS,
                    CLOCK_MARGIN_MS,
                    self._rate.burst,
                    1_000_000 // self._rate.per_second,
                    int(challenged),
                ],
            )
            await self._vet(run)
        except (RedisError, OSError, TimeoutError) as error:
            raise NonceStoreUnavailable(type(error).__name__) from None
        return Decision(Answer(word.decode()), int(wait_ms))

    async def commission(self) -> bool:
        """Declare, once for each new deployment, that no hello was ever accepted before.

        Only then is an empty store a complete one. Returns False, changing nothing, when the
        store has a memory already.

        Raises:
            NonceStoreUnavailable: Redis did not answer.
        """
        try:
            server = await self._redis.info("server")
            memory = f"{server['run_id']}:0"
            return bool(await self._redis.set(MEMORY_KEY, memory, nx=True))
        except (RedisError, OSError, TimeoutError) as error:
            raise NonceStoreUnavailable(type(error).__name__) from None

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    async def _vet(self, run: bytes) -> None:
        """A Redis that evicts under pressure forgets nonces silently: refuse it, once for each run."""
        if run == self._vetted_run:
            return
        memory = await self._redis.info("memory")
        if memory["maxmemory_policy"] != "noeviction":
            raise NonceStoreUnavailable("maxmemory-policy must be noeviction")
        self._vetted_run = run


def _nonce_key(hello: Hello) -> str:
    return f"ingress:nonce:{hello.tenant.hex}:{hello.key_id}:{hello.nonce.hex()}"


async def commission(url: str) -> bool:
    """`NonceStore.commission` for provisioning code that holds no store."""
    store = NonceStore(url, HelloRate(burst=1, per_second=1))
    try:
        return await store.commission()
    finally:
        await store.close()
