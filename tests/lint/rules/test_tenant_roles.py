"""Roles within one tenant, shared rows that anybody may write, and the tenant that an unset one becomes."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import CLEAN, HOSTED, INVOICE, PAYMENT, TENANT, Lint, granted, protected

MINE = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
RANK = (
    "CREATE FUNCTION my_rank() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER\n"
    "  SET search_path = '' AS $$ SELECT m.rank FROM public.member m WHERE m.user_id = auth.uid() $$;\n"
)
FORCED = "CREATE ROLE app LOGIN;\n" + TENANT + INVOICE + PAYMENT + granted("invoice") + granted("payment")


def found(lint: Lint, text: str, *rules: str) -> list[tuple[str, str]]:
    report = lint({"m/1.sql": text})
    return [(one.rule, one.severity) for one in report.findings if one.rule in rules]


def ranked(*policies: str) -> str:
    """SQL of a hosted project that asks for ranks, with some more policies on its invoices."""
    beside = "CREATE POLICY old ON invoice FOR DELETE TO authenticated USING (my_rank() = 'head' AND {});\n"
    tenant = "tenant_id IN (SELECT m.tenant_id FROM member m WHERE m.user_id = (SELECT auth.uid()))"
    more = "".join(f"CREATE POLICY p{n} ON invoice {tail};\n" for n, tail in enumerate(policies))
    return HOSTED + RANK + (beside.format(tenant) + more).replace("<mine>", tenant)


def test_a_role_that_stands_beside_the_tenant_elsewhere_is_one_tenants(lint: Lint) -> None:
    again = "FOR UPDATE TO authenticated USING (my_rank() = 'head' AND <mine>)"
    alone = "FOR INSERT TO authenticated WITH CHECK (my_rank() IN ('head', 'clerk'))"
    assert found(lint, ranked(again, alone), "RLS012") == [("RLS012", "error")]


def test_a_role_above_all_tenants_may_stand_alone(lint: Lint) -> None:
    above = "FOR SELECT TO authenticated USING (my_rank() = 'super_admin')"
    both = "FOR UPDATE TO authenticated USING (my_rank() IN ('super_admin', 'head') AND <mine>)"
    assert found(lint, ranked(above, both), "RLS011", "RLS012") == []


def test_a_role_that_mostly_stands_alone_is_no_tenants(lint: Lint) -> None:
    alone = [
        f"FOR {one} TO authenticated USING (my_rank() = 'head')" for one in ("SELECT", "UPDATE", "DELETE")
    ]
    assert found(lint, ranked(*alone), "RLS011", "RLS012") == []


SHARED = TENANT + "CREATE TABLE word (id uuid PRIMARY KEY, tenant_id uuid REFERENCES tenant, text text);\n"


@pytest.mark.parametrize(
    ("tail", "severity"),
    [
        (f"USING ({MINE} OR tenant_id IS NULL) WITH CHECK ({MINE} OR tenant_id IS NULL)", "error"),
        (f"FOR DELETE USING ({MINE} OR tenant_id IS NULL)", "error"),
        (f"FOR SELECT USING ({MINE} OR tenant_id IS NULL)", "info"),
    ],
)
def test_shared_rows_are_for_reading_only(lint: Lint, tail: str, severity: str) -> None:
    text = SHARED + "ALTER TABLE word ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n"
    assert found(lint, f"{text}CREATE POLICY words ON word {tail};\n", "RLS016") == [("RLS016", severity)]


def scoped(constant: str) -> str:
    """SQL of a function that compares a column with the tenant, or a constant where none is bound."""
    setting = "nullif(current_setting('app.tenant_id', true), '')::uuid"
    return (
        "CREATE FUNCTION ours(whose uuid) RETURNS boolean LANGUAGE sql STABLE\n"
        f"  AS $$ SELECT whose = coalesce({setting}, '{constant}'::uuid) $$;\n"
    )


@pytest.mark.parametrize(
    ("constant", "expected"),
    [
        ("c0ffee00-0000-0000-0000-000000000001", [("RLS016", "error")] * 2),
        ("00000000-0000-0000-0000-000000000000", []),
    ],
)
def test_an_unset_tenant_that_is_taken_for_somebody(
    lint: Lint, constant: str, expected: list[tuple[str, str]]
) -> None:
    text = scoped(constant) + FORCED
    text += protected("invoice", "ours(tenant_id)") + protected("payment", "ours(tenant_id)")
    assert found(lint, text, "RLS016") == expected


def test_the_overload_for_the_columns_type_is_read(lint: Lint) -> None:
    other = (
        "CREATE FUNCTION ours(whose text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT whose = 'x' $$;\n"
    )
    text = other + scoped("c0ffee00-0000-0000-0000-000000000001") + FORCED
    text += protected("invoice", "ours(tenant_id)")
    assert ("RLS016", "error") in found(lint, text, "RLS016")


def test_the_setting_behind_a_function_of_the_column_is_the_tenants(lint: Lint) -> None:
    text = scoped("00000000-0000-0000-0000-000000000000") + FORCED + protected("invoice", "ours(tenant_id)")
    assert "app.tenant_id (" not in lint({"m/1.sql": text}).tenancy
    assert "tenant setting: app.tenant_id" in lint({"m/1.sql": text}).tenancy


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        (
            "coalesce(nullif(current_setting('app.tenant_id', true), '')::uuid, 'c0ffee00-0000-4000')",
            1,
        ),
        ("nullif(current_setting('app.tenant_id', true), '')::uuid", 0),
        ("gen_random_uuid()", 0),
    ],
)
def test_a_default_that_files_rows_under_one_tenant(lint: Lint, default: str, expected: int) -> None:
    table = f"CREATE TABLE note (id uuid PRIMARY KEY, tenant_id uuid NOT NULL DEFAULT {default});\n"
    assert len(found(lint, CLEAN + table, "RLS043")) == expected
