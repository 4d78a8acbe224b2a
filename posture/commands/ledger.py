"""`posture ledger`: the transparency log: list it, verify it, prove an entry."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import Exit
from posture.commands.options import add_config, load
from posture.errors import UsageError

if TYPE_CHECKING:
    from evidence.proofs.keys import Verifier
    from evidence.view import LoggedRecord

EXAMPLE = """examples:
  posture ledger log                                   what was logged, oldest first
  posture ledger verify                                every entry, signature, tile and payload
  posture ledger verify --key KEY --since old-checkpoint
  posture ledger prove 12                              an inclusion proof (c2sp.org/tlog-proof)

A key found in the log's own folder proves nothing against a log that was made anew: take it
from the portal's verify page or from `posture pack build`, and pin it with --key.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = _action(actions, "log", "list the records")
    listed.add_argument("--format", choices=("text", "json"), default="text")
    verified = _action(actions, "verify", "check everything; exit 1 names the first bad file")
    verified.add_argument("--path", help="a ledger's folder (default: the project's)")
    verified.add_argument("--origin", help="the log's name (default: the project's)")
    verified.add_argument("--key", help="the log's verifier key, as `posture pack build` prints it")
    verified.add_argument("--since", metavar="FILE", help="an older checkpoint that the log must extend")
    proved = _action(actions, "prove", "print an inclusion proof of one entry")
    proved.add_argument("index", type=int)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name, help=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    return {"log": _log, "verify": _verify, "prove": _prove}[arguments.action](arguments)


def _log(arguments: argparse.Namespace) -> int:
    from posture.workspace import open_workspace

    records = open_workspace(load(arguments.config), writing=False).log.read()
    if arguments.format == "json":
        json.dump([_row(index, logged) for index, logged in enumerate(records)], sys.stdout, indent=2)
        print()
        return Exit.HOLDS
    for index, logged in enumerate(records):
        row = _row(index, logged)
        print(f"{row['index']:>6}  {row['recorded']}  {row['outcome']:<12} {row['kind']:<30} {row['unit']}")
    return Exit.HOLDS


def _row(index: int, logged: LoggedRecord) -> dict[str, str | int]:
    from evidence.payload import timestamp

    header = logged.record.header
    return {
        "index": index,
        "recorded": timestamp(header.recorded),
        "observed": timestamp(header.observed.end),
        "run": header.run,
        "unit": header.unit,
        "kind": header.kind,
        "subject": header.subject,
        "outcome": header.outcome.value,
        "reason": header.reason,
        "statement": logged.digest,
    }


def _verify(arguments: argparse.Namespace) -> int:
    from evidence.errors import EvidenceError
    from evidence.ledger.layout import CHECKPOINT
    from evidence.ledger.verify import verify_ledger
    from evidence.proofs.errors import ProofsError

    path, origin = _where(arguments)
    if not (path / CHECKPOINT).is_file():
        raise UsageError(f"{path} holds no ledger (no {CHECKPOINT} file); name its folder with --path")
    since = Path(arguments.since).read_bytes() if arguments.since else None
    try:
        key = _pinned(arguments.key, origin)
        report = verify_ledger(path, origin=origin, key=key, since=since)
    except (EvidenceError, ProofsError) as error:
        raise UsageError(str(error)) from error
    for problem in report.problems:
        print(f"{problem.file}: {problem.message}")
    if not report.pinned:
        print("key not pinned: this proves nothing against a log that was made anew; use --key")
    print(f"{path}: {'verified' if report.ok else 'DAMAGED'}, {report.entries} entries")
    return Exit.HOLDS if report.ok else Exit.FINDINGS


def _where(arguments: argparse.Namespace) -> tuple[Path, str]:
    if arguments.path and arguments.origin:
        return Path(arguments.path), arguments.origin
    project = load(arguments.config)
    if project.ledger is None:
        raise UsageError("posture.yaml has no `ledger` section; or give --path and --origin")
    path = Path(arguments.path) if arguments.path else project.ledger.path or project.state / "ledger"
    return path, arguments.origin or project.ledger.origin


def _pinned(text: str | None, origin: str) -> Verifier | None:
    from evidence.proofs.notes import parse_verifier_key
    from evidence.proofs.signers import Ed25519Verifier

    if text is None:
        return None
    name, public = parse_verifier_key(text)
    if name != origin:
        raise UsageError(f"--key is of the log {name!r}, not of {origin!r}")
    return Ed25519Verifier(public)


def _prove(arguments: argparse.Namespace) -> int:
    from posture.workspace import open_workspace

    ledger = open_workspace(load(arguments.config), writing=False).log.ledger
    if not 0 <= arguments.index < ledger.size:
        raise UsageError(f"the log has entries 0 to {ledger.size - 1}, not {arguments.index}")
    proof = ledger.prove_inclusion(arguments.index).encode()
    sys.stdout.write(proof.decode() if isinstance(proof, bytes) else proof)
    return Exit.HOLDS
