"""`posture check`: judge the logged evidence."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from posture.commands.options import add_config, load
from posture.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controls.verdict import Verdict

FORMATS = ("text", "json", "sarif", "junit", "github")

EXAMPLE = """examples:
  posture check                            judge everything logged, now
  posture check --as-of 2026-11-23T12:00:00.000Z
  posture check --format json

Verdicts are logged beside the evidence. Exit 1: a check failed; 3: evidence is missing, refused or stale.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument(
        "--as-of", metavar="TIME", help="judge as of this UTC time; the verdicts are not logged"
    )
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judge, print, and return 0, 1 or 3."""
    from evidence.errors import MalformedEvidence
    from evidence.payload import parse_timestamp
    from posture.pipeline import NothingCollected, judge, verdicts_of
    from posture.summary import exit_code
    from posture.workspace import open_workspace

    try:
        as_of = parse_timestamp(arguments.as_of, where="--as-of") if arguments.as_of else None
        workspace = open_workspace(load(arguments.config), writing=as_of is None)
        log = workspace.log
        verdicts = judge(log) if as_of is None else verdicts_of(log.read(), as_of=as_of)
    except (MalformedEvidence, NothingCollected) as error:
        raise UsageError(str(error)) from error
    print_verdicts(verdicts, arguments.format)
    return exit_code(verdicts)


def print_verdicts(verdicts: Sequence[Verdict], form: str) -> None:
    """Print verdicts in one of `FORMATS`."""
    import json

    from posture.summary import by_area, details, to_json

    if form == "text":
        print(f"{details(verdicts)}\n\n{by_area(verdicts)}")
    elif form == "json":
        print(json.dumps(to_json(verdicts), indent=2))
    else:
        print(_in_tool_format(verdicts, form))


def _in_tool_format(verdicts: Sequence[Verdict], form: str) -> str:
    from checks.check import load_checks
    from controls.verdict import State
    from posture.cli import VERSION
    from posture.commands.formats import in_tool_format
    from posture.reporting import Level, ReportItem, ReportRule, RunInfo

    checks = load_checks()
    levels: dict[State, Level] = {State.FAILED: "error", State.UNKNOWN: "warning"}
    items = [
        ReportItem(
            rule=verdict.check,
            title=checks[verdict.check].title,
            level=levels[verdict.state],
            message=verdict.reason,
            help="`posture check` names what deviates and what did not arrive",
            fingerprint=verdict.check,
        )
        for verdict in verdicts
        if verdict.state in levels
    ]
    rules = [ReportRule(one.id, one.title) for one in checks.values()]
    return in_tool_format(items, RunInfo("posture check", VERSION, rules), form)
