"""A finding is silenced in place, with a reason, and is counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import Report
from lint.text import render

Lint = Callable[..., Report]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a (tenant_id int); -- posture: allow RLS001 one shared list",
        "-- posture: allow RLS001 one shared list\nCREATE TABLE a (tenant_id int);",
        "-- posture: allow RLS001 one shared list\n-- (see the wiki)\nCREATE TABLE a (tenant_id int);",
        "CREATE TABLE a (\n  tenant_id int -- posture: allow RLS004, RLS001: one shared list\n);",
    ],
)
def test_a_finding_with_a_reason_is_suppressed_and_counted(lint: Lint, sql: str) -> None:
    report = lint({"m/1.sql": sql})
    assert report.findings == ()
    assert report.stats.suppressed == 1
    assert [finding.rule for finding in report.suppressed] == ["RLS001"]
    assert "suppressed with a reason: 1" in render(report)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a (tenant_id int); -- posture: allow RLS001",
        "CREATE TABLE a (tenant_id int); -- posture: allow RLS010 not this rule",
        "-- posture: allow RLS001 too far away\n\nCREATE TABLE a (tenant_id int);",
        "CREATE TABLE a (tenant_id int);\n-- posture: allow RLS001 below is not above",
    ],
)
def test_without_a_reason_or_elsewhere_it_is_not_heard(lint: Lint, sql: str) -> None:
    report = lint({"m/1.sql": sql})
    assert [finding.rule for finding in report.findings] == ["RLS001"]
    assert ("gives no reason" in report.findings[0].message) is sql.endswith("RLS001")


def test_a_call_in_python_is_suppressed_by_a_comment_above(lint: Lint) -> None:
    source = "def f():\n    # posture: allow BYP001 a test of the bypass\n    run_as_bypass(a, b)\n"
    assert lint({"a.py": source}).stats.suppressed == 1


def test_a_statement_that_a_person_has_read_is_no_gap(lint: Lint) -> None:
    sql = "-- posture: allow RLS090 it only refreshes statistics\nDO $$ BEGIN EXECUTE x(); END $$;"
    report = lint({"m/1.sql": sql})
    assert not report.incomplete
