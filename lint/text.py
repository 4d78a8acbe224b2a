"""The report for a person at a terminal: what happens, the code with a mark, the cause, the remedy.

One cause is one entry with its count and places; JSON and SARIF keep each place as its own finding.
Information is one line for each rule until it is asked for.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.entries import entries_of
from lint.frames import Contents, Mark, frame_of, shown
from lint.report import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lint.entries import Entry
    from lint.report import Finding, Report, Severity
    from lint.rules.rule import Rule

WIDTH = 100
#: Places listed below an entry of this severity; `verbose` lists all.
_PLACES: dict[Severity, int] = {"error": 24, "warning": 8, "info": 4}
_NAMES: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_COLOURS: dict[Severity, str] = {"error": "1;31", "warning": "1;33", "info": "1;36"}
_BLUE, _BOLD, _GREEN = "1;34", "1", "1;32"
_SQL_STARTS = ("ALTER ", "CREATE ", "DROP ", "GRANT ", "REVOKE ", "SELECT ", "SET ", "UPDATE ", "BEGIN")
_LABEL = 13
#: Places not analysed that the summary names.
_GAPS = 3


@dataclass(frozen=True, slots=True)
class Style:
    """How the text is dressed: colours for a terminal, columns to keep within, all places or few."""

    colour: bool = False
    width: int = WIDTH
    verbose: bool = False

    def paint(self, text: str, code: str) -> str:
        """Colour a text, or leave it as it is."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


def render(
    report: Report,
    rules: Mapping[str, Rule],
    contents: Contents,
    style: Style = Style(),
    notes: Sequence[str] = (),
) -> str:
    """Return the whole text output, ending with the summary and then the caller's own notes.

    `contents` gives the bytes that were linted, `rules` what each code means.
    """
    page = _Page(rules, contents, style)
    entries = entries_of(report.findings)
    lines: list[str] = []
    for entry in entries:
        if entry.first.severity != "info" or style.verbose:
            lines += [*page.entry(entry), ""]
    if not style.verbose:
        lines += page.information(report.findings)
    lines += _summary(report, len(entries), style)
    return "\n".join([*lines, *notes]) + "\n"


@dataclass(frozen=True, slots=True)
class _Page:
    """Entries as they are printed, in one style."""

    rules: Mapping[str, Rule]
    contents: Contents
    style: Style

    def entry(self, entry: Entry) -> Iterator[str]:
        first, paint = entry.first, self.style.paint
        level = paint(f"{first.severity}[{first.rule}]", _COLOURS[first.severity])
        more = f" ({len(entry.findings)} places)" if len(entry.findings) > 1 else ""
        yield f"{level}{paint(f': {shown(first.message)}{more}', _BOLD)}"
        gutter = " " * len(str(first.line))
        yield f"{gutter}{paint('-->', _BLUE)} {shown(first.path)}:{first.line}:{first.column}"
        yield from self._frame(first, gutter)
        yield from self._notes(entry, gutter)

    def _frame(self, finding: Finding, gutter: str) -> Iterator[str]:
        mark = Mark(finding.path, finding.line, finding.column, finding.end_line)
        frame = frame_of(mark, self.contents, self.style.width - len(gutter) - 3)
        if frame is None:
            return
        bar = self.style.paint(f"{gutter} |", _BLUE)
        yield bar
        yield f"{self.style.paint(f'{frame.line} |', _BLUE)} {frame.code}"
        pointed = self.style.paint(frame.mark, _COLOURS[finding.severity])
        yield f"{bar} {pointed}{' …' if frame.goes_on else ''}"

    def _notes(self, entry: Entry, gutter: str) -> Iterator[str]:
        first = entry.first
        rule = self.rules.get(first.rule)
        cause = first.cause or (rule.title if rule else "")
        if cause:
            yield from self._note(gutter, "cause", shown(cause))
        yield from self._fix(gutter, first)
        if len(entry.findings) > 1:
            yield self._label(gutter, "also at")
            yield from (f"{gutter}     {place}" for place in self._places(entry.findings))

    def _fix(self, gutter: str, finding: Finding) -> Iterator[str]:
        """SQL stands on its own lines, to be copied; words are wrapped."""
        fix = "\n".join(shown(line) for line in finding.fix.split("\n"))
        if not fix.startswith(_SQL_STARTS):
            yield from self._note(gutter, "fix", fix)
            return
        yield self._label(gutter, "fix")
        for line in fix.split("\n"):
            yield f"{gutter}     {self.style.paint(line, _GREEN)}"

    def _note(self, gutter: str, name: str, text: str) -> Iterator[str]:
        indent = f"{gutter}   {' ' * len(name)}  "
        width = max(self.style.width - len(indent), 40)
        first, *rest = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
        yield f"{self._label(gutter, name)} {first}"
        yield from (f"{indent}{line}" for line in rest)

    def _label(self, gutter: str, name: str) -> str:
        return f"{gutter} {self.style.paint('=', _BLUE)} {self.style.paint(f'{name}:', _BOLD)}"

    def _places(self, findings: Sequence[Finding]) -> list[str]:
        """The other places, one a line: what is told of the same line stands together."""
        tables: dict[str, list[str]] = {}
        for finding in findings[1:]:
            here = tables.setdefault(f"{shown(finding.path)}:{finding.line}", [])
            if finding.table:
                here.append(shown(finding.table))
        lines = [
            textwrap.shorten(" ".join((place, ", ".join(names))), 4 * self.style.width, placeholder=" …")
            for place, names in tables.items()
        ]
        limit = len(lines) if self.style.verbose else _PLACES[findings[0].severity]
        more = [f"and {len(lines) - limit} more places (-v lists them)"] if len(lines) > limit else []
        return [line.rstrip() for line in lines[:limit]] + more

    def information(self, findings: Sequence[Finding]) -> list[str]:
        """One line for each rule that only informs."""
        first: dict[str, Finding] = {}
        counts = Counter(finding.rule for finding in findings if finding.severity == "info")
        for finding in findings:
            if finding.severity == "info":
                first.setdefault(finding.rule, finding)
        lines = [self._informed(rule, counts[rule], first[rule]) for rule in sorted(counts)]
        return [*lines, ""] if lines else []

    def _informed(self, code: str, count: int, first: Finding) -> str:
        level = self.style.paint(f"info[{code}]", _COLOURS["info"])
        where = f"{shown(first.path)}:{first.line}"
        places = f"at {where}" if count == 1 else f"at {count} places, the first is {where}"
        message = textwrap.shorten(shown(first.message), self.style.width, placeholder=" …")
        return f"{level}: {message}\n  {places} (-v shows {'it' if count == 1 else 'them'})"


def _summary(report: Report, entries: int, style: Style) -> Iterator[str]:
    coverage, stats = report.coverage, report.stats
    yield style.paint(_found(report, entries), _BOLD)
    yield _line(
        "read",
        f"{counted(stats.files, 'file')}, {counted(stats.statements, 'statement')}, {stats.seconds:.2f} s",
    )
    tables = f"{coverage.enforced} of {len(coverage.tables)} tenant tables enforced"
    yield _line("coverage", tables if coverage.tables else "no table that holds tenant rows was found")
    tenancy = getattr(report, "tenancy", "")
    if tenancy:
        yield from (_line("tenancy" if not n else "", line) for n, line in enumerate(tenancy.splitlines()))
    if stats.not_analysed:
        gaps = [f"{shown(f.path)}:{f.line}" for f in report.findings if f.rule == "RLS090"]
        told = gaps if style.verbose else gaps[:_GAPS]
        more = [f"and {len(gaps) - len(told)} more"] if len(gaps) > len(told) else []
        yield _line("not analysed", f"{stats.not_analysed} (RLS090), so nothing is known of what they do:")
        yield from (_line("", gap) for gap in (*told, *more))
    if stats.suppressed:
        ends = min((s.until for s in report.suppressions if s.used), default="")
        yield _line("suppressed", f"{stats.suppressed}, the next suppression ends on {ends}")
    if report.known:
        yield _line("baseline", f"{counted(len(report.known), 'known finding')} not told again")


def _found(report: Report, entries: int) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    told = [counted(counts[severity], _NAMES[severity]) for severity in SEVERITIES if counts[severity]]
    if not told:
        return "no new findings" if report.known else "no findings"
    total = sum(counts.values())
    return ", ".join(told) + (
        f" in {entries} {'entry' if entries == 1 else 'entries'}" if entries < total else ""
    )


def counted(count: int, name: str) -> str:
    """A number with what it counts: 1 finding, 2 findings."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _line(label: str, text: str) -> str:
    return f"{label:<{_LABEL}} {text}"
