"""The findings that a project had when it adopted the lint: known, not counted, and only ever fewer.

The file lists fingerprints by file and rule, sorted, so that a review shows what was added. A finding
that is not in it fails; one that is gone is taken out by `--update-baseline`, which never adds. The
counts of each rule are written too: a file whose lists and counts disagree was edited by hand, and is
refused. Expired suppressions (SUP001) are never known.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lint.errors import LintError

if TYPE_CHECKING:
    from pathlib import Path

    from lint.report import Finding, Report

NAME = ".posture-baseline.json"
_VERSION = 1
_NOT_ANALYSED, _SUPPRESSION = "RLS090", "SUP001"
_REMEDY = "write it anew with `posture lint --write-baseline`"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Known findings: (path, rule, fingerprint)."""

    known: frozenset[tuple[str, str, str]] = field(default_factory=frozenset)

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Baseline:
        """Take what stands now, but for what is wrong with suppressions."""
        return cls(frozenset(_key(finding) for finding in findings if finding.rule != _SUPPRESSION))

    def counts(self) -> dict[str, int]:
        """How many findings of each rule are known."""
        return dict(sorted(Counter(rule for _, rule, _ in self.known).items()))

    def gone(self, report: Report) -> int:
        """How many known findings a report does not have any more."""
        return len(self.known - {_key(finding) for finding in (*report.findings, *report.known)})

    def shrunk(self, findings: Iterable[Finding]) -> Baseline:
        """Keep what still stands; nothing is added."""
        return Baseline(self.known & {_key(finding) for finding in findings})

    def apply(self, report: Report) -> Report:
        """Set the known findings of a report apart; what is left is new."""
        known = tuple(finding for finding in report.findings if _key(finding) in self.known)
        new = tuple(finding for finding in report.findings if _key(finding) not in self.known)
        unread = sum(finding.rule == _NOT_ANALYSED for finding in known)
        stats = replace(report.stats, not_analysed=report.stats.not_analysed - unread)
        return replace(report, findings=new, known=known, stats=stats)

    def text(self) -> str:
        """The file: sorted, so that two runs write the same bytes."""
        known: dict[str, dict[str, list[str]]] = {}
        for path, rule, fingerprint in sorted(self.known):
            known.setdefault(path, {}).setdefault(rule, []).append(fingerprint)
        return json.dumps({"version": _VERSION, "counts": self.counts(), "known": known}, indent=2) + "\n"


def read_baseline(path: Path) -> Baseline:
    """Read a baseline; raise LintError naming the file and what is wrong with it."""
    try:
        document: object = json.loads(path.read_bytes())
    except OSError as error:
        raise LintError(f"{path}: the baseline cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise LintError(f"{path}: the baseline is not JSON ({error}); {_REMEDY}") from error
    if not isinstance(document, Mapping) or document.get("version") != _VERSION:
        raise LintError(f"{path}: not a baseline of version {_VERSION}; {_REMEDY}")
    baseline = Baseline(frozenset(_entries(document, path)))
    if baseline.counts() != document.get("counts"):
        raise LintError(f"{path}: its counts are not those of its lists, so it was edited by hand; {_REMEDY}")
    return baseline


def _entries(document: Mapping[str, Any], path: Path) -> Iterable[tuple[str, str, str]]:
    try:
        for file, rules in document["known"].items():
            for rule, fingerprints in rules.items():
                yield from ((file, rule, str(fingerprint)) for fingerprint in fingerprints)
    except (KeyError, AttributeError, TypeError) as error:
        raise LintError(f"{path}: `known` must be path to rule to fingerprints; {_REMEDY}") from error


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write the file; raise LintError when it cannot be written."""
    try:
        path.write_text(baseline.text(), "utf-8")
    except OSError as error:
        raise LintError(f"{path}: the baseline cannot be written ({error.strerror})") from error


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.path, finding.rule, finding.fingerprint
