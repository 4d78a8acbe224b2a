"""WRAP001 where the connection is put in: services, parameters with defaults, what a framework depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from lint import Report

Lint = Callable[..., Report]

BOUND = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
MINE = "user_id = (SELECT nullif(current_setting('app.user_id', true), '')::uuid)"


def schema(using: str = BOUND) -> str:
    return (
        "CREATE TABLE booking (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, user_id uuid, seat int);\n"
        "CREATE INDEX ON booking (tenant_id);\n"
        "ALTER TABLE booking ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n"
        f"CREATE POLICY own ON booking USING ({using});\n"
    )


def reached(lint: Lint, files: Mapping[str, str], using: str = BOUND) -> list[str]:
    report = lint({"migrations/1.sql": schema(using), **files})
    return [
        f"{one.path}:{one.line}"
        for one in report.findings
        if one.rule == "WRAP001" and one.severity == "error"
    ]


# A service that is a Prisma client

PRISMA = """import { PrismaClient } from '@prisma/client';
export class Database extends PrismaClient {
  async forTenantOf(id, work) {
    return this.$transaction(async (tx) => {
      await tx.$executeRaw`SELECT set_config('app.tenant_id', ${id}, true)`;
      return work(tx);
    });
  }
}
"""
SEATS = """import { Database } from '%s';
export class Seats {
  constructor(private readonly database: Database) {}
  async count(id: string) { return this.database.forTenantOf(id, (tx) => tx.booking.count()); }
  async find(seat: number) { return this.database.booking.findFirst({ where: { seat } }); }
  async book(seat: number) {
    return this.database.$transaction(async (tx) => tx.booking.create({ data: { seat } }));
  }
}
"""


@pytest.mark.parametrize("module", ["../data/src/database", "@shop/data"])
def test_a_model_read_on_the_service_itself_is_found_and_in_its_scope_it_is_not(
    lint: Lint, module: str
) -> None:
    files = {"libs/data/src/database.ts": PRISMA, "libs/api/seats.ts": SEATS % module}
    assert reached(lint, files) == ["libs/api/seats.ts:5", "libs/api/seats.ts:7"]


def test_a_client_that_its_file_extends_may_bind_every_query(lint: Lint) -> None:
    extended = PRISMA + "export const database = new Database().$extends({ query: tenantOf });\n"
    files = {"libs/data/src/database.ts": extended, "libs/api/seats.ts": SEATS % "../data/src/database"}
    assert "libs/api/seats.ts:5" not in reached(lint, files)


def test_two_packages_with_a_class_of_one_name_are_not_told_apart(lint: Lint) -> None:
    files = {
        "libs/data/src/database.ts": PRISMA,
        "libs/old/data/database.ts": PRISMA,
        "libs/api/seats.ts": SEATS % "@shop/data",
    }
    assert "libs/api/seats.ts:5" not in reached(lint, files)


def test_code_behind_a_scope_that_has_ended_is_outside_of_it(lint: Lint) -> None:
    after = """import { Database } from './database';
export async function both(id: string, database: Database) {
  await database.forTenantOf(id, (tx) => tx.booking.count());
  return database.booking.count();
}
"""
    assert reached(lint, {"src/database.ts": PRISMA, "src/both.ts": after}) == ["src/both.ts:4"]


# A parameter that has a default

DB = "import { drizzle } from 'drizzle-orm/node-postgres';\nexport const db = drizzle(URL);\n"
DB_ADMIN = DB + "export const dbAdmin = drizzle(ADMIN_URL);\n"
TABLES = (
    "import { pgTable, uuid } from 'drizzle-orm/pg-core';\n"
    "export const bookings = pgTable('booking', { tenantId: uuid('tenant_id') }).enableRLS();\n"
)
QUERIES = """import { db } from './db';
import { bookings } from './tables';
export async function listBookings(seat: number, client = db) {
  return client.select().from(bookings);
}
"""
SCOPE = """import { db } from './db';
export async function withTenant(id: string, work) {
  return db.transaction(async (tx) => {
    await tx.execute(sql`SELECT set_config('app.tenant_id', ${id}, true)`);
    return work(tx);
  });
}
"""


def drizzle(routes: str, database: str = DB) -> dict[str, str]:
    index = "export * as bookingQueries from './queries';\n"
    return {
        "src/db.ts": database,
        "src/tables.ts": TABLES,
        "src/queries.ts": QUERIES,
        "src/index.ts": index,
        "src/scope.ts": SCOPE,
        "src/routes.ts": routes,
    }


def test_a_call_that_leaves_the_connection_to_its_default_is_found_where_it_stands(lint: Lint) -> None:
    routes = """import { bookingQueries } from './index';
import { withTenant } from './scope';
export async function show(id: string) { return bookingQueries.listBookings(3); }
export async function right(id: string) { return withTenant(id, (tx) => bookingQueries.listBookings(3, tx)); }
"""
    assert reached(lint, drizzle(routes)) == ["src/routes.ts:3"]


def test_a_connection_named_for_reaching_everyones_rows_is_meant(lint: Lint) -> None:
    routes = """import { listBookings } from './queries';
import { db, dbAdmin } from './db';
export async function report() { return listBookings(3, dbAdmin); }
export async function mistaken() { return listBookings(3, db); }
"""
    assert reached(lint, drizzle(routes, DB_ADMIN)) == ["src/routes.ts:4"]


def test_a_connection_that_a_caller_passes_on_is_followed_to_who_puts_it_in(lint: Lint) -> None:
    routes = """import { listBookings } from './queries';
import { db } from './db';
async function rows(connection) { return listBookings(3, connection); }
export async function show() { return rows(db); }
"""
    assert reached(lint, drizzle(routes)) == ["src/routes.ts:4"]


def test_a_store_of_connections_gives_raw_ones_unless_a_request_may_have_bound_one(lint: Lint) -> None:
    store = """import { drizzle } from 'drizzle-orm/node-postgres';
import { bookings } from './tables';
const clients = new Map();
export function client(url) {%s
  clients.set(url, drizzle(url));
  return clients.get(url);
}
export async function seats() { const db = client(URL); return db.select().from(bookings); }
"""
    files = drizzle("")
    assert "src/store.ts:8" in reached(lint, {**files, "src/store.ts": store % ""})
    looked_up = store % "\n  if (storage.getStore()) return storage.getStore();"
    assert reached(lint, {**files, "src/store.ts": looked_up}) == []


# What binds in its own function

INLINE = """import { Pool } from 'pg';
const pool = new Pool();
export async function seats(id: string) {
  const client = await pool.connect();
  await client.query('BEGIN');
  %s
  return client.query('SELECT seat FROM booking');
}
"""


def test_a_statement_behind_the_one_that_binds_is_inside(lint: Lint) -> None:
    bind = "await client.query(\"SELECT set_config('app.tenant_id', $1, true)\", [id]);"
    assert reached(lint, {"src/a.ts": INLINE % bind}) == []
    unbound = {"src/a.ts": INLINE % "", "src/scope.ts": INLINE % bind}
    assert "src/a.ts:7" in reached(lint, unbound)


# FastAPI

SESSIONS = """from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
engine = create_engine(URL)
LocalSession = sessionmaker(bind=engine)
def get_db():
    db = LocalSession()
    try:
        yield db
    finally:
        db.close()
"""
MODELS = """from sqlalchemy.orm import DeclarativeBase
class Base(DeclarativeBase): ...
class Booking(Base):
    __tablename__ = "booking"
    id = Column(Uuid, primary_key=True)
"""
ACCESS = """from fastapi import Depends
from sqlalchemy import text
from app.core.db import get_db
def bind_user(db, user):
    db.execute(text("SELECT set_config('app.user_id', :user, true)"), {"user": str(user)})
def bind_tenant(db, tenant):
    db.execute(text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(tenant)})
def signed_in(db=Depends(get_db)):
    user = who()
    bind_user(db, user)
    return user
def of_tenant(role):
    def inner(db=Depends(get_db)):
        bind_tenant(db, tenant_of(role))
    return inner
"""
ROUTE = """from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session
from app.core.db import get_db
from app.models import Booking
from app.access import bind_tenant, of_tenant, signed_in
router = APIRouter(%s)
@router.get("/")
def list_bookings(%s):
    return db.query(Booking).all()
"""
PLAIN = "db: Session = Depends(get_db)"


def fastapi(route: str) -> dict[str, str]:
    return {
        "app/core/db.py": SESSIONS,
        "app/models.py": MODELS,
        "app/access.py": ACCESS,
        "app/routes.py": route,
    }


def test_a_route_that_reads_on_a_plain_session_is_found(lint: Lint) -> None:
    assert reached(lint, fastapi(ROUTE % ("", PLAIN))) == ["app/routes.py:9"]


@pytest.mark.parametrize(
    ("router", "signature"),
    [
        ("", f"_=Depends(of_tenant('member')), {PLAIN}"),
        ("dependencies=[Depends(of_tenant('member'))]", PLAIN),
    ],
)
def test_what_runs_for_the_same_request_may_have_bound_its_session(
    lint: Lint, router: str, signature: str
) -> None:
    assert reached(lint, fastapi(ROUTE % (router, signature))) == []


def test_who_is_signed_in_is_no_tenant_unless_the_policy_asks_for_the_user(lint: Lint) -> None:
    files = fastapi(ROUTE % ("", f"user=Depends(signed_in), {PLAIN}"))
    assert reached(lint, files) == ["app/routes.py:9"]
    assert reached(lint, files, f"{BOUND} OR {MINE}") == []


def test_a_table_that_lets_everyone_read_is_read_alike_without_a_tenant(lint: Lint) -> None:
    assert reached(lint, fastapi(ROUTE % ("", PLAIN)), "true") == []


def test_a_repository_is_judged_by_the_route_that_gives_it_a_session(lint: Lint) -> None:
    repository = (
        "from app.models import Booking\ndef first_booking(db, seat):\n    return db.query(Booking).first()\n"
    )
    routes = """from typing import Annotated
from fastapi import Depends
from app.core.db import get_db
from app.access import bind_tenant
from app.repository import first_booking
Db = Annotated[object, Depends(get_db)]
def preview(db: Db):
    return first_booking(db, 3)
def right(db: Db, tenant):
    bind_tenant(db, tenant)
    return first_booking(db, 3)
"""
    assert reached(lint, {**fastapi(routes), "app/repository.py": repository}) == ["app/routes.py:8"]


def test_a_worker_that_reads_nobodys_tables_may_open_its_connection(lint: Lint) -> None:
    worker = """import psycopg
def heartbeat():
    with psycopg.connect(URL) as connection:
        connection.execute("INSERT INTO beat VALUES (now())")
def seats():
    with psycopg.connect(URL) as connection:
        return connection.execute("SELECT seat FROM booking").fetchall()
"""
    files = {**fastapi(""), "app/worker.py": worker}
    assert reached(lint, files) == ["app/worker.py:6", "app/worker.py:7"]
