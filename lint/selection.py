"""Which rules of a report are told: `--select` and `--ignore`, by code or by the beginning of codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lint.errors import LintError
from lint.rules.registry import RULES

if TYPE_CHECKING:
    from lint.report import Report


def selected(report: Report, select: Sequence[str], ignore: Sequence[str]) -> Report:
    """Keep findings of the rules selected (all when none is) and not ignored.

    What was not analysed stays counted, since fewer rules do not make a file read. Raises LintError for
    a code that no rule begins with.
    """
    if not select and not ignore:
        return report
    wanted, refused = _begins(select), _begins(ignore)
    told = tuple(
        finding
        for finding in report.findings
        if (not select or wanted(finding.rule)) and not refused(finding.rule)
    )
    return replace(report, findings=told)


def _begins(codes: Sequence[str]) -> Callable[[str], bool]:
    prefixes = tuple(code.strip().upper() for listed in codes for code in listed.split(",") if code.strip())
    for prefix in prefixes:
        if not any(rule.startswith(prefix) for rule in RULES):
            raise LintError(f"{prefix}: no rule begins so; `posture lint --list-rules` shows them")
    return lambda rule: rule.startswith(prefixes) if prefixes else False
