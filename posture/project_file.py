"""The `posture.yaml` of an embedded deployment: the same file that a user writes for real servers.

The demo and every twin are looked at through it, so there is no second way into a collector. Secrets stand
in it by reference to files (mode 0600) beside it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core_platform.agent import AgentIdentity, identity_from_pepper
from posture.deployment import AUDIENCE, PEPPER_VERSION, SEAL_KID, Deployment
from posture.embedded.aws_account import EmulatedAccount
from posture.traffic import DemoTenant

UNREGISTERED_KEY = f"ak_never_issued.{PEPPER_VERSION}"


@dataclass(frozen=True, slots=True)
class ProjectParts:
    """What of a deployment is in scope; a part left out is not looked at."""

    deployment: Deployment | None
    tenants: Sequence[DemoTenant]
    ingress: bool = False
    platform: bool = False
    canaries: Path | None = None
    source: Path | None = None
    lint: dict[str, Any] = field(default_factory=dict)
    account: EmulatedAccount | None = None
    origin: str = "posture.example/demo"


def write_project(parts: ProjectParts, path: Path) -> Path:
    """Write `posture.yaml` and the secrets that it refers to; returns its path."""
    secrets = path.parent / "access"
    secrets.mkdir(mode=0o700, exist_ok=True)
    document: dict[str, Any] = {"project": "tensorcost", "state": "state"}
    if parts.deployment is not None:
        document |= _platform(parts, parts.deployment, secrets)
    if parts.source is not None:
        document["sources"] = {"platform": {"path": str(parts.source)}}
        document["lint"] = parts.lint
    if parts.account is not None:
        document["aws"] = {"accounts": {parts.account.account: _account(parts.account)}}
    document["ledger"] = {"origin": parts.origin, "signer": "file:ledger.key", "path": "ledger"}
    document["portal"] = {"title": "TensorCost", "contact": "security@tensorcost.com", "out": "portal"}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _platform(parts: ProjectParts, deployment: Deployment, secrets: Path) -> dict[str, Any]:
    sections: dict[str, Any] = {"databases": {"core": _database(parts, deployment, secrets)}}
    if parts.ingress:
        sections["ingress"] = {"agents": _ingress(parts, deployment, secrets)}
    if parts.platform:
        sections["platform"] = {"core": _deployed(parts, deployment)}
    if parts.canaries is not None:
        sections["redis"] = {"url": deployment.redis.url}
        logs = [str(log) for log in deployment.logs]
        sections["ingestion"] = {
            "bedrock": {"canaries": str(parts.canaries), "database": "core", "logs": logs}
        }
    return sections


def _database(parts: ProjectParts, deployment: Deployment, secrets: Path) -> dict[str, Any]:
    return {
        "url": _secret(secrets / "database.url", deployment.admin_url),
        "app_url": _secret(secrets / "app.url", deployment.app_url),
        "app_role": "core_app",
        "isolation": {
            "tenants": [str(item.tenant) for item in parts.tenants[:2]],
            "setting": "app.tenant_ticket",
            "seal": {"kid": SEAL_KID, "key": _secret(secrets / "seal", deployment.secrets.text("seal"))},
        },
    }


def _ingress(parts: ProjectParts, deployment: Deployment, secrets: Path) -> dict[str, Any]:
    probed = parts.tenants[0]
    agent = probed.agents[0]
    unregistered = identity_from_pepper(
        deployment.secrets.key("pepper"),
        tenant=probed.tenant.uuid,
        key_id=UNREGISTERED_KEY,
        agent_id=agent.agent_id,
    )
    return {
        "address": deployment.ingress_address,
        "audience": AUDIENCE,
        "ca_file": str(deployment.certificate.authority),
        "server_name": AUDIENCE,
        "probe": {
            "tenant": str(probed.tenant),
            "other_tenant": str(parts.tenants[1].tenant),
            "agent": _credentials(agent, secrets / "agent.key"),
            "unregistered": _credentials(unregistered, secrets / "unregistered.key"),
            "database": "core",
        },
    }


def _deployed(parts: ProjectParts, deployment: Deployment) -> dict[str, Any]:
    source = {"source": str(deployment.source)} if deployment.source else {}
    tenants = [str(item.tenant) for item in parts.tenants[:2]]
    return {"settings": str(deployment.write_settings()), "tenants": tenants, **source}


def _credentials(identity: AgentIdentity, path: Path) -> dict[str, str]:
    return {
        "agent_id": str(identity.agent_id),
        "key_id": identity.key_id,
        "key": _secret(path, identity.key.hex()),
    }


def _account(account: EmulatedAccount) -> dict[str, Any]:
    return {
        "regions": [account.region],
        "role_arn": account.role_arn,
        "endpoint_url": account.endpoint,
    }


def _secret(path: Path, value: str) -> str:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(value)
    return f"file:{path}"
