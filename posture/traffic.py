"""Seeded traffic for three tenants: what a first week of customers would leave behind.

People, agents that stream GPU telemetry through the real ingress, connected cloud accounts, Bedrock logs
in the customers' buckets, a background sweep. Equal seeds give equal tenants, telemetry and logs, so a
demo and a twin are comparable between runs; only times and random keys differ.
"""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from collectors.body_hashes import planted_bodies
from core_platform.actions import decide, propose
from core_platform.agent import (
    AgentClient,
    AgentIdentity,
    GpuReading,
    IngressAddress,
    identity_from_pepper,
    telemetry,
)
from core_platform.events import append_event
from core_platform.integrity import answer, decide_day, recommend, set_budget, spend_days
from core_platform.integrity.silent_agents import record_silent_agents
from core_platform.lifecycle import make_export, place_hold, release_hold, set_retention
from core_platform.onboarding.connections import connect_account, credential_key
from core_platform.redaction import SampleLogs, sample_logs
from core_platform.schema.identity import Agent, AgentKey, AppUser
from core_platform.schema.migrate import provision_tenant
from core_platform.tenancy import Origin, PlatformDatabase, TenantId, TenantSession
from core_platform.tenancy.sweep import SweepReport, sweep_idle_gpus
from posture.deployment import AUDIENCE, PEPPER_VERSION, Deployment, LogBucket

AGENTS_PER_TENANT = 2
BATCHES_PER_AGENT = 60
STEP_MS = 15_000
SHARED_SEED = 1_000

_NAMES = ("Aurora Research", "Borealis Robotics", "Cumulus Media")
_PEOPLE = (("owner", "Ada Owner"), ("admin", "Ben Admin"), ("member", "Cleo Member"))
_NAMESPACE = uuid.UUID("0190f5e0-0000-7000-8000-000000000000")


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """One customer of the demo and its agents' identities."""

    tenant: TenantId
    name: str
    agents: tuple[AgentIdentity, ...]

    @property
    def slug(self) -> str:
        """Its name for buckets and e-mail domains."""
        return self.name.partition(" ")[0].lower()


@dataclass(slots=True)
class Planted:
    """What was planted in raw logs: canaries, bodies by tenant, and the ids of records to be ingested."""

    canaries: set[str] = field(default_factory=set)
    bodies: dict[str, list[str]] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)

    def remember(self, tenant: TenantId, logs: SampleLogs) -> None:
        """Note the canaries of a bucket's objects and each body as it was delivered."""
        self.canaries.update(logs.canaries)
        bodies = planted_bodies(str(tenant), logs.objects)
        self.bodies.setdefault(str(tenant), []).extend(one.body.decode() for one in bodies)
        for key, content in logs.objects.items():
            if content and "/data/" not in key:
                lines = gzip.decompress(content).splitlines()
                self.requests.update(json.loads(line)["requestId"] for line in lines)

    def write(self, path: Path) -> Path:
        """Write it for the collector that searches; returns the path."""
        planted = {
            "canaries": sorted(self.canaries),
            "bodies": self.bodies,
            "requests": sorted(self.requests),
        }
        path.write_text(json.dumps(planted))
        return path


def demo_tenants(deployment: Deployment) -> tuple[DemoTenant, ...]:
    """The three tenants, with agent keys derived from the deployment's pepper."""
    pepper = deployment.secrets.key("pepper")
    return tuple(_tenant(pepper, index, name) for index, name in enumerate(_NAMES))


def provision(deployment: Deployment, tenants: Sequence[DemoTenant]) -> None:
    """Create tenants, their people, agents and a connected account each, through the platform's own code."""
    database = deployment.database()
    try:
        for item in tenants:
            provision_tenant(database, item.tenant, item.name, capture_metadata=item is tenants[0])
            enrol = partial(_enrol, deployment=deployment, item=item)
            database.run_as_tenant(item.tenant, Origin.REQUEST, enrol, actor="demo.enrol")
    finally:
        database.close()


def stream_telemetry(deployment: Deployment, tenants: Sequence[DemoTenant]) -> int:
    """Let every agent stream its telemetry at once; returns the number of acknowledged batches."""
    address = ingress_address(deployment)
    seeded = enumerate(identity for item in tenants for identity in item.agents)
    with ThreadPoolExecutor(AGENTS_PER_TENANT * len(tenants)) as pool:
        streams = [pool.submit(_stream, identity, address, seed) for seed, identity in seeded]
        return sum(stream.result() for stream in streams)


def publish_logs(deployment: Deployment, tenants: Sequence[DemoTenant], *, name: str = "logs") -> Path:
    """Put invocation logs with canaries into each tenant's bucket and register the buckets.

    One object is the same for all tenants, so that equal prompts of two tenants can be compared; one
    holds lines that must be quarantined. Returns the file that lists what was planted.
    """
    import boto3

    outside = boto3.Session("AKIAEMULATEDACCOUNT0", "emulated", region_name="us-east-1")
    s3 = outside.client("s3", endpoint_url=deployment.s3_endpoint)
    planted = Planted()
    for seed, item in enumerate(tenants):
        bucket = f"bedrock-{item.slug}-{name}"
        s3.create_bucket(Bucket=bucket)
        for key, content in _log_objects(seed, item, planted):
            s3.put_object(Bucket=bucket, Key=key, Body=content)
        role = f"arn:aws:iam::{_account(seed)}:role/tensorcost-log-reader"
        external_id = f"tensorcost-{item.tenant.uuid.hex}"
        deployment.log_buckets += (LogBucket(str(item.tenant), bucket, "", role, external_id),)
    return planted.write(deployment.folder / f"canaries-{name}.json")


def work_with_the_platform(database: PlatformDatabase, tenants: Sequence[DemoTenant]) -> None:
    """What a tenant's people do in a first week: decide, set limits, hold, export, follow the events."""
    for item in tenants:
        asked = database.run_as_tenant(item.tenant, Origin.REQUEST, _ask, actor="user:ben")
        answer_them = partial(_answer, asked=asked)
        database.run_as_tenant(item.tenant, Origin.REQUEST, answer_them, actor="user:ada")


def _ask(session: TenantSession) -> tuple[uuid.UUID, uuid.UUID]:
    action = propose(session, kind="gpu.stop", target="gpu-node-0/0", detail={"why": "idle for a week"})
    saving = recommend(session, rule="idle-gpu/1", subject="gpu-node-0/0", monthly_saving_usd=1_460.0)
    set_budget(session, "anthropic.claude-3-haiku-20240307-v1:0", 2_000_000)
    set_retention(session, "gpu_samples", timedelta(days=120))
    append_event(session, "actions", "action.proposed", {"action": str(action)})
    for on in spend_days(session):
        decide_day(session, on)
    return action, saving


def _answer(session: TenantSession, asked: tuple[uuid.UUID, uuid.UUID]) -> None:
    action, saving = asked
    decide(session, action, approve=True)
    answer(session, saving, accept=True)
    release_hold(session, place_hold(session, "tax audit, closed"))
    append_event(session, "actions", "action.approved", {"action": str(action)})
    make_export(session)


def sweep(database: PlatformDatabase) -> SweepReport:
    """The background sweeps, for silent agents and idle GPUs, as the platform's scheduler would run them."""
    record_silent_agents(database, change_ref="demo:silent-agents")
    return sweep_idle_gpus(database, change_ref="demo:idle-gpu-sweep")


def ingress_address(deployment: Deployment) -> IngressAddress:
    """How an agent reaches the deployment's ingress."""
    return IngressAddress(
        target=deployment.ingress_address,
        ca=deployment.certificate.authority.read_bytes(),
        audience=AUDIENCE,
        server_name=AUDIENCE,
    )


def _account(seed: int) -> str:
    """The customer's AWS account."""
    return f"{222200000000 + seed:012d}"


def _log_objects(seed: int, item: DemoTenant, planted: Planted) -> Iterator[tuple[str, bytes]]:
    account = _account(seed)
    shared = sample_logs(SHARED_SEED, account=account, objects=1)
    own = sample_logs(seed, account=account, objects=2)
    for logs in (own, shared):
        planted.remember(item.tenant, logs)
    yield from own.objects.items()
    yield from ((key.replace(".json.gz", "-shared.json.gz"), body) for key, body in shared.objects.items())
    canary = f"CANARY-BROKEN-{seed:04d}-{uuid.uuid5(item.tenant.uuid, 'broken').hex}"
    planted.canaries.add(canary)
    folder = f"AWSLogs/{account}/BedrockModelInvocationLogs/us-east-1/2026/11/02/00"
    yield f"{folder}/broken.json.gz", gzip.compress("".join(_broken_lines(canary)).encode(), mtime=0)


def _broken_lines(canary: str) -> Iterator[str]:
    """Lines that must be quarantined without a byte of them: cut short, a key twice, not JSON."""
    yield f'{{"schemaType": "ModelInvocationLog", "input": {{"inputBodyJson": "{canary}"\n'
    yield f'{{"requestId": "{canary}", "requestId": "b", "schemaType": "ModelInvocationLog"}}\n'
    yield f"{canary} is no JSON at all\n"


def _tenant(pepper: bytes, index: int, name: str) -> DemoTenant:
    tenant = uuid.uuid5(_NAMESPACE, name)
    agents = tuple(
        identity_from_pepper(
            pepper,
            tenant=tenant,
            key_id=f"ak_{index}{number}.{PEPPER_VERSION}",
            agent_id=uuid.uuid5(tenant, f"agent-{number}"),
        )
        for number in range(AGENTS_PER_TENANT)
    )
    return DemoTenant(TenantId.parse(tenant), name, agents)


def _enrol(session: TenantSession, deployment: Deployment, item: DemoTenant) -> None:
    tenant = item.tenant.uuid
    session.add_all(
        AppUser(tenant_id=tenant, email=f"{role}@{item.slug}.example", name=name, role=role)
        for role, name in _PEOPLE
    )
    for number, identity in enumerate(item.agents):
        session.add(Agent(tenant_id=tenant, agent_id=identity.agent_id, name=f"gpu-node-{number}"))
    session.flush()
    session.add_all(
        AgentKey(
            tenant_id=tenant,
            key_id=identity.key_id,
            agent_id=identity.agent_id,
            pepper_version=PEPPER_VERSION,
        )
        for identity in item.agents
    )
    connect_account(
        session,
        credential_key(deployment.secrets.key("credential"), item.tenant),
        kind="aws",
        name="production",
        external_ref=f"bedrock-logs-{item.slug}",
        credential=f"external-id-{uuid.uuid4().hex}".encode(),
    )


def _stream(identity: AgentIdentity, address: IngressAddress, seed: int) -> int:
    client = AgentClient(identity, address, epoch=uuid.uuid5(identity.agent_id, "demo"))
    return client.stream(_readings(seed)).acknowledged


def _readings(seed: int) -> Iterator[tuple[GpuReading, ...]]:
    start_ms = time.time_ns() // 1_000_000 - BATCHES_PER_AGENT * STEP_MS
    return islice(telemetry(seed, start_ms=start_ms, step_ms=STEP_MS), BATCHES_PER_AGENT)
