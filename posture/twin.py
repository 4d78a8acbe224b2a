"""A live twin: a copy of the platform that may be broken, seen by the same collectors and checks.

Each twin has its own Postgres cluster (a role's attributes belong to the cluster), Redis, AWS account and
copy of the source, made lazily: what neither the sabotage nor the check touches is not started. Processes
start from the patched copy after the sabotage was applied.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import psycopg
import redis

import core_platform
from checks.check import Check
from checks.twin import SabotageError
from controls.verdict import Verdict
from evidence.record import Record, seal
from evidence.scope import Scope
from evidence.view import Evidence, LoggedRecord
from posture.access import AccessBook
from posture.config import load_project
from posture.deployment import Deployment
from posture.embedded.aws_account import ClientFor, EmulatedAccount, seed_account
from posture.embedded.process import Stack
from posture.pipeline import look_at_all, scope_record
from posture.platform_lint import PLATFORM_LINT
from posture.project_file import ProjectParts, write_project
from posture.records import RunClock
from posture.scoping import AWS_POPULATIONS, scope_of
from posture.traffic import demo_tenants, publish_logs

PACKAGE = Path(core_platform.__file__).parent


@dataclass(frozen=True, slots=True)
class Template:
    """What twins are made from: a snapshot of a deployment after traffic, and the AWS emulator."""

    snapshot: Path
    aws_endpoint: str


class SourceCopy:
    """The twin's copy of the platform's source; implements `checks.twin.SourceSurface`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(PACKAGE, root / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))

    def patch(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must occur exactly once in `path`."""
        file = self.root / path
        text = file.read_text() if file.is_file() else ""
        if text.count(old) != 1:
            raise SabotageError(f"{path} holds {text.count(old)} times what is to be patched: {old[:60]!r}")
        file.write_text(text.replace(old, new))

    def write(self, path: str, text: str) -> None:
        """Create or replace a file of the copy."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


class LiveTwin:
    """Implements `checks.twin.Twin` on embedded servers; close it after use.

    Args:
        folder: where everything of it lies.
        template: what it is a copy of.
        number: which twin of this run it is; gives it its AWS account.
    """

    def __init__(self, folder: Path, template: Template, number: int) -> None:
        self._folder = folder
        self._template = template
        self._number = number
        self._stack = Stack()
        self._environment: dict[str, str] = {}
        folder.mkdir(parents=True)

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @cached_property
    def database(self) -> _TwinDatabase:
        """The twin's platform database, as the superuser of its cluster."""
        return _TwinDatabase(self._deployment.admin_url)

    @cached_property
    def redis(self) -> _TwinRedis:
        """The twin's Redis."""
        return _TwinRedis(self._deployment.redis.url)

    @cached_property
    def source(self) -> SourceCopy:
        """The twin's copy of the source."""
        return SourceCopy(self._folder / "source")

    @property
    def ingress(self) -> _TwinIngress:
        """The twin's ingress process, before it starts."""
        return _TwinIngress(self._environment)

    @cached_property
    def aws(self) -> _TwinAws:
        """The twin's AWS account, seeded."""
        account = EmulatedAccount(self._template.aws_endpoint, f"{900_000_000_000 + self._number}")
        seed_account(account)
        return _TwinAws(account, account.clients())

    def look(self, populations: Iterable[str]) -> tuple[LoggedRecord, ...]:
        """Look at populations of the twin as at production; returns the records, the scope's among them.

        Raises:
            UsageError, DeploymentError: the broken twin does not even start.
        """
        project = load_project(self._project(frozenset(populations)))
        scope, clock = scope_of(project), RunClock.start()
        records = [scope_record(clock, scope), *look_at_all(clock, scope, AccessBook(project))]
        return tuple(_as_logged(record) for record in records)

    def _project(self, populations: frozenset[str]) -> Path:
        on_database = bool(populations & {"databases", "ingress", "ingestion", "platform"})
        if "platform" in populations:
            self._deployment.source = self.source.root
        parts = ProjectParts(
            deployment=self._deployment if on_database else None,
            tenants=demo_tenants(self._deployment) if on_database else (),
            ingress=self._start_ingress() if "ingress" in populations else False,
            platform="platform" in populations,
            canaries=self._ingest() if "ingestion" in populations else None,
            source=self.source.root if "sources" in populations else None,
            lint=PLATFORM_LINT,
            account=self.aws.account if populations & set(AWS_POPULATIONS) else None,
        )
        return write_project(parts, self._folder / "posture.yaml")

    @cached_property
    def _deployment(self) -> Deployment:
        deployment = Deployment(
            self._folder / "deployment",
            template=self._template.snapshot,
            durable=False,
            s3_endpoint=self._template.aws_endpoint,
        )
        return self._stack.start(deployment)

    def _start_ingress(self) -> bool:
        self._deployment.source = self.source.root
        self._deployment.environment.update(self._environment)
        self._deployment.start_ingress()
        return True

    def _ingest(self) -> Path:
        deployment = self._deployment
        deployment.source = self.source.root
        canaries = publish_logs(deployment, demo_tenants(deployment), name=f"twin-{self._number}")
        deployment.ingest_logs()
        return canaries


@dataclass(frozen=True, slots=True)
class _TwinDatabase:
    url: str

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.encode())


@dataclass(frozen=True, slots=True)
class _TwinRedis:
    url: str

    def execute(self, *command: str | int) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.execute_command(*command)


@dataclass(frozen=True, slots=True)
class _TwinIngress:
    variables: dict[str, str]

    def environment(self, name: str, value: str) -> None:
        self.variables[name] = value


@dataclass(frozen=True, slots=True)
class _TwinAws:
    account: EmulatedAccount
    clients: ClientFor

    def call(self, service: str, operation: str, **parameters: object) -> dict[str, object]:
        reply: Any = getattr(self.clients(service), operation)(**parameters)
        return cast("dict[str, object]", reply)


def judge_twin(records: Sequence[LoggedRecord], checks: Iterable[Check]) -> dict[str, Verdict]:
    """The verdict of each check on what was seen of a twin."""
    as_of = RunClock.now()
    evidence = Evidence(records, as_of=as_of)
    scope = evidence.observed(Scope)[0].payload
    return {check.id: check(evidence, scope, as_of) for check in checks}


def _as_logged(record: Record) -> LoggedRecord:
    """A twin's records are not logged; their digests are those that logging would give with no salt."""
    return LoggedRecord(record, hashlib.sha256(seal(record, salt=bytes).statement).hexdigest())
