"""Each row security rule finds its fault, and stays silent where there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import LintConfig, Report

Lint = Callable[..., Report]

TABLE = (
    "CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, name text);\n"
    "CREATE INDEX ON invoice (tenant_id);\n"
)
MEMBER = "CREATE TABLE member (user_id uuid, tenant_id uuid NOT NULL);\n"
BOUND = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
POLICY = f"CREATE POLICY tenant ON invoice USING ({BOUND});\n"
ENABLE = "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
FORCE = "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
CLEAN = TABLE + ENABLE + FORCE + POLICY


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def test_a_protected_table_gives_no_finding_and_counts_as_enforced(lint: Lint) -> None:
    report = lint({"m/1.sql": CLEAN})
    assert rules(report) == []
    assert (report.coverage.enforced, len(report.coverage.tables)) == (1, 1)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (TABLE, ["RLS001"]),
        (TABLE + POLICY, ["RLS002"]),
        (TABLE + POLICY + FORCE, ["RLS002", "RLS004"]),
        (TABLE + ENABLE + FORCE, ["RLS003"]),
        (CLEAN.replace("ON invoice", "ON invoice AS RESTRICTIVE"), ["RLS003"]),
        (TABLE + ENABLE + POLICY, ["RLS004"]),
        (CLEAN + "ALTER TABLE invoice DISABLE ROW LEVEL SECURITY;", ["RLS005"]),
        (CLEAN + "DROP POLICY tenant ON invoice;", ["RLS005"]),
        (CLEAN + "CREATE POLICY p ON invoice USING (true);", ["RLS010"]),
    ],
)
def test_a_fault_in_the_state_gives_its_rules(lint: Lint, sql: str, expected: list[str]) -> None:
    assert sorted(rules(lint({"m/1.sql": sql}))) == expected


@pytest.mark.parametrize(
    "predicate",
    [
        "true",
        "1 = 1",
        "(SELECT true)",
        "'t'::boolean",
        "NOT false",
        "tenant_id = tenant_id",
        "tenant_id IS NOT NULL",
        "invoice.tenant_id = tenant_id",
        f"{BOUND} OR true",
        f"({BOUND}) OR NOT ({BOUND})",
        "tenant_id IN (tenant_id)",
        "name LIKE '%'",
        "coalesce(true, false)",
        "CASE WHEN name = 'x' THEN true ELSE true END",
        "EXISTS (SELECT 1)",
        "2 > 1 AND 'a' = 'a'",
        "EXISTS (SELECT 1 FROM member m WHERE m.user_id = app.me() AND tenant_id = m.tenant_id)",
        "EXISTS (SELECT 1 FROM member m WHERE m.tenant_id = m.tenant_id)",
        "name = 'x' OR EXISTS (SELECT 1 FROM member m WHERE tenant_id = m.tenant_id)",
    ],
)
def test_a_predicate_true_for_every_row_is_found(lint: Lint, predicate: str) -> None:
    member = MEMBER.replace("CREATE TABLE member", "CREATE TABLE public.member")
    report = lint(
        {"m/1.sql": CLEAN + member + f"CREATE POLICY p ON invoice USING ({predicate});"},
        LintConfig(global_tables={"public.member": "a test"}),
    )
    assert rules(report) == ["RLS010"]


@pytest.mark.parametrize(
    "predicate",
    [
        BOUND,
        "false",
        "name IS NOT NULL",
        "name LIKE 'a%'",
        f"{BOUND} AND true",
        "EXISTS (SELECT 1 FROM member m WHERE m.user_id = app.me() AND m.tenant_id = invoice.tenant_id)",
        "tenant_id IN (SELECT tenant_id FROM member WHERE user_id = app.me())",
        "EXISTS (SELECT 1 FROM member WHERE user_id = app.me())",
        "EXISTS (SELECT 1 FROM unknown_table u WHERE tenant_id = u.tenant_id)",
        "tenant_id = coalesce(app.tenant(), app.fallback())",
        "1 = 2",
        "app.allowed(tenant_id)",
    ],
)
def test_a_predicate_that_asks_something_is_not_found(lint: Lint, predicate: str) -> None:
    sql = CLEAN + MEMBER + f"CREATE POLICY p ON invoice USING ({predicate});"
    config = LintConfig(global_tables={"member": "a test"})
    assert "RLS010" not in rules(lint({"m/1.sql": sql}, config))


def test_a_name_that_crosses_two_queries_is_named_where_it_was_caught(lint: Lint) -> None:
    sql = """
    CREATE TABLE chats (id uuid PRIMARY KEY, name text NOT NULL, sharing text);
    CREATE TABLE messages (id uuid PRIMARY KEY, chat_id uuid);
    CREATE POLICY images ON storage.objects FOR SELECT USING (EXISTS (
        SELECT 1 FROM chats WHERE sharing <> 'private' AND id = (
            SELECT chat_id FROM messages WHERE id = (storage.foldername(name))[2]::uuid)));
    """
    (finding,) = lint({"m/1.sql": sql}).findings
    assert (finding.rule, finding.table) == ("RLS010", "storage.objects")
    assert "`name` means chats.name" in finding.message


def test_a_shared_table_may_be_readable_by_all_but_not_writable(lint: Lint) -> None:
    table = "CREATE TABLE country (code text PRIMARY KEY);ALTER TABLE country ENABLE ROW LEVEL SECURITY;"
    readable = "CREATE POLICY r ON country FOR SELECT USING (true);"
    writable = "CREATE POLICY w ON country FOR INSERT WITH CHECK (true);"
    assert rules(lint({"m/1.sql": table + readable})) == []
    assert rules(lint({"m/1.sql": table + readable + writable})) == ["RLS010"]


def test_a_policy_for_a_role_that_bypasses_anyway_opens_nothing(lint: Lint) -> None:
    service = "CREATE POLICY s ON invoice TO service_role USING (true);"
    assert rules(lint({"m/1.sql": CLEAN + service})) == []


def test_a_global_table_needs_no_row_security_and_leaves_the_coverage(lint: Lint) -> None:
    report = lint({"m/1.sql": TABLE}, LintConfig(global_tables={"invoice": "price list"}))
    assert rules(report) == []
    assert report.coverage.tables == ()


def test_policies_of_a_table_without_a_baseline_are_judged_but_not_its_state(lint: Lint) -> None:
    report = lint({"m/1.sql": "CREATE POLICY p ON invoice USING (1 = 1);"})
    assert rules(report) == ["RLS010"]


def test_a_partition_is_its_parents_matter(lint: Lint) -> None:
    partition = "CREATE TABLE invoice_1 PARTITION OF invoice FOR VALUES IN ('a');"
    assert rules(lint({"m/1.sql": CLEAN + partition})) == []


def test_the_account_at_a_login_provider_is_not_a_tenant(lint: Lint) -> None:
    provider = "CREATE TABLE oauth_account (id uuid, account_id text, access_token text);"
    assert rules(lint({"m/1.sql": provider})) == []


def test_a_tenant_column_is_known_in_either_spelling(lint: Lint) -> None:
    report = lint({"m/1.sql": 'CREATE TABLE a (id int, "tenantId" uuid NOT NULL);'})
    assert [table.tenant_column for table in report.coverage.tables] == ["tenantId"]


def test_a_hosted_database_is_not_reached_as_the_owner(lint: Lint) -> None:
    hosted = TABLE + ENABLE + "CREATE POLICY p ON invoice USING (tenant_id = auth.uid());"
    assert rules(lint({"m/1.sql": hosted})) == []


def test_a_role_made_bypassrls_is_found_unless_it_is_taken_back(lint: Lint) -> None:
    assert rules(lint({"m/1.sql": "CREATE ROLE jobs LOGIN BYPASSRLS;"})) == ["BYP006"]
    taken_back = "CREATE ROLE jobs BYPASSRLS; ALTER ROLE jobs NOBYPASSRLS;"
    assert rules(lint({"m/1.sql": taken_back})) == []


def test_an_expression_that_cannot_be_parsed_is_told(lint: Lint) -> None:
    report = lint({"m/1.sql": CLEAN + "CREATE POLICY p ON invoice USING (a ! b @@@ );"})
    assert rules(report) == ["RLS090"]
    assert report.incomplete
