"""The report of the row-security and bypass lint over a source tree, as evidence, and what it read.

The lint judges; this collector only carries its findings and counts over, with paths relative to the
tree. What it could not read is counted there, so a tree that is opaque does not look clean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collectors.collector import Observed, Sighting
from collectors.errors import Refused
from collectors.source_bypass import bypass_payload
from evidence.kinds.source import LintFinding, LintReport, SourceBypass
from evidence.payload import Payload
from evidence.record import Outcome
from evidence.scope import Unit
from lint.api import audit_paths
from lint.config import LintConfig
from lint.report import Finding, Report


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """A source tree on this machine.

    Attributes:
        root: findings are relative to it.
        paths: files and folders to lint; empty for the whole root.
        config: what the project calls its tenant column, its bypass and its doors.
    """

    root: Path
    paths: tuple[Path, ...] = ()
    config: LintConfig = field(default_factory=LintConfig)


class SourceLintCollector:
    """Lints one tree, and tells of the same reading what it does around row security."""

    name: str = "source.lint"
    version: str = "2"
    population: str = "sources"
    kinds: Sequence[type[Payload]] = (LintReport, SourceBypass)

    def collect(self, unit: Unit, access: SourceAccess) -> Iterable[Sighting]:
        """One `LintReport`, one `SourceBypass`; a tree without a file to read is `unreachable`."""
        audit = audit_paths(access.paths or (access.root,), access.config, access.root)
        if audit.report.stats.files == 0:
            raise Refused(Outcome.UNREACHABLE, "there is no source to read", f"no files below {access.root}")
        yield Observed(_payload(audit.report, len(audit.uses)), unit.subject)
        yield Observed(bypass_payload(audit), unit.subject)


def _payload(report: Report, bypass_sites: int) -> LintReport:
    return LintReport(
        files=report.stats.files,
        statements=report.stats.statements,
        not_analysed=report.stats.not_analysed,
        suppressed=report.stats.suppressed,
        bypass_sites=bypass_sites,
        tenant_tables=len(report.coverage.tables),
        enforced=report.coverage.enforced,
        tables=tuple(table.name for table in report.coverage.tables),
        findings=tuple(_finding(finding) for finding in report.findings),
    )


def _finding(finding: Finding) -> LintFinding:
    return LintFinding(
        rule=finding.rule,
        severity=finding.severity,
        path=finding.path,
        line=finding.line,
        table=finding.table or "",
        message=finding.message,
    )
