"""What a lint run found: findings, coverage and counts, and their one JSON form.

The JSON is a published contract (`docs/schema/lint.schema.json`); SARIF and JUnit are written
elsewhere from the same dataclasses, so a finding carries everything they need.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.catalogue import RowSecurity

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault at one place: what happens, and the smallest fix.

    `subject` names what is at fault (a policy, a function, the text of a call) without its line,
    so that the fingerprint survives edits above it.
    """

    rule: str
    severity: Severity
    path: str
    line: int
    column: int
    message: str
    fix: str
    table: str | None = None
    end_line: int = 0
    subject: str = ""
    fingerprint: str = ""
    #: The habit behind the finding: findings of one rule with an equal cause are one thing to change.
    cause: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "table": self.table,
            "message": self.message,
            "fix": self.fix,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, slots=True)
class TableCoverage:
    """How far one tenant table is protected; `wave` is its rollout wave, where one is known."""

    name: str
    tenant_column: str
    row_security: RowSecurity
    policies: int
    wave: int | None
    enforced: bool

    def to_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {
            "name": self.name,
            "tenant_column": self.tenant_column,
            "row_security": self.row_security,
            "policies": self.policies,
            "wave": self.wave,
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """Tables holding tenant rows; enforced means ENABLE, FORCE and a permissive policy."""

    tables: tuple[TableCoverage, ...] = ()

    @property
    def enforced(self) -> int:
        """How many of the tenant tables are enforced."""
        return sum(table.enforced for table in self.tables)

    def to_json(self) -> dict[str, Any]:
        """Return the published form, which `posture rls coverage` prints too."""
        return {
            "tenant_tables": len(self.tables),
            "enforced": self.enforced,
            "tables": [table.to_json() for table in self.tables],
        }


@dataclass(frozen=True, slots=True)
class Stats:
    """What was read: files, SQL statements, wall seconds, things not analysed, suppressions."""

    files: int = 0
    statements: int = 0
    seconds: float = 0.0
    not_analysed: int = 0
    suppressed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the published form; suppressions are shown in the text output."""
        return {
            "files": self.files,
            "statements": self.statements,
            "seconds": round(self.seconds, 3),
            "not_analysed": self.not_analysed,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of one run."""

    findings: tuple[Finding, ...]
    coverage: Coverage
    stats: Stats
    suppressed: tuple[Finding, ...] = ()

    @property
    def failed(self) -> bool:
        """True when something beyond information was found: exit code 1."""
        return any(finding.severity != "info" for finding in self.findings)

    @property
    def incomplete(self) -> bool:
        """True when something was not analysed: exit code 3 with --strict."""
        return self.stats.not_analysed > 0

    def to_json(self) -> dict[str, Any]:
        """Return exactly the published JSON object."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "coverage": self.coverage.to_json(),
            "stats": self.stats.to_json(),
        }


def fingerprinted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings in reading order, each with a fingerprint that ignores line numbers."""
    ordered = sorted(findings, key=lambda f: (f.path, f.line, f.column, f.rule, f.subject))
    seen: Counter[tuple[str, str, str, str]] = Counter()
    result = []
    for finding in ordered:
        identity = (finding.rule, finding.path, finding.table or "", finding.subject)
        text = "\0".join((*identity, str(seen[identity])))
        seen[identity] += 1
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
        result.append(replace(finding, fingerprint=digest))
    return tuple(result)
