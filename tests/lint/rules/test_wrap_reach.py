"""WRAP001, WRAP006 and WRAP008: tenant rows outside a scope, on another thread, across services."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from lint import LintConfig, Report

Lint = Callable[..., Report]

MIGRATION = """
CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, total int);
CREATE INDEX ON invoice (tenant_id);
ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invoice
  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
"""
SCOPE = "def f(t):\n    run_as_tenant(t, work)\ndef work(session): ...\n"
READ = "SELECT total FROM invoice"


def found(
    lint: Lint, files: Mapping[str, str], code: str, *, scope: bool = True, migration: str = MIGRATION
) -> list[str]:
    given = {"db/migrations/1.sql": migration, **({"app/scope.py": SCOPE} if scope else {}), **files}
    report = lint(given)
    return [f"{one.path}:{one.line}" for one in report.findings if one.rule == code]


@pytest.mark.parametrize(
    "source",
    [
        "from sqlalchemy import create_engine as ce\ne = ce(URL)\n",
        "import sqlalchemy as sa\ne = sa.create_engine(URL)\n",
        "from sqlalchemy.orm import Session\nwith Session(e) as s: ...\n",
        "import psycopg\npsycopg.connect(DSN)\n",
        "from psycopg import AsyncConnection\nasync def f(): await AsyncConnection.connect(DSN)\n",
        "from psycopg_pool import ConnectionPool\np = ConnectionPool(DSN)\n",
        "import asyncpg\nasync def f(): return await asyncpg.create_pool(DSN)\n",
        "from app.core import engine\nwith engine.begin() as c: ...\n",
    ],
)
def test_a_connection_opened_anywhere_is_found(lint: Lint, source: str) -> None:
    assert found(lint, {"app/views.py": source}, "WRAP001") == ["app/views.py:2"]
    assert found(lint, {"app/views.py": "", "app/db.py": source}, "WRAP001") == []


def test_types_and_other_peoples_sessions_are_no_connections(lint: Lint) -> None:
    source = (
        "from requests import Session\nfrom sqlalchemy.orm import Session as Db\nimport socket\n"
        "def f(db: Db, engine) -> None:\n    Session(); socket.connect(); engine.begin()\n"
    )
    assert found(lint, {"a.py": source}, "WRAP001") == []


@pytest.mark.parametrize(("scope", "migration"), [(False, MIGRATION), (True, "SELECT 1;")])
def test_a_project_without_scopes_or_protected_tables_is_not_flooded(
    lint: Lint, scope: bool, migration: str
) -> None:
    source = "import psycopg\nc = psycopg.connect(D)\n"
    assert found(lint, {"a.py": source}, "WRAP001", scope=scope, migration=migration) == []


def test_a_project_that_binds_no_tenant_anywhere_is_told_once_as_information(lint: Lint) -> None:
    functions = "def f():\n    c.execute('%s')\ndef g():\n    c.execute('%s')\n"
    source = f"import psycopg\nc = psycopg.connect(D)\n{functions}"
    report = lint({"db/migrations/1.sql": MIGRATION, "a.py": source % (READ, READ)})
    (finding,) = [one for one in report.findings if one.rule == "WRAP001"]
    assert (finding.severity, finding.line) == ("info", 4)
    assert "2 functions reach 1 protected table" in finding.message


def test_a_reader_on_a_raw_connection_is_found_with_table_and_cure(lint: Lint) -> None:
    files = {
        "db/migrations/1.sql": MIGRATION,
        "app/scope.py": SCOPE,
        "app/db.py": "import psycopg\nconnection = psycopg.connect(D)\n",
        "app/views.py": f"from app.db import connection\ndef f():\n    connection.execute('{READ}')\n",
    }
    (finding,) = [one for one in lint(files).findings if one.rule == "WRAP001"]
    assert (finding.path, finding.line, finding.table) == ("app/views.py", 3, "public.invoice")
    assert "outside any tenant's scope" in finding.message
    assert "run_as_tenant" in finding.fix


def test_readers_in_a_scope_and_of_unknown_scope_are_silent(lint: Lint) -> None:
    files = {
        "app/a.py": f"def f(session):\n    session.execute('{READ}')\n",
        "app/b.py": f"def f(t):\n    with tenant_session(t) as s:\n        s.execute('{READ}')\n",
    }
    assert found(lint, files, "WRAP001") == []


CHECK = f"import psycopg\nc = psycopg.connect(D)\ndef check():\n    c.execute('{READ}')\n"


@pytest.mark.parametrize("path", ["app/db.py", "packages/db/rotate.py", "app/database/report.py"])
def test_an_entry_point_by_habit_may_open_a_connection_and_is_told_what_it_reads(
    lint: Lint, path: str
) -> None:
    assert found(lint, {path: CHECK}, "WRAP001") == [f"{path}:4"]


def test_tests_migrations_and_what_a_project_names_itself_may_read_unbound(lint: Lint) -> None:
    files = {"tests/conftest.py": CHECK, "alembic/env.py": CHECK, "app/tenancy/pool.py": CHECK}
    assert found(lint, files, "WRAP001") == []
    config = LintConfig(entry_points=("tools/**", "alembic/**", "tests/**"))
    report = lint({"db/migrations/1.sql": MIGRATION, "app/scope.py": SCOPE, "tools/report.py": CHECK}, config)
    assert [one for one in report.findings if one.rule == "WRAP001"] == []


SEED_TS = (
    "import { Pool } from 'pg';\nconst pool = new Pool();\n"
    "async function main() { await pool.query('INSERT INTO invoice (id) VALUES (1)'); }\n"
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("scripts/seed_demo.py", CHECK.replace(READ, "INSERT INTO invoice (id) VALUES (1)")),
        ("db/seeds/first.py", CHECK.replace(READ, "INSERT INTO invoice (id) VALUES (1)")),
        ("packages/db/src/seed.ts", SEED_TS),
        ("scripts/seed-demo.ts", SEED_TS),
    ],
)
def test_seeds_are_told_as_information_in_every_language(lint: Lint, path: str, text: str) -> None:
    bind = "const bind = (tx, t) => tx.query(\"SELECT set_config('app.tenant_id', $1, true)\", [t]);\n"
    files = {"db/migrations/1.sql": MIGRATION, "app/scope.py": SCOPE, "src/scope.ts": bind, path: text}
    report = lint(files)
    told = [one for one in report.findings if one.rule == "WRAP001" and one.path == path]
    assert told
    assert {one.severity for one in told} == {"info"}
    assert any("42501" in one.message for one in told)


HELPER = (
    "from app.scope import run_as_tenant\nimport psycopg\n"
    "def look_up(tag):\n    own = psycopg.connect(D)\n"
    "    return own.execute('SELECT total FROM invoice').all()\n"
    "def work(session):\n    return look_up('x')\n"
    "def serve(t):\n    run_as_tenant(t, work)\n"
)


def test_a_helper_with_a_connection_of_its_own_is_not_in_its_callers_scope(lint: Lint) -> None:
    assert "app/views.py:5" in found(lint, {"app/views.py": HELPER}, "WRAP001")
    on_it = HELPER.replace("own = psycopg.connect(D)", "own = tag")
    assert found(lint, {"app/views.py": on_it}, "WRAP001") == []


TS_LOOKUP = """
import { Pool } from 'pg';
const pool = new Pool();
export async function withTenant(id, work) {
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query("SELECT set_config('app.tenant_id', $1, true)", [id]);
  return work(client);
}
const findTenant = async (tag) => {
  const own = new Pool();
  const rows = await own.query('SELECT tenant_id FROM invoice WHERE id = $1', [tag]);
  return rows[0].tenant_id;
};
export async function serve(req) {
  const tenant = await findTenant(req.params.id);
  return withTenant(tenant, async (tx) => tx.query('SELECT total FROM invoice'));
}
"""


def test_the_result_of_a_look_up_that_a_scope_is_given_hands_nothing_on(lint: Lint) -> None:
    assert found(lint, {"src/routes.ts": TS_LOOKUP}, "WRAP001", scope=False) == [
        "src/routes.ts:3",
        "src/routes.ts:11",
        "src/routes.ts:12",
    ]


@pytest.mark.parametrize(
    ("made", "statement"),
    [
        ('import { Pool } from "pg";\nconst db = new Pool();', 'db.query("SELECT * FROM invoice")'),
        (
            'import { PrismaClient } from "@prisma/client";\nconst db = new PrismaClient();',
            "db.invoice.findMany()",
        ),
        (
            'import { Kysely } from "kysely";\nconst db = new Kysely({});',
            'db.selectFrom("invoice").selectAll().execute()',
        ),
        (
            'import { drizzle } from "drizzle-orm/node-postgres";\nconst db = drizzle(U);',
            "db.execute(sql`SELECT * FROM invoice`)",
        ),
        (
            'import { Sequelize } from "sequelize";\nconst db = new Sequelize(U);',
            'db.query("SELECT * FROM invoice")',
        ),
    ],
)
def test_a_typescript_reader_on_a_raw_client_is_found_and_in_a_scope_is_not(
    lint: Lint, made: str, statement: str
) -> None:
    raw = f"{made}\nexport const f = async () => {{\n  return {statement};\n}};\n"
    scoped = f"{made}\nexport const g = (t) => withTenant(t, async (db) => {{\n  return {statement};\n}});\n"
    places = found(lint, {"app/raw.ts": raw, "app/scoped.ts": scoped}, "WRAP001")
    assert "app/raw.ts:4" in places
    assert "app/scoped.ts:4" not in places


@pytest.mark.parametrize(
    "hop",
    [
        "loop.run_in_executor(None, work)",
        "executor.submit(work)",
        "executor.map(work, rows)",
        "threading.Thread(target=work).start()",
        "loop.run_in_executor(None, functools.partial(outer, 1))",
    ],
)
def test_work_on_another_thread_that_needs_the_tenant_is_found(lint: Lint, hop: str) -> None:
    source = (
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "executor = ThreadPoolExecutor()\n"
        f"def f(t):\n    with tenant_session(t) as s:\n        {hop}\n"
        f"def outer(a):\n    work()\ndef work():\n    get().execute('{READ}')\n"
    )
    assert found(lint, {"a.py": source}, "WRAP006") == ["a.py:6"]


def test_work_that_reads_the_context_variable_is_found(lint: Lint) -> None:
    source = (
        "import threading\nfrom contextvars import ContextVar\ncurrent = ContextVar('tenant')\n"
        "def f(t):\n    with tenant_session(t):\n        threading.Thread(target=work).start()\n"
        "def work():\n    return current.get()\n"
    )
    assert found(lint, {"a.py": source}, "WRAP006") == ["a.py:6"]


@pytest.mark.parametrize(
    ("hop", "work"),
    [
        ("asyncio.to_thread(work)", f"get().execute('{READ}')"),
        ("loop.run_in_executor(None, copy_context().run, work)", f"get().execute('{READ}')"),
        ("loop.run_in_executor(None, work)", "return 1"),
        ("loop.run_in_executor(None, work)", f"run_as_tenant(t, g)\n    get().execute('{READ}')"),
        ("form.submit(work)", f"get().execute('{READ}')"),
    ],
)
def test_work_that_keeps_or_does_not_need_the_tenant_is_silent(lint: Lint, hop: str, work: str) -> None:
    source = f"def f(t):\n    with tenant_session(t) as s:\n        {hop}\ndef work():\n    {work}\n"
    assert found(lint, {"a.py": source}, "WRAP006") == []


def test_a_thread_started_outside_any_scope_has_no_context_to_lose(lint: Lint) -> None:
    source = (
        "import threading\ndef f():\n    threading.Thread(target=work)\n"
        f"def work():\n    get().execute('{READ}')\n"
    )
    assert found(lint, {"a.py": source}, "WRAP006") == []


SERVICES = "".join(MIGRATION.replace("invoice", name) for name in ("billing.invoice", "crm.account"))
JOIN = "SELECT 1 FROM billing.invoice i JOIN crm.account a ON {}"


def joined(condition: str, verb: str = "run_as_bypass") -> str:
    sql = JOIN.format(condition)
    return f"def work(session):\n    session.execute(text('{sql}'))\ndef f():\n    {verb}(t, 'why', work)\n"


def test_a_loose_join_across_services_in_a_bypass_is_found(lint: Lint) -> None:
    loose = joined("a.id = i.id")
    assert found(lint, {"a.py": loose}, "WRAP008", migration=SERVICES) == ["a.py:2"]


@pytest.mark.parametrize(
    "source",
    [
        joined("a.id = i.id AND a.tenant_id = i.tenant_id"),
        joined("a.id = i.id", "run_as_tenant"),
        joined("a.id = i.id", "somehow"),
    ],
)
def test_joins_that_carry_the_tenant_or_are_filtered_or_unclear_are_silent(lint: Lint, source: str) -> None:
    assert found(lint, {"a.py": source}, "WRAP008", migration=SERVICES) == []


def test_a_loose_join_in_a_typescript_bypass_is_found(lint: Lint) -> None:
    sql = JOIN.format("a.id = i.id")
    source = f"export const f = (t) => runAsBypass(t, async (tx) => {{\n  return tx.query(`{sql}`);\n}});\n"
    assert found(lint, {"a.ts": source}, "WRAP008", migration=SERVICES) == ["a.ts:2"]


def test_tenancys_own_files_may_do_what_they_protect_others_from(lint: Lint) -> None:
    config = LintConfig(verified_packages=("core/**",))
    files = {"db/migrations/1.sql": SERVICES, "app/scope.py": SCOPE, "core/a.py": joined("a.id = i.id")}
    assert [one for one in lint(files, config).findings if one.rule.startswith("WRAP")] == []


PACKAGE = (
    "import { Pool } from 'pg';\nexport const pool = new Pool();\n"
    "export async function withTenant(id, work) {\n  const client = await pool.connect();\n"
    "  await client.query('BEGIN');\n"
    "  await client.query(\"SELECT set_config('app.tenant_id', $1, true)\", [id]);\n"
    "  return work(client);\n}\n"
)


@pytest.mark.parametrize(
    ("home", "module"),
    [
        ("packages/db/src/index.ts", "@acme/db"),
        ("packages/db/src/client.ts", "@acme/db/client"),
        ("src/lib/server/db.ts", "$lib/server/db"),
        ("src/data/client.ts", "#data/client"),
        ("src/data/client.ts", "@data/client"),
    ],
)
def test_connections_and_scopes_of_packages_and_aliases_are_known(lint: Lint, home: str, module: str) -> None:
    routes = (
        f"import {{ pool, withTenant }} from '{module}';\n"
        f"export const all = () => pool.query('{READ}');\n"
        f"export const mine = (t) => withTenant(t, (client) => client.query('{READ}'));\n"
    )
    files = {home: PACKAGE, "apps/api/routes.ts": routes}
    report = lint({"db/migrations/1.sql": MIGRATION, **files})
    told = [
        (one.path, one.line) for one in report.findings if one.rule == "WRAP001" and one.severity == "error"
    ]
    assert ("apps/api/routes.ts", 2) in told
    assert ("apps/api/routes.ts", 3) not in told
