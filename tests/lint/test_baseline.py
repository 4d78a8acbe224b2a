"""A baseline knows what was found when the lint was adopted; it can only shrink."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from lint import LintError, Report, lint_paths
from lint.baseline import Baseline, read_baseline, write_baseline

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "lint-baseline.schema.json"
A, B = "CREATE TABLE a (tenant_id int);\n", "CREATE TABLE b (tenant_id int);\n"
DYNAMIC = "DO $$ BEGIN EXECUTE x(); END $$;\n"


def linted(folder: Path, sql: str) -> Report:
    (folder / "1.sql").write_text(sql)
    return lint_paths([folder / "1.sql"], root=folder)


def tables(report: Report) -> list[str | None]:
    return [finding.table for finding in report.findings]


def test_known_findings_do_not_fail_and_new_ones_do(tmp_path: Path) -> None:
    baseline = Baseline.of(linted(tmp_path, A).findings)
    assert not baseline.apply(linted(tmp_path, A)).failed
    grown = baseline.apply(linted(tmp_path, A + B))
    assert grown.failed
    assert tables(grown) == ["public.b"]
    assert [finding.table for finding in grown.known] == ["public.a"]


def test_known_findings_stay_known_when_lines_move(tmp_path: Path) -> None:
    baseline = Baseline.of(linted(tmp_path, A).findings)
    assert tables(baseline.apply(linted(tmp_path, "\n\n-- more\n" + A))) == []


def test_what_is_gone_is_counted_and_taken_out_and_nothing_is_added(tmp_path: Path) -> None:
    baseline = Baseline.of(linted(tmp_path, A + B).findings)
    later = linted(tmp_path, A + "CREATE TABLE c (tenant_id int);\n")
    assert baseline.gone(baseline.apply(later)) == 1
    shrunk = baseline.shrunk(later.findings)
    assert shrunk.counts() == {"RLS001": 1}
    assert tables(shrunk.apply(later)) == ["public.c"]


def test_a_gap_that_is_known_is_no_gap_for_strict(tmp_path: Path) -> None:
    report = linted(tmp_path, DYNAMIC)
    assert report.incomplete
    assert not Baseline.of(report.findings).apply(report).incomplete


def test_an_expired_suppression_is_never_known(tmp_path: Path) -> None:
    report = linted(tmp_path, A.rstrip() + " -- posture: ignore RLS001 until 2020-01-01: old\n")
    assert Baseline.of(report.findings).counts() == {"RLS001": 1}


def test_the_file_is_sorted_stable_and_follows_its_schema(tmp_path: Path) -> None:
    baseline = Baseline.of(linted(tmp_path, A + B).findings)
    path = tmp_path / ".posture-baseline.json"
    write_baseline(baseline, path)
    first = path.read_text()
    write_baseline(read_baseline(path), path)
    assert path.read_text() == first
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).validate(json.loads(first))
    assert json.loads(first)["counts"] == {"RLS001": 2}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "not a baseline of version 1"),
        ('{"version": 2}', "not a baseline of version 1"),
        ('{"version": 1, "counts": {}, "known": [1]}', "path to rule to fingerprints"),
        ('{"version": 1, "counts": {}, "known": {"a.sql": {"RLS001": ["f"]}}}', "edited by hand"),
    ],
)
def test_a_file_that_cannot_be_trusted_stops_the_run(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(LintError, match=why):
        read_baseline(path)
    with pytest.raises(LintError, match="cannot be read"):
        read_baseline(tmp_path / "missing.json")
