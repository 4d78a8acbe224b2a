from __future__ import annotations

import dataclasses
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from collectors.boundary import look
from collectors.collector import NotObserved, Observed
from collectors.ingress_attack import IngressAccess, IngressAttackCollector, StreamTenancyCollector
from collectors.tls import Endpoint, TlsCollector, can_speak
from evidence.kinds.ingress import IngressAttack, StreamTenancy, TlsVersions
from evidence.record import Outcome
from evidence.scope import Unit
from posture.embedded.certificates import make_certificate
from tests.core_platform.ingress_lab import Lab, an_identity, register_agent, running_lab

UNIT = Unit("ingress/agents", "ingress", "ingress:agents", {})
ATTEMPTS = (
    "genuine",
    "replay",
    "concurrent_replay",
    "skew_plus_300000",
    "skew_plus_300001",
    "skew_minus_300000",
    "skew_minus_300001",
    "bad_mac",
    "truncated_mac",
    "wrong_tenant",
    "unknown_key",
    "unregistered_agent",
    "missing_hello",
    "foreign_payload_tenant",
    "plaintext",
    "tls_1_2",
    "tls_1_3",
)


@pytest.fixture(scope="module")
def lab(platform: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("ingress")
    with running_lab(folder, platform.app_url, platform.admin_url, bytes(range(32)), "test-1") as running:
        yield running


@pytest.fixture(scope="module")
def access(platform: Any, lab: Lab) -> IngressAccess:
    def rows_written(tenant: UUID, epoch: UUID) -> int:
        with psycopg.connect(platform.admin_url) as admin:
            row = admin.execute(
                "SELECT count(*) FROM gpu.gpu_sample WHERE tenant_id = %s AND epoch = %s", (tenant, epoch)
            ).fetchone()
        assert row is not None
        return int(row[0])

    return IngressAccess(
        address=lab.address,
        probe=register_agent(platform.database, platform.a),
        other_tenant=platform.b.uuid,
        unregistered=an_identity(platform.a, uuid4(), "ak_stranger.p3"),
        rows_written=rows_written,
    )


def attack(access: IngressAccess) -> tuple[IngressAttack, StreamTenancy]:
    (first,) = look(IngressAttackCollector(), UNIT, access)
    (second,) = look(StreamTenancyCollector(), UNIT, access)
    assert isinstance(first, Observed), first
    assert isinstance(second, Observed), second
    assert isinstance(first.payload, IngressAttack)
    assert isinstance(second.payload, StreamTenancy)
    return first.payload, second.payload


def test_the_ingress_answers_every_attempt_as_it_must(access: IngressAccess) -> None:
    payload, tenancy = attack(access)
    assert tuple(attempt.name for attempt in payload.attempts) == ATTEMPTS
    wrong = [attempt for attempt in payload.attempts if attempt.did != attempt.must]
    assert wrong == []
    codes = {attempt.name: attempt.code for attempt in payload.attempts}
    assert codes["replay"] == "ALREADY_EXISTS"
    assert codes["bad_mac"] == "UNAUTHENTICATED"
    assert codes["unregistered_agent"] == "PERMISSION_DENIED"
    assert (tenancy.genuine_sent, tenancy.genuine_stored) == (3, 3)
    assert (tenancy.sent, tenancy.did, tenancy.under_hello_tenant) == (3, "refuse", 0)
    assert tenancy.under_claimed_tenant == 0


def test_the_transcript_tells_everything_but_secrets(access: IngressAccess) -> None:
    payload, _ = attack(access)
    text = "\n".join(payload.transcript)
    for attempt in payload.attempts:
        assert f" {attempt.name}: " in text
    assert access.probe.key.hex() not in text


def test_a_rate_limit_is_unclear_and_never_counts_as_a_refusal(
    access: IngressAccess, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.ingress_attack.time.sleep", lambda _: None)
    lab.stop(signal.SIGKILL)
    lab.settings["ingress"].update(hello_burst=2, hello_per_second=1)
    lab.start()
    try:
        (first,) = look(IngressAttackCollector(), UNIT, access)
    finally:
        lab.stop(signal.SIGKILL)
        lab.settings["ingress"].update(hello_burst=1000, hello_per_second=1000)
        lab.start()
    assert isinstance(first, Observed)
    assert isinstance(first.payload, IngressAttack)
    did = {attempt.name: attempt.did for attempt in first.payload.attempts}
    assert "unclear" in did.values()
    assert did["bad_mac"] == "refuse"


def test_a_stopped_nonce_store_lets_nobody_in_and_is_unclear(access: IngressAccess, lab: Lab) -> None:
    lab.redis.stop()
    try:
        (first,) = look(IngressAttackCollector(), UNIT, access)
        (second,) = look(StreamTenancyCollector(), UNIT, access)
    finally:
        lab.redis.start()
    assert isinstance(second, NotObserved)
    assert second.outcome is Outcome.UNREACHABLE
    assert isinstance(first, Observed)
    assert first.outcome is Outcome.OBSERVED
    assert isinstance(first.payload, IngressAttack)
    did = {attempt.name: attempt.did for attempt in first.payload.attempts}
    assert did["genuine"] == "unclear"
    assert did["replay"] == "unclear"


def test_where_nothing_listens_every_kind_is_unreachable(access: IngressAccess) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{free.getsockname()[1]}"
    nowhere = dataclasses.replace(access, address=dataclasses.replace(access.address, target=target))
    for collector in (IngressAttackCollector(), StreamTenancyCollector(), TlsCollector()):
        for sighting in look(collector, UNIT, nowhere):
            assert isinstance(sighting, NotObserved)
            assert sighting.outcome is Outcome.UNREACHABLE


def versions(access: Any) -> TlsVersions:
    (sighting,) = look(TlsCollector(), UNIT, access)
    assert isinstance(sighting, Observed), sighting
    assert isinstance(sighting.payload, TlsVersions)
    return sighting.payload


def test_the_ingress_speaks_tls_1_3_and_nothing_else(access: IngressAccess) -> None:
    payload = versions(access)
    assert payload.accepted == ("TLSv1.3",)
    assert {"TLSv1.2", "plaintext"} <= set(payload.refused)


@contextmanager
def serving(answer: Any) -> Iterator[Endpoint]:
    """A server that handles each connection with `answer`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    answer(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Endpoint(f"127.0.0.1:{listener.getsockname()[1]}", "server.test")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_server_that_still_takes_tls_1_2_is_found(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "server.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.private_key)

    def answer(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with serving(answer) as endpoint:
        payload = versions(endpoint)
    assert {"TLSv1.2", "TLSv1.3"} <= set(payload.accepted)


@pytest.mark.skipif(not can_speak("TLSv1.0"), reason="this OpenSSL speaks no TLS 1.0")
def test_a_server_that_still_takes_tls_1_0_is_found(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "server.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.private_key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED

    def answer(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with serving(answer) as endpoint:
        assert "TLSv1.0" in versions(endpoint).accepted


def test_a_server_without_tls_is_found() -> None:
    def answer(connection: socket.socket) -> None:
        if connection.recv(64).startswith(b"PRI"):
            connection.sendall(bytes.fromhex("000000040000000000"))

    with serving(answer) as endpoint:
        payload = versions(endpoint)
    assert payload.accepted == ("plaintext",)
    assert "TLSv1.3" in payload.refused


def test_a_server_that_says_nothing_is_untried_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.tls.TIMEOUT", timedelta(milliseconds=100))
    stop = threading.Event()
    with serving(lambda _: stop.wait(1)) as endpoint:
        payload = versions(endpoint)
        stop.set()
    assert {"TLSv1.3", "plaintext"} <= set(payload.untried)
