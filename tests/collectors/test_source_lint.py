from __future__ import annotations

from pathlib import Path

from collectors.boundary import look
from collectors.collector import NotObserved, Observed
from collectors.source_lint import SourceAccess, SourceLintCollector
from evidence.kinds.source import LintReport
from evidence.record import Outcome
from evidence.scope import Unit

UNIT = Unit("sources/app", "sources", "source:app", {})
MIGRATION = """
CREATE TABLE shop.customer (tenant_id uuid PRIMARY KEY);
CREATE TABLE shop.invoice (tenant_id uuid PRIMARY KEY);
ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.customer FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customer USING (tenant_id = current_setting('app.tenant', true)::uuid);
"""
SWEEP = "def sweep():\n    run_as_bypass(ALL, Reason.SWEEP, count, change_ref='1')\n"


def test_findings_coverage_and_bypass_sites_are_carried_over(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001.sql").write_text(MIGRATION)
    (tmp_path / "sweep.py").write_text(SWEEP)
    (sighting,) = look(SourceLintCollector(), UNIT, SourceAccess(tmp_path))
    assert isinstance(sighting, Observed), sighting
    report = sighting.payload
    assert isinstance(report, LintReport)
    assert (report.tenant_tables, report.enforced, report.bypass_sites) == (2, 1, 1)
    assert report.tables == ("shop.customer", "shop.invoice")
    assert ("RLS001", "shop.invoice") in {(finding.rule, finding.table) for finding in report.findings}
    assert "BYP001" in {finding.rule for finding in report.findings}
    assert all(not finding.path.startswith("/") for finding in report.findings)


def test_a_tree_without_source_is_unreachable_not_clean(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        (sighting,) = look(SourceLintCollector(), UNIT, SourceAccess(root))
        assert isinstance(sighting, NotObserved)
        assert sighting.outcome in {Outcome.UNREACHABLE, Outcome.PARTIAL}
