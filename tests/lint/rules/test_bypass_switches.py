"""BYP006: roles that code becomes and settings that it makes, judged by what the migrations say of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import LintConfig, Report

Lint = Callable[..., Report]

BOUND = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"


def schema(using: str = BOUND, more: str = "") -> str:
    return (
        "CREATE TABLE ticket (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\n"
        "CREATE INDEX ON ticket (tenant_id);\n"
        "ALTER TABLE ticket ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n"
        f"CREATE POLICY own ON ticket USING ({using});\n{more}"
    )


def told(lint: Lint, source: str, migration: str, path: str = "app/a.py") -> list[str]:
    report = lint({"migrations/1.sql": migration, path: source})
    return [one.severity for one in report.findings if one.rule == "BYP006" and one.path == path]


def becomes(role: str) -> str:
    return f"def f(c):\n    c.execute('SET LOCAL ROLE {role}')\n"


@pytest.mark.parametrize(
    ("role", "more"),
    [
        ("desk", "CREATE ROLE desk NOLOGIN;"),
        ("desk", "CREATE POLICY of_desk ON ticket TO desk USING (tenant_id IS NOT NULL AND false);"),
        ("desk", "GRANT SELECT ON ticket TO desk;"),
        (
            "admin_of_one_tenant",
            "CREATE ROLE admin_of_one_tenant NOBYPASSRLS; GRANT SELECT ON ticket TO PUBLIC;",
        ),
    ],
)
def test_becoming_a_role_that_row_security_binds_is_no_bypass(lint: Lint, role: str, more: str) -> None:
    assert told(lint, becomes(role), schema(more=more)) == []


@pytest.mark.parametrize(
    ("role", "more"),
    [
        ("desk", "CREATE ROLE desk BYPASSRLS;"),
        ("desk", "CREATE ROLE desk; CREATE POLICY of_desk ON ticket TO desk USING (true);"),
        ("desk", "CREATE ROLE desk; ALTER TABLE ticket OWNER TO desk;"),
        ("app_bypass", ""),
        ("postgres", ""),
    ],
)
def test_becoming_a_role_that_reaches_everyones_rows_is_one(lint: Lint, role: str, more: str) -> None:
    assert told(lint, becomes(role), schema(more=more)) == ["error"]


def test_a_role_that_nothing_tells_of_is_only_mentioned(lint: Lint) -> None:
    assert told(lint, becomes("desk"), schema()) == ["info"]


def test_a_role_that_comes_with_the_claims_it_is_bound_by_is_only_mentioned(lint: Lint) -> None:
    claims = "    c.execute(\"SELECT set_config('request.jwt.claims', %s, true)\", [claims])\n"
    source = "def f(c, role, claims):\n{}    c.execute(f'SET LOCAL ROLE {{role}}')\n"
    assert told(lint, source.format(claims), schema()) == ["info"]
    assert told(lint, source.format(""), schema()) == ["error"]


STAFF = f"{BOUND} OR current_setting('app.is_staff', true) = 'yes'"
MODE = f"{BOUND} OR current_setting('app.mode', true) IN ('worker', 'sweep')"
FLAG = f"{BOUND} OR current_setting('app.is_staff', true)::boolean"


def sets(name: str, value: str) -> str:
    return f"def f(c):\n    c.execute(\"SELECT set_config('{name}', {value}, true)\")\n"


@pytest.mark.parametrize(
    ("using", "name", "value"),
    [
        (STAFF, "app.is_staff", "'yes'"),
        (MODE, "app.mode", "'sweep'"),
        (FLAG, "app.is_staff", "'on'"),
        (f"staff() OR {BOUND}", "app.is_staff", "'true'"),
    ],
)
def test_a_setting_that_opens_the_policies_is_a_bypass_whatever_its_name(
    lint: Lint, using: str, name: str, value: str
) -> None:
    staff = (
        "CREATE FUNCTION staff() RETURNS boolean LANGUAGE sql STABLE AS\n"
        "  $$ SELECT current_setting('app.is_staff', true) = 'true' $$;\n"
    )
    migration = staff + schema(using)
    assert told(lint, sets(name, value), migration) == ["error"]
    typescript = (
        f"export async function f(c) {{ await c.query(\"SELECT set_config('{name}', {value}, true)\"); }}\n"
    )
    assert told(lint, typescript, migration, "app/a.ts") == ["error"]
    assert told(lint, sets(name, value), migration, "tenancy/a.py") == []


@pytest.mark.parametrize(
    ("using", "name", "value"),
    [
        (STAFF, "app.is_staff", "'no'"),
        (STAFF, "app.is_staff", "%s"),
        (STAFF, "app.is_staff", "'off'"),
        (MODE, "app.mode", "'request'"),
        (BOUND, "app.is_staff", "'yes'"),
        (f"{BOUND} AND current_setting('app.is_staff', true) = 'yes'", "app.is_staff", "'yes'"),
    ],
)
def test_a_value_that_opens_nothing_or_is_decided_elsewhere_is_none(
    lint: Lint, using: str, name: str, value: str
) -> None:
    assert told(lint, sets(name, value), schema(using)) == []


def test_a_table_that_is_everyones_has_no_switch(lint: Lint) -> None:
    files = {"migrations/1.sql": schema(STAFF), "app/a.py": sets("app.is_staff", "'yes'")}
    config = LintConfig(global_tables={"public.ticket": "the price list"})
    assert [one.rule for one in lint(files, config).findings if one.rule == "BYP006"] == []
