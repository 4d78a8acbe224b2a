"""RLS001 to RLS004: the switches of a table at the head of a history."""

from __future__ import annotations

import pytest

from lint import LintConfig
from tests.lint.rules.shop import (
    CLEAN,
    HOSTED,
    INVOICE,
    TENANT,
    Lint,
    granted,
    of_the_head,
    protected,
    told,
    wrong,
)

NOTE = (
    "CREATE TABLE note (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\nCREATE INDEX ON note (tenant_id);\n"
)


def test_a_right_schema_has_no_finding_whoever_serves(lint: Lint) -> None:
    assert told(lint({"m/1.sql": CLEAN})) == []


def test_a_right_schema_on_a_hosted_platform_has_none_either(lint: Lint) -> None:
    assert told(lint({"m/1.sql": HOSTED})) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (NOTE, "RLS001"),
        (
            "ALTER TABLE payment DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;",
            "RLS005",
        ),
        ("DROP POLICY tenant ON payment;", "RLS005"),
        (NOTE + protected("note", tail="") + granted("note") + "DROP POLICY tenant ON note;", "RLS005"),
        (NOTE + protected("note").replace("ALTER TABLE note ENABLE ROW LEVEL SECURITY;", ""), "RLS002"),
        (NOTE + granted("note") + "ALTER TABLE note ENABLE ROW LEVEL SECURITY;", "RLS003"),
        (NOTE + "ALTER TABLE note FORCE ROW LEVEL SECURITY;", "RLS004"),
    ],
)
def test_a_switch_that_is_missing_is_found_at_its_table(lint: Lint, change: str, code: str) -> None:
    report = lint({"m/1.sql": CLEAN, "m/2.sql": change})
    assert code in [finding.rule for finding in report.findings if finding.severity != "info"]
    assert {finding.line for finding in report.findings if finding.rule == code}.isdisjoint({0})


def test_a_copy_of_a_tenant_table_has_no_row_security_of_its_own(lint: Lint) -> None:
    for copied in (
        "CREATE TABLE old AS SELECT * FROM invoice;",
        "CREATE TABLE old (LIKE invoice INCLUDING ALL);",
    ):
        report = lint({"m/1.sql": CLEAN, "m/2.sql": copied})
        found = [(f.rule, f.table, f.path) for f in of_the_head(report)]
        assert found == [("RLS001", "public.old", "m/2.sql")]


def test_a_detached_partition_is_a_table_without_row_security(lint: Lint) -> None:
    parts = (
        "CREATE TABLE event (tenant_id uuid NOT NULL, at date, PRIMARY KEY (tenant_id, at))\n"
        "  PARTITION BY RANGE (at);\n"
        "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');\n"
    )
    whole = CLEAN + parts + protected("event") + granted("event")
    assert wrong(lint({"m/1.sql": whole})) == []
    detached = lint({"m/1.sql": whole, "m/2.sql": "ALTER TABLE event DETACH PARTITION event_1;"})
    assert [(f.rule, f.table) for f in detached.findings] == [("RLS001", "public.event_1")]


def test_tables_without_row_security_are_one_cause(lint: Lint) -> None:
    report = lint({"m/1.sql": TENANT + INVOICE + NOTE})
    assert [finding.rule for finding in report.findings] == ["RLS001", "RLS001"]
    assert len({finding.cause for finding in report.findings}) == 1
    assert report.findings[0].cause


def test_a_table_nobody_is_granted_may_be_closed(lint: Lint) -> None:
    closed = NOTE + "ALTER TABLE note ENABLE ROW LEVEL SECURITY;ALTER TABLE note FORCE ROW LEVEL SECURITY;"
    assert "RLS003" not in told(lint({"m/1.sql": CLEAN, "m/2.sql": closed}))


def test_a_hosted_table_without_a_policy_is_the_service_roles(lint: Lint) -> None:
    closed = NOTE + "ALTER TABLE note ENABLE ROW LEVEL SECURITY;"
    report = lint({"m/1.sql": HOSTED, "m/2.sql": closed})
    assert [(f.rule, f.severity) for f in report.findings] == [("RLS003", "info")]


class TestForce:
    """RLS004 depends on who connects."""

    UNFORCED = CLEAN.replace("ALTER TABLE payment FORCE ROW LEVEL SECURITY;", "")

    def severity(self, lint: Lint, sql: str, config: LintConfig | None = None) -> list[str]:
        return [f.severity for f in lint({"m/1.sql": sql}, config).findings if f.rule == "RLS004"]

    def test_is_information_where_another_role_than_the_owner_serves(self, lint: Lint) -> None:
        assert self.severity(lint, self.UNFORCED) == ["info"]

    def test_is_a_warning_where_nobody_else_is_named(self, lint: Lint) -> None:
        nameless = "\n".join(
            line for line in self.UNFORCED.splitlines() if not line.startswith(("GRANT", "CREATE ROLE"))
        )
        assert self.severity(lint, nameless) == ["warning"]

    def test_is_an_error_where_the_application_owns_its_tables(self, lint: Lint) -> None:
        assert self.severity(lint, self.UNFORCED, LintConfig(app_owns_tables=True)) == ["error"]
        owner = self.UNFORCED + "ALTER TABLE payment OWNER TO app;"
        assert self.severity(lint, owner, LintConfig(serving_roles=("app",))) == ["error"]

    def test_is_silent_on_a_hosted_platform(self, lint: Lint) -> None:
        assert self.severity(lint, HOSTED) == []
