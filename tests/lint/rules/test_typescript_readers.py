"""Protected tables read through TypeScript's libraries, inside a tenant's scope and outside of one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import Report

Lint = Callable[..., Report]

SCHEMA = """
CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, total int);
CREATE INDEX ON invoice (tenant_id);
ALTER TABLE invoice ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON invoice TO PUBLIC
  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
"""
BIND = "await tx.query(\"SELECT set_config('app.tenant_id', $1, true)\", [id]);"
SCOPE = f"export async function withTenant(id, fn) {{ const tx = await begin(); {BIND} return fn(tx); }}"
DRIZZLE = (
    "import { pgTable, uuid } from 'drizzle-orm/pg-core';\n"
    "export const invoices = pgTable('invoice', { tenantId: uuid('tenant_id') }).enableRLS();"
)
DRIZZLE_OPENED = (
    "import { drizzle } from 'drizzle-orm/node-postgres';\n"
    "import { invoices } from './schema';\nconst db = drizzle(url);"
)
#: By library: how a file opens a connection of its own, and how it reads the table.
OPENED = {
    "pg": ("import { Pool } from 'pg';\nconst db = new Pool();", "db.query('SELECT * FROM invoice')"),
    "prisma": (
        "import { PrismaClient } from '@prisma/client';\nconst db = new PrismaClient();",
        "db.invoice.findMany()",
    ),
    "drizzle": (DRIZZLE_OPENED, "db.select().from(invoices)"),
    "kysely": (
        "import { Kysely } from 'kysely';\nconst db = new Kysely({});",
        "db.selectFrom('invoice').selectAll().execute()",
    ),
    "sequelize": (
        "import { Sequelize } from 'sequelize';\nconst db = new Sequelize(url);",
        "db.query('SELECT * FROM invoice')",
    ),
}


def rules(lint: Lint, source: str) -> list[str]:
    return [one.rule for one in lint({"src/api/a.ts": source}).findings]


def read_in_scope(lint: Lint, opened: str, statement: str) -> list[str]:
    files = {
        "migrations/001.sql": SCHEMA,
        "src/scope.ts": SCOPE,
        "src/schema.ts": DRIZZLE,
        "src/api/a.ts": f"import {{ withTenant }} from '../scope';\n{opened}\n"
        f"export async function list(id: string) {{ return {statement}; }}",
    }
    return [one.rule for one in lint(files).findings if one.path == "src/api/a.ts"]


@pytest.mark.parametrize("library", OPENED)
def test_a_protected_table_read_on_a_connection_of_ones_own_is_found(lint: Lint, library: str) -> None:
    opened, query = OPENED[library]
    assert read_in_scope(lint, opened, f"await {query}")[:1] == ["WRAP001"]


@pytest.mark.parametrize("library", OPENED)
def test_the_same_inside_the_tenants_scope_is_right(lint: Lint, library: str) -> None:
    query = OPENED[library][1].replace("db.", "tx.", 1)
    imports = "import { invoices } from '../schema';"
    assert read_in_scope(lint, imports, f"withTenant(id, async (tx) => {query})") == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("await tx.execute(sql`SET LOCAL app.tenant_id = ${id}`);", ["WRAP002"]),
        ("await prisma.$executeRaw`SET LOCAL app.tenant_id = ${id}`;", ["WRAP002"]),
        ("await tx.execute(sql`SET LOCAL app.tenant_id = ${sql.raw(id)}`);", ["WRAP005"]),
        ("await client.query(`SET LOCAL app.tenant_id = '${id}'`);", ["WRAP005"]),
        ("await prisma.$executeRawUnsafe('SET LOCAL app.tenant_id = ' + id);", ["WRAP005"]),
    ],
)
def test_a_tag_sends_a_value_which_set_refuses_and_plain_templates_paste_it(
    lint: Lint, line: str, expected: list[str]
) -> None:
    source = f"import {{ sql }} from 'drizzle-orm/node-postgres';\n{line}"
    assert [rule for rule in rules(lint, source) if rule != "WRAP004"] == expected
