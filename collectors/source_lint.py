"""The report of the row-security and bypass lint over a source tree, as evidence.

The lint judges; this collector only carries its findings and counts over, with paths relative to the
tree. What it could not read is counted there, so a tree that is opaque does not look clean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collectors.collector import Observed, Sighting
from collectors.errors import Refused
from evidence.kinds.source import LintFinding, LintReport
from evidence.payload import Payload
from evidence.record import Outcome
from evidence.scope import Unit
from lint.api import lint_paths
from lint.config import LintConfig
from lint.files import gather
from lint.report import Finding, Report
from lint.source.python import read_python


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
    """Lints one tree."""

    name: str = "source.lint"
    version: str = "1"
    population: str = "sources"
    kinds: Sequence[type[Payload]] = (LintReport,)

    def collect(self, unit: Unit, access: SourceAccess) -> Iterable[Sighting]:
        """One `LintReport`; a tree without a single file to read is `unreachable`."""
        report = lint_paths(access.paths or (access.root,), access.config, access.root)
        if report.stats.files == 0:
            raise Refused(Outcome.UNREACHABLE, "there is no source to read", f"no files below {access.root}")
        yield Observed(_payload(report, count_bypass_sites(access)), unit.subject)


def count_bypass_sites(access: SourceAccess) -> int:
    """Calls of the bypass in the tree, registered or not, by the lint's own reading of the source."""
    names = frozenset(access.config.bypass_names)
    words = [name.encode() for name in names]
    corpus = gather(list(access.paths or (access.root,)), access.root, access.config.exclude)
    return sum(
        call.name in names
        for file in corpus.python()
        if any(word in file.content for word in words)
        for call in read_python(file.content, file.path).calls
    )


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
