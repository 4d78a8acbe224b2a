"""`posture platform`: the audited platform: migrate its database, serve its ingress."""

from __future__ import annotations

import argparse
import runpy
import sys
from urllib.parse import parse_qs, urlsplit

from posture.cli import Exit
from posture.errors import UsageError

EXAMPLE = """examples:
  posture platform revision --url postgresql://core_owner@/core    the schema's revision
  posture platform serve --settings platform.json                 the gRPC ingress, until stopped
  posture platform ingest --settings platform.json                the registered log buckets, once

`posture demo --keep` writes a complete platform.json. The ingress serves TLS 1.3 only and refuses to start
with a database login that could get round row security.
"""

MODULES = {"serve": "core_platform.ingress", "ingest": "core_platform.redaction"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (("serve", "serve the agent ingress"), ("ingest", "ingest every registered bucket")):
        action = actions.add_parser(name, help=text)
        action.add_argument("--settings", required=True, metavar="FILE", help="the platform's JSON settings")
    revision = actions.add_parser("revision", help="print the revision of a database's schema")
    revision.add_argument("--url", required=True, help="the database")


def run(arguments: argparse.Namespace) -> int:
    """Hand over to the platform's own program, or print the revision."""
    if arguments.action == "revision":
        from core_platform.errors import PlatformError
        from core_platform.schema.migrate import current_revision

        try:
            print(current_revision(arguments.url) or "none")
        except PlatformError as error:
            where = urlsplit(arguments.url)
            place = (
                f"{where.hostname or parse_qs(where.query).get('host', ['the local socket'])[0]}{where.path}"
            )
            raise UsageError(f"{place}: {error}; check the address and that the server runs") from error
        return Exit.HOLDS
    sys.argv = [MODULES[arguments.action], "--settings", arguments.settings]
    runpy.run_module(MODULES[arguments.action], run_name="__main__", alter_sys=True)
    return Exit.HOLDS
