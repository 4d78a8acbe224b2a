"""The platform with a first week of traffic, on embedded servers: what demo and prove start from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from posture.deployment import Deployment
from posture.embedded.aws import MotoServer
from posture.embedded.aws_account import EmulatedAccount, seed_account
from posture.embedded.process import Stack
from posture.platform_lint import PLATFORM_LINT
from posture.progress import Console
from posture.project_file import ProjectParts, write_project
from posture.traffic import (
    DemoTenant,
    demo_tenants,
    provision,
    publish_logs,
    stream_telemetry,
    sweep,
    work_with_the_platform,
)
from posture.twin import PACKAGE, Template

ACCOUNT = "111122223333"


@dataclass(frozen=True, slots=True)
class Scene:
    """A running platform after traffic, the `posture.yaml` that describes it, and a template for twins."""

    folder: Path
    deployment: Deployment
    tenants: tuple[DemoTenant, ...]
    aws: EmulatedAccount
    project_file: Path
    template: Template


@contextmanager
def platform_scene(folder: Path, console: Console) -> Iterator[Scene]:
    """Start servers and platform in `folder`, drive traffic, and stop everything at the end."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Stack() as stack:
        with console.step("starting PostgreSQL, Redis and the AWS emulator"):
            moto = stack.start(MotoServer(folder / "aws"))
            source = folder / "source"
            shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
            deployment = stack.start(
                Deployment(folder / "platform", source=source, durable=False, s3_endpoint=moto.endpoint)
            )
            account = EmulatedAccount(moto.endpoint, ACCOUNT)
            seed_account(account)
        tenants = demo_tenants(deployment)
        canaries = _traffic(deployment, tenants, console)
        with console.step("keeping a snapshot for twins"):
            deployment.stop_ingress()
            template = Template(deployment.snapshot(folder / "template"), moto.endpoint)
            deployment.start_ingress()
        project_file = write_project(
            ProjectParts(
                deployment=deployment,
                tenants=tenants,
                ingress=True,
                platform=True,
                canaries=canaries,
                source=source,
                lint=PLATFORM_LINT,
                account=account,
            ),
            folder / "posture.yaml",
        )
        yield Scene(folder, deployment, tenants, account, project_file, template)


def _traffic(deployment: Deployment, tenants: tuple[DemoTenant, ...], console: Console) -> Path:
    with console.step(f"enrolling {len(tenants)} tenants, their people, agents and accounts"):
        provision(deployment, tenants)
    with console.step("streaming GPU telemetry through the ingress (TLS 1.3, verified hello)"):
        deployment.start_ingress()
        batches = stream_telemetry(deployment, tenants)
        console.detail(f"{batches} batches acknowledged")
    with console.step("ingesting Bedrock logs from the customers' buckets by projection"):
        canaries = publish_logs(deployment, tenants)
        deployment.ingest_logs()
    with console.step("running the background sweep"):
        database = deployment.database()
        try:
            sweep(database)
            work_with_the_platform(database, tenants)
        finally:
            database.close()
    return canaries
