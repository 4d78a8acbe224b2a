"""The command line: which commands there are, and what their endings mean.

Only argparse is imported here, so that `posture --help` answers at once; each command lives in its own
module of `posture.commands`, which is imported when that command is called and which imports its heavy
libraries when it runs.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, cast

VERSION = "0.1.0"


class Exit(IntEnum):
    """Exit codes; findings win over incomplete evidence. Above 128: a signal, as shells count."""

    HOLDS = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    FAULT = 70
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141
    TERMINATED = 143


class CommandModule(Protocol):
    """What a module of `posture.commands` offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments and its help."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it, and return an exit code."""


@dataclass(frozen=True)
class Command:
    """One command: its module in `posture.commands` and the line that `posture --help` shows."""

    module: str
    summary: str


COMMANDS = {
    "demo": Command("demo", "the whole loop on embedded servers: platform, traffic, evidence, portal, pack"),
    "lint": Command("lint", "row-security and bypass lint of SQL migrations and source code"),
    "rls": Command("rls", "tables that hold tenant data against tables enforced"),
    "collect": Command("collect", "look at everything in the scope and log signed records"),
    "check": Command("check", "judge the logged evidence"),
    "gate": Command("gate", "collect and check, with an exit code for CI"),
    "prove": Command("prove", "apply every sabotage to a live twin; a check that stays green fails"),
    "waive": Command("waive", "the register of waivers and how each stands"),
    "controls": Command("controls", "the catalogue of claims and the checks that decide them"),
    "ledger": Command("ledger", "the transparency log: list, verify, prove"),
    "portal": Command("portal", "compile the trust portal from claims and verdicts"),
    "pack": Command("pack", "evidence packs that verify themselves offline"),
    "platform": Command("platform", "the audited platform: migrate its database, serve its ingress"),
}

EPILOG = """exit codes:
  0 holds   1 findings or a failed control   2 wrong usage or configuration
  3 evidence incomplete (unknown)           70 a fault in Posture itself   130 interrupted

start with:
  posture demo             see the whole loop on this machine, nothing prepared
  posture lint migrations/ lint a Postgres project, no configuration needed
"""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every expected error is one line on standard error."""
    parser = _top_parser()
    if not arguments or arguments[0] in ("-h", "--help", "--version") or arguments[0] not in COMMANDS:
        parser.parse_args(arguments[:1] or ["--help"])
    # gRPC's core prints every refused handshake on standard error; refusals are evidence here, not noise.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    return _guarded(lambda: _run_command(arguments[0], arguments[1:]))


def _run_command(name: str, arguments: Sequence[str]) -> int:
    module = cast("CommandModule", importlib.import_module(f"posture.commands.{COMMANDS[name].module}"))
    parser = argparse.ArgumentParser(
        prog=f"posture {name}",
        description=COMMANDS[name].summary[0].upper() + COMMANDS[name].summary[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    _teach_actions(parser)
    return module.run(parser.parse_args(arguments))


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="posture",
        description="Security claims compiled from evidence of a running platform.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"posture {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.summary, add_help=False)
    return parser


def _teach_actions(parser: argparse.ArgumentParser) -> None:
    """Let the help of each action of a command end with the command's examples."""
    for choice in parser._get_positional_actions():  # noqa: SLF001 - argparse has no public way to them
        for action in (choice.choices or {}).values() if isinstance(choice.choices, dict) else ():
            if isinstance(action, argparse.ArgumentParser) and action.epilog is None:
                action.epilog = parser.epilog
                action.formatter_class = parser.formatter_class
                _teach_actions(action)


def _guarded(command: Callable[[], int]) -> int:
    try:
        code = command()
        sys.stdout.flush()  # here, where a closed pipe can still change the exit code
    except KeyboardInterrupt:
        print("posture: interrupted; everything that was started is stopped", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OUTPUT_CLOSED  # never 0: nobody has read what was found
    except SystemExit as leaving:
        if leaving.code == Exit.TERMINATED:
            print("posture: terminated; everything that was started is stopped", file=sys.stderr)
        raise
    except Exception as error:  # noqa: BLE001 - the one boundary: every error ends as one line
        from posture.failures import told

        failure = told(error)
        print(f"posture: {failure.text}", file=sys.stderr)
        return failure.code
    return code
