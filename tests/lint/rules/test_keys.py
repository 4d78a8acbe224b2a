"""RLS021, RLS043 and RLS050 to RLS052: what keys and columns tell or do across tenants."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import CLEAN, HOSTED, Lint, granted, protected, told, wrong

MEMBER = (
    "CREATE TABLE member (tenant_id uuid NOT NULL, id uuid NOT NULL, {column},\n"
    "  PRIMARY KEY (tenant_id, id){more});\n"
)


def member(column: str, more: str = "") -> str:
    return MEMBER.format(column=column, more=more) + protected("member") + granted("member")


@pytest.mark.parametrize(
    ("column", "more"),
    [
        ("code text UNIQUE", ""),
        ("code text", ", UNIQUE (code)"),
        ("year int, number int", ", UNIQUE (year, number)"),
        ("external_id text UNIQUE", ""),
    ],
)
def test_a_unique_value_of_the_business_reaches_across_tenants(lint: Lint, column: str, more: str) -> None:
    report = lint({"m/1.sql": CLEAN, "m/2.sql": member(column, more)})
    assert wrong(report) == ["RLS050"]
    assert report.findings[0].table == "public.member"


@pytest.mark.parametrize(
    ("column", "more"),
    [
        ("code text", ", UNIQUE (tenant_id, code)"),
        ("public_id uuid UNIQUE DEFAULT gen_random_uuid()", ""),
        ("position bigint GENERATED ALWAYS AS IDENTITY UNIQUE", ""),
        ("reset_token text UNIQUE", ""),
        ("domain text UNIQUE", ""),
        ("customer_id text UNIQUE", ""),
        ("invoice_id uuid, line int", ", UNIQUE (invoice_id, line)"),
    ],
)
def test_a_unique_value_that_tells_nothing_is_silent(lint: Lint, column: str, more: str) -> None:
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": member(column, more)})) == []


def test_the_address_of_who_logs_in_is_information_and_that_of_a_customer_a_fault(lint: Lint) -> None:
    mine = member("email text UNIQUE")
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": mine}), "info") == ["RLS050"]
    drawn = member("idempotency_key text UNIQUE")
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": drawn}), "info") == ["RLS050"]
    theirs = mine.replace("member", "customer")
    assert wrong(lint({"m/1.sql": CLEAN, "m/2.sql": theirs})) == ["RLS050"]


def test_ids_of_rows_that_all_tenants_share_meet_there(lint: Lint) -> None:
    board = "CREATE TABLE board (id uuid PRIMARY KEY, name text);\n"
    shared = member("board_id uuid REFERENCES board (id), place int", ", UNIQUE (board_id, place)")
    assert wrong(lint({"m/1.sql": CLEAN + board, "m/2.sql": shared})) == ["RLS050"]


def test_a_unique_value_of_a_table_that_is_open_anyway_is_told_too(lint: Lint) -> None:
    coupon = "CREATE TABLE coupon (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, code text UNIQUE);\n"
    report = lint({"m/1.sql": CLEAN + coupon})
    assert (wrong(report), told(report, "info")) == (["RLS001"], ["RLS050"])


def test_an_index_serves_a_membership_that_is_looked_up(lint: Lint) -> None:
    mine = "tenant_id IN (SELECT m.tenant_id FROM member m WHERE m.user_id = (SELECT auth.uid()))"
    table = "CREATE TABLE item (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\n"
    secured = f"ALTER TABLE item ENABLE ROW LEVEL SECURITY;\nCREATE POLICY team ON item USING ({mine});\n"
    assert "RLS021" in told(lint({"m/1.sql": HOSTED + table + secured}), "info")


def test_the_name_of_a_tenant_itself_is_unique_in_the_world(lint: Lint) -> None:
    tenants = "CREATE TABLE organization (tenant_id uuid PRIMARY KEY, name text UNIQUE, slug text UNIQUE);\n"
    change = tenants + protected("organization") + granted("organization")
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": change})) == []


def test_what_is_unique_in_a_table_of_tokens_is_drawn_by_chance(lint: Lint) -> None:
    tokens = member("code text UNIQUE").replace("member", "link_tokens")
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": tokens})) == []


def test_a_composite_key_whose_action_takes_the_tenant_away_is_an_error(lint: Lint) -> None:
    key = (
        ", FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoice (tenant_id, id) ON DELETE SET NULL{columns}"
    )
    found = lint({"m/1.sql": CLEAN, "m/2.sql": member("invoice_id uuid", key.format(columns=""))})
    assert told(found, "error") == ["RLS052"]
    cured = lint(
        {"m/1.sql": CLEAN, "m/2.sql": member("invoice_id uuid", key.format(columns=" (invoice_id)"))}
    )
    assert told(cured) == []


def test_foreign_keys_without_the_tenant_are_one_habit_told_as_information(lint: Lint) -> None:
    unkeyed = "ALTER TABLE invoice ADD CONSTRAINT one_id UNIQUE (id);\n"
    change = unkeyed + member("invoice_id uuid REFERENCES invoice (id) ON DELETE CASCADE")
    report = lint({"m/1.sql": CLEAN, "m/2.sql": change})
    assert (wrong(report), told(report, "info")) == ([], ["RLS051"])
    assert report.findings[0].cause == "foreign keys between tenant tables leave the tenant out"


def test_the_key_to_the_tenant_itself_is_no_crossing(lint: Lint) -> None:
    outer = "CREATE TABLE workspace (id uuid PRIMARY KEY, organization_id uuid NOT NULL);\n"
    inner = (
        "CREATE TABLE task (id uuid PRIMARY KEY,\n"
        "  workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE);\n"
    )
    index = "CREATE INDEX ON workspace (organization_id);CREATE INDEX ON task (workspace_id);\n"
    bound = "{0} = (SELECT nullif(current_setting('app.{0}', true), '')::uuid)"
    rules = protected("workspace", bound.format("organization_id")) + protected(
        "task", bound.format("workspace_id")
    )
    assert told(lint({"m/1.sql": outer + inner + index + rules})) == []


def test_a_composite_key_is_not_checked_where_the_tenant_is_null(lint: Lint) -> None:
    loose = "CREATE TABLE note (id uuid PRIMARY KEY, tenant_id uuid, invoice_id uuid,\n"
    key = (
        "FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoice (tenant_id, id){full});\n"
        "CREATE INDEX ON note (tenant_id);\n"
    )
    after = protected("note") + granted("note")
    found = lint({"m/1.sql": CLEAN, "m/2.sql": loose + key.format(full="") + after})
    assert wrong(found) == ["RLS051"]
    assert wrong(lint({"m/1.sql": CLEAN, "m/2.sql": loose + key.format(full=" MATCH FULL") + after})) == []


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        ("tenant_id uuid NOT NULL", []),
        ("tenant_id uuid", ["RLS043"]),
        ("tenant_id uuid NOT NULL DEFAULT '11111111-0000-4000-8000-000000000001'", ["RLS043"]),
        ("tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid", []),
    ],
)
def test_rows_without_a_chosen_tenant_are_told(lint: Lint, column: str, codes: list[str]) -> None:
    note = f"CREATE TABLE note (id uuid PRIMARY KEY, {column});CREATE INDEX ON note (tenant_id);"
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": note + protected("note") + granted("note")})) == codes


def test_a_constant_default_is_a_warning_and_null_a_habit(lint: Lint) -> None:
    note = "CREATE TABLE note (id int, tenant_id uuid DEFAULT 'x');CREATE INDEX ON note (tenant_id);"
    report = lint({"m/1.sql": CLEAN, "m/2.sql": note + protected("note") + granted("note")})
    assert sorted((f.rule, f.severity) for f in report.findings) == [
        ("RLS043", "info"),
        ("RLS043", "warning"),
    ]


@pytest.mark.parametrize(
    ("index", "codes"),
    [
        ("", ["RLS021"]),
        ("CREATE INDEX ON note (tenant_id);", []),
        ("CREATE INDEX ON note (tenant_id, id);", []),
        ("CREATE INDEX ON note (id, tenant_id);", ["RLS021"]),
        ("CREATE INDEX ON note (tenant_id) WHERE id IS NOT NULL;", ["RLS021"]),
        ("ALTER TABLE note ADD UNIQUE (tenant_id, id);", []),
    ],
)
def test_an_index_that_begins_with_the_tenant_serves_the_policy(
    lint: Lint, index: str, codes: list[str]
) -> None:
    note = "CREATE TABLE note (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);" + index
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": note + protected("note") + granted("note")})) == codes


@pytest.mark.parametrize(
    ("index", "found"),
    [
        ("lower(code)", True),
        ("(data ->> 'label')", True),
        ("tenant_id, lower(code)", False),
        ("lower(email)", True),
        ("(data ->> 'subdomain')", False),
        ("(data ->> 'person_id')", False),
    ],
)
def test_an_expression_is_unique_over_all_tenants_too(lint: Lint, index: str, found: bool) -> None:
    table = (
        "CREATE TABLE shelf (tenant_id uuid NOT NULL, id uuid NOT NULL, code text, email text, data jsonb,\n"
        f"  PRIMARY KEY (tenant_id, id));\nCREATE UNIQUE INDEX ON shelf ({index});\n"
    )
    report = lint({"m/1.sql": CLEAN + table + protected("shelf") + granted("shelf")})
    assert ("RLS050" in wrong(report)) == found


def test_a_tenant_drawn_by_chance_is_nobody(lint: Lint) -> None:
    def told(column: str) -> list[str]:
        table = f"CREATE TABLE shelf ({column}, id uuid NOT NULL, UNIQUE (tenant_id, id));\n"
        return wrong(lint({"m/1.sql": CLEAN + table + protected("shelf") + granted("shelf")}))

    assert told("tenant_id uuid NOT NULL DEFAULT gen_random_uuid()") == ["RLS043"]
    assert told("tenant_id uuid PRIMARY KEY DEFAULT gen_random_uuid()") == []
    assert told("tenant_id uuid NOT NULL DEFAULT gen_random_uuid() REFERENCES tenant") == []
