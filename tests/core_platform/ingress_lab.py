"""A whole ingress for tests: its own process, certificate, Redis and settings over a real database."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from core_platform.agent import (
    AgentIdentity,
    IngressAddress,
    OpenStream,
    StreamEnded,
    build_hello,
    connect,
    identity_from_pepper,
    open_stream,
)
from core_platform.ingress.hello import Hello
from core_platform.schema.identity import Agent, AgentKey
from core_platform.tenancy import Origin, PlatformDatabase, TenantId, TenantSession
from posture.embedded.certificates import make_certificate
from posture.embedded.redis import RedisServer

AUDIENCE = "ingest.us-east-1.tensorcost.com"
PEPPER = bytes(range(32))
SOURCE = Path(__file__).parents[2]
CALL_SECONDS = 15.0


def register_agent(
    database: PlatformDatabase, tenant: TenantId, *, key_id: str = "ak_01.p3"
) -> AgentIdentity:
    """A new agent of a tenant, with its key in the database."""
    agent_id = uuid4()

    def write(session: TenantSession) -> None:
        session.add(Agent(tenant_id=tenant.uuid, agent_id=agent_id, name="gpu-01"))
        session.flush()
        session.add(AgentKey(tenant_id=tenant.uuid, key_id=key_id, agent_id=agent_id, pepper_version="p3"))

    database.run_as_tenant(tenant, Origin.REQUEST, write)
    return an_identity(tenant, agent_id, key_id)


def an_identity(tenant: TenantId, agent_id: UUID, key_id: str = "ak_01.p3") -> AgentIdentity:
    return identity_from_pepper(PEPPER, tenant=tenant.uuid, key_id=key_id, agent_id=agent_id)


@dataclass
class Lab:
    """The running parts; `settings` may be changed between `stop` and `start`."""

    folder: Path
    redis: RedisServer
    settings: dict[str, Any]
    admin_url: str
    process: subprocess.Popen[str] | None = None
    port: int = 0
    log: list[str] = field(default_factory=list)

    @property
    def address(self) -> IngressAddress:
        return IngressAddress(f"127.0.0.1:{self.port}", (self.folder / "ca.pem").read_bytes(), AUDIENCE)

    def start(self) -> None:
        self.settings["ingress"]["listen"] = f"127.0.0.1:{self.port}"
        file = self.folder / "settings.json"
        file.write_text(json.dumps(self.settings))
        command = [sys.executable, "-m", "core_platform.ingress", "--settings", str(file)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        assert self.process.stdout
        assert self.process.stderr
        threading.Thread(target=self.log.extend, args=(self.process.stderr,), daemon=True).start()
        line = self.process.stdout.readline()
        assert line.startswith("listening "), (line, self.log)
        self.port = int(line.rpartition(":")[2])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(how)
        code = self.process.wait(timeout=20)
        assert self.process.stdout
        self.process.stdout.close()
        return code

    def knock(self, hello: Hello, *, answer_as: AgentIdentity | None = None) -> str:
        """ "welcome", or the word and code of the refusal, of one hello on a connection of its own."""
        with connect(self.address) as channel:
            try:
                open_stream(channel, hello, answer_as=answer_as, timeout=CALL_SECONDS).close()
            except StreamEnded as ended:
                return f"{ended.code.name} {ended.reason}"
            return "welcome"

    @contextmanager
    def stream(self, identity: AgentIdentity) -> Iterator[OpenStream]:
        hello = build_hello(identity, AUDIENCE)
        with (
            connect(self.address) as channel,
            open_stream(channel, hello, answer_as=identity, timeout=CALL_SECONDS) as stream,
        ):
            yield stream

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin_url) as admin:
            return admin.execute(statement.encode(), values).fetchall()

    def samples_of(self, identity: AgentIdentity) -> list[tuple[Any, ...]]:
        """(tenant, epoch, seq, gpu index) of every row that carries the agent's id."""
        return self.rows(
            "SELECT tenant_id, epoch, seq, gpu_index FROM gpu.gpu_sample WHERE agent_id = %s"
            " ORDER BY epoch, seq, gpu_index",
            identity.agent_id,
        )


@contextmanager
def running_lab(folder: Path, app_url: str, admin_url: str, seal: bytes, kid: str) -> Iterator[Lab]:
    """An ingress with a commissioned nonce store, stopped at the end whatever happened."""
    certificate = make_certificate(folder, "ingress.test")
    (folder / "pepper").write_text(PEPPER.hex())
    (folder / "seal").write_text(seal.hex())
    settings = {
        "app_url": app_url,
        "seal": {"kid": kid, "secret": "file:seal"},
        "ingress": {
            "audience": AUDIENCE,
            "certificate": certificate.certificate.name,
            "private_key": certificate.private_key.name,
            "peppers": {"p3": "file:pepper"},
            "hello_burst": 1000,
            "hello_per_second": 1000,
            "recheck_seconds": 1,
        },
    }
    with RedisServer(folder / "redis") as redis:
        settings["ingress"]["redis_url"] = redis.url  # type: ignore[index]
        lab = Lab(folder, redis, settings, admin_url)
        (folder / "settings.json").write_text(json.dumps(settings))
        commission = ["-m", "core_platform.ingress", "--commission", "--settings"]
        subprocess.run(
            [sys.executable, *commission, str(folder / "settings.json")],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        lab.start()
        try:
            yield lab
        finally:
            if lab.process and lab.process.poll() is None:
                lab.stop(signal.SIGKILL)
