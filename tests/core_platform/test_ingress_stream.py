"""The ingress from outside, over real TLS, Redis and PostgreSQL: nothing gets in, nothing gets lost."""

import json
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from core_platform.agent import (
    AgentClient,
    AgentIdentity,
    GpuReading,
    OpenStream,
    StreamEnded,
    batch_message,
    build_hello,
    connect,
    hello_message,
    telemetry,
)
from core_platform.ingress.hello import SKEW_MS
from tests.core_platform.ingress_lab import AUDIENCE, Lab, an_identity, register_agent, running_lab


@pytest.fixture(scope="module")
def lab(platform_db: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("ingress")
    db = platform_db
    with running_lab(folder, db.app_url, db.admin_url, db.seal.secret, db.seal.kid) as running:
        yield running


@pytest.fixture(scope="module")
def agent_a(platform_db: Any) -> AgentIdentity:
    return register_agent(platform_db.database, platform_db.a)


@pytest.fixture(scope="module")
def agent_b(platform_db: Any) -> AgentIdentity:
    return register_agent(platform_db.database, platform_db.b, key_id="ak_0b.p3")


def test_a_verified_agents_batches_are_stored_under_its_tenant(lab: Lab, agent_a: AgentIdentity) -> None:
    summary = AgentClient(agent_a, lab.address).stream(islice(telemetry(1, gpus=2), 5))
    assert (summary.acknowledged, summary.streams) == (5, 1)
    rows = lab.samples_of(agent_a)
    assert [(row[2], row[3]) for row in rows] == [(s, g) for s in range(1, 6) for g in range(2)]
    assert {row[0] for row in rows} == {agent_a.tenant}


def test_a_replayed_hello_is_refused(lab: Lab, agent_a: AgentIdentity) -> None:
    hello = build_hello(agent_a, AUDIENCE)
    assert lab.knock(hello) == "welcome"
    assert lab.knock(hello) == "ALREADY_EXISTS replayed"


def test_of_racing_copies_of_a_hello_exactly_one_is_welcome(lab: Lab, agent_a: AgentIdentity) -> None:
    hello = build_hello(agent_a, AUDIENCE)
    with ThreadPoolExecutor(12) as racers:
        outcomes = list(racers.map(lambda _: lab.knock(hello), range(12)))
    assert sorted(outcomes) == ["ALREADY_EXISTS replayed"] * 11 + ["welcome"]


@pytest.mark.parametrize("offset_ms", [-SKEW_MS - 2_000, SKEW_MS + 2_000])
def test_a_skewed_clock_is_refused(lab: Lab, agent_a: AgentIdentity, offset_ms: int) -> None:
    skewed = build_hello(agent_a, AUDIENCE, ts_ms=time.time_ns() // 1_000_000 + offset_ms)
    assert lab.knock(skewed) == "FAILED_PRECONDITION clock_skew"


def test_an_agent_with_a_wrong_clock_follows_the_authenticated_hint(lab: Lab, agent_a: AgentIdentity) -> None:
    client = AgentClient(agent_a, lab.address)
    client._clock_offset_ms = 2 * SKEW_MS
    assert client.stream(islice(telemetry(2), 1)).acknowledged == 1


def test_no_agent_gets_in_as_another_tenant(lab: Lab, agent_a: AgentIdentity, agent_b: AgentIdentity) -> None:
    mine = build_hello(agent_a, AUDIENCE)
    as_b = replace(agent_b, key=agent_a.key)
    with_id_of_b = replace(agent_a, key_id=agent_b.key_id)
    for forged in (
        replace(mine, tenant=agent_b.tenant),
        build_hello(as_b, AUDIENCE),
        build_hello(with_id_of_b, AUDIENCE),
    ):
        assert lab.knock(forged) == "UNAUTHENTICATED unauthenticated"


def test_an_agent_that_was_never_registered_is_refused(lab: Lab, platform_db: Any) -> None:
    stranger = an_identity(platform_db.a, uuid4(), "ak_never.p3")
    assert lab.knock(build_hello(stranger, AUDIENCE)) == "PERMISSION_DENIED not_registered"


def test_a_key_is_good_for_its_own_agent_only(lab: Lab, agent_a: AgentIdentity, platform_db: Any) -> None:
    borrowed = an_identity(platform_db.a, uuid4(), agent_a.key_id)
    assert lab.knock(build_hello(borrowed, AUDIENCE)) == "PERMISSION_DENIED not_registered"


def change(lab: Lab, statement: str, *values: object) -> None:
    with psycopg.connect(lab.admin_url) as admin:
        admin.execute(statement.encode(), values)


def test_a_revoked_key_is_refused(lab: Lab, platform_db: Any) -> None:
    agent = register_agent(platform_db.database, platform_db.a, key_id="ak_revoked.p3")
    assert lab.knock(build_hello(agent, AUDIENCE)) == "welcome"
    change(lab, "UPDATE identity.agent_key SET revoked_at = now() WHERE key_id = %s", agent.key_id)
    assert lab.knock(build_hello(agent, AUDIENCE)) == "PERMISSION_DENIED not_registered"


def test_an_open_stream_ends_soon_after_its_key_is_revoked(lab: Lab, platform_db: Any) -> None:
    agent = register_agent(platform_db.database, platform_db.a, key_id="ak_open.p3")
    with lab.stream(agent) as stream:
        stream.send(batch_message(uuid4(), 1, [READING]))
        assert stream.receive().ack.seq == 1
        change(lab, "UPDATE identity.agent_key SET revoked_at = now() WHERE key_id = %s", agent.key_id)
        began = time.monotonic()
        assert ended(stream) == "PERMISSION_DENIED not_registered"
        assert time.monotonic() - began < 4


def test_a_tenant_that_leaves_is_refused(lab: Lab, agent_b: AgentIdentity) -> None:
    statement = "UPDATE identity.tenant SET state = %s WHERE tenant_id = %s"
    change(lab, statement, "offboarding_pending", agent_b.tenant)
    assert lab.knock(build_hello(agent_b, AUDIENCE)) == "PERMISSION_DENIED not_registered"
    change(lab, statement, "active", agent_b.tenant)
    assert lab.knock(build_hello(agent_b, AUDIENCE)) == "welcome"


READING = GpuReading(0, 1_764_000_000_000, utilization_percent=50, memory_used_mib=1, power_watts=2)


def ended(stream: OpenStream) -> str:
    with pytest.raises(StreamEnded) as error:
        stream.receive()
    return f"{error.value.code.name} {error.value.reason}"


def test_a_payload_that_names_another_tenant_ends_the_stream_and_is_audited(
    lab: Lab, platform_db: Any
) -> None:
    agent = register_agent(platform_db.database, platform_db.a, key_id="ak_claims.p3")
    with lab.stream(agent) as stream:
        stream.send(batch_message(uuid4(), 1, [READING], claimed_tenant=platform_db.b.uuid))
        assert ended(stream) == "PERMISSION_DENIED foreign_tenant"
    assert lab.samples_of(agent) == []
    audited = lab.rows(
        "SELECT tenant_id, action FROM audit.audit_log WHERE actor = %s", f"agent:{agent.agent_id}"
    )
    assert audited == [(agent.tenant, "ingress.foreign_tenant_claimed")]


def test_a_second_hello_ends_the_stream(lab: Lab, agent_a: AgentIdentity) -> None:
    with lab.stream(agent_a) as stream:
        stream.send(hello_message(build_hello(agent_a, AUDIENCE)))
        assert ended(stream) == "INVALID_ARGUMENT second_hello"


def test_a_stream_does_not_begin_with_samples(lab: Lab, agent_a: AgentIdentity) -> None:
    with connect(lab.address) as channel, OpenStream(channel, timeout=10) as stream:
        stream.send(batch_message(uuid4(), 1, [READING]))
        assert ended(stream) == "INVALID_ARGUMENT malformed"


def test_a_stream_without_a_hello_is_closed_after_five_seconds(lab: Lab) -> None:
    began = time.monotonic()
    with connect(lab.address) as channel, OpenStream(channel, timeout=10) as stream:
        assert ended(stream) == "DEADLINE_EXCEEDED no_hello"
    assert 4 < time.monotonic() - began < 7


@pytest.mark.parametrize(
    "reading",
    [
        replace(READING, utilization_percent=float("nan")),
        replace(READING, utilization_percent=101),
        replace(READING, power_watts=float("inf")),
        replace(READING, memory_used_mib=2**63),
        replace(READING, ts_ms=2**64 - 1),
        replace(READING, gpu_index=2**31),
    ],
)
def test_a_reading_that_is_no_reading_ends_the_stream(
    lab: Lab, agent_a: AgentIdentity, reading: GpuReading
) -> None:
    with lab.stream(agent_a) as stream:
        stream.send(batch_message(uuid4(), 1, [reading]))
        assert ended(stream) == "INVALID_ARGUMENT malformed"


def test_a_gap_is_refused_and_names_what_is_expected(lab: Lab, agent_a: AgentIdentity) -> None:
    with lab.stream(agent_a) as stream:
        stream.send(batch_message(uuid4(), 2, [READING]))
        with pytest.raises(StreamEnded, match="expected batch 1") as error:
            stream.receive()
    assert error.value.code is grpc.StatusCode.OUT_OF_RANGE


def test_a_batch_sent_twice_is_stored_once(lab: Lab, platform_db: Any) -> None:
    agent, epoch = register_agent(platform_db.database, platform_db.a, key_id="ak_twice.p3"), uuid4()
    with lab.stream(agent) as stream:
        for seq in (1, 1, 2, 1, 2):
            stream.send(batch_message(epoch, seq, [READING]))
        assert [stream.receive().ack.seq for _ in range(5)] == [1, 1, 2, 2, 2]
    assert [row[2] for row in lab.samples_of(agent)] == [1, 2]


def test_a_message_beyond_the_limit_is_refused(lab: Lab, agent_a: AgentIdentity) -> None:
    with lab.stream(agent_a) as stream:
        stream.send(batch_message(uuid4(), 1, [READING] * 8_000))
        assert ended(stream).startswith("RESOURCE_EXHAUSTED")


def handshake(lab: Lab, version: ssl.TLSVersion) -> str:
    context = ssl.create_default_context(cafile=str(lab.folder / "ca.pem"))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", lab.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return wrapped.version() or ""


def test_tls_1_3_is_spoken_and_nothing_below_it(lab: Lab) -> None:
    assert handshake(lab, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        handshake(lab, ssl.TLSVersion.TLSv1_2)


def test_plaintext_reaches_no_handler(lab: Lab, agent_a: AgentIdentity) -> None:
    with grpc.insecure_channel(lab.address.target) as channel, OpenStream(channel, timeout=5) as stream:
        stream.send(hello_message(build_hello(agent_a, AUDIENCE)))
        assert ended(stream).startswith("UNAVAILABLE")


def test_health_and_reflection_answer_over_tls(lab: Lab) -> None:
    with connect(lab.address) as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        question = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        answer = next(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(question))
    names = {service.name for service in answer.list_services_response.service}
    assert "tensorcost.agent.v1.AgentIngress" in names


def test_a_stream_resumes_without_gap_or_duplicate_when_the_server_is_killed(
    lab: Lab, platform_db: Any
) -> None:
    agent = register_agent(platform_db.database, platform_db.a, key_id="ak_resumes.p3")
    client = AgentClient(agent, lab.address)

    def slowly() -> Iterator[Any]:
        for batch in islice(telemetry(9, gpus=2), 150):
            time.sleep(0.005)
            yield batch

    def kill_and_restart() -> None:
        for _ in range(2):
            time.sleep(0.4)
            lab.stop(signal.SIGKILL)
            lab.start()

    crash = threading.Thread(target=kill_and_restart)
    crash.start()
    summary = client.stream(slowly())
    crash.join()
    assert summary.acknowledged == 150
    assert summary.streams >= 2
    stored = [(row[1], row[2], row[3]) for row in lab.samples_of(agent)]
    assert stored == [(client.epoch, seq, gpu) for seq in range(1, 151) for gpu in range(2)]


def test_the_server_drains_and_says_nothing_of_what_it_was_sent(lab: Lab, agent_a: AgentIdentity) -> None:
    hello = build_hello(agent_a, AUDIENCE, capabilities=b"CANARY-CAPABILITIES")
    lab.knock(hello)
    lab.knock(replace(hello, key_id="zz_CANARY.p3"))
    assert lab.stop() == 0
    time.sleep(0.1)
    events = [json.loads(line) for line in lab.log]
    assert {"hello_accepted", "stream_refused"} <= {one["event"] for one in events}
    text = "".join(lab.log)
    secret = (hello.mac.hex(), hello.nonce.hex(), "CANARY", agent_a.key.hex(), "utilization")
    assert not [word for word in secret if word in text]
    lab.start()
