"""A Postgres with two tenants for each test worker, and a fresh copy of the database for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from collectors.isolation import IsolationAccess
from collectors.postgres import PostgresAccess
from core_platform.schema.migrate import RoleCredentials, login_url, provision_tenant, upgrade
from core_platform.tenancy import PlatformDatabase, SealKey, TenantId
from core_platform.tenancy.ticket import SETTING, seal
from posture.embedded.postgres import PostgresServer

A = "0190f5e0-0000-7000-8000-00000000000a"
B = "0190f5e0-0000-7000-8000-00000000000b"
PASSWORD = "only-for-this-test"

SCHEMA = f"""
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE shop_app LOGIN PASSWORD '{PASSWORD}';
CREATE SCHEMA shop AUTHORIZATION shop_owner;
GRANT USAGE ON SCHEMA shop TO shop_app;
SET ROLE shop_owner;
CREATE TABLE shop.customer (
    tenant_id uuid NOT NULL, customer_id uuid NOT NULL, name text NOT NULL,
    PRIMARY KEY (tenant_id, customer_id)
);
CREATE TABLE shop.invoice (
    tenant_id uuid NOT NULL, customer_id uuid NOT NULL, number integer NOT NULL, total bigint,
    seen timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (tenant_id, number),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES shop.customer (tenant_id, customer_id)
);
CREATE TABLE shop.country (code text PRIMARY KEY, name text);
COMMENT ON TABLE shop.customer IS 'tenant: who buys';
COMMENT ON TABLE shop.country IS 'global: the same for everyone';
"""
PROTECT = """
ALTER TABLE shop.{0} ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.{0} FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.{0} TO shop_app
    USING (tenant_id = (SELECT nullif(current_setting('shop.tenant', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.{0} TO shop_app;
"""
SEED = f"""
INSERT INTO shop.customer SELECT t, gen_random_uuid(), 'c' || n
  FROM unnest(ARRAY['{A}', '{B}']::uuid[]) t, generate_series(1, 3) n;
INSERT INTO shop.invoice SELECT tenant_id, customer_id, row_number() OVER (), 100 FROM shop.customer;
"""


class PlainSetting:
    """Binds a tenant by a setting that anyone may set."""

    def settings(self, tenant: str) -> dict[str, str]:
        return {"shop.tenant": tenant}


@dataclass(frozen=True)
class Shop:
    """A database of a small multi-tenant application, to be broken by a test."""

    server: PostgresServer
    database: str

    @property
    def superuser_dsn(self) -> str:
        return self.server.url("postgres", self.database)

    @property
    def app_dsn(self) -> str:
        return self.server.url("shop_app", self.database, PASSWORD)

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.superuser_dsn, autocommit=True) as connection:
            connection.execute(sql)

    @property
    def catalog(self) -> PostgresAccess:
        return PostgresAccess(self.superuser_dsn, "shop_app")

    @property
    def isolation(self) -> IsolationAccess:
        catalog = PostgresAccess(self.app_dsn, "shop_app")
        return IsolationAccess(catalog, tenants=(A, B), binding=PlainSetting())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    folder: Path = tmp_path_factory.mktemp("postgres")
    with PostgresServer.create(folder, durable=False) as server:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE shop_template")
        with psycopg.connect(server.url("postgres", "shop_template"), autocommit=True) as connection:
            connection.execute(SCHEMA)
            for table in ("customer", "invoice"):
                connection.execute(PROTECT.format(table))
            connection.execute("RESET ROLE;" + SEED)
        yield server


_NUMBERS = itertools.count()


@pytest.fixture
def shop(postgres: PostgresServer) -> Iterator[Shop]:
    database = f"shop_{next(_NUMBERS)}"
    with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} TEMPLATE shop_template")
    yield Shop(postgres, database)
    with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


SEAL = SealKey("test-1", bytes(range(32)))
CREDENTIALS = RoleCredentials(app="app-password", bypass="bypass-password")


class SealedTicket:
    """Binds a tenant as the platform does."""

    def settings(self, tenant: str) -> dict[str, str]:
        return {SETTING: seal(SEAL, TenantId.parse(tenant))}


@dataclass(frozen=True)
class Platform:
    """The platform's own database with two tenants."""

    database: PlatformDatabase
    admin_url: str
    app_url: str
    a: TenantId
    b: TenantId

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql)

    @property
    def isolation(self) -> IsolationAccess:
        catalog = PostgresAccess(self.app_url, "core_app")
        return IsolationAccess(catalog, tenants=(str(self.a), str(self.b)), binding=SealedTicket())


@pytest.fixture(scope="module")
def platform(postgres: PostgresServer) -> Iterator[Platform]:
    name = f"platform_{next(_NUMBERS)}"
    with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    admin_url = postgres.url("postgres", name)
    upgrade(admin_url, credentials=CREDENTIALS, seal=SEAL)
    app_url = login_url(admin_url, "core_app", CREDENTIALS.app)
    bypass_url = login_url(admin_url, "core_bypass", CREDENTIALS.bypass)
    database = PlatformDatabase(app_url, seal=SEAL, bypass_url=bypass_url, pool_size=3)
    a, b = TenantId.parse(A), TenantId.parse(B)
    provision_tenant(database, a, "Tenant A")
    provision_tenant(database, b, "Tenant B")
    yield Platform(database, admin_url, app_url, a, b)
    database.close()
