"""`posture collect`: look at everything in the scope and log signed records."""

from __future__ import annotations

import argparse

from posture.cli import Exit
from posture.commands.options import add_config, load

EXAMPLE = """examples:
  posture collect                          everything that posture.yaml names
  posture collect --config prod.yaml

What could not be seen is logged as such, with its reason. A run that was interrupted is continued.
Exit 3 when something was not seen; `posture check` says which controls that leaves undecided.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Collect; 0 when everything was observed, else 3."""
    from evidence.record import Outcome
    from posture.progress import Console
    from posture.workspace import collect_into, open_workspace

    workspace = open_workspace(load(arguments.config), writing=True)
    collected = collect_into(workspace, Console(quiet=arguments.quiet))
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(collected.outcomes.items()))
    continued = f" (continued: {collected.continued} were logged before)" if collected.continued else ""
    print(f"run {collected.run}: {counts or 'nothing left to look at'}{continued}")
    missed = set(collected.outcomes) - {Outcome.OBSERVED}
    return Exit.INCOMPLETE if missed else Exit.HOLDS
