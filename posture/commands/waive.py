"""`posture waive`: the waivers of a project, and whether each still holds."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from posture.cli import Exit
from posture.commands.options import add_config, load
from posture.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checks.waiving import Standing
    from evidence.kinds.waiver import Waiver
    from posture.config import Project

EXAMPLE = """examples:
  posture waive                        every waiver: live, expired or dead
  posture waive --format json          for another program

A waiver is granted in the file that posture.yaml names as `waivers`, where it is reviewed:

  - id: W-1
    check: RLS-01
    deviations: [identity.app_user]      # the places as `posture check` prints them, to the letter
    owner: platform team                 # published: a team or a role
    reason: the table is moved in the next wave
    compensating: RLS-07                 # must be satisfied meanwhile
    expires: 2027-01-31                  # at most 366 days ahead

Exit 1: one has expired, or its compensating control does not hold.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("--format", choices=("text", "json"), default="text")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the register, and return 0 or 1."""
    from checks.waiving import Standing
    from posture.waivers import waivers_of

    project = load(arguments.config)
    if project.waivers is None:
        raise UsageError("posture.yaml names no register: add `waivers: waivers.yaml`")
    waivers = waivers_of(project)
    told = _standings(project, waivers) if waivers else []
    if arguments.format == "json":
        print(json.dumps({"waivers": [_json(*one) for one in told]}, indent=2))
    else:
        print("\n".join(_line(*one) for one in told) or "no waivers")
    return Exit.HOLDS if all(how is Standing.LIVE for _, how, _ in told) else Exit.FINDINGS


def _standings(project: Project, waivers: Sequence[Waiver]) -> list[tuple[Waiver, Standing, str]]:
    from evidence.view import entries_of
    from posture.pipeline import bench_of
    from posture.records import RunClock
    from posture.waivers import standings
    from posture.workspace import open_workspace

    records = open_workspace(project, writing=False).log.read()
    now = RunClock.now()
    return standings(bench_of(records, as_of=now, entries=entries_of(records)), waivers, now)


def _line(waiver: Waiver, how: Standing, why: str) -> str:
    until = waiver.expires.date().isoformat()
    told = f": {why}" if why else f" until {until}, while {waiver.compensating} is satisfied"
    return f"{waiver.id:<10} {waiver.check:<7} {how}{told}  ({waiver.owner}: {waiver.reason})"


def _json(waiver: Waiver, how: Standing, why: str) -> dict[str, Any]:
    from evidence.payload import encode

    granted: Any = encode(waiver)
    return {**granted, "state": how.value, "why": why}
