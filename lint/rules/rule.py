"""One rule: its code, severity, title, and the explanation that `--explain` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lint.report import Finding

if TYPE_CHECKING:
    from lint.catalogue import Place
    from lint.report import Severity

#: What an example is written in; each marks comments in its own way.
Language = Literal["sql", "python", "typescript", "yaml"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it says, what fails it, what cures it, and when silence is right.

    `fix` is the smallest cure and how to roll it out safely; `source` is where the rule comes from: a
    section of the PostgreSQL manual, a CVE, what was observed. `language` is that of the examples.
    """

    code: str
    severity: Severity
    title: str
    why: str
    bad: str
    good: str
    suppress: str
    fix: str
    source: str
    language: Language = "sql"

    @property
    def explanation(self) -> str:
        """The text of `posture lint --explain CODE`."""
        parts = [
            f"{self.code} ({self.severity}): {self.title}",
            self.why.strip(),
            f"Fails:\n{_indented(self.bad)}",
            f"Passes:\n{_indented(self.good)}",
            f"How to fix it: {self.fix.strip()}",
            f"When to suppress: {self.suppress.strip()}",
            f"Source: {self.source.strip()}",
        ]
        return "\n\n".join(parts)

    def finding(
        self,
        place: Place,
        message: str,
        fix: str,
        *,
        table: str | None = None,
        subject: str = "",
        severity: Severity | None = None,
        cause: str = "",
    ) -> Finding:
        """Make a finding of this rule at a place; findings of an equal `cause` are one habit."""
        return Finding(
            self.code,
            severity or self.severity,
            place.path,
            place.line,
            place.column,
            message,
            fix,
            table,
            place.end_line,
            subject,
            cause=cause,
        )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip("\n").splitlines())
