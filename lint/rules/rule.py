"""One rule: its code, severity, title, and the explanation that `--explain` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.report import Finding

if TYPE_CHECKING:
    from lint.catalogue import Place
    from lint.report import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it says, what fails it, what cures it, and when silence is right."""

    code: str
    severity: Severity
    title: str
    why: str
    bad: str
    good: str
    suppress: str

    @property
    def explanation(self) -> str:
        """The text of `posture lint --explain CODE`."""
        return (
            f"{self.code} ({self.severity}): {self.title}\n\n{self.why.strip()}\n\n"
            f"Fails:\n{_indented(self.bad)}\n\nPasses:\n{_indented(self.good)}\n\n"
            f"When to suppress: {self.suppress.strip()}"
        )

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
