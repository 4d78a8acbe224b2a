"""Suppression in place: rules, the last day it holds, and why; an owner where one answers for it.

`-- posture: ignore RLS010 until 2027-03-01 (pricing-team): shared price list`, with the comment marks
of SQL, Python and JavaScript. It holds for the statement or call it stands in, after, or directly
above; `ignore-file` in a file's first lines holds for the whole file. What is expired or malformed is
not heard and is a finding (SUP001), because silence without an end is how leaks stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.report import Suppression
from lint.rules.registry import RULES
from lint.rules.suppression_rules import SUP001

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.files import Corpus
    from lint.report import Finding

#: An `ignore-file` further down is overlooked by readers, so it is not heard there.
FILE_LINES = 20

_MARKED = re.compile(r"(?<![`'\"\w])(?:--|#|//|/\*)[ \t]*posture:[ \t]*(\S+)([^\n]*)")
_BODY = re.compile(
    r"\s+(?P<rules>[A-Za-z]+\d+(?:\s*,\s*[A-Za-z]+\d+)*)"
    r"(?:\s+until\s+(?P<until>[^\s:(]+))?"
    r"(?:\s+\((?P<owner>[^()]*)\))?"
    r"(?:\s*:\s*(?P<reason>.*))?"
)
_COMMENT_LINE = re.compile(r"\s*(?:--|#|//|/\*|\*)")
_FORM = "posture: ignore CODE until YYYY-MM-DD (owner): reason"
_IGNORES = frozenset({"ignore", "ignore-file"})


@dataclass(slots=True)
class _File:
    """What the comments of one file say, and which of its suppressions were used."""

    lines: list[str] = field(default_factory=list)
    heard: list[Suppression] = field(default_factory=list)
    faults: list[Finding] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    def silences(self, finding: Finding) -> bool:
        """Say whether a finding is suppressed here, and remember what silenced it."""
        if not self.heard:
            return False
        first, last = self._extent(finding)
        found = {
            suppression.line
            for suppression in self.heard
            if finding.rule in suppression.rules
            and (suppression.whole_file or first <= suppression.line <= last)
        }
        self.used |= found
        return bool(found)

    def _extent(self, finding: Finding) -> tuple[int, int]:
        """The lines of a finding together with the comment lines directly above it."""
        first = finding.line
        while 1 < first <= len(self.lines) + 1 and _COMMENT_LINE.match(self.lines[first - 2]):
            first -= 1
        return first, max(finding.end_line, finding.line)


def apply_suppressions(
    findings: Iterable[Finding], corpus: Corpus, as_of: date
) -> tuple[list[Finding], list[Finding], tuple[Suppression, ...]]:
    """Split findings into those that stand (SUP001 among them) and those suppressed on that day."""
    files = {
        file.path: _read(file.path, file.content, as_of)
        for file in corpus.readable()
        if b"posture:" in file.content
    }
    kept: list[Finding] = []
    suppressed: list[Finding] = []
    for finding in findings:
        file = files.get(finding.path)
        (suppressed if file and file.silences(finding) else kept).append(finding)
    for file in files.values():
        kept.extend([*file.faults, *_unused(file)])
    return kept, suppressed, tuple(_told(files))


def _told(files: dict[str, _File]) -> Iterator[Suppression]:
    for _, file in sorted(files.items()):
        for suppression in file.heard:
            yield replace(suppression, used=suppression.line in file.used)


def _unused(file: _File) -> Iterator[Finding]:
    for suppression in file.heard:
        if suppression.line not in file.used:
            rules = ", ".join(suppression.rules)
            yield SUP001.finding(
                Place(suppression.path, suppression.line),
                f"nothing here is found by {rules}: the suppression silences nothing",
                "remove the comment",
                subject=f"unused:{rules}",
                severity="info",
            )


def _read(path: str, content: bytes, as_of: date) -> _File:
    file = _File(content.decode("utf-8", "replace").split("\n"))
    for number, line in enumerate(file.lines, start=1):
        marked = _MARKED.search(line) if "posture:" in line else None
        if marked:
            place = Place(path, number, marked.start() + 1)
            judged = _judged(marked[1], marked[2].partition("*/")[0], place, as_of)
            if isinstance(judged, Suppression):
                file.heard.append(judged)
            else:
                file.faults.append(judged)
    return file


def _judged(word: str, rest: str, place: Place, as_of: date) -> Suppression | Finding:
    """Return the suppression that a comment makes, or the finding that it is none."""
    body = _BODY.fullmatch(rest.rstrip())
    if word not in _IGNORES:
        return _fault(place, f"`posture: {word}` is not known", f"write `{_FORM}`", word)
    if body is None:
        return _fault(place, "a suppression that cannot be read is not heard", f"write `{_FORM}`", "form")
    rules = tuple(code.strip().upper() for code in body["rules"].split(","))
    reason, until = (body["reason"] or "").strip(), _day(body["until"])
    complaint = _complaint(rules, body["until"], until, reason)
    if complaint or until is None:
        return _fault(place, f"a suppression {complaint} is not heard", f"write `{_FORM}`", complaint)
    told = ", ".join(rules)
    if until < as_of:
        return _fault(
            place,
            f"the suppression of {told} expired on {until}, so what it silenced is reported again",
            "look again: cure the finding, or give a new end with today's reason",
            f"expired:{told}",
        )
    whole = word == "ignore-file"
    if whole and place.line > FILE_LINES:
        what = f"a suppression for the whole file below line {FILE_LINES} is not heard"
        return _fault(place, what, f"move it into the first {FILE_LINES} lines", "too far down")
    owner = (body["owner"] or "").strip()
    return Suppression(place.path, place.line, rules, until.isoformat(), owner, reason, whole)


def _complaint(rules: tuple[str, ...], written: str | None, until: date | None, reason: str) -> str:
    unknown = [rule for rule in rules if rule not in RULES or rule == SUP001.code]
    if unknown:
        return f"of {unknown[0]}, which is no rule that can be suppressed,"
    if written is None:
        return "without an end (until YYYY-MM-DD)"
    if until is None:
        return f"until {written!r}, which is no date (YYYY-MM-DD),"
    return "" if reason else "without a reason (: why)"


def _day(written: str | None) -> date | None:
    try:
        return date.fromisoformat(written or "")
    except ValueError:
        return None


def _fault(place: Place, message: str, fix: str, subject: str) -> Finding:
    return SUP001.finding(place, message, fix, subject=subject)
