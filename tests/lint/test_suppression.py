"""A finding is silenced in place, with a reason and an end, and is counted; anything less is a finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from lint import Report, lint_paths

Lint = Callable[..., Report]
UNTIL = "until 2027-03-01"
LAST_DAY = date(2027, 3, 1)
TABLE = "CREATE TABLE a (tenant_id int);"


def linted(folder: Path, text: str, name: str = "m/1.sql", as_of: date = LAST_DAY) -> Report:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return lint_paths([folder], root=folder, as_of=as_of)


def rules(report: Report) -> list[tuple[str, str]]:
    return sorted((finding.rule, finding.severity) for finding in report.findings)


@pytest.mark.parametrize(
    "sql",
    [
        f"{TABLE} -- posture: ignore RLS001 {UNTIL}: one shared list",
        f"{TABLE} /* posture: ignore RLS001 {UNTIL}: one shared list */",
        f"-- posture: ignore RLS001 {UNTIL}: one shared list\n{TABLE}",
        f"--posture:ignore RLS001 {UNTIL} (pricing) : one shared list\n{TABLE}",
        f"/* posture: ignore RLS001 {UNTIL}: one shared list */\n{TABLE}",
        f"-- posture: ignore RLS001 {UNTIL}: one shared list\n-- (see the wiki)\n{TABLE}",
        f"CREATE TABLE a (\n  tenant_id int -- posture: ignore RLS004, RLS001 {UNTIL}: one shared list\n);",
        f"-- posture: ignore-file RLS001 {UNTIL}: a schema of examples\n\n\n{TABLE}",
    ],
)
def test_a_finding_with_a_reason_and_an_end_is_suppressed_and_counted(tmp_path: Path, sql: str) -> None:
    report = linted(tmp_path, sql)
    assert report.findings == ()
    assert report.stats.suppressed == 1
    assert [finding.rule for finding in report.suppressed] == ["RLS001"]
    assert [suppression.used for suppression in report.suppressions] == [True]


@pytest.mark.parametrize(
    ("comment", "why"),
    [
        ("ignore RLS001", "without an end"),
        ("ignore RLS001: shared", "without an end"),
        (f"ignore RLS001 {UNTIL}", "without a reason"),
        (f"ignore RLS001 {UNTIL}: ", "without a reason"),
        ("ignore RLS001 until next-year: shared", "which is no date"),
        ("ignore RLS001 until 2027-02-30: shared", "which is no date"),
        (f"ignore RLS999 {UNTIL}: shared", "which is no rule"),
        (f"ignore SUP001 {UNTIL}: shared", "which is no rule that can be suppressed"),
        ("ignore everything", "cannot be read"),
        ("allow RLS001 shared", "`posture: allow` is not known"),
    ],
)
def test_what_lacks_a_part_is_not_heard_and_says_so(tmp_path: Path, comment: str, why: str) -> None:
    report = linted(tmp_path, f"{TABLE} -- posture: {comment}")
    assert rules(report) == [("RLS001", "error"), ("SUP001", "warning")]
    (fault,) = [finding for finding in report.findings if finding.rule == "SUP001"]
    assert why in fault.message
    assert (fault.line, fault.column) == (1, len(TABLE) + 2)
    assert report.suppressions == ()


def test_on_the_day_after_its_end_the_finding_is_back_with_a_warning(tmp_path: Path) -> None:
    sql = f"{TABLE} -- posture: ignore RLS001 {UNTIL}: shared"
    assert rules(linted(tmp_path, sql, as_of=LAST_DAY)) == []
    late = linted(tmp_path, sql, as_of=date(2027, 3, 2))
    assert rules(late) == [("RLS001", "error"), ("SUP001", "warning")]
    assert "expired on 2027-03-01" in " ".join(finding.message for finding in late.findings)


@pytest.mark.parametrize(
    "sql",
    [
        f"{TABLE} -- posture: ignore RLS010 {UNTIL}: not this rule",
        f"-- posture: ignore RLS001 {UNTIL}: too far away\n\n{TABLE}",
        f"{TABLE}\n-- posture: ignore RLS001 {UNTIL}: below is not above",
    ],
)
def test_one_that_silences_nothing_is_told_as_information(tmp_path: Path, sql: str) -> None:
    report = linted(tmp_path, sql)
    assert rules(report) == [("RLS001", "error"), ("SUP001", "info")]
    assert [suppression.used for suppression in report.suppressions] == [False]


def test_a_whole_file_is_silenced_from_its_first_lines_only(tmp_path: Path) -> None:
    comment = f"-- posture: ignore-file RLS001 {UNTIL}: examples"
    assert rules(linted(tmp_path, "\n" * 19 + f"{comment}\n\n{TABLE}")) == []
    below = linted(tmp_path, "\n" * 20 + f"{comment}\n\n{TABLE}")
    assert rules(below) == [("RLS001", "error"), ("SUP001", "warning")]


def test_a_call_in_python_is_suppressed_by_a_comment_above(tmp_path: Path) -> None:
    comment = f"# posture: ignore BYP001 {UNTIL}: a test of the bypass"
    report = linted(tmp_path, f"def f():\n    {comment}\n    run_as_bypass(a, b)\n", "a.py")
    assert report.findings == ()
    assert report.stats.suppressed == 1


def test_prose_and_strings_that_quote_a_suppression_are_none(tmp_path: Path) -> None:
    text = "'''Write `-- posture: ignore RLS001`.'''\nHOW = '# posture: ignore'\n"
    assert linted(tmp_path, text, "a.py").findings == ()


def test_a_statement_that_a_person_has_read_is_no_gap(tmp_path: Path) -> None:
    comment = f"-- posture: ignore RLS090 {UNTIL}: it only refreshes statistics"
    assert not linted(tmp_path, f"{comment}\nDO $$ BEGIN EXECUTE x(); END $$;").incomplete


def test_who_answers_for_a_suppression_is_in_the_report(tmp_path: Path) -> None:
    report = linted(tmp_path, f"{TABLE} -- posture: ignore RLS001 {UNTIL} (data-platform): shared list")
    (told,) = json.loads(json.dumps(report.to_json()))["suppressions"]
    assert told == {
        "path": "m/1.sql",
        "line": 1,
        "rules": ["RLS001"],
        "until": "2027-03-01",
        "owner": "data-platform",
        "reason": "shared list",
        "whole_file": False,
        "used": True,
    }
