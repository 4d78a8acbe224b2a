"""A policy that asks something, and never who is connected: look-ups, functions, shared rows."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import HOSTED, Lint, wrong

ORDER = (
    "CREATE TABLE parcel (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, state text, is_builtin boolean);\n"
    "ALTER TABLE parcel ENABLE ROW LEVEL SECURITY;\nCREATE INDEX ON parcel (tenant_id);\n"
)
OPEN_TENANTS = (
    "ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY seen ON tenant FOR SELECT TO authenticated USING (auth.uid() IS NOT NULL);\n"
)


def told(lint: Lint, *statements: str) -> list[str]:
    return wrong(lint({"migrations/1.sql": HOSTED + ORDER + "".join(statements)}))


def policy(using: str, command: str = "ALL") -> str:
    return f"CREATE POLICY some ON parcel FOR {command} TO authenticated USING ({using});\n"


@pytest.mark.parametrize(
    "using",
    [
        "tenant_id IN (SELECT t.id FROM tenant t WHERE auth.uid() IS NOT NULL)",
        "tenant_id IN (SELECT t.id FROM tenant t WHERE t.id = parcel.tenant_id)",
        "EXISTS (SELECT 1 FROM tenant t WHERE t.id = parcel.tenant_id AND auth.role() = 'authenticated')",
    ],
)
def test_a_look_up_that_is_the_same_for_everyone_binds_no_tenant(lint: Lint, using: str) -> None:
    assert "RLS011" in told(lint, OPEN_TENANTS, policy(using))


@pytest.mark.parametrize(
    "using",
    [
        "tenant_id IN (SELECT m.tenant_id FROM member m WHERE m.user_id = (SELECT auth.uid()))",
        # the policies of what is read ask who is connected
        "tenant_id IN (SELECT m.tenant_id FROM member m)",
        "EXISTS (SELECT 1 FROM invoice i WHERE i.tenant_id = parcel.tenant_id)",
        # what no migration shows may ask
        "EXISTS (SELECT 1 FROM elsewhere.seat s WHERE s.tenant_id = parcel.tenant_id)",
        "EXISTS (SELECT 1 FROM tenant t WHERE t.id = parcel.tenant_id AND may_read(t.id))",
    ],
)
def test_a_look_up_that_somebody_is_asked_in_is_tied(lint: Lint, using: str) -> None:
    assert "RLS011" not in told(lint, OPEN_TENANTS, policy(using))


def function(body: str, arguments: str = "") -> str:
    return (
        f"CREATE FUNCTION allowed({arguments}) RETURNS boolean STABLE LANGUAGE plpgsql AS\n"
        f"$$ BEGIN RETURN {body}; END $$;\n"
    )


@pytest.mark.parametrize(
    ("arguments", "body", "using"),
    [
        ("", "auth.uid() IS NOT NULL", "allowed()"),
        ("", "now() > '2020-01-01'", "allowed()"),
        ("one text", "one <> 'hidden'", "allowed(state)"),
    ],
)
def test_a_function_that_asks_neither_the_row_nor_the_caller_is_a_door(
    lint: Lint, arguments: str, body: str, using: str
) -> None:
    assert "RLS011" in told(lint, function(body, arguments), policy(using))


@pytest.mark.parametrize(
    ("arguments", "body", "using"),
    [
        ("", "EXISTS (SELECT 1 FROM elsewhere.seat s WHERE s.user_id = auth.uid())", "allowed()"),
        ("one uuid", "one = (auth.jwt() ->> 'tenant_id')::uuid", "allowed(tenant_id)"),
        ("one uuid", "kept_elsewhere(one)", "allowed(tenant_id)"),
        ("one uuid", "pg_has_role(one::text, 'member')", "allowed(tenant_id)"),
    ],
)
def test_a_function_that_may_ask_is_left_to_its_author(
    lint: Lint, arguments: str, body: str, using: str
) -> None:
    assert "RLS011" not in told(lint, function(body, arguments), policy(using))


def test_rows_that_are_built_in_are_read_by_everyone_by_design(lint: Lint) -> None:
    bound = "tenant_id IN (SELECT m.tenant_id FROM member m WHERE m.user_id = (SELECT auth.uid()))"
    assert "RLS011" not in told(lint, policy(f"{bound} OR is_builtin", "SELECT"))
    assert "RLS011" in told(lint, policy(f"{bound} OR is_builtin"))
