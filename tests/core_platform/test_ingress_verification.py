"""The order and the strictness of the checks, to the millisecond, against a real nonce store."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import redis as blocking_redis

from core_platform.agent import build_hello, hello_message, identity_from_pepper, server_clock_ms
from core_platform.ingress import verification
from core_platform.ingress.hello import SKEW_MS, Hello
from core_platform.ingress.nonces import HelloRate, NonceStore, commission
from core_platform.ingress.proto import agent_pb2
from core_platform.ingress.refusals import StreamRefused
from core_platform.ingress.verification import ChallengeRequired, HelloVerifier, Registration
from posture.embedded.redis import RedisServer

TENANT = UUID("0190f5e0-0000-7000-8000-00000000000a")
OTHER = UUID("0190f5e0-0000-7000-8000-00000000000b")
AGENT = UUID("0190f5e0-0000-7000-8000-0000000000aa")
AUDIENCE = "ingest.us-east-1.tensorcost.com"
PEPPER = bytes(range(32))
NOW_MS = time.time_ns() // 1_000_000


def identity(tenant: UUID = TENANT, key_id: str = "ak_01.p3", pepper: bytes = PEPPER) -> Any:
    return identity_from_pepper(pepper, tenant=tenant, key_id=key_id, agent_id=AGENT)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), appendfsync="no") as server:
        asyncio.run(commission(server.url))
        yield server


@pytest.fixture(autouse=True)
def _a_clock_that_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "time", SimpleNamespace(time_ns=lambda: NOW_MS * 1_000_000))


def verdict(
    server: RedisServer, wire: agent_pb2.Hello, *, challenge: bytes = b"", registered: bool = True
) -> str:
    """ "accepted", "challenge", or the refusal and its message."""

    async def find(hello: Hello) -> Registration | None:
        return Registration(position=None) if registered else None

    async def run() -> str:
        store = NonceStore(server.url, HelloRate(10_000, 10_000))
        verifier = HelloVerifier({"p3": PEPPER}, AUDIENCE, find, store)
        try:
            await verifier.verify(wire, challenge=challenge)
        except StreamRefused as refused:
            return str(refused)
        except ChallengeRequired:
            return "challenge"
        else:
            return "accepted"
        finally:
            await store.close()

    return asyncio.run(run())


def sent(hello: Hello) -> agent_pb2.Hello:
    return hello_message(hello).hello


def now_hello(**fields: Any) -> Hello:
    return build_hello(identity(), AUDIENCE, **{"ts_ms": NOW_MS, **fields})


@pytest.mark.parametrize(
    ("offset_ms", "outcome"),
    [
        (-SKEW_MS - 1, "clock_skew"),
        (-SKEW_MS, "accepted"),
        (SKEW_MS, "accepted"),
        (SKEW_MS + 1, "clock_skew"),
    ],
)
def test_the_clock_window_is_exact(
    redis_server: RedisServer, offset_ms: int, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Read here: Redis keeps its own clock, and a nonce only 30 seconds past the window.
    now_ms = time.time_ns() // 1_000_000
    monkeypatch.setattr(verification, "time", SimpleNamespace(time_ns=lambda: now_ms * 1_000_000))
    hello = now_hello(ts_ms=now_ms + offset_ms)
    assert verdict(redis_server, sent(hello)).partition(":")[0] == outcome
    assert SKEW_MS == 300_000


def test_an_unknown_key_and_a_wrong_mac_get_one_answer(redis_server: RedisServer) -> None:
    wrong = replace(now_hello(), mac=bytes(32))
    unknown = build_hello(identity(key_id="ak_01.p9"), AUDIENCE, ts_ms=NOW_MS)
    answers = {verdict(redis_server, sent(one)) for one in (wrong, unknown)}
    assert answers == {"unauthenticated: hello refused"}


@pytest.mark.parametrize(
    "hello",
    [
        replace(now_hello(), tenant=OTHER),
        replace(now_hello(), agent_id=OTHER),
        replace(now_hello(), key_id="ak_02.p3"),
        replace(now_hello(), ts_ms=NOW_MS + 1),
        replace(now_hello(), capabilities=b"more"),
        replace(build_hello(identity(OTHER), AUDIENCE, ts_ms=NOW_MS), tenant=TENANT),
        build_hello(identity(pepper=bytes(32)), AUDIENCE, ts_ms=NOW_MS),
    ],
)
def test_a_hello_changed_after_its_mac_is_refused(redis_server: RedisServer, hello: Hello) -> None:
    assert verdict(redis_server, sent(hello)) == "unauthenticated: hello refused"


@pytest.mark.parametrize("size", [0, 1, 16, 31, 33, 64])
def test_a_mac_of_another_length_is_refused(redis_server: RedisServer, size: int) -> None:
    mac = (now_hello().mac + bytes(64))[:size]
    assert verdict(redis_server, sent(replace(now_hello(), mac=mac))).startswith("malformed: mac")


def test_fields_of_other_versions_audiences_and_sizes_are_refused(redis_server: RedisServer) -> None:
    def outcome(wire: agent_pb2.Hello) -> str:
        return verdict(redis_server, wire).partition(":")[0]

    elsewhere = build_hello(identity(), "ingest.eu-west-1.tensorcost.com", ts_ms=NOW_MS)
    assert outcome(sent(elsewhere)) == "malformed"
    for change in ({"version": 2}, {"tenant": b""}, {"tenant": bytes(16)}, {"agent_id": bytes(17)}):
        wire = sent(now_hello())
        for name, value in change.items():
            setattr(wire, name, value)
        assert outcome(wire) == "malformed"
    assert outcome(agent_pb2.Hello()) == "malformed"


def test_strangers_leave_nothing_behind(redis_server: RedisServer) -> None:
    with blocking_redis.Redis.from_url(redis_server.url) as client:
        before = set(client.keys())
        for _ in range(200):
            verdict(redis_server, sent(replace(now_hello(), mac=bytes(32))))
        assert set(client.keys()) <= before


def test_an_unregistered_agent_is_refused_and_leaves_no_nonce(redis_server: RedisServer) -> None:
    hello = sent(now_hello())
    assert verdict(redis_server, hello, registered=False).startswith("not_registered")
    assert verdict(redis_server, hello) == "accepted"


def test_a_challenge_is_answered_for_its_own_stream_only(redis_server: RedisServer) -> None:
    mine, theirs = bytes([1]) * 32, bytes([2]) * 32
    answer = sent(now_hello(challenge=mine))
    assert verdict(redis_server, answer, challenge=theirs).startswith("unauthenticated")
    assert verdict(redis_server, answer).startswith("unauthenticated")
    assert verdict(redis_server, sent(now_hello()), challenge=mine).startswith("unauthenticated")
    assert verdict(redis_server, answer, challenge=mine) == "accepted"


def test_only_the_agents_own_server_can_steer_its_clock() -> None:
    hello = now_hello(ts_ms=NOW_MS - 10 * SKEW_MS)
    with pytest.raises(StreamRefused) as refused:
        verification._check_clock(hello, identity().key)
    hint = refused.value.clock_hint
    assert hint
    assert server_clock_ms(identity(), hello, hint) == NOW_MS
    assert server_clock_ms(identity(pepper=bytes(32)), hello, hint) is None
    assert server_clock_ms(identity(), now_hello(), hint) is None
    assert server_clock_ms(identity(), hello, b"") is None
