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

EXAMPLE = """examples:
  posture ledger log                                   what was logged, oldest first
  posture ledger log --as-of 2026-11-01 --as-known 2026-11-03 --latest
                                                       what had been seen by the 1st, as known on the 3rd
  posture ledger verify                                every entry, signature, tile and payload
  posture ledger verify --key KEY --since old-checkpoint
  posture ledger prove 12                              an inclusion proof (c2sp.org/tlog-proof)
  posture ledger render --audience public --out DIR    a copy without gated payloads, under the same root
  posture ledger rotate --to file:ledger-2.key --reason "yearly rotation"

A key found in the log's own folder proves nothing against a log that was made anew: take it
from the portal's verify page or from `posture pack build`, and pin it with --key.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = _action(actions, "log", "list the records, as of a moment and as known at another")
    listed.add_argument("--as-of", metavar="TIME", help="only what had been observed by then (UTC)")
    listed.add_argument("--as-known", metavar="TIME", help="only what had been recorded by then (UTC)")
    listed.add_argument("--latest", action="store_true", help="of each unit, kind and subject the last one")
    listed.add_argument("--late", action="store_true", help="only records that were logged late")
    listed.add_argument("--format", choices=("text", "json"), default="text")
    verified = _action(actions, "verify", "check everything; exit 1 names the first bad file")
    verified.add_argument("--path", help="a ledger's folder (default: the project's)")
    verified.add_argument("--origin", help="the log's name (default: the project's)")
    verified.add_argument("--key", help="the log's verifier key, as `posture pack build` prints it")
    verified.add_argument("--partial", action="store_true", help="a rendering, which leaves payloads out")
    verified.add_argument("--since", metavar="FILE", help="an older checkpoint that the log must extend")
    proved = _action(actions, "prove", "print an inclusion proof of one entry")
    proved.add_argument("index", type=int)
    copied = _action(actions, "render", "write a copy for an audience; it proves the same root")
    copied.add_argument("--audience", choices=("public", "nda", "auditor"), default="public")
    copied.add_argument("--out", required=True, metavar="DIR", help="a new or empty folder")
    changed = _action(actions, "rotate", "change the key that signs; logged and signed by both keys")
    changed.add_argument(
        "--to", required=True, metavar="KEY", help="file:PATH (made if new), env:NAME, awskms:ID"
    )
    changed.add_argument("--reason", required=True, help="why, in a few words; public")


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
    actions = {"log": _log, "verify": _verify, "prove": _prove, "render": _render, "rotate": _rotate}
    return actions[arguments.action](arguments)


def _log(arguments: argparse.Namespace) -> int:
    from posture.history import listing
    from posture.times import optional_moment
    from posture.workspace import open_workspace

    as_of = optional_moment(arguments.as_of, "--as-of")
    as_known = optional_moment(arguments.as_known, "--as-known")
    records = open_workspace(load(arguments.config), writing=False).log.read()
    lines = listing(records, as_of=as_of, as_known=as_known, latest=arguments.latest)
    chosen = [line for line in lines if line.late or not arguments.late]
    if arguments.format == "json":
        json.dump([line.to_json() for line in chosen], sys.stdout, indent=2)
        print()
        return Exit.HOLDS
    for line in chosen:
        print(line)
    return Exit.HOLDS


def _verify(arguments: argparse.Namespace) -> int:
    from evidence.errors import EvidenceError
    from evidence.ledger.layout import CHECKPOINT
    from evidence.ledger.verify import verify_ledger
    from evidence.proofs.errors import ProofsError
    from posture.progress import Console

    path, origin = _where(arguments)
    if not (path / CHECKPOINT).is_file():
        raise UsageError(f"{path} holds no ledger (no {CHECKPOINT} file); name its folder with --path")
    since = _older_checkpoint(arguments.since)
    console = Console()

    def progress(done: int, total: int) -> None:
        console.detail(f"{done} of {total} entries")

    try:
        key = _pinned(arguments.key, origin)
        report = verify_ledger(
            path, origin=origin, key=key, since=since, partial=arguments.partial, progress=progress
        )
    except (EvidenceError, ProofsError) as error:
        raise UsageError(str(error)) from error
    console.done()
    for problem in report.problems:
        print(problem)
    if report.extends is not None:
        print(f"extends the older checkpoint over {report.extends.size} entries")
    if not report.pinned:
        print("key not pinned: this proves nothing against a log that was made anew; use --key")
    print(f"{path}: {'verified' if report.ok else 'DAMAGED'}, {report.entries} entries")
    return Exit.HOLDS if report.ok else Exit.FINDINGS


def _older_checkpoint(name: str | None) -> bytes | None:
    try:
        return Path(name).read_bytes() if name else None
    except OSError as error:
        raise UsageError(f"--since {name}: {error.strerror}; name a checkpoint that you kept") from error


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


def _render(arguments: argparse.Namespace) -> int:
    from evidence.errors import EvidenceError
    from evidence.payload import Audience
    from evidence.rendering import write_rendering
    from posture.workspace import open_workspace

    ledger = open_workspace(load(arguments.config), writing=False).log.ledger
    out, checkpoint = Path(arguments.out), ledger.signed_checkpoint()
    try:
        files = write_rendering(ledger.store, checkpoint, out, Audience(arguments.audience))
    except EvidenceError as error:
        raise UsageError(str(error)) from error
    print(f"{out}: {files} files for the audience {arguments.audience}, root of {ledger.size} entries")
    print(f"check it: posture ledger verify --partial --path {out} --origin {ledger.origin} --key KEY")
    return Exit.HOLDS


def _rotate(arguments: argparse.Namespace) -> int:
    from evidence.proofs.notes import verifier_key_text
    from posture.key_rotation import rotation_record
    from posture.secrets import Key
    from posture.workspace import load_or_create_signer, open_workspace

    workspace = open_workspace(load(arguments.config), writing=True)
    if workspace.signer is None:
        raise UsageError("the ledger has no signer; name its present key as ledger.signer")
    successor = load_or_create_signer(Key(arguments.to))
    if successor.public == workspace.signer.public:
        raise UsageError(f"{arguments.to} is the key that signs already; name another one")
    receipt = workspace.log.rotate(rotation_record(workspace.signer, successor, arguments.reason), successor)
    line = verifier_key_text(workspace.log.ledger.origin, successor.public)
    print(f"entry {receipt.index} retires {workspace.signer.key_id}; from its checkpoint on signs\n{line}")
    print(f"now set `ledger.signer: {arguments.to}` in posture.yaml and give the line above to whoever pins")
    return Exit.HOLDS
