"""A complete deployment of the platform on embedded servers: what the demo runs and what a twin copies.

PostgreSQL, Redis, secrets, certificate and settings lie in one folder; the platform's own processes
(ingress, ingestion) are started as an operator would start them, from this source tree or from a
patched copy of it. A stopped deployment is a template: a twin starts from a copy of its folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psycopg

from core_platform.ingress.nonces import commission
from core_platform.schema.migrate import RoleCredentials, login_url, upgrade
from core_platform.tenancy import PlatformDatabase, SealKey
from posture.embedded.certificates import ServerCertificate, make_certificate
from posture.embedded.postgres import PostgresServer
from posture.embedded.process import Child, Server
from posture.embedded.redis import RedisServer

DATABASE = "core"
AUDIENCE = "ingest.us-east-1.tensorcost.example"
PEPPER_VERSION = "p1"
SEAL_KID = "seal-1"
SECRET_BYTES = 32
JOB_TIMEOUT = timedelta(seconds=120)

_SECRETS = ("seal", "pepper", "hash", "credential", "app", "bypass")
_LISTENING = "listening "


class DeploymentError(Exception):
    """A process of the platform did not do its work; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class LogBucket:
    """A customer's bucket of invocation logs, registered for one tenant."""

    tenant: str
    bucket: str
    prefix: str
    role_arn: str
    external_id: str


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """The deployment's secrets, one hexadecimal file each (mode 0600)."""

    folder: Path

    def create(self) -> None:
        """Draw every secret anew."""
        self.folder.mkdir(mode=0o700, parents=True)
        for name in _SECRETS:
            descriptor = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(SECRET_BYTES))

    def text(self, name: str) -> str:
        """A secret as it is written: 64 hexadecimal digits."""
        return (self.folder / name).read_text()

    def key(self, name: str) -> bytes:
        """A secret as 32 bytes."""
        return bytes.fromhex(self.text(name))


@dataclass
class Deployment(Server):
    """The platform in one folder. As a context manager it runs PostgreSQL and Redis, migrated.

    Args:
        folder: where everything of it lies; made when it is not there.
        source: the tree that the platform's processes are started from; None is this installation.
        template: a stopped deployment whose database and secrets are copied.
        durable: False for twins, which may lose everything at a power cut.
    """

    folder: Path
    source: Path | None = None
    template: Path | None = None
    durable: bool = True
    s3_endpoint: str | None = None
    log_buckets: tuple[LogBucket, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.secrets = SecretFiles(self.folder / "secrets")
        if self.template is not None:
            shutil.copytree(self.template / "secrets", self.secrets.folder)
        elif not self.secrets.folder.exists():
            self.secrets.create()
        self.certificate: ServerCertificate = make_certificate(self.folder, AUDIENCE)
        self.redis = RedisServer(self.folder / "redis")
        self.postgres = PostgresServer.create(
            self.folder / "postgres",
            durable=self.durable,
            template=self.template / "postgres" if self.template else None,
        )
        self._snapshots: list[PostgresServer] = []
        self._ingress: Child | None = None
        self._address: str | None = None

    @property
    def seal(self) -> SealKey:
        """The key that seals tenant tickets."""
        return SealKey(SEAL_KID, self.secrets.key("seal"))

    @property
    def admin_url(self) -> str:
        """The platform's database as the cluster's superuser."""
        return self.postgres.url(self.postgres.superuser, DATABASE)

    @property
    def app_url(self) -> str:
        """The platform's database as the login that serves requests."""
        return login_url(self.admin_url, "core_app", self.secrets.text("app"))

    @property
    def bypass_url(self) -> str:
        """The platform's database as the login of the audited bypass."""
        return login_url(self.admin_url, "core_bypass", self.secrets.text("bypass"))

    @property
    def logs(self) -> tuple[Path, ...]:
        """The logs of the platform's own processes and of its database."""
        return tuple(sorted([*self.folder.glob("*.log"), *self.folder.glob("*/*.log")]))

    def start(self) -> None:
        """Start PostgreSQL and Redis and migrate the database to the newest schema."""
        self.postgres.start()
        self.redis.start()
        if self.template is None:
            self._create_database()
            credentials = RoleCredentials(app=self.secrets.text("app"), bypass=self.secrets.text("bypass"))
            upgrade(self.admin_url, credentials=credentials, seal=self.seal)

    def close(self) -> None:
        """Stop everything of it, the ingress first; its snapshots end with it."""
        self.stop_ingress()
        self.redis.close()
        self.postgres.close()
        while self._snapshots:
            self._snapshots.pop().close()

    def database(self) -> PlatformDatabase:
        """The platform's own way to its database; close it after use."""
        return PlatformDatabase(self.app_url, seal=self.seal, bypass_url=self.bypass_url)

    def start_ingress(self) -> str:
        """Start the ingress process and return its address, ``127.0.0.1:port``."""
        settings = self.write_settings()
        asyncio.run(commission(self.redis.url))  # declares a store complete only while it is new
        self._ingress = self._child("ingress", "core_platform.ingress", "--settings", str(settings))
        self._address = None
        self._ingress.start()
        self._ingress.wait_ready(self._listens)
        return self.ingress_address

    def stop_ingress(self) -> None:
        """Drain and stop the ingress process, if it runs."""
        if self._ingress is not None:
            self._ingress.stop()
            self._ingress = None

    @property
    def ingress_address(self) -> str:
        """Where the running ingress listens."""
        if self._ingress is None or self._address is None:
            raise DeploymentError("the ingress is not running: call start_ingress() first")
        return self._address

    def ingest_logs(self) -> None:
        """Ingest every registered bucket, as the platform's own job does."""
        self._run("ingestion", "core_platform.redaction", "--settings", str(self.write_settings()))

    def snapshot(self, folder: Path) -> Path:
        """Stop PostgreSQL for a moment and copy what a twin needs into `folder`."""
        self.postgres.stop()
        try:
            shutil.copytree(self.secrets.folder, folder / "secrets")
            copied = PostgresServer.create(
                folder / "postgres", durable=False, template=self.folder / "postgres"
            )
            self._snapshots.append(copied)
        finally:
            self.postgres.start()
        return folder

    def _create_database(self) -> None:
        maintenance = self.postgres.url(self.postgres.superuser, "postgres")
        with psycopg.connect(maintenance, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if known.fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def write_settings(self) -> Path:
        """Write what the platform's processes read, as it is now; returns the file."""
        path = self.folder / "platform.json"
        path.write_text(json.dumps(self._settings(), indent=2))
        path.chmod(0o600)
        return path

    def _settings(self) -> Mapping[str, object]:
        return {
            "app_url": self.app_url,
            "bypass_url": self.bypass_url,
            "seal": {"kid": SEAL_KID, "secret": "file:secrets/seal"},
            "ingress": {
                "listen": "127.0.0.1:0",
                "audience": AUDIENCE,
                "certificate": self.certificate.certificate.name,
                "private_key": self.certificate.private_key.name,
                "redis_url": self.redis.url,
                "peppers": {PEPPER_VERSION: "file:secrets/pepper"},
            },
            "redaction": {
                "hash_key": "file:secrets/hash",
                "aws_endpoint_url": self.s3_endpoint,
                "sources": [
                    {
                        "tenant": item.tenant,
                        "bucket": item.bucket,
                        "prefix": item.prefix,
                        "role_arn": item.role_arn,
                        "external_id": item.external_id,
                    }
                    for item in self.log_buckets
                ],
            },
        }

    def _listens(self) -> bool:
        """Whether the ingress said where it listens; the last such line of its log is this start's."""
        for line in (self._ingress.log_tail() if self._ingress else "").splitlines():
            if line.startswith(_LISTENING):
                self._address = line.removeprefix(_LISTENING)
        return self._address is not None

    def _run(self, name: str, module: str, *arguments: str) -> None:
        job = self._child(name, module, *arguments)
        job.start()
        if (code := job.wait_exit(JOB_TIMEOUT)) != 0:
            raise DeploymentError(f"{job.name} ended with exit code {code}; its last words: {job.log_tail()}")

    def _child(self, name: str, module: str, *arguments: str) -> Child:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        aws = {"AWS_ACCESS_KEY_ID": "AKIAEMULATEDACCOUNT0", "AWS_SECRET_ACCESS_KEY": "emulated"}
        source = {"PYTHONPATH": str(self.source)} if self.source else {}
        return Child(
            name=f"the platform's {name}",
            command=(sys.executable, "-m", module, *arguments),
            log=self.folder / f"{name}.log",
            env={**kept, **aws, **source, **self.environment},
            grace=timedelta(seconds=5),
        )
