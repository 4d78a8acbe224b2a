"""Which findings are one entry of the text output: one thing to understand, and to change once.

Findings of a rule with an equal `cause` are one entry. Without a cause, findings whose messages differ
only in the names of what they speak of are one, so that a habit in 84 tables is not 84 screens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lint.report import SEVERITIES, Finding

_NUMBER = re.compile(r"\d+")
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`")
_WORD = re.compile(r"[\w.$\"]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """Findings that are told together, in reading order; the first one stands for them."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The finding whose code is shown."""
        return self.findings[0]


def entries_of(findings: Iterable[Finding]) -> list[Entry]:
    """Group findings, the worst first, then by rule and place."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.rule, _sameness(finding)), []).append(finding)
    return [Entry(tuple(group)) for group in sorted(groups.values(), key=lambda group: _order(group[0]))]


def _order(finding: Finding) -> tuple[int, str, str, int]:
    return SEVERITIES.index(finding.severity), finding.rule, finding.path, finding.line


def _sameness(finding: Finding) -> str:
    return f"cause:{finding.cause}" if finding.cause else f"shape:{shape(finding)}"


def shape(finding: Finding) -> str:
    """The message without the names it speaks of: table, subject, quoted text, numbers."""
    text = _QUOTED.sub("'…'", finding.message)
    names = _names(finding)
    text = _WORD.sub(lambda match: "·" if match[0].strip(".") in names else match[0], text)
    return _NUMBER.sub("0", text)


def _names(finding: Finding) -> frozenset[str]:
    """The table with and without its schema, and the parts of the subject."""
    told = [*_WORD.findall(finding.table or ""), *_WORD.findall(finding.subject)]
    return frozenset(told) | {name.rpartition(".")[2] for name in told}
