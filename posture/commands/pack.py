"""`posture pack`: evidence packs that verify themselves offline."""

from __future__ import annotations

import argparse
from pathlib import Path

from posture.cli import Exit
from posture.commands import pack_sample
from posture.commands.options import add_config, load

EXAMPLE = """examples:
  posture pack build                       the auditor's pack of the whole ledger
  posture pack verify pack.zip --origin NAME --key KEY
  python verify.py pack.zip --origin NAME --key KEY     the same, with nothing installed

`verify` runs the standard-library program that lies in every pack; take it, its digest, the origin and the
key from somewhere else than the pack that you check.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser(
        "build", help="write a pack", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    build.add_argument("--out", metavar="FILE", help="default: pack.zip under the project's state")
    add_config(build)
    verify = actions.add_parser("verify", help="verify a pack offline", prefix_chars="\0", add_help=False)
    verify.add_argument("words", nargs="*", metavar="ARGUMENT", help="as of the verify.py in the pack")
    pack_sample.add_arguments(actions.add_parser("sample", help=pack_sample.SUMMARY))


def run(arguments: argparse.Namespace) -> int:
    """Build, or hand over to the verifier that every pack carries."""
    if arguments.action == "verify":
        from trust_portal.packs.verify import main

        return main(arguments.words)
    if arguments.action == "sample":
        return pack_sample.run(arguments)
    from posture.publish import log_key, publish_pack
    from posture.workspace import open_workspace

    workspace = open_workspace(load(arguments.config), writing=True)
    out = Path(arguments.out) if arguments.out else workspace.state / "pack.zip"
    report = publish_pack(workspace, out)
    print(f"{report.path}: {report.entries} entries, {report.verdicts} verdicts, {report.bytes} bytes")
    print(f"sha256 {report.sha256}\nverify.py sha256 {report.verifier}")
    print(f"pin: --origin {workspace.log.ledger.origin} --key {log_key(workspace)}")
    return Exit.HOLDS
