"""`posture portal`: compile the trust portal from claims and verdicts."""

from __future__ import annotations

import argparse
from pathlib import Path

from posture.cli import Exit
from posture.commands.options import add_config, load
from posture.errors import UsageError

EXAMPLE = """examples:
  posture portal build                     static HTML and JSON from the newest verdicts
  posture portal build --pdf summary.pdf   a two-page PDF as well (needs Pango)
  posture portal serve                     look at it on a loopback port, with its own headers

Every sentence is chosen by a verdict and every number comes from evidence; what is not shown is said so.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (("build", "write the site"), ("serve", "serve the built site on loopback")):
        action = actions.add_parser(
            name, help=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add_config(action)
        if name == "serve":
            action.add_argument("--port", type=int, default=0, help="default: a free one")
        else:
            action.add_argument("--pdf", metavar="FILE", help="also write a two-page PDF summary")


def run(arguments: argparse.Namespace) -> int:
    """Build or serve."""
    from posture.publish import compiled, portal_folder, publish_portal, publish_summary
    from posture.workspace import open_workspace
    from trust_portal.errors import PdfUnavailable

    project = load(arguments.config)
    if arguments.action == "serve":
        from posture.serve import serve_portal

        return serve_portal(portal_folder(project), arguments.port)
    workspace = open_workspace(project, writing=True)
    posture = compiled(workspace)
    report = publish_portal(workspace, posture)
    print(f"{report.index}: {report.pages} pages, {report.files} files, {report.bytes} bytes")
    if arguments.pdf:
        try:
            print(f"{arguments.pdf}: {publish_summary(workspace, posture, Path(arguments.pdf))} bytes")
        except PdfUnavailable as error:
            raise UsageError(str(error)) from error
    return Exit.HOLDS
