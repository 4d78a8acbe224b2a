"""`posture lint`: the row-security and bypass lint, for any Postgres project."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import VERSION, Exit
from posture.commands.options import add_config, lint_config, linted_root, project_file
from posture.errors import UsageError

if TYPE_CHECKING:
    from lint.report import Report

FORMATS = ("text", "json", "sarif", "junit", "github")

EXAMPLE = """examples:
  posture lint migrations/ src/             read these folders
  posture lint --strict .                   also fail on statements that were not analysed
  posture lint --format sarif . > lint.sarif
  posture lint --explain RLS004             why a rule exists, what fails it, what cures it

Findings of severity error or warning exit 1; with --strict, statements that could not be analysed
exit 3 when there is nothing worse. Settings stand in the `lint` section of posture.yaml.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and folders (default: here)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--strict", action="store_true", help="exit 3 when something was not analysed")
    parser.add_argument("--explain", metavar="CODE", help="explain a rule and end")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Lint, print, and return 0, 1 or (with --strict) 3."""
    from lint.api import explain, lint_paths
    from lint.errors import LintError

    try:
        if arguments.explain:
            print(explain(arguments.explain))
            return Exit.HOLDS
        paths = [Path(path) for path in arguments.paths or ["."]]
        file = project_file(arguments.config, paths[0])
        report = lint_paths(paths, lint_config(file), linted_root(file, paths))
    except LintError as error:
        raise UsageError(str(error)) from error
    sys.stdout.write(rendered(report, arguments.format))
    if report.failed:
        return Exit.FINDINGS
    shown_nothing = report.incomplete or not report.stats.files
    return Exit.INCOMPLETE if arguments.strict and shown_nothing else Exit.HOLDS


def rendered(report: Report, form: str) -> str:
    """The report in one of `FORMATS`, ending with a line break."""
    if form == "text":
        from lint.text import render

        return render(report)
    if form == "json":
        return json.dumps(report.to_json(), indent=2) + "\n"
    return _in_tool_format(report, form)


def _in_tool_format(report: Report, form: str) -> str:
    from lint.rules.registry import RULES
    from posture.commands.formats import in_tool_format
    from posture.reporting import Level, ReportItem, ReportRule, RunInfo

    levels: dict[str, Level] = {"error": "error", "warning": "warning", "info": "note"}
    items = [
        ReportItem(
            rule=finding.rule,
            title=RULES[finding.rule].title,
            level=levels[finding.severity],
            message=finding.message,
            path=finding.path,
            line=finding.line,
            column=finding.column,
            help=finding.fix,
            fingerprint=finding.fingerprint,
        )
        for finding in report.findings
    ]
    rules = [
        ReportRule(rule.code, rule.title, levels[rule.severity], rule.explanation) for rule in RULES.values()
    ]
    return in_tool_format(items, RunInfo("posture lint", VERSION, rules), form)
