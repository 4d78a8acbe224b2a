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
  posture platform wave status --url postgresql://postgres@/core  where each table stands on the way to RLS

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
    _add_waves(actions.add_parser("wave", help="take a table to enforced row security, wave by wave"))
    revision = actions.add_parser("revision", help="print the revision of a database's schema")
    revision.add_argument("--url", required=True, help="the database")


def _add_waves(wave: argparse.ArgumentParser) -> None:
    steps = wave.add_subparsers(dest="step", required=True, metavar="STEP")
    status = steps.add_parser("status", help="print where each table stands")
    advance = steps.add_parser("advance", help="take one table into its next wave")
    verify = steps.add_parser("verify", help="run every registered reader twice, for two tenants")
    for step in (status, advance, verify):
        step.add_argument("--url", required=True, help="the database, as its administrator")
    advance.add_argument("table", help="schema.table")
    advance.add_argument("wave", choices=("columns", "wrap", "observe", "verify", "enforce", "canary"))
    advance.add_argument("--actor", required=True, help="who does this: it goes on record")
    advance.add_argument("--unwrapped-sites", type=int, metavar="N", help="wrap: what posture lint counted")
    for step in (advance, verify):
        step.add_argument("--settings", metavar="FILE", help="the platform's JSON settings: verify, canary")
        step.add_argument("--tenants", nargs=2, metavar="TENANT", help="two tenants: verify, canary")


def run(arguments: argparse.Namespace) -> int:
    """Hand over to the platform's own program, print the revision, or move a wave."""
    if arguments.action == "wave":
        from posture.waves import run_wave

        return run_wave(arguments)
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
