"""An ingress that takes everything: what the collectors must not call a refusal."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from collectors.boundary import look
from collectors.collector import NotObserved, Observed
from collectors.ingress_attack import IngressAccess, IngressAttackCollector, StreamTenancyCollector
from core_platform.agent import IngressAddress, identity_from_pepper
from core_platform.ingress.proto import agent_pb2, agent_pb2_grpc
from evidence.kinds.ingress import IngressAttack, StreamTenancy
from evidence.record import Outcome
from evidence.scope import Unit
from posture.embedded.certificates import make_certificate

UNIT = Unit("ingress/agents", "ingress", "ingress:agents", {})
AUDIENCE = "ingest.test"


class TakesEverything(agent_pb2_grpc.AgentIngressServicer):
    """Welcomes every hello, and stores samples where their payload says."""

    def __init__(self) -> None:
        self.rows: dict[tuple[bytes, bytes], int] = {}

    def Stream(self, request_iterator: Any, context: Any) -> Iterator[agent_pb2.ServerMessage]:  # noqa: N802
        tenant = b""
        for message in request_iterator:
            if message.WhichOneof("body") == "hello":
                tenant = message.hello.tenant
                now_ms = time.time_ns() // 1_000_000
                yield agent_pb2.ServerMessage(hello_ok=agent_pb2.HelloOk(server_time_ms=now_ms))
                continue
            batch = message.samples
            place = (batch.claimed_tenant or tenant, batch.epoch)
            self.rows[place] = self.rows.get(place, 0) + len(batch.samples)
            yield agent_pb2.ServerMessage(ack=agent_pb2.Ack(epoch=batch.epoch, seq=batch.seq))

    def written(self, tenant: UUID, epoch: UUID) -> int:
        return self.rows.get((tenant.bytes, epoch.bytes), 0)


@pytest.fixture
def servicer() -> TakesEverything:
    return TakesEverything()


@pytest.fixture
def access(servicer: TakesEverything, tmp_path: Path) -> Iterator[IngressAccess]:
    certificate = make_certificate(tmp_path, "ingress.test")
    pair = (certificate.private_key.read_bytes(), certificate.certificate.read_bytes())
    server = grpc.server(ThreadPoolExecutor(16))
    agent_pb2_grpc.add_AgentIngressServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    tenant = uuid4()
    known = identity_from_pepper(bytes(32), tenant=tenant, key_id="ak_1.p1", agent_id=uuid4())
    yield IngressAccess(
        address=IngressAddress(f"127.0.0.1:{port}", (tmp_path / "ca.pem").read_bytes(), AUDIENCE),
        probe=known,
        other_tenant=uuid4(),
        unregistered=identity_from_pepper(bytes(32), tenant=tenant, key_id="ak_2.p1", agent_id=uuid4()),
        rows_written=servicer.written,
    )
    server.stop(None).wait()


def test_every_attack_that_gets_in_is_told(access: IngressAccess) -> None:
    (sighting,) = look(IngressAttackCollector(), UNIT, access)
    assert isinstance(sighting, Observed), sighting
    assert isinstance(sighting.payload, IngressAttack)
    refused = {attempt.name for attempt in sighting.payload.attempts if attempt.did != "accept"}
    # Whether gRPC takes TLS 1.2 is decided once for the process, maybe by a test that ran before.
    assert refused - {"tls_1_2"} == {"plaintext"}


def test_rows_under_the_tenant_that_a_payload_named_are_counted(access: IngressAccess) -> None:
    (sighting,) = look(StreamTenancyCollector(), UNIT, access)
    assert isinstance(sighting, Observed), sighting
    assert sighting.payload == StreamTenancy(3, 3, 3, "accept", "OK", 0, 3)


def test_a_count_that_misses_genuine_rows_counts_nothing(access: IngressAccess) -> None:
    blind = dataclasses.replace(access, rows_written=lambda tenant, epoch: 0)
    (sighting,) = look(StreamTenancyCollector(), UNIT, blind)
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.PARTIAL
