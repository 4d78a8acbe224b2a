"""The lint's report in each of its formats: text for people, JSON as the contract, others for tools."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.files import Found
    from lint.report import Finding, Report
    from lint.rules.rule import Rule
    from posture.reporting import Level, ReportItem, ReportRule, Silenced

_MOST_COLUMNS = 120
_NOTES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Output:
    """What there is to tell: the report, the files it speaks of, and notes for a person.

    `seconds` is what this run took; the report's own are those of the run that made it.
    """

    report: Report
    found: Found
    seconds: float
    notes: tuple[str, ...] = ()
    #: True when the report was stored by an earlier run over the same files.
    stored: bool = False
    silenced: bool = False


def written(output: Output, form: str, *, verbose: bool = False) -> str:
    """The report in one of the command's formats, ending with a line break."""
    if form == "text":
        return _text(output, verbose=verbose)
    if form == "json":
        return json.dumps(output.report.to_json(), indent=2) + "\n"
    return _in_tool_format(output, form)


def coloured(environment: dict[str, str] | os._Environ[str], *, is_terminal: bool) -> bool:
    """Whether to use colours: NO_COLOR forbids them, FORCE_COLOR asks for them, else a terminal has them."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return is_terminal and environment.get("TERM") != "dumb"


def _text(output: Output, *, verbose: bool) -> str:
    from lint.rules.registry import RULES
    from lint.text import WIDTH, Style, render

    contents = {file.path: file.content for file in output.found.files}
    is_terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size().columns, _MOST_COLUMNS) if is_terminal else WIDTH
    style = Style(coloured(os.environ, is_terminal=is_terminal), width, verbose)
    report = replace(output.report, stats=replace(output.report.stats, seconds=output.seconds))
    return render(report, RULES, contents.get, style, tuple(_notes(output)))


def _notes(output: Output) -> Iterator[str]:
    yield from output.notes
    left_out = output.report.notes
    yield from (f"{'left out':13} {note}" for note in left_out[:_NOTES_SHOWN])
    if len(left_out) > _NOTES_SHOWN:
        yield f"{'':13} and {len(left_out) - _NOTES_SHOWN} more"
    if not output.found.files:
        yield f"{'':13} nothing was linted: there is no SQL migration and no source file here"
    if output.stored:
        yield f"{'cached':13} the same files were linted before (--no-cache lints anew)"


def _in_tool_format(output: Output, form: str) -> str:
    from lint.rules.registry import RULES
    from posture.cli import VERSION
    from posture.commands.formats import in_tool_format
    from posture.reporting import RunInfo

    report = output.report
    items = [_item(finding) for finding in report.findings]
    if output.silenced and form == "sarif":
        items += [_item(finding, _in_source(finding, report)) for finding in report.suppressed]
        items += [_item(finding, _in_baseline()) for finding in report.known]
    gaps = () if output.found.files else ("there is no SQL migration and no source file here",)
    rules = [_rule(rule) for rule in RULES.values()]
    return in_tool_format(items, RunInfo("posture lint", VERSION, rules, not_examined=gaps), form)


def _level(severity: str) -> Level:
    levels: dict[str, Level] = {"error": "error", "warning": "warning", "info": "note"}
    return levels[severity]


def _item(finding: Finding, silenced: Silenced | None = None) -> ReportItem:
    from lint.rules.registry import RULES
    from posture.reporting import ReportItem

    return ReportItem(
        rule=finding.rule,
        title=RULES[finding.rule].title,
        level=_level(finding.severity),
        message=finding.message,
        path=finding.path,
        line=finding.line,
        column=finding.column,
        help=finding.fix,
        fingerprint=finding.fingerprint,
        end_line=finding.end_line or None,
        silenced=silenced,
    )


def _rule(rule: Rule) -> ReportRule:
    from lint.rules.pages import help_of, score_of, tags_of
    from posture.reporting import ReportRule

    return ReportRule(
        rule.code,
        rule.title,
        _level(rule.severity),
        rule.explanation,
        description=" ".join(rule.why.split()),
        markdown=help_of(rule),
        tags=tags_of(rule),
        security_severity=score_of(rule),
    )


def _in_source(finding: Finding, report: Report) -> Silenced:
    """The comment that silenced a finding: the last one of its rule before the finding's end."""
    from posture.reporting import Silenced

    last = max(finding.line, finding.end_line)
    told = [
        one
        for one in report.suppressions
        if one.path == finding.path and finding.rule in one.rules and (one.whole_file or one.line <= last)
    ]
    told.sort(key=lambda one: (not one.whole_file, one.line))
    why = f"{told[-1].reason} (until {told[-1].until})" if told else "suppressed in place"
    return Silenced("inSource", why)


def _in_baseline() -> Silenced:
    from posture.reporting import Silenced

    return Silenced("external", "known when the project adopted the lint: it is in the baseline")
