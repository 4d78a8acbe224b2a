"""The report for a person at a terminal: place, code, what happens, and the fix below it.

One cause repeated in a file of many tables is one entry with its count and places; JSON and SARIF
keep each place as its own finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.report import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.report import Finding, Report

#: Findings of one rule beyond this many are told as one entry with places.
MANY = 4
_PLACES_SHOWN = 6


def render(report: Report) -> str:
    """Return the whole text output, ending with a summary line."""
    return "\n".join([*_entries(report), *_summary(report)]) + "\n"


def _entries(report: Report) -> Iterator[str]:
    by_rule: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        by_rule.setdefault((finding.severity, finding.rule), []).append(finding)
    for severity in SEVERITIES:
        for (level, _), findings in sorted(by_rule.items()):
            if level != severity:
                continue
            if severity == "error" or len(findings) < MANY:
                for finding in findings:
                    yield from _one(finding)
            else:
                yield from _repeated(findings)


def _one(finding: Finding) -> Iterator[str]:
    place = f"{finding.path}:{finding.line}:{finding.column}"
    yield f"{place} {finding.rule} {finding.severity}: {finding.message}"
    yield f"    fix: {finding.fix}"


def _repeated(findings: list[Finding]) -> Iterator[str]:
    yield from _one(findings[0])
    rest = findings[1:]
    shown = ", ".join(f"{f.table or f.subject or f.path} ({f.path}:{f.line})" for f in rest[:_PLACES_SHOWN])
    more = f" and {len(rest) - _PLACES_SHOWN} more" if len(rest) > _PLACES_SHOWN else ""
    yield f"    and {len(rest)} alike: {shown}{more}"


def _summary(report: Report) -> Iterator[str]:
    coverage, stats = report.coverage, report.stats
    counts = {s: sum(f.severity == s for f in report.findings) for s in SEVERITIES}
    found = ", ".join(f"{count} {s}" for s, count in counts.items() if count) or "no findings"
    yield f"{found} in {stats.files} files, {stats.statements} SQL statements, {stats.seconds:.2f} s"
    yield f"coverage: {coverage.enforced} of {len(coverage.tables)} tenant tables enforced"
    if stats.not_analysed:
        yield f"not analysed: {stats.not_analysed} (RLS090); --strict makes this exit 3"
    if stats.suppressed:
        yield f"suppressed with a reason: {stats.suppressed}"
