"""The nonce store against a real server: it never says "fresh" without knowing."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
import redis as blocking_redis

from core_platform.agent import AgentIdentity, build_hello
from core_platform.ingress.hello import SKEW_MS, Hello
from core_platform.ingress.nonces import (
    CLOCK_MARGIN_MS,
    MEMORY_KEY,
    Answer,
    Decision,
    HelloRate,
    NonceStore,
    NonceStoreUnavailable,
    commission,
)
from posture.embedded.redis import RedisServer

T = TypeVar("T")
RATE = HelloRate(burst=1000, per_second=1000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as running:
        asyncio.run(commission(running.url))
        yield running


def a_hello(offset_ms: int = 0, tenant: UUID | None = None) -> Hello:
    who = AgentIdentity(tenant or UUID(int=10), "ak_01.p3", UUID(int=11), bytes(32))
    return build_hello(who, "here", ts_ms=time.time_ns() // 1_000_000 + offset_ms)


def with_store(
    url: str, use: Callable[[NonceStore], Coroutine[object, object, T]], rate: HelloRate = RATE
) -> T:
    async def run() -> T:
        # Below the pause of the slow server, above what a busy machine needs.
        store = NonceStore(url, rate, timeout_ms=1_500)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())


def decide(url: str, hello: Hello, *, challenged: bool = False) -> Decision:
    return with_store(url, lambda store: store.decide(hello, challenged=challenged))


def test_a_hello_is_fresh_once(server: RedisServer) -> None:
    hello = a_hello()
    assert decide(server.url, hello).answer is Answer.FRESH
    assert decide(server.url, hello).answer is Answer.REPLAYED


@pytest.mark.parametrize("offset_ms", [-SKEW_MS, 0, SKEW_MS])
def test_a_nonce_outlives_the_last_moment_its_hello_could_be_accepted(
    server: RedisServer, offset_ms: int
) -> None:
    hello = a_hello(offset_ms)
    decide(server.url, hello)
    client = blocking_redis.Redis.from_url(server.url)
    (key,) = client.keys("ingress:nonce:*")
    dies_at_ms = client.pexpiretime(key)
    assert abs(dies_at_ms - (hello.ts_ms + SKEW_MS + CLOCK_MARGIN_MS)) <= 2
    client.close()


def test_of_racing_copies_exactly_one_is_fresh(server: RedisServer) -> None:
    hello = a_hello()

    async def race(store: NonceStore) -> list[Decision]:
        return await asyncio.gather(*(store.decide(hello, challenged=False) for _ in range(50)))

    answers = [one.answer for one in with_store(server.url, race)]
    assert answers.count(Answer.FRESH) == 1
    assert answers.count(Answer.REPLAYED) == 49


def test_after_a_crash_only_a_challenge_shows_that_a_hello_is_fresh(server: RedisServer) -> None:
    hello = a_hello()
    decide(server.url, hello)
    server.kill()
    server.start()
    assert decide(server.url, hello).answer is Answer.FORGOTTEN
    assert decide(server.url, a_hello()).answer is Answer.FORGOTTEN
    assert decide(server.url, a_hello(), challenged=True).answer is Answer.FRESH


def test_after_a_flush_only_a_challenge_shows_that_a_hello_is_fresh(server: RedisServer) -> None:
    with blocking_redis.Redis.from_url(server.url) as client:
        client.flushall()
    assert decide(server.url, a_hello()).answer is Answer.FORGOTTEN


def test_memory_older_than_the_window_vouches_again(server: RedisServer) -> None:
    now_ms = time.time_ns() // 1_000_000
    with blocking_redis.Redis.from_url(server.url) as client:
        run_id = client.info("server")["run_id"]
        client.set(MEMORY_KEY, f"{run_id}:{now_ms - SKEW_MS - 50}")
    assert decide(server.url, a_hello()).answer is Answer.FRESH
    assert decide(server.url, a_hello(-5_000)).answer is Answer.FORGOTTEN


def test_a_store_with_a_memory_is_not_commissioned_again(server: RedisServer) -> None:
    server.kill()
    server.start()
    decide(server.url, a_hello(), challenged=True)
    assert asyncio.run(commission(server.url)) is False
    assert decide(server.url, a_hello()).answer is Answer.FORGOTTEN


def test_a_tenant_is_throttled_alone_and_told_for_how_long(server: RedisServer) -> None:
    async def hellos(store: NonceStore) -> list[Decision]:
        return [await store.decide(a_hello(), challenged=False) for _ in range(12)]

    rate = HelloRate(burst=10, per_second=1)
    answers = with_store(server.url, hellos, rate)
    assert [one.answer for one in answers] == [Answer.FRESH] * 10 + [Answer.THROTTLED] * 2
    assert 0 < answers[-1].wait_ms <= 1000
    quiet = a_hello(tenant=uuid4())
    assert decide(server.url, quiet).answer is Answer.FRESH


def test_replays_do_not_use_up_a_tenants_rate(server: RedisServer) -> None:
    stolen = a_hello()

    async def flood(store: NonceStore) -> Decision:
        for _ in range(20):
            await store.decide(stolen, challenged=False)
        return await store.decide(a_hello(), challenged=False)

    assert with_store(server.url, flood, HelloRate(burst=5, per_second=1)).answer is Answer.FRESH


def unavailable(url: str) -> bool:
    with pytest.raises(NonceStoreUnavailable):
        decide(url, a_hello())
    return True


def test_no_redis_is_no_answer(server: RedisServer) -> None:
    server.stop()
    assert unavailable(server.url)


def test_a_slow_redis_is_no_answer(server: RedisServer) -> None:
    with blocking_redis.Redis.from_url(server.url) as client:
        client.execute_command("CLIENT", "PAUSE", "2000", "ALL")
        assert unavailable(server.url)


def test_a_full_redis_is_no_answer(server: RedisServer) -> None:
    with blocking_redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        assert unavailable(server.url)


def test_a_read_only_redis_is_no_answer(server: RedisServer) -> None:
    with blocking_redis.Redis.from_url(server.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert unavailable(server.url)


def test_a_redis_that_may_evict_nonces_is_no_answer(server: RedisServer) -> None:
    with blocking_redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "volatile-lru")
        assert unavailable(server.url)


def test_another_key_of_the_same_tenant_has_its_own_nonces(server: RedisServer) -> None:
    hello = a_hello()
    decide(server.url, hello)
    assert decide(server.url, replace(hello, key_id="ak_02.p3")).answer is Answer.FRESH
