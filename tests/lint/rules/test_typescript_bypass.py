"""The bypass discipline and the tenant's binding in TypeScript, over the libraries people use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import LintConfig, Report

Lint = Callable[..., Report]

IMPORT = "import { runAsBypass } from '@tensorcost/db-utils';\n"
REGISTRY = """
sites:
  - {id: sweep, path: src/jobs/sweep.ts, function: sweep, kind: cron, reason: deletes what expired,
     owner: platform, expires: 2099-01-01}
"""


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def linted(lint: Lint, source: str, path: str = "src/api/invoices.ts") -> list[str]:
    return rules(lint({path: source}))


def swept(lint: Lint, body: str, parameters: str = "tenantId: string", more: str = "") -> list[str]:
    """Lint a registered site whose function has this body."""
    source = f"{IMPORT}{more}\nexport async function sweep({parameters}) {{\n{body}\n}}\n"
    files = {"src/jobs/sweep.ts": source, "sites.yaml": REGISTRY}
    return rules(lint(files, LintConfig(registry="sites.yaml")))


# BYP001


@pytest.mark.parametrize(
    "work",
    [
        "async (tx) => { await tx.execute(sql`DELETE FROM session WHERE expired`); }",
        "async (trx) => { await trx.deleteFrom('session').execute(); }",
        "async (t) => { await Session.destroy({ where: { expired: true }, transaction: t }); }",
        "async (tx) => { await tx.session.deleteMany({ where: { expired: true } }); }",
        "async (client) => { await client.query('DELETE FROM session WHERE expired'); }",
        "deleteExpired",
    ],
    ids=["drizzle", "kysely", "sequelize", "prisma", "pg", "a named function"],
)
def test_a_registered_site_may_bypass_and_another_function_may_not(lint: Lint, work: str) -> None:
    body = f"return await runAsBypass(tenantId, {work});"
    assert swept(lint, body) == []
    source = f"{IMPORT}export async function list(tenantId: string) {{ {body} }}"
    assert "BYP001" in linted(lint, source)


@pytest.mark.parametrize(
    "source",
    [
        "import { runAsBypass as go } from '@tensorcost/db-utils';\nexport const f = (t) => go(t, work);",
        "import * as db from '@tensorcost/db-utils';\nexport const f = (t) => db.runAsBypass(t, work);",
        "const { runAsBypass: go } = require('@tensorcost/db-utils');\nexports.f = (t) => go(t, work);",
        "import runAsBypass from '../bypass';\nexport const f = (t) => runAsBypass(t, work);",
    ],
)
def test_no_way_of_importing_hides_a_bypass(lint: Lint, source: str) -> None:
    (finding,) = [one for one in lint({"src/api/a.ts": source}).findings if one.rule == "BYP001"]
    assert finding.line == 2
    assert "function: f" in finding.fix


def test_a_bypass_handed_on_as_a_value_is_found_and_an_export_of_it_is_not(lint: Lint) -> None:
    assert linted(lint, f"{IMPORT}schedule('0 3 * * *', runAsBypass);") == ["BYP001"]
    assert linted(lint, f"{IMPORT}export {{ runAsBypass }};") == []


# BYP002


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("runAsBypass(async (tx) => { await tx.user.count(); })", ""),
        ("runAsBypass(null, work)", ""),
        ("runAsBypass(undefined, work)", ""),
        ("runAsBypass('5f0c', work)", ""),
        ("runAsBypass('*', work)", ""),
        ("runAsBypass(req.body.tenantId, work)", "req: Request"),
        ("runAsBypass(req.headers['x-tenant'], work)", "req: Request"),
    ],
)
def test_a_bypass_for_no_tenant_a_constant_or_what_a_request_says_is_found(
    lint: Lint, call: str, parameters: str
) -> None:
    assert swept(lint, f"return await {call};", parameters) == ["BYP002"]


def test_taking_the_tenant_out_of_a_request_first_does_not_verify_it(lint: Lint) -> None:
    body = "const { tenantId } = req.body;\nreturn await runAsBypass(tenantId, work);"
    assert swept(lint, body, "req: Request") == ["BYP002"]


def test_a_tenant_of_a_loop_over_listed_tenants_is_right(lint: Lint) -> None:
    body = "for (const tenant of await listActiveTenants()) { await runAsBypass(tenant.id, work); }"
    assert swept(lint, body, "") == []


# BYP005


@pytest.mark.parametrize(
    "body",
    [
        "await runAsBypass(tenantId, async (tx) => { await runAsBypass(tenantId, work); });",
        "await runAsBypass(tenantId, async (tx) => { kept = tx; });",
        "await runAsBypass(tenantId, async (tx) => { cache.tx = tx; });",
        "return await runAsBypass(tenantId, async (tx) => tx);",
        "return await runAsBypass(tenantId, async (tx) => ({ tx, at: 1 }));",
        "await runAsBypass(tenantId, escape);",
        "runAsBypass(tenantId, work);",
        "void runAsBypass(tenantId, work);",
        "runAsBypass(tenantId, work).catch(log);",
        "await runAsBypass(tenantId, async (tx) => { await withTenant(tenantId, work); });",
    ],
)
def test_a_bypass_that_reaches_further_than_its_callback_is_found(lint: Lint, body: str) -> None:
    more = "let kept; const cache = {};\nasync function escape(tx) { kept = tx; }"
    assert swept(lint, body, more=more) == ["BYP005"]


def test_a_handle_kept_by_a_timer_is_found(lint: Lint) -> None:
    body = "await runAsBypass(tenantId, async (tx) => { setTimeout(() => tx.user.count(), 5); });"
    assert set(swept(lint, body)) == {"BYP005"}


@pytest.mark.parametrize(
    "body",
    [
        "return await runAsBypass(tenantId, async (tx) => tx.user.findMany());",
        "const rows = await runAsBypass(tenantId, async (tx) => { const all = await tx.a(); return all; });",
        "await Promise.all([runAsBypass(tenantId, work), other()]);",
        "return runAsBypass(tenantId, work);",
        "await runAsBypass(tenantId, work);\nawait runAsBypass(tenantId, work);",
        "await runAsBypass(tenantId, work).catch(log);",
    ],
)
def test_a_handle_used_inside_only_and_awaited_is_right(lint: Lint, body: str) -> None:
    assert swept(lint, body) == []


# BYP006


@pytest.mark.parametrize(
    "line",
    [
        "await client.query('SET ROLE app_bypass');",
        "await client.query({ text: 'SET LOCAL row_security = off' });",
        "await prisma.$executeRawUnsafe(`SET LOCAL ROLE ${role}`);",
        "await prisma.$executeRaw`SELECT set_config('app.bypass_rls', 'on', true)`;",
        "await db.execute(sql`SET LOCAL row_security = off`);",
        "await sql`select set_config('role', 'postgres', true)`.execute(trx);",
        'await sequelize.query("SET SESSION AUTHORIZATION postgres");',
        "await knex.raw('ALTER ROLE app BYPASSRLS');",
        "await pgsql.unsafe('set role app_bypass');",
    ],
)
def test_a_bypass_by_hand_is_found_outside_the_verified_package(lint: Lint, line: str) -> None:
    assert linted(lint, line) == ["BYP006"]


def test_the_verified_package_may_do_it(lint: Lint) -> None:
    source = "export async function runAsBypass(t, fn) { await c.query('SET LOCAL ROLE app_bypass'); }"
    assert linted(lint, source, "packages/db-utils/src/bypass.ts") == []


@pytest.mark.parametrize(
    "line",
    [
        "await client.query('RESET ROLE');",
        "await client.query('UPDATE member SET role = $1', [role]);",
        "throw new Error('SET ROLE is refused here');",
        "type Mode = 'SET ROLE app_bypass';",
        "<p>SET ROLE app_bypass</p>;",
    ],
)
def test_harmless_statements_types_and_prose_are_no_bypass(lint: Lint, line: str) -> None:
    assert linted(lint, line, "src/a.tsx") == []


def test_a_bypass_of_ones_own_shares_only_its_name(lint: Lint) -> None:
    source = "export async function runAsBypass(tenantId, fn) { return fn(admin); }"
    (finding,) = lint({"src/lib/bypass.ts": source}).findings
    assert finding.rule == "BYP006"
    assert "@tensorcost/db-utils" in finding.fix


@pytest.mark.parametrize(
    ("package", "expected"), [("@tensorcost/db-utils", []), ("@other/helpers", ["BYP006"])]
)
def test_the_bypass_of_another_package_is_not_the_verified_one(
    lint: Lint, package: str, expected: list[str]
) -> None:
    source = f"import {{ runAsBypass }} from '{package}';\nexport {{ runAsBypass }};"
    assert linted(lint, source) == expected


CLIENT = "import { createClient } from '@supabase/supabase-js';\n"


@pytest.mark.parametrize(
    "line",
    [
        "export const admin = createClient(url, process.env.SUPABASE_SERVICE_ROLE_KEY!);",
        "const key = process.env.SUPABASE_SERVICE_KEY;\nexport const admin = createClient<Db>(url, key, {});",
        "export const make = () => createClient(url, config.serviceRoleKey);",
    ],
)
def test_a_client_with_the_service_roles_key_is_one_finding(lint: Lint, line: str) -> None:
    findings = [
        one for one in lint({"src/api/a.ts": CLIENT + line}).findings if "service role" in one.message
    ]
    assert [one.rule for one in findings] == ["BYP006"]


@pytest.mark.parametrize(
    "line",
    [
        "export const anon = createClient(url, process.env.SUPABASE_ANON_KEY!);",
        "export const own = (t) => createClient(url, env.SERVICE_KEY, { accessToken: async () => t });",
        "export const own = (t) => createClient(u, serviceKey, { global: { headers: { Authorization } } });",
    ],
)
def test_a_client_that_sends_the_callers_token_bypasses_nothing(lint: Lint, line: str) -> None:
    assert linted(lint, CLIENT + line) == []


# WRAP001


@pytest.mark.parametrize(
    "source",
    [
        "import { Pool } from 'pg';\nconst pool = new Pool();",
        "import pg from 'pg';\nconst client = new pg.Client(url);",
        "const { Pool } = require('pg');\nmodule.exports = new Pool();",
        "import postgres from 'postgres';\nconst sql = postgres(url);",
        "import { drizzle } from 'drizzle-orm/postgres-js';\nexport const db = drizzle(url, { schema });",
        "import { PrismaClient } from '@prisma/client';\nconst prisma = new PrismaClient();",
        "import { Kysely } from 'kysely';\nconst db = new Kysely<DB>({ dialect });",
        "import { Sequelize } from 'sequelize';\nconst sequelize = new Sequelize(url);",
        "import knex from 'knex';\nconst db = knex({ client: 'pg' });",
        "import { pool } from '../lib/pool';\nconst client = await pool.connect();",
    ],
    ids=[
        "pg",
        "default",
        "commonjs",
        "postgres.js",
        "drizzle",
        "prisma",
        "kysely",
        "sequelize",
        "knex",
        "use",
    ],
)
def test_a_connection_opened_anywhere_is_found_and_the_database_module_may(lint: Lint, source: str) -> None:
    assert linted(lint, source) == ["WRAP001"]


@pytest.mark.parametrize("path", ["src/db/index.ts", "src/lib/db.ts", "src/lib/prisma.ts", "prisma/seed.ts"])
def test_the_database_module_may_open_connections(lint: Lint, path: str) -> None:
    assert linted(lint, "import { Pool } from 'pg';\nexport const pool = new Pool();", path) == []


@pytest.mark.parametrize(
    "source",
    [
        "import type { Pool } from 'pg';\nexport function f(pool: Pool) { return pool.query('SELECT 1'); }",
        "import { Pool } from 'generic-pool';\nnew Pool();",
        "import { Client } from 'discord.js';\nnew Client();",
        "import { Prisma } from '@prisma/client';\nthrow new Prisma.PrismaClientKnownRequestError('x');",
    ],
)
def test_types_and_other_peoples_pools_are_no_connections(lint: Lint, source: str) -> None:
    assert linted(lint, source) == []


# WRAP003


@pytest.mark.parametrize(
    "line",
    [
        "await client.query(\"SELECT set_config('app.tenant_id', $1, false)\", [tenantId]);",
        "await client.query(`SET app.tenant_id = '${tenantId}'`);",
        "await client.query('SET app.tenant_id = ' + quoted);",
        "await prisma.$executeRaw`SELECT set_config('app.tenant_id', ${tenantId}, FALSE)`;",
        "await prisma.$executeRawUnsafe(`SET SESSION app.current_tenant = '${t}'`);",
        "await db.execute(sql`select set_config('app.org_id', ${orgId}, false)`);",
        "await sql<void>`select set_config('app.tenant_id', ${t}, false)`.execute(db);",
        "await sequelize.query(\"SET app.tenant_id TO 'x'\");",
    ],
    ids=["pg", "template", "joined", "prisma", "prisma unsafe", "drizzle", "kysely", "sequelize"],
)
def test_a_tenant_bound_to_the_session_is_found(lint: Lint, line: str) -> None:
    assert linted(lint, line) == ["WRAP003"]


@pytest.mark.parametrize(
    "line",
    [
        "await client.query(\"SELECT set_config('app.tenant_id', $1, true)\", [tenantId]);",
        "await tx.execute(sql`select set_config('app.tenant_id', ${tenantId}, true)`);",
        "await prisma.$transaction([prisma.$executeRaw`SELECT set_config('app.tenant_id', ${t}, TRUE)`, q]);",
        "await sequelize.query(\"SET LOCAL app.tenant_id = 'x'\", { transaction });",
        "await client.query(\"SELECT set_config('statement_timeout', '5s', false)\");",
        "const [tenant, setTenant] = useState('');",
    ],
)
def test_a_tenant_bound_to_the_transaction_is_right(lint: Lint, line: str) -> None:
    assert linted(lint, line) == []


# Robustness


def test_bundles_and_broken_files_do_not_stop_the_run(lint: Lint) -> None:
    files = {
        "src/bundle.js": "runAsBypass(" * 5_000 + ";" * 40_000,
        "src/broken.ts": "export const = {{{ sql`",
        "src/a.ts": f"{IMPORT}export const f = (t) => runAsBypass(t, work);",
    }
    found = [(one.rule, one.path) for one in lint(files).findings if one.rule != "BYP004"]
    assert found == [("BYP001", "src/a.ts")]
