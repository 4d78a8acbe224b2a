"""Suppression in place: `-- posture: allow RLS010 reason` or `# posture: allow BYP001 reason`.

It holds for the statement or call it stands in, after, or directly above. A suppression without a
reason suppresses nothing, and the finding says so.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.files import Corpus
    from lint.report import Finding

_ALLOW = re.compile(
    r"(?:--|#|//|/\*)\s*posture:\s*allow\s+([A-Z]{3,}\d{3}(?:\s*,\s*[A-Z]{3,}\d{3})*)[ \t:]*([^\n]*)"
)
_COMMENT_LINE = re.compile(r"\s*(?:--|#|//)")


class _Comments:
    """The suppressions of one file: line to (codes, reason), and which lines are comments."""

    def __init__(self, content: bytes) -> None:
        self.allowed: dict[int, tuple[frozenset[str], str]] = {}
        self.lines = content.decode("utf-8", "replace").split("\n") if b"posture:" in content else []
        for number, line in enumerate(self.lines, start=1):
            match = _ALLOW.search(line)
            if match:
                codes = frozenset(code.strip() for code in match[1].split(","))
                self.allowed[number] = (codes, match[2].replace("*/", "").strip())

    def reason_for(self, finding: Finding) -> str | None:
        """Return the reason, "" when one was forgotten, None when nothing is said of the rule."""
        last = max(finding.end_line, finding.line)
        first = finding.line
        while first > 1 and _COMMENT_LINE.match(self.lines[first - 2] if first - 2 < len(self.lines) else ""):
            first -= 1
        found = [
            reason
            for number in range(first, last + 1)
            for codes, reason in [self.allowed.get(number, (frozenset(), ""))]
            if finding.rule in codes
        ]
        return max(found) if found else None


def apply_suppressions(findings: Iterable[Finding], corpus: Corpus) -> tuple[list[Finding], list[Finding]]:
    """Split findings into those that stand and those suppressed with a reason."""
    contents = {file.path: file.content for file in corpus.readable()}
    comments: dict[str, _Comments] = {}
    kept: list[Finding] = []
    suppressed: list[Finding] = []
    for finding in findings:
        if finding.path not in comments:
            comments[finding.path] = _Comments(contents.get(finding.path, b""))
        in_file = comments[finding.path]
        reason = in_file.reason_for(finding) if in_file.allowed else None
        if reason:
            suppressed.append(finding)
        elif reason == "":
            unheard = f"{finding.message} (the suppression here gives no reason, so it is not heard)"
            kept.append(replace(finding, message=unheard))
        else:
            kept.append(finding)
    return kept, suppressed
