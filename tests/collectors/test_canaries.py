from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from collectors.body_hashes import BodyHashCollector, planted_bodies
from collectors.boundary import look
from collectors.canaries import CanaryAccess, CanaryCollector, PlantedBody, SpendTable
from collectors.collector import NotObserved, Observed
from collectors.needles import Needles
from evidence.kinds.redaction import BodyHashes, CanarySearch
from evidence.record import Outcome
from evidence.scope import Unit
from posture.embedded.redis import RedisServer

UNIT = Unit("ingestion/bedrock", "ingestion", "ingestion:bedrock", {})
CANARIES = ("CANARY-0123456789AB", "CANARY-FEDCBA987654", "CANARY-5A5A5A5A5A5A")
TENANTS = ("0190f5e0-0000-7000-8000-00000000000a", "0190f5e0-0000-7000-8000-00000000000b")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", appendfsync="no") as server:
        yield server


@pytest.fixture
def access(shop: Any, store: RedisServer, tmp_path: Path) -> CanaryAccess:
    logs = tmp_path / "logs"
    logs.mkdir()
    shop.execute(
        "CREATE SCHEMA ai; CREATE TABLE ai.ai_spend_event (tenant_id uuid, request_id text, prompt_hash text,"
        " response_hash text, metadata jsonb, raw bytea);"
        "ALTER TABLE ai.ai_spend_event ENABLE ROW LEVEL SECURITY;"
        f"INSERT INTO ai.ai_spend_event SELECT '{TENANTS[0]}', 'r' || n, 'h2:' || repeat('a', 64), NULL,"
        " '{}', NULL"
        " FROM generate_series(1, 4) AS n"
    )
    return CanaryAccess(shop.superuser_dsn, store.url, (logs,), CANARIES, requests=("r1", "r2", "r9"))


def search(access: CanaryAccess) -> CanarySearch:
    (sighting,) = look(CanaryCollector(), UNIT, access)
    assert isinstance(sighting, Observed), sighting
    assert sighting.outcome is Outcome.OBSERVED, sighting
    assert isinstance(sighting.payload, CanarySearch)
    return sighting.payload


def places(payload: CanarySearch) -> dict[str, tuple[int, int]]:
    return {place.name: (place.bytes_read, place.hits) for place in payload.places}


def test_a_clean_platform_has_no_hit_and_every_place_is_listed(access: CanaryAccess) -> None:
    (access.logs[0] / "ingest.log").write_text("nothing of note\n")
    payload = search(access)
    assert (payload.planted, payload.ingested_records) == (3, 4)
    assert (payload.planted_records, payload.planted_found) == (3, 2)
    found = places(payload)
    assert sum(hits for _, hits in found.values()) == 0
    assert found["postgres:ai.ai_spend_event"][0] > 200
    assert found["redis:db0"] == (0, 0)
    assert found["log:logs/ingest.log"] == (16, 0)
    assert "postgres:shop.country" in found


def test_a_canary_is_found_in_base64_in_a_jsonb_column(shop: Any, access: CanaryAccess) -> None:
    for prefix in ("", "x", "xy"):
        hidden = base64.b64encode(f"{prefix}say {CANARIES[0]} now".encode()).decode()
        shop.execute(f'UPDATE ai.ai_spend_event SET metadata = \'{{"n": "{hidden}"}}\'')
        assert places(search(access))["postgres:ai.ai_spend_event"][1] == 1


def test_a_canary_is_found_in_a_column_of_bytes_in_utf_16(shop: Any, access: CanaryAccess) -> None:
    raw = f"-{CANARIES[1]}-".encode("utf-16").hex()
    shop.execute(f"UPDATE ai.ai_spend_event SET raw = '\\x{raw}'")
    assert places(search(access))["postgres:ai.ai_spend_event"][1] == 1


def test_canaries_are_found_in_every_type_of_redis_key(store: RedisServer, access: CanaryAccess) -> None:
    client: Any = redis.Redis.from_url(store.url)
    one = CANARIES[0]
    writes: list[Callable[[], Any]] = [
        lambda: client.set("s", f"a {one}"),
        lambda: client.hset("h", "field", base64.b64encode(one.encode())),
        lambda: client.rpush("l", one.encode().hex()),
        lambda: client.sadd("t", one.lower()),
        lambda: client.zadd("z", {one: 1}),
        lambda: client.xadd("x", {"body": one}),
        lambda: client.set(f"key:{one}", ""),
    ]
    for write in writes:
        client.flushall()
        write()
        assert places(search(access))["redis:db0"][1] == 1
    client.flushall()
    client.execute_command("SELECT", 3)
    other: Any = redis.Redis.from_url(store.url, db=3)
    other.set("s", one)
    assert places(search(access))["redis:db3"][1] == 1


def test_canaries_are_found_in_logs_plain_and_compressed(access: CanaryAccess) -> None:
    (access.logs[0] / "a.log").write_text(f"GET /?q={CANARIES[0].replace('-', '%2D')}\n{CANARIES[1]}\n")
    with gzip.open(access.logs[0] / "b.log.gz", "wb") as compressed:
        compressed.write(b"." * 3_000_000 + CANARIES[2].encode())
    found = places(search(access))
    assert found["log:logs/b.log.gz"][1] == 1
    assert found["log:logs/a.log"][1] >= 1


def test_a_place_that_cannot_be_searched_makes_the_record_a_part(access: CanaryAccess) -> None:
    (access.logs[0] / "broken.gz").write_bytes(b"no gzip at all")
    absent = dataclasses.replace(access, logs=(*access.logs, access.logs[0] / "absent.log"))
    (sighting,) = look(CanaryCollector(), UNIT, absent)
    assert isinstance(sighting, Observed)
    assert sighting.outcome is Outcome.PARTIAL
    assert sighting.reason == "2 places could not be searched"
    assert "absent.log" in sighting.detail


def test_a_login_that_a_policy_binds_cannot_pass_off_its_view_as_everything(
    shop: Any, access: CanaryAccess
) -> None:
    shop.execute("GRANT USAGE ON SCHEMA ai TO shop_app; GRANT SELECT ON ai.ai_spend_event TO shop_app")
    (sighting,) = look(CanaryCollector(), UNIT, dataclasses.replace(access, dsn=shop.app_dsn))
    assert isinstance(sighting, Observed)
    assert sighting.outcome is Outcome.PARTIAL
    assert "shop.customer" in sighting.detail


def test_without_redis_nothing_is_claimed(store: RedisServer, access: CanaryAccess) -> None:
    store.stop()
    (sighting,) = look(CanaryCollector(), UNIT, access)
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.UNREACHABLE


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 64), st.sampled_from(CANARIES))
def test_a_word_is_found_wherever_the_stream_is_cut(
    before: bytes, after: bytes, size: int, word: str
) -> None:
    stream = before + base64.b64encode(before + word.encode() + after) + after
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert word in Needles(CANARIES).search(chunks)[1]


def test_words_without_a_common_beginning_are_found_too() -> None:
    read, found = Needles(["alpha-9981", "omega-1189"]).search([b"..omega-", b"1189.."])
    assert (read, found) == (14, frozenset({"omega-1189"}))


def hashes(access: CanaryAccess) -> BodyHashes:
    (sighting,) = look(BodyHashCollector(), UNIT, access)
    assert isinstance(sighting, Observed), sighting
    assert isinstance(sighting.payload, BodyHashes)
    return sighting.payload


def insert(shop: Any, tenant: str, prompt_hash: str) -> None:
    shop.execute(
        f"INSERT INTO ai.ai_spend_event (tenant_id, prompt_hash) VALUES ('{tenant}', '{prompt_hash}')"
    )


def test_keyed_hashes_are_told_from_plain_and_shared_ones(shop: Any, access: CanaryAccess) -> None:
    bodies = tuple(PlantedBody(tenant, b'{"a":1}', "Converse") for tenant in TENANTS)
    access = dataclasses.replace(access, bodies=bodies)
    assert hashes(access) == BodyHashes(4, 4, 0, 0, 1)
    insert(shop, TENANTS[1], "h2:" + "a" * 64)
    insert(shop, TENANTS[1], "h1:" + hashlib.sha256(b'{"a":1}').hexdigest())
    insert(shop, TENANTS[1], "h2:" + hashlib.sha256(b'Converse\x00{"a":1}').hexdigest())
    assert hashes(access) == BodyHashes(
        rows=7, well_formed=6, plain_sha256=2, shared_between_tenants=1, planted_in_several=1
    )


def test_without_the_table_of_spend_events_nothing_is_claimed(access: CanaryAccess) -> None:
    elsewhere = dataclasses.replace(access, spend=SpendTable(name="absent"))
    for collector in (CanaryCollector(), BodyHashCollector()):
        (sighting,) = look(collector, UNIT, elsewhere)
        assert isinstance(sighting, NotObserved)
        assert sighting.outcome is Outcome.UNSUPPORTED


def test_planted_bodies_are_the_bytes_of_the_log_line() -> None:
    line = b'{"operation":"Converse","input":{"inputBodyJson":{"x": 1}},"output":{"outputBodyJson":"y"}}'
    objects = {
        "AWSLogs/1.json.gz": gzip.compress(line + b"\nnot a record\n"),
        "AWSLogs/data/2.json.gz": gzip.compress(json.dumps({"prompt": "z"}).encode()),
        "marker": b"",
    }
    assert planted_bodies("t", objects) == (
        PlantedBody("t", b'{"x": 1}', "Converse"),
        PlantedBody("t", b'"y"', "Converse"),
    )
