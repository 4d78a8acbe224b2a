"""`posture prove`: apply every sabotage to a live twin; a check that stays green fails the command."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import Exit
from posture.commands.options import add_config, load
from posture.errors import UsageError

if TYPE_CHECKING:
    from posture.prove import Proof
    from posture.workspace import Workspace

EXAMPLE = """examples:
  posture prove                            every sabotage of every check
  posture prove --check RLS-01 --check ING-04
  posture prove --format json > kill-matrix.json
  posture prove --log                      log the matrix, signed, in the ledger of posture.yaml

Each sabotage is applied to its own copy of a running platform (Postgres cluster, Redis, AWS account, source)
and must turn its check red with a deviation that names the thing broken. Exit 1 when one survives.
Where no matrix of the present version is logged, `posture check` and the portal call every check hollow.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("--check", action="append", default=[], metavar="ID", help="only this check")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--log", action="store_true", help="log the kill matrix of all checks in the ledger")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prove, print the kill matrix, and return 0 or 1."""
    from checks.check import load_checks
    from posture.progress import Console
    from posture.prove import log_proof, prove
    from posture.scene import platform_scene

    if arguments.log and arguments.check:
        raise UsageError("--log wants the whole matrix: the newest one counts for every check")
    if unknown := sorted(set(arguments.check) - set(load_checks())):
        raise UsageError(f"no check {unknown[0]!r}; `posture controls` lists them")
    workspace = _ledger(arguments.config) if arguments.log else None
    console = Console(quiet=arguments.quiet)
    with tempfile.TemporaryDirectory(prefix="posture-prove-") as temporary:
        folder = Path(temporary)
        with platform_scene(folder / "scene", console) as scene, console.step("sabotaging twins"):
            proof = prove(scene.template, folder / "twins", progress=console.detail, only=arguments.check)
    console.done()
    if workspace is not None:
        log_proof(workspace.log, proof)
    if arguments.format == "json":
        json.dump(proof.to_json(), sys.stdout, indent=2)
        print()
    else:
        print(kill_matrix(proof))
    return Exit.FINDINGS if proof.survivors else Exit.HOLDS


def _ledger(config: str | None) -> Workspace:
    from posture.workspace import open_workspace

    return open_workspace(load(config), writing=True)


def kill_matrix(proof: Proof) -> str:
    """The matrix as a table: check, outcome, sabotage, what else turned red."""
    lines = []
    for one in proof.matrix.matrix:
        also = f"  (also red: {', '.join(one.collateral)})" if one.collateral else ""
        lines.append(f"{one.check:<7} {'killed' if one.killed else 'SURVIVED':<9} {one.sabotage}{also}")
        if not one.killed:
            lines.append(f"        {proof.reasons[one.check, one.sabotage]}")
    lines.append(f"{proof.matrix.killed} of {proof.matrix.sabotages} sabotages turned their check red")
    return "\n".join(lines)
