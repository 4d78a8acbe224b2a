"""`posture pack`: evidence packs that verify themselves offline."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import Exit
from posture.commands import pack_sample
from posture.commands.options import add_config, load
from posture.errors import UsageError

if TYPE_CHECKING:
    from trust_portal.packs.documents.engagement import Window

EXAMPLE = """examples:
  posture pack build                       the auditor's pack of the whole ledger
  posture pack build --engagement soc2-type2 --audience auditor --from 2026-11-01 --to 2026-11-30 \\
                     --recipient "Example CPA" --out november.zip
  posture pack build --from 2026-11-01 --to 2026-11-30 --since checkpoint-of-october
                                           also proves that nothing before that checkpoint was rewritten
  posture pack verify november.zip --origin NAME --key KEY
  python verify.py november.zip --origin NAME --key KEY        the same, with nothing installed
  posture pack reperform november.zip --origin NAME --key KEY  judge again from the pack's own source
  posture pack diff october.zip november.zip                   what changed between two audits

Take the origin, the key and the digest of verify.py from somewhere else than the pack that you check. Each
pack that is built is logged (posture.pack/v1), so that a later erratum can name who was told what.

exit codes: 0 holds, follows, or no change; 1 does not; 2 wrong usage; 3 something could not be judged again
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="write a pack and log that it was issued")
    build.add_argument("--engagement", help="the audit that it is for (default: the project's name)")
    build.add_argument("--audience", choices=("public", "nda", "auditor"), default="auditor")
    build.add_argument("--from", dest="first", metavar="DAY", help="first day of the window, UTC")
    build.add_argument("--to", dest="last", metavar="DAY", help="its last day; default: the whole ledger")
    build.add_argument("--as-of", metavar="TIME", help="moment of knowledge (default: the newest record)")
    build.add_argument("--since", metavar="FILE", help="an older checkpoint that the log must extend")
    build.add_argument(
        "--recipient", default="", metavar="WHO", help="who gets it; logged for auditors alone"
    )
    build.add_argument("--out", metavar="FILE", help="default: pack.zip under the project's state")
    add_config(build)
    _handed_over(actions, "verify", "verify a pack offline")
    _handed_over(actions, "reperform", "judge a pack's evidence again and compare the verdicts")
    pack_sample.add_arguments(actions.add_parser("sample", help=pack_sample.SUMMARY))
    diff = actions.add_parser("diff", help="what changed between two packs; exit 1 when anything did")
    diff.add_argument("earlier", type=Path)
    diff.add_argument("later", type=Path)
    diff.add_argument("--format", choices=("text", "json"), default="text")


def _handed_over(actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str) -> None:
    """An action whose arguments are those of the program in the pack."""
    action = actions.add_parser(name, help=text, prefix_chars="\0", add_help=False)
    action.add_argument("words", nargs="*", metavar="ARGUMENT", help=f"as of the {name}.py in the pack")


def run(arguments: argparse.Namespace) -> int:
    """Build or compare, or hand over to the programs that every pack carries."""
    if arguments.action == "verify":
        from trust_portal.packs.verify import main

        return main(arguments.words)
    if arguments.action == "reperform":
        from trust_portal.packs.reperform import main as reperform

        return reperform(arguments.words)
    if arguments.action == "sample":
        return pack_sample.run(arguments)
    return _diff(arguments) if arguments.action == "diff" else _build(arguments)


def _build(arguments: argparse.Namespace) -> int:
    from evidence.payload import Audience
    from posture.publish import PackOrder, log_key, publish_pack
    from posture.times import optional_moment
    from posture.workspace import open_workspace

    order = PackOrder(
        engagement=arguments.engagement,
        audience=Audience(arguments.audience),
        window=_window(arguments.first, arguments.last),
        as_of=optional_moment(arguments.as_of, "--as-of"),
        since=_since(arguments.since),
        recipient=arguments.recipient,
    )
    workspace = open_workspace(load(arguments.config), writing=True)
    out = Path(arguments.out) if arguments.out else workspace.state / "pack.zip"
    report = publish_pack(workspace, out, order)
    print(
        f"{report.path}: {report.carried} of {report.entries} entries, {len(report.verdicts)} verdicts, "
        f"{report.bytes} bytes"
    )
    print(f"sha256 {report.sha256}\nverify.py sha256 {report.verifier}")
    print(f"pin: --origin {workspace.log.ledger.origin} --key {log_key(workspace)}")
    return Exit.HOLDS


def _window(first: str | None, last: str | None) -> Window | None:
    from posture.times import day
    from trust_portal.packs.documents.engagement import Window

    if first is None and last is None:
        return None
    if first is None or last is None:
        raise UsageError("--from and --to belong together: name the first and the last day of the window")
    begins, ends = day(first, "--from"), day(last, "--to")
    try:
        return Window(begins, ends)
    except ValueError as error:
        raise UsageError(f"--from {first} --to {last}: {error}; name the earlier day first") from error


def _since(name: str | None) -> bytes | None:
    try:
        return Path(name).read_bytes() if name else None
    except OSError as error:
        raise UsageError(f"--since {name}: {error.strerror}; name a checkpoint that you kept") from error


def _diff(arguments: argparse.Namespace) -> int:
    from trust_portal.errors import PackError
    from trust_portal.packs.diff import diff_packs, diff_text

    try:
        found = diff_packs(arguments.earlier, arguments.later)
    except PackError as error:
        raise UsageError(str(error)) from error
    if arguments.format == "json":
        json.dump(found, sys.stdout, indent=2)
        print()
    else:
        print(diff_text(found))
    return Exit.FINDINGS if _changed(found) else Exit.HOLDS


def _changed(found: object) -> bool:
    """Whether a comparison lists anything; a coverage that grew with the window alone counts too."""
    return isinstance(found, dict) and any(
        isinstance(part, dict) and any(isinstance(item, list) and item for item in part.values())
        for name, part in found.items()
        if name not in {"earlier", "later", "cautions"}
    )
