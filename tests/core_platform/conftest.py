"""A real PostgreSQL for each test worker, and a migrated database with two tenants for each module."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

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
from posture.embedded.postgres import PostgresServer

SEAL = SealKey("test-1", bytes(range(32)))
CREDENTIALS = RoleCredentials(app="app-password", bypass="bypass-password")
TENANT_A = TenantId.parse("0190f5e0-0000-7000-8000-00000000000a")
TENANT_B = TenantId.parse("0190f5e0-0000-7000-8000-00000000000b")
TEMPLATE = "migrated"


@dataclass(frozen=True)
class Cluster:
    """A running server: `url(database)` logs in as its administrator."""

    server: PostgresServer

    def url(self, database: str = "postgres") -> str:
        return self.server.url("postgres", database)

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


@pytest.fixture(scope="session")
def pg_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One server for each worker: a role belongs to its whole cluster."""
    with PostgresServer.create(tmp_path_factory.mktemp("pg"), durable=False) as server:
        yield Cluster(server)


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
