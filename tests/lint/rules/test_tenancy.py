"""The tenant column is found by itself, shown, and not guessed where rows belong to users."""

from __future__ import annotations

import pytest

from lint import LintConfig
from tests.lint.rules.shop import Lint, told

ON = "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY;\n"


def columns(lint: Lint, sql: str, config: LintConfig | None = None) -> dict[str, str]:
    report = lint({"m/1.sql": sql}, config)
    return {row.name.removeprefix("public."): row.tenant_column for row in report.coverage.tables}


@pytest.mark.parametrize(
    "name",
    ["tenant_id", "organization_id", "organisation_id", "org_id", "workspace_id", "orgId", "WorkspaceId"],
)
def test_a_name_that_says_so_is_the_tenants(lint: Lint, name: str) -> None:
    assert columns(lint, f'CREATE TABLE a (id int, "{name}" uuid);') == {"a": name}


@pytest.mark.parametrize("name", ["team_id", "account_id", "company_id", "companyId"])
def test_a_name_that_may_mean_another_thing_needs_company(lint: Lint, name: str) -> None:
    table = 'CREATE TABLE {0} (id int, "{1}" uuid);'
    assert columns(lint, table.format("a", name)) == {}
    three = "".join(table.format(letter, name) for letter in "abc")
    assert columns(lint, three) == dict.fromkeys("abc", name)
    beside = three + "CREATE TABLE d (id int, tenant_id uuid);"
    assert columns(lint, beside) == {"d": "tenant_id"}


def test_a_policy_vouches_for_such_a_name(lint: Lint) -> None:
    sql = (
        "CREATE TABLE a (team_id uuid);"
        + ON.format("a")
        + "CREATE POLICY p ON a USING (is_in_team(team_id));"
    )
    assert columns(lint, sql) == {"a": "team_id"}


def test_a_key_to_a_table_of_tenants_says_whose_row_it_is(lint: Lint) -> None:
    sql = 'CREATE TABLE "Organization" (id uuid PRIMARY KEY);' + "".join(
        f'CREATE TABLE t{n} (id uuid, owner_ref uuid REFERENCES "Organization" (id));' for n in range(3)
    )
    assert columns(lint, sql) == {"t0": "owner_ref", "t1": "owner_ref", "t2": "owner_ref"}


@pytest.mark.parametrize(
    "column",
    [
        "current_organization_id uuid REFERENCES organizations",
        "parent_organization_id uuid REFERENCES organizations",
        "invited_by_organization uuid REFERENCES organizations",
        "project_id uuid REFERENCES projects",
        "customer_id uuid",
    ],
)
def test_a_column_that_points_at_a_tenant_is_not_yet_its_owner(lint: Lint, column: str) -> None:
    made = "CREATE TABLE organizations (id uuid PRIMARY KEY);CREATE TABLE projects (id uuid PRIMARY KEY);"
    tables = "".join(f"CREATE TABLE t{n} (id uuid, {column});" for n in range(3))
    assert columns(lint, made + tables) == {}


def test_a_column_that_policies_compare_with_a_setting_is_learned(lint: Lint) -> None:
    policy = "CREATE POLICY p ON shop USING (merchant = current_setting('app.merchant', true));"
    sql = "CREATE TABLE shop (id int, merchant text);CREATE TABLE till (id int, merchant text);" + ON.format(
        "shop"
    )
    assert columns(lint, sql + policy) == {"shop": "merchant", "till": "merchant"}


def test_a_function_written_without_its_schema_is_read(lint: Lint) -> None:
    sql = (
        "CREATE FUNCTION merchant_now() RETURNS text STABLE LANGUAGE sql AS "
        "$$ SELECT nullif(current_setting('app.merchant', true), '') $$;"
        "CREATE TABLE shop (id int, merchant text NOT NULL);"
        + ON.format("shop")
        + "CREATE POLICY p ON shop USING (merchant = (SELECT merchant_now()));"
    )
    assert columns(lint, sql) == {"shop": "merchant"}
    assert "app.merchant (read by merchant_now)" in lint({"m/1.sql": sql}).tenancy


OWNED = (
    "CREATE TABLE workspaces (id uuid PRIMARY KEY, user_id uuid);"
    "CREATE TABLE chats (id uuid PRIMARY KEY, user_id uuid, workspace_id uuid REFERENCES workspaces);"
    + ON.format("workspaces")
    + ON.format("chats")
    + "CREATE POLICY own ON workspaces USING (user_id = (SELECT auth.uid()));"
    + "CREATE POLICY own ON chats USING (user_id = (SELECT auth.uid()));"
)


def test_rows_that_belong_to_users_are_said_to_and_not_guessed(lint: Lint) -> None:
    report = lint({"m/1.sql": OWNED})
    assert report.coverage.tables == ()
    assert report.tenancy.startswith("no tenant column found: rows belong to users (user_id (2 tables))")
    assert "--tenant-column" in report.tenancy


def test_their_policies_are_judged_all_the_same(lint: Lint) -> None:
    opened = OWNED + "CREATE POLICY more ON chats FOR DELETE USING (true);"
    assert told(lint({"m/1.sql": opened})) == ["RLS010"]


def test_no_tenant_column_is_said(lint: Lint) -> None:
    report = lint({"m/1.sql": "CREATE TABLE a (id int);"})
    assert report.tenancy == (
        "no tenant column found: name it with --tenant-column; tenant setting: none found"
    )
    assert (report.coverage.enforced, len(report.coverage.tables)) == (0, 0)


def test_the_column_that_is_named_overrules_what_would_be_found(lint: Lint) -> None:
    sql = "CREATE TABLE a (tenant_id int, site int);CREATE TABLE b (tenant_id int);"
    assert columns(lint, sql, LintConfig(tenant_column="site")) == {"a": "site"}
    assert columns(lint, OWNED, LintConfig(tenant_column="workspace_id")) == {"chats": "workspace_id"}


def test_what_was_found_is_shown_with_its_setting(lint: Lint) -> None:
    sql = (
        "CREATE TABLE a (tenant_id text);"
        + ON.format("a")
        + ("CREATE POLICY p ON a USING (tenant_id = current_setting('app.tenant', true));")
    )
    assert lint({"m/1.sql": sql}).tenancy == "tenant column: tenant_id (1 table); tenant setting: app.tenant"


def test_an_account_is_no_tenant_where_policies_ask_for_the_owner(lint: Lint) -> None:
    bound = "owner_id = nullif(current_setting('app.business', true), '')::uuid"
    books = "".join(
        f"CREATE TABLE {name} (id uuid PRIMARY KEY, owner_id uuid NOT NULL, account_id uuid NOT NULL);\n"
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;\nCREATE POLICY own ON {name} USING ({bound});\n"
        for name in ("charge", "ledger", "receipt")
    )
    report = lint({"m/1.sql": books + "CREATE TABLE rate (id uuid PRIMARY KEY, account_id uuid NOT NULL);\n"})
    assert "owner_id (3 tables)" in report.tenancy
    assert "account_id" not in report.tenancy
