"""`posture gate`: collect and check, with an exit code for CI."""

from __future__ import annotations

import argparse

from posture.commands.check import FORMATS, judge_and_print
from posture.commands.options import add_config, load

EXAMPLE = """examples:
  posture gate                             0 holds, 1 failed, 3 evidence incomplete
  posture gate --format junit > gate.xml

Fails closed: what was refused, unreachable or stale makes the exit code 3, never 0.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Collect, judge, print, and return 0, 1 or 3."""
    from posture.progress import Console
    from posture.waivers import waivers_of
    from posture.workspace import collect_into, open_workspace

    workspace = open_workspace(load(arguments.config), writing=True)
    waivers_of(workspace.project)  # a mistake in the register is told before the long work
    collect_into(workspace, Console(quiet=arguments.quiet))
    return judge_and_print(workspace, arguments.format)
