"""`posture check`: judge the logged evidence, now or again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from posture.commands.options import add_config, load
from posture.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controls.verdict import Verdict
    from evidence.kinds.twin import KillMatrix
    from evidence.view import LoggedRecord
    from posture.workspace import Workspace

FORMATS = ("text", "json", "sarif", "junit", "github")

EXAMPLE = """examples:
  posture check                            judge everything logged, now
  posture check --as-of 2026-11-23T12:00:00.000Z
  posture check --format json
  posture check --replay 2026-10-01..2026-10-31 --dry-run
                                           which verdicts of October would today's checks not give?

Verdicts are logged beside the evidence. Exit 1: a check failed; 3: evidence is missing, refused or stale.
A replay judges every logged verdict again over what its judge had read, logs a signed erratum for each one
that changes, and names the issued packs that carried it. Exit 1: something changed; 0: nothing did.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("--format", choices=FORMATS, default="text")
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--as-of", metavar="TIME", help="judge as of this UTC time; the verdicts are not logged"
    )
    when.add_argument(
        "--replay", metavar="FROM..TO", help="judge the verdicts that were logged in this time again"
    )
    parser.add_argument("--dry-run", action="store_true", help="with --replay: log no errata")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judge, print, and return 0, 1 or 3."""
    from posture.workspace import open_workspace

    if arguments.replay is not None:
        return _replay(arguments)
    if arguments.dry_run:
        raise UsageError("--dry-run belongs to --replay; --as-of logs nothing either")
    workspace = open_workspace(load(arguments.config), writing=arguments.as_of is None)
    if arguments.as_of is None:
        return judge_and_print(workspace, arguments.format)
    return _judge_past(workspace, arguments.as_of, arguments.format)


def judge_and_print(workspace: Workspace, form: str) -> int:
    """Judge everything that is logged with the waivers of the project, print, and return 0, 1 or 3."""
    from posture.pipeline import judge
    from posture.summary import exit_code
    from posture.waivers import waivers_of

    waivers = waivers_of(workspace.project)
    records = workspace.log.read()
    verdicts = judge(workspace.log, waivers=waivers, records=records)
    print_verdicts(verdicts, _kills(records, verdicts), form)
    return exit_code(verdicts)


def _judge_past(workspace: Workspace, text: str, form: str) -> int:
    from evidence.errors import MalformedEvidence
    from evidence.payload import parse_timestamp
    from posture.pipeline import verdicts_of
    from posture.summary import exit_code

    try:
        as_of = parse_timestamp(text, where="--as-of")
    except MalformedEvidence as error:
        raise UsageError(str(error)) from error
    records = workspace.log.read()
    verdicts = verdicts_of(records, as_of=as_of)
    print_verdicts(verdicts, _kills(records, verdicts), form)
    return exit_code(verdicts)


def _kills(records: Sequence[LoggedRecord], verdicts: Sequence[Verdict]) -> KillMatrix:
    """The kill matrix that was known when the verdicts were judged."""
    from checks.kills import newest_kills
    from evidence.view import evidence_of

    as_of, entries = verdicts[0].as_of, verdicts[0].entries
    if as_of is None:
        raise ValueError("a verdict that was judged says as of when")
    return newest_kills(evidence_of(records, entries, as_of), as_of)


def _replay(arguments: argparse.Namespace) -> int:
    import json

    from posture.cli import Exit
    from posture.progress import Console
    from posture.replay import Window, lines, log_errata, replay, to_json
    from posture.workspace import open_workspace

    if arguments.format not in ("text", "json"):
        raise UsageError(f"--replay has no {arguments.format} form; name text or json")
    window = Window.parse(arguments.replay)
    console = Console(quiet=arguments.quiet)
    workspace = open_workspace(load(arguments.config), writing=not arguments.dry_run)
    with console.step("reading the log"):
        records = workspace.log.read()
    with console.step("judging its verdicts again"):
        found = replay(records, window, progress=console.detail)
    console.done()
    logged = 0 if arguments.dry_run else log_errata(workspace.log, found)
    if arguments.format == "json":
        print(json.dumps({**to_json(found, window), "logged": logged}, indent=2))
    else:
        print("\n".join(lines(found)) + (f", {logged} errata logged" if logged else ""))
    return Exit.FINDINGS if found.changed else Exit.HOLDS


def print_verdicts(verdicts: Sequence[Verdict], kills: KillMatrix, form: str) -> None:
    """Print verdicts in one of `FORMATS`."""
    import json

    from posture.summary import by_area, details, head, to_json

    if form == "text":
        print(f"{head(verdicts, kills)}\n\n{details(verdicts, kills)}\n\n{by_area(verdicts)}")
    elif form == "json":
        print(json.dumps(to_json(verdicts, kills), indent=2))
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
