"""WRAP002 to WRAP005 and RLS019: how the tenant's setting is set, and under which name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import LintConfig, Report
from lint.catalogue import Catalogue, Column, Function, Policy, Table
from lint.rules.wrap_names import unmatched_settings
from lint.source.python import read_python
from lint.source.readers import reader_map

Lint = Callable[..., Report]
LOCAL = "SELECT set_config('app.tenant_id', %s, true)"


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings if finding.rule[:4] in {"WRAP", "RLS0"}]


def of(report: Report, code: str) -> list[int]:
    return [finding.line for finding in report.findings if finding.rule == code]


# WRAP002


@pytest.mark.parametrize(
    "source",
    [
        "import psycopg\ndef f(c, t):\n    c.execute('SET LOCAL app.tenant_id = %s', [t])\n",
        "import asyncpg\nasync def f(c, t):\n    await c.execute('SET LOCAL app.tenant_id TO $1', t)\n",
        (
            "from sqlalchemy import text\nURL = 'postgresql+asyncpg://x'\n"
            "def f(c, t): c.execute(text('SET LOCAL app.tenant_id = :t'), {'t': t})\n"
        ),
    ],
)
def test_a_parameter_of_set_is_found_where_the_driver_sends_it_apart(lint: Lint, source: str) -> None:
    assert of(lint({"a.py": source}), "WRAP002") == [3]


@pytest.mark.parametrize(
    "source",
    [
        "import psycopg2\ndef f(c, t):\n    c.execute('SET LOCAL app.tenant_id = %s', [t])\n",
        (
            "from django.db import connection\ndef f(c, t):\n"
            "    c.execute('SET LOCAL app.tenant_id = %s', [t])\n"
        ),
        (
            "import psycopg\ndef f(c, t):\n"
            "    c.execute(\"SELECT set_config('app.tenant_id', %s, true)\", [t])\n"
        ),
        "import psycopg\ndef f(c, t):\n    c.execute('SET LOCAL statement_timeout = %s', [t])\n",
        "from sqlalchemy import text\ndef f(c, t):\n    c.execute(text('SET LOCAL app.tenant_id = :t'))\n",
    ],
)
def test_a_parameter_that_the_driver_may_write_itself_is_silent(lint: Lint, source: str) -> None:
    assert of(lint({"a.py": source}), "WRAP002") == []


@pytest.mark.parametrize(
    "statement",
    [
        "client.query('SET LOCAL app.tenant_id = $1', [t])",
        "prisma.$executeRaw`SET LOCAL app.tenant_id = ${t}`",
    ],
)
def test_typescripts_parameters_of_set_are_found(lint: Lint, statement: str) -> None:
    source = (
        f'import {{ Pool }} from "pg";\n'
        f"export async function f(client, prisma, t) {{\n  await {statement};\n}}\n"
    )
    assert of(lint({"a.ts": source}), "WRAP002") == [3]


def test_sequelizes_replacements_are_written_into_the_text(lint: Lint) -> None:
    source = (
        'import { Sequelize } from "sequelize";\nexport async function f(s, t) {\n'
        '  await s.query("SET LOCAL app.tenant_id = :t", { replacements: { t } });\n}\n'
    )
    assert of(lint({"a.ts": source}), "WRAP002") == []


# WRAP003


@pytest.mark.parametrize(
    "line",
    [
        "c.execute(\"SELECT set_config('app.tenant_id', %s, false)\", [t])",
        "c.execute(\"SET app.tenant_id = 'x'\")",
        "c.execute(f\"SET SESSION app.current_tenant TO '{t}'\")",
        'c.execute(select(func.set_config("app.workspace_id", t, False)))',
    ],
)
def test_a_tenant_bound_to_the_session_is_found_everywhere(lint: Lint, line: str) -> None:
    assert "WRAP003" in rules(lint({"tenancy/a.py": line + "\n"}))


@pytest.mark.parametrize(
    "line",
    [
        "c.execute(\"SELECT set_config('app.tenant_id', %s, true)\", [t])",
        "c.execute(\"SET LOCAL app.tenant_id = 'x'\")",
        'c.execute(select(func.set_config("app.tenant_id", t, True)))',
        "c.execute(\"SELECT set_config('statement_timeout', '5s', false)\")",
        "c.execute(\"SET app.request_id = 'x'\")",
        "c.execute(\"SELECT set_config('app.tenant_id', '', false)\")",
        "c.execute(\"SET app.tenant_id = ''\")",
        'print("SET app.tenant_id = 1 would last for the session")',
    ],
)
def test_a_tenant_bound_to_the_transaction_or_taken_away_is_right(lint: Lint, line: str) -> None:
    assert rules(lint({"a.py": line + "\n"})) == []


def test_a_configured_tenant_setting_is_judged_too(lint: Lint) -> None:
    line = "c.execute(\"SET app.ticket = 'x'\")\n"
    assert rules(lint({"a.py": line})) == []
    assert rules(lint({"a.py": line}, LintConfig(tenant_gucs=("app.ticket",)))) == ["WRAP003"]


def test_a_setting_named_by_a_constant_is_known_by_its_value(lint: Lint) -> None:
    source = (
        "TENANT = 'app.tenant_id'\ndef f(c, t):\n"
        "    c.execute(f\"SELECT set_config('{TENANT}', %s, false)\", [t])\n"
    )
    assert of(lint({"a.py": source}), "WRAP003") == [3]


def test_a_pools_checkout_listener_that_sets_the_session_is_found(lint: Lint) -> None:
    source = (
        "@event.listens_for(engine, 'checkout')\ndef bind(connection, record, proxy):\n"
        "    connection.cursor().execute(\"SET app.tenant_id = 'x'\")\n"
    )
    assert of(lint({"a.py": source}), "WRAP003") == [3]


def test_a_typescript_session_setting_is_found(lint: Lint) -> None:
    source = "export async function f(client, t) {\n  await client.query(`SET app.tenant_id = '${t}'`);\n}\n"
    assert of(lint({"a.ts": source}), "WRAP003") == [2]


@pytest.mark.parametrize(("path", "found"), [("app/migrations/0007_fill.py", []), ("app/fill.py", [2])])
def test_a_migration_has_its_session_for_itself(lint: Lint, path: str, found: list[int]) -> None:
    source = "def f(c, t):\n    c.execute(\"SELECT set_config('app.tenant_id', %s, false)\", [t])\n"
    assert of(lint({path: source}), "WRAP003") == found


# WRAP004


@pytest.mark.parametrize(
    "source",
    [
        f'import asyncpg\nasync def f(pool, t):\n    await pool.execute("{LOCAL}", t)\n',
        (
            "import asyncpg\nasync def f(u, t):\n"
            f'    c = await asyncpg.connect(u); await c.execute("{LOCAL}", t)\n'
        ),
        (
            "import asyncpg\nasync def f(pool, t):\n"
            f'    async with pool.acquire() as c: await c.execute("{LOCAL}", t)\n'
        ),
        (
            "import psycopg\ndef f(t):\n"
            f'    c = psycopg.connect(D, autocommit=True); c.execute("{LOCAL}", [t])\n'
        ),
        (
            "def f(e, t):\n    c = e.connect().execution_options(isolation_level='AUTOCOMMIT')\n"
            f'    c.execute("{LOCAL}", [t])\n'
        ),
    ],
)
def test_a_setting_for_a_transaction_that_is_over_is_found(lint: Lint, source: str) -> None:
    assert of(lint({"app/db.py": source}), "WRAP004") == [3]


@pytest.mark.parametrize(
    "source",
    [
        f'import asyncpg\nasync def f(c, t):\n    await c.execute("{LOCAL}", t)\n',
        (
            "import asyncpg\nasync def f(pool, t):\n    async with pool.acquire() as c:\n"
            f'        async with c.transaction():\n            await c.execute("{LOCAL}", t)\n'
        ),
        (
            "import psycopg\ndef f(t):\n    c = psycopg.connect(D, autocommit=True)\n"
            f'    with c.transaction():\n        c.execute("{LOCAL}", [t])\n'
        ),
        f'import psycopg\ndef f(t):\n    c = psycopg.connect(D)\n    c.execute("{LOCAL}", [t])\n',
        (
            "import asyncpg\nasync def f(u, t):\n"
            "    c = await asyncpg.connect(u)\n    await c.execute('BEGIN')\n"
            f'    await c.execute("{LOCAL}", t)\n'
        ),
    ],
)
def test_a_setting_inside_a_transaction_or_on_a_given_connection_is_right(lint: Lint, source: str) -> None:
    assert of(lint({"app/db.py": source}), "WRAP004") == []


PG = 'import { Pool } from "pg";\nconst pool = new Pool();\n'
CONFIG = "SELECT set_config('app.tenant_id', $1, true)"


@pytest.mark.parametrize(
    "body",
    [
        f'await pool.query("{CONFIG}", [t]);',
        f'const c = await pool.connect(); await c.query("{CONFIG}", [t]);',
        "await prisma.$executeRaw`SELECT set_config('app.tenant_id', ${t}, true)`;",
    ],
)
def test_typescripts_settings_outside_a_transaction_are_found(lint: Lint, body: str) -> None:
    source = f"{PG}export async function f(t) {{\n  {body}\n}}\n"
    assert of(lint({"app/db.ts": source}), "WRAP004") == [4]


@pytest.mark.parametrize(
    "body",
    [
        f'const c = await pool.connect(); await c.query("BEGIN"); await c.query("{CONFIG}", [t]);',
        f'await client.query("{CONFIG}", [t]);',
        "await prisma.$transaction([prisma.$executeRaw`SELECT set_config('app.tenant_id', ${t}, true)`, q]);",
        (
            "await prisma.$transaction(async (tx) => { "
            "await tx.$executeRaw`SELECT set_config('app.tenant_id', ${t}, true)`; });"
        ),
        "await db.transaction(async (tx) => { await tx.execute(sql`SET LOCAL app.tenant_id = 'x'`); });",
    ],
)
def test_typescripts_settings_inside_a_transaction_are_right(lint: Lint, body: str) -> None:
    source = f"{PG}export async function f(t, client) {{\n  {body}\n}}\n"
    assert of(lint({"app/db.ts": source}), "WRAP004") == []


# WRAP005


@pytest.mark.parametrize(
    "line",
    [
        "c.execute(f\"SET LOCAL app.tenant_id = '{t}'\")",
        "c.execute(\"SET LOCAL app.tenant_id = '%s'\" % t)",
        "c.execute(\"SET LOCAL app.tenant_id = '{}'\".format(t))",
        "c.execute(f\"SELECT set_config('app.tenant_id', '{t}', true)\")",
    ],
)
def test_a_tenant_pasted_into_the_text_is_found(lint: Lint, line: str) -> None:
    (finding,) = lint({"a.py": f"def f(c, t):\n    {line}\n"}).findings
    assert (finding.rule, finding.severity) == ("WRAP005", "warning")


@pytest.mark.parametrize("kind", ["uuid.UUID", "TenantId"])
def test_a_value_that_can_only_be_an_id_is_an_information(lint: Lint, kind: str) -> None:
    source = f"def f(c, t: {kind}):\n    c.execute(f\"SET LOCAL app.tenant_id = '{{t}}'\")\n"
    assert [(f.rule, f.severity) for f in lint({"a.py": source}).findings] == [("WRAP005", "info")]


@pytest.mark.parametrize(
    "line",
    [
        "c.execute(SQL('SET LOCAL app.tenant_id = {}').format(Literal(t)))",
        "c.execute(\"SELECT set_config('app.tenant_id', %s, true)\", [t])",
        "c.execute(f\"SET LOCAL statement_timeout = '{t}'\")",
        "raise ValueError(f\"SET LOCAL app.tenant_id = '{t}' failed\")",
    ],
)
def test_quoted_and_unrelated_values_are_not_pasted(lint: Lint, line: str) -> None:
    assert rules(lint({"a.py": f"def f(c, t):\n    {line}\n"})) == []


def test_a_template_of_typescript_is_pasted_and_a_tagged_one_is_not(lint: Lint) -> None:
    head = 'import { sql } from "drizzle-orm";\nexport async function f(tx, t) {\n  '
    pasted = head + "await tx.query(`SET LOCAL app.tenant_id = '${t}'`);\n}\n"
    tagged = head + "await tx.execute(sql`SELECT set_config('app.tenant_id', ${t}, true)`);\n}\n"
    assert of(lint({"a.ts": pasted}), "WRAP005") == [3]
    assert of(lint({"a.ts": tagged}), "WRAP005") == []


# RLS019


POLICY = """
CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON invoice (tenant_id);
ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT nullif(current_setting('{}', true), '')::uuid));
"""


def bind(name: str) -> str:
    return f"def bind(c, t):\n    c.execute(\"SELECT set_config('{name}', %s, true)\", [t])\n"


@pytest.mark.parametrize(
    "name", ["app.tenant_id", "app.tenant", "rls.current_tenant_id", "app.current_tennant_id"]
)
def test_a_setting_that_code_sets_under_another_name_is_found_at_both_places(lint: Lint, name: str) -> None:
    config = LintConfig(tenant_gucs=(name,))
    report = lint({"migrations/1.sql": POLICY.format("app.current_tenant_id"), "a.py": bind(name)}, config)
    (finding,) = [one for one in report.findings if one.rule == "RLS019"]
    assert (finding.path, finding.line, finding.table) == ("a.py", 2, "public.invoice")
    assert f"sets {name}" in finding.message
    assert "app.current_tenant_id" in finding.message
    assert "migrations/1.sql:6" in finding.message


@pytest.mark.parametrize(
    "source",
    [
        bind("app.current_tenant_id"),
        bind("APP.Current_Tenant_ID"),
        bind("app.current_tenant_id") + bind("app.tenant_name"),
        "def f(): ...\n",
        bind("app.tenant_id")
        + 'def g(c, name, t):\n    c.execute("SELECT set_config(%s, %s, true)", [name, t])\n',
    ],
)
def test_a_setting_that_is_set_or_may_be_is_silent(lint: Lint, source: str) -> None:
    report = lint({"migrations/1.sql": POLICY.format("app.current_tenant_id"), "a.py": source})
    assert of(report, "RLS019") == []


def test_a_setting_that_a_function_of_the_database_sets_is_silent() -> None:
    policy = Policy("tenant", using="tenant_id = current_setting('app.current_tenant_id', true)")
    table = Table("public", "invoice", (Column("tenant_id"),), "tenant_id", True, policies=(policy,))
    body = "SELECT set_config('app.current_tenant_id', t, true)"
    setter = Function("public", "enter", body=body)
    for functions, expected in (({}, ["RLS019"]), ({"public.enter": setter}, [])):
        catalogue = Catalogue("db", {"public.invoice": table}, functions=functions)
        readers = reader_map([read_python(bind("app.tenant_id").encode(), "a.py")], [catalogue], LintConfig())
        found = unmatched_settings(readers, [catalogue], LintConfig())
        assert [finding.rule for finding in found] == expected


def test_a_typescript_setting_under_another_name_is_found(lint: Lint) -> None:
    source = (
        "export async function f(tx, t) {\n"
        "  await tx.query(\"SELECT set_config('app.tenant_id', $1, true)\", [t]);\n}\n"
    )
    report = lint({"migrations/1.sql": POLICY.format("app.current_tenant_id"), "a.ts": source})
    assert of(report, "RLS019") == [2]


# On whatever it is run, and in which transaction


def of_typescript(lint: Lint, text: str) -> list[tuple[str, int]]:
    found = lint({"src/a.ts": text}).findings
    return [(one.rule, one.line) for one in found if one.rule in {"WRAP002", "WRAP003", "WRAP004"}]


KEEPS = """import {{ {type} }} from 'typeorm';
export class Interceptor {{
  constructor(private readonly kept: {type}) {{}}
  async bind(id: string) {{
    {line}
  }}
}}
"""
LOCAL_TS = "await this.kept.query(\"SELECT set_config('app.tenant_id', $1, true)\", [id]);"


@pytest.mark.parametrize("kind", ["DataSource", "EntityManager"])
def test_a_numbered_parameter_of_set_is_found_whatever_runs_it(lint: Lint, kind: str) -> None:
    line = "await this.kept.query('SET LOCAL app.tenant_id = $1', [id]);"
    assert ("WRAP002", 5) in of_typescript(lint, KEEPS.format(type=kind, line=line))


@pytest.mark.parametrize("kind", ["DataSource", "EntityManager"])
def test_a_pool_that_an_object_keeps_gives_each_statement_another_connection(lint: Lint, kind: str) -> None:
    assert of_typescript(lint, KEEPS.format(type=kind, line=LOCAL_TS)) == [("WRAP004", 5)]
    inside = f"return this.kept.transaction(async (tx) => {{ {LOCAL_TS.replace('this.kept', 'tx')} }});"
    assert of_typescript(lint, KEEPS.format(type=kind, line=inside)) == []
    emptied = LOCAL_TS.replace("$1, true", "'', true")
    assert of_typescript(lint, KEEPS.format(type=kind, line=emptied)) == []


def test_a_query_runner_begins_no_transaction_by_itself(lint: Lint) -> None:
    line = "const runner = this.kept.createQueryRunner(); {} " + LOCAL_TS.replace("this.kept", "runner")
    assert of_typescript(lint, KEEPS.format(type="DataSource", line=line.format(""))) == [("WRAP004", 5)]
    begun = line.format("await runner.startTransaction();")
    assert of_typescript(lint, KEEPS.format(type="DataSource", line=begun)) == []


WORK = """import postgres from 'postgres';
const sql = postgres(URL);
export async function scoped(id: string, work) {
  return sql.begin(async (tx) => {
    await tx.unsafe("SELECT set_config('app.tenant_id', $1, true)", [id]);
    %s
  });
}
"""


def test_work_that_is_not_given_the_bound_connection_runs_on_others(lint: Lint) -> None:
    assert of_typescript(lint, WORK % "return work();") == [("WRAP004", 5)]


@pytest.mark.parametrize(
    "line", ["return work(tx);", "return storage.run(tx, () => work());", "return tx`SELECT 1`;"]
)
def test_work_that_is_given_it_or_can_find_it_runs_there(lint: Lint, line: str) -> None:
    assert of_typescript(lint, WORK % line) == []


def test_a_setting_whose_name_is_a_parameter_is_read_from_the_list(lint: Lint) -> None:
    text = """export async function bind(reserved, id: string) {
  await reserved.unsafe('SELECT set_config($1, $2, %s)', ['app.tenant_id', %s]);
}
"""
    assert of_typescript(lint, text % ("false", "id")) == [("WRAP003", 2)]
    assert of_typescript(lint, text % ("true", "id")) == []
    assert of_typescript(lint, text % ("false", "''")) == []


@pytest.mark.parametrize(
    ("path", "text", "severity"),
    [
        ("a.py", 'def f(c, t):\n    c.execute(f"SET LOCAL app.tenant_id = {int(t.id)}")\n', "info"),
        ("a.py", "def f(c, t):\n    c.execute(f\"SET LOCAL app.tenant_id = '{uuid.UUID(t)}'\")\n", "info"),
        ("a.py", "def f(c, t):\n    c.execute(f\"SET LOCAL app.tenant_id = '{str(t)}'\")\n", "warning"),
        (
            "a.ts",
            (
                "export async function f(c, t: number) {\n"
                "  const id = Math.trunc(t);\n"
                "  await c.query(`SET LOCAL app.tenant_id = '${String(id)}'`);\n}\n"
            ),
            "info",
        ),
        (
            "a.ts",
            (
                "export async function f(c, id) {\n"
                "  await c.query(`SET LOCAL app.tenant_id = '${String(id)}'`);\n}\n"
            ),
            "warning",
        ),
    ],
)
def test_a_value_made_a_number_or_a_uuid_where_it_is_pasted_is_mentioned_only(
    lint: Lint, path: str, text: str, severity: str
) -> None:
    assert [one.severity for one in lint({path: text}).findings if one.rule == "WRAP005"] == [severity]


WORKSPACES = """
CREATE TABLE note (id uuid PRIMARY KEY, box uuid NOT NULL, body text);
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
ALTER TABLE note FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON note USING (box = (SELECT nullif(current_setting('{name}', true), '')::uuid));
"""


@pytest.mark.parametrize(("name", "told"), [("app.ws", True), ("my.current", True), ("app.other", False)])
def test_the_setting_that_policies_read_is_the_tenants_whatever_its_name(
    lint: Lint, name: str, told: bool
) -> None:
    code = f"def bind(cursor, box):\n    cursor.execute(\"SELECT set_config('{name}', %s, false)\", [box])\n"
    asked = WORKSPACES.format(name=name if told else "app.ws")
    report = lint({"db/migrations/1.sql": asked, "app/bind.py": code})
    assert ("WRAP003" in [one.rule for one in report.findings]) is told
