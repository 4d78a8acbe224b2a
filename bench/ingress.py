"""What the ingress's checks and durable rows cost, as ratios to bare gRPC and bare inserts in one run.

``python bench/ingress.py`` starts its own PostgreSQL, Redis, ingress and a bare grpc.aio server over the
same TLS, and prints one table in about 20 seconds. Machines differ; the ratios travel.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import grpc
import psycopg

from core_platform.agent import (
    AgentIdentity,
    GpuReading,
    batch_message,
    build_hello,
    hello_message,
    identity_from_pepper,
)
from core_platform.ingress.proto import agent_pb2, agent_pb2_grpc
from core_platform.schema.identity import Agent, AgentKey
from core_platform.schema.migrate import RoleCredentials, login_url, provision_tenant, upgrade
from core_platform.tenancy import Origin, PlatformDatabase, SealKey, TenantId, TenantSession
from posture.embedded.certificates import ServerCertificate, make_certificate
from posture.embedded.postgres import PostgresServer
from posture.embedded.redis import RedisServer

AUDIENCE = "bench"
PEPPER, SEAL = bytes(range(32)), SealKey("bench", bytes(range(32, 64)))
SECONDS = 1.5
ROUNDS = 2
AT_ONCE = 32
STREAMS = 4
WINDOW = 8
EVENTS = 100
READINGS = [GpuReading(index, 1_764_000_000_000, 50.0, 40_000, 400.0) for index in range(EVENTS)]

Connect = Callable[[], grpc.aio.Channel]


@dataclass(frozen=True)
class Ingress:
    """Where ours listens, and who may speak to it."""

    port: int
    agents: list[AgentIdentity]
    database_url: str


async def serve_bare(certificate: ServerCertificate) -> None:
    """A grpc.aio server that answers every message at once: the floor of what ours can cost."""

    class Echo(agent_pb2_grpc.AgentIngressServicer):
        async def Stream(  # noqa: N802 - the method is named by the protobuf service
            self, request_iterator: AsyncIterator[object], _context: object
        ) -> AsyncIterator[object]:
            answer = agent_pb2.ServerMessage(ack=agent_pb2.Ack(seq=1))
            async for _message in request_iterator:
                yield answer

    server = grpc.aio.server()
    agent_pb2_grpc.add_AgentIngressServicer_to_server(Echo(), server)
    pair = (certificate.private_key.read_bytes(), certificate.certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    print(f"listening 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


@contextmanager
def process(*words: str) -> Iterator[int]:
    """A server process and the port that it prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as child:
        assert child.stdout
        try:
            yield int(child.stdout.readline().rpartition(":")[2])
        finally:
            child.kill()


@contextmanager
def our_ingress(folder: Path, certificate: ServerCertificate) -> Iterator[Ingress]:
    """The whole of ours: durable PostgreSQL, Redis with its append-only file, one ingress process."""
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer.create(folder / "postgres"))
        redis = stack.enter_context(RedisServer(folder / "redis", appendfsync="everysec"))
        admin_url = postgres.url(postgres.superuser, "postgres", postgres.superuser_password)
        upgrade(
            admin_url, credentials=RoleCredentials(app="app-password", bypass="bypass-password"), seal=SEAL
        )
        app_url = login_url(admin_url, "core_app", "app-password")
        settings = {
            "app_url": app_url,
            "seal": {"kid": SEAL.kid, "secret": "file:seal"},
            "ingress": {
                "audience": AUDIENCE,
                "certificate": certificate.certificate.name,
                "private_key": certificate.private_key.name,
                "redis_url": redis.url,
                "peppers": {"p3": "file:pepper"},
                "listen": "127.0.0.1:0",
                "hello_burst": 1_000_000,
                "hello_per_second": 1_000_000,
            },
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / "seal").write_text(SEAL.secret.hex())
        (folder / "pepper").write_text(PEPPER.hex())
        agents = register(app_url)
        words = ("-m", "core_platform.ingress", "--settings", str(folder / "settings.json"))
        subprocess.run([sys.executable, *words, "--commission"], check=True, stdout=subprocess.DEVNULL)
        yield Ingress(stack.enter_context(process(*words)), agents, admin_url)


def register(app_url: str) -> list[AgentIdentity]:
    """One agent for each stream, all of one tenant."""
    database = PlatformDatabase(app_url, seal=SEAL)
    tenant = TenantId.parse(uuid4())
    provision_tenant(database, tenant, "bench")
    agents = {uuid4(): f"ak_{number}.p3" for number in range(STREAMS)}

    def write(session: TenantSession) -> None:
        session.add_all(Agent(tenant_id=tenant.uuid, agent_id=one, name="bench") for one in agents)
        session.flush()
        session.add_all(
            AgentKey(tenant_id=tenant.uuid, key_id=key_id, agent_id=one, pepper_version="p3")
            for one, key_id in agents.items()
        )

    database.run_as_tenant(tenant, Origin.REQUEST, write)
    database.close()
    return [
        identity_from_pepper(PEPPER, tenant=tenant.uuid, key_id=key_id, agent_id=one)
        for one, key_id in agents.items()
    ]


async def hellos_per_second(channel: grpc.aio.Channel, agents: list[AgentIdentity]) -> float:
    """Streams opened with a hello and closed at its answer, on one warm connection."""
    stub = agent_pb2_grpc.AgentIngressStub(channel)
    until, opened = time.perf_counter() + SECONDS, 0

    async def open_streams(agent: AgentIdentity) -> None:
        nonlocal opened
        while time.perf_counter() < until:
            call = stub.Stream()
            await call.write(hello_message(build_hello(agent, AUDIENCE)))
            answer = await call.read()
            assert isinstance(answer, agent_pb2.ServerMessage), "refused"
            call.cancel()
            opened += 1

    await asyncio.gather(*(open_streams(agents[number % STREAMS]) for number in range(AT_ONCE)))
    return opened / SECONDS


async def events_per_second(channel: grpc.aio.Channel, agents: list[AgentIdentity]) -> float:
    """Events in acknowledged batches, over one stream for each agent with some batches on the way."""
    until, acknowledged = time.perf_counter() + SECONDS, 0

    async def stream(agent: AgentIdentity, epoch: UUID) -> None:
        nonlocal acknowledged
        call = agent_pb2_grpc.AgentIngressStub(channel).Stream()
        await call.write(hello_message(build_hello(agent, AUDIENCE)))
        await call.read()
        sent = 0
        while time.perf_counter() < until:
            for _ in range(WINDOW):
                sent += 1
                await call.write(batch_message(epoch, sent, READINGS))
            for _ in range(WINDOW):
                answer = await call.read()
                assert isinstance(answer, agent_pb2.ServerMessage), "refused"
            acknowledged += WINDOW
        call.cancel()

    await asyncio.gather(*(stream(agent, uuid4()) for agent in agents))
    return acknowledged * EVENTS / SECONDS


CREATE = """
    CREATE TABLE IF NOT EXISTS bench
        (batch bigint, gpu int, percent float8, mib bigint, watts float8, PRIMARY KEY (batch, gpu))
"""
INSERT = """
    INSERT INTO bench SELECT %s, * FROM unnest(%s::int[], %s::float8[], %s::bigint[], %s::float8[])
"""


def inserted_per_second(url: str) -> float:
    """Rows by a bare ``unnest`` insert, one durable transaction for each batch, one connection."""
    fields = ("gpu_index", "utilization_percent", "memory_used_mib", "power_watts")
    columns = [[getattr(one, name) for one in READINGS] for name in fields]
    with psycopg.connect(url) as connection:
        connection.execute(CREATE)
        base, batches = time.time_ns(), 0
        until = time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            connection.execute(INSERT, (base + batches, *columns))
            connection.commit()
            batches += 1
    return batches * EVENTS / SECONDS


Measure = Callable[[grpc.aio.Channel, list[AgentIdentity]], Awaitable[float]]


def over_tls(port: int, ca: bytes, agents: list[AgentIdentity], measure: Measure) -> float:
    """One measurement on a fresh connection to a server on this machine."""

    async def run() -> float:
        credentials = grpc.ssl_channel_credentials(ca)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            await channel.channel_ready()
            return await measure(channel, agents)

    return asyncio.run(run())


def measure_all(folder: Path) -> dict[str, float]:
    """Medians over the rounds, ours and bare in turn, so that a noisy minute hits both."""
    certificate = make_certificate(folder, "localhost")
    ca = certificate.authority.read_bytes()
    found: dict[str, list[float]] = {}
    with our_ingress(folder, certificate) as ours, process(__file__, "--bare", str(folder)) as bare:
        for _ in range(ROUNDS):
            for name, measure in (("hellos", hellos_per_second), ("events", events_per_second)):
                for whose, port in (("bare", bare), ("ours", ours.port)):
                    figure = over_tls(port, ca, ours.agents, measure)
                    found.setdefault(f"{name} {whose}", []).append(figure)
            found.setdefault("inserts", []).append(inserted_per_second(ours.database_url))
    return {name: statistics.median(figures) for name, figures in found.items()}


def report(found: dict[str, float]) -> None:
    """The table: figures of this machine, and how ours compares to each bare one."""
    rows = (
        ("hellos/s, to stream opens of a bare server", "hellos bare", "hellos ours"),
        ("durable events/s, to a bare stream", "events bare", "events ours"),
        ("durable events/s, to bare unnest inserts", "inserts", "events ours"),
    )
    print(f"{'':46}{'bare':>10}{'ours':>10}{'ratio':>8}")
    for name, bare, ours in rows:
        ratio = found[ours] / found[bare]
        print(f"{name:46}{found[bare]:>10.0f}{found[ours]:>10.0f}{ratio:>8.2f}")


def main() -> None:
    """Measure, or be the bare server of a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    bare: Path | None = parser.parse_args().bare
    if bare:
        files = ServerCertificate(bare / "ca.pem", bare / "server.pem", bare / "server.key")
        asyncio.run(serve_bare(files))
        return
    with tempfile.TemporaryDirectory() as folder:
        report(measure_all(Path(folder)))


if __name__ == "__main__":
    main()
