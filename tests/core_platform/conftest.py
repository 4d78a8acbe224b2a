"""A real PostgreSQL for each test worker, and a migrated database with two tenants for each module."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from core_platform.schema.migrate import RoleCredentials, login_url, provision_tenant, upgrade
from core_platform.tenancy import (
    Origin,
    PlatformDatabase,
    SealKey,
    TenantContext,
    TenantId,
)

SEAL = SealKey("test-1", bytes(range(32)))
CREDENTIALS = RoleCredentials(app="app-password", bypass="bypass-password")
TENANT_A = TenantId.parse("0190f5e0-0000-7000-8000-00000000000a")
TENANT_B = TenantId.parse("0190f5e0-0000-7000-8000-00000000000b")
TEMPLATE = "migrated"


@dataclass(frozen=True)
class Cluster:
    """A running server: `url(database)` logs in as its administrator."""

    folder: Path
    port: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:admin-password@/{database}?host={self.folder}&port={self.port}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as admin:
            admin.execute(statement.encode())


@dataclass(frozen=True)
class Platform:
    """A migrated database and its two tenants; `app_url` and `bypass_url` carry the passwords."""

    database: PlatformDatabase
    name: str
    admin_url: str
    app_url: str
    bypass_url: str
    seal: SealKey
    a: TenantId
    b: TenantId

    def context(self, tenant: TenantId) -> TenantContext:
        return TenantContext(tenant, Origin.REQUEST, "test")


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    pytest.fail("no PostgreSQL binaries: apt-get install postgresql")


def _account() -> dict[str, str]:
    """PostgreSQL refuses to run as root: give the server the account that owns nothing."""
    return {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    binaries, data = _binaries(), folder / "data"
    (folder / "password").write_text("admin-password")
    if account := _account():
        for path in (folder, folder / "password"):
            shutil.chown(path, **account)
    subprocess.run(
        [
            *(str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "scram-sha-256"),
            *("--pwfile", str(folder / "password"), "-E", "UTF8", "--locale=C", "--no-sync"),
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        **_account(),
    )
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "port": str(port),
        "fsync": "off",
        "shared_buffers": "32MB",
        "log_min_messages": "panic",
    }
    options = [part for item in settings.items() for part in ("-c", "=".join(item))]
    return subprocess.Popen(
        [str(binaries / "postgres"), "-D", str(data), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **_account(),
    )


def _await(cluster: Cluster, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(cluster.url()).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the test server did not start (exit {server.poll()})")


@pytest.fixture(scope="session")
def pg_cluster() -> Iterator[Cluster]:
    """One server for each worker, on a unix socket in a short folder, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    cluster = Cluster(folder, 5432)
    server = _start(folder, cluster.port)
    try:
        _await(cluster, server)
        yield cluster
    finally:
        server.send_signal(signal.SIGQUIT)  # immediate: nothing here is worth a checkpoint
        server.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _template(pg_cluster: Cluster) -> str:
    pg_cluster.execute(f"CREATE DATABASE {TEMPLATE}")
    upgrade(pg_cluster.url(TEMPLATE), credentials=CREDENTIALS, seal=SEAL)
    return TEMPLATE


@pytest.fixture(scope="module")
def platform_db(pg_cluster: Cluster, _template: str) -> Iterator[Platform]:
    """A fresh migrated database for the module, with tenants A and B."""
    name = f"m{uuid.uuid4().hex[:12]}"
    pg_cluster.execute(f"CREATE DATABASE {name} TEMPLATE {_template}")
    # What a database grants to PUBLIC is not copied from its template.
    pg_cluster.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    pg_cluster.execute(f"GRANT CONNECT ON DATABASE {name} TO core_app, core_bypass, core_backup")
    admin_url = pg_cluster.url(name)
    app_url = login_url(admin_url, "core_app", CREDENTIALS.app)
    bypass_url = login_url(admin_url, "core_bypass", CREDENTIALS.bypass)
    database = PlatformDatabase(app_url, seal=SEAL, bypass_url=bypass_url, pool_size=3)
    database.verify_logins()
    provision_tenant(database, TENANT_A, "Tenant A")
    provision_tenant(database, TENANT_B, "Tenant B", capture_metadata=True)
    yield Platform(database, name, admin_url, app_url, bypass_url, SEAL, TENANT_A, TENANT_B)
    database.close()
    pg_cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
