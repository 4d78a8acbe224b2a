"""`posture rls`: how far row security covers the tables that hold tenant data."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import Exit
from posture.commands.options import add_config, lint_config, linted_root, project_file
from posture.errors import UsageError

if TYPE_CHECKING:
    from lint.report import Coverage

EXAMPLE = """examples:
  posture rls coverage migrations/                      as the migrations leave it
  posture rls coverage --dsn postgresql:///app          as the live catalog has it
  posture rls coverage --format json migrations/        for another program

A table counts as enforced when row security is enabled, forced and has a permissive policy.
Exit 1 when a tenant table is not enforced, 3 with --strict when no tenant table was found.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    coverage = actions.add_parser(
        "coverage",
        help="tables holding tenant data against tables enforced",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    coverage.add_argument("path", nargs="?", default=None, help="migrations to replay (default: here)")
    coverage.add_argument("--dsn", help="read a live database instead")
    coverage.add_argument("--format", choices=("text", "json"), default="text")
    coverage.add_argument("--strict", action="store_true", help="exit 3 when nothing was found to count")
    add_config(coverage)


def run(arguments: argparse.Namespace) -> int:
    """Count, print, and return 0, 1 or (with --strict) 3."""
    from lint.errors import LintError

    if arguments.dsn and arguments.path:
        raise UsageError("give a path or --dsn, not both: they are two different catalogues")
    try:
        coverage = _coverage(arguments)
    except LintError as error:
        raise UsageError(str(error)) from error
    print(json.dumps(coverage.to_json(), indent=2) if arguments.format == "json" else _text(coverage))
    if coverage.enforced < len(coverage.tables):
        return Exit.FINDINGS
    return Exit.INCOMPLETE if arguments.strict and not coverage.tables else Exit.HOLDS


def _coverage(arguments: argparse.Namespace) -> Coverage:
    from lint.api import coverage_of, lint_paths, read_live

    path = Path(arguments.path or ".")
    file = project_file(arguments.config, path)
    config = lint_config(file)
    if arguments.dsn:
        return coverage_of(read_live(arguments.dsn, config.tenant_columns), config.global_tables)
    return lint_paths([path], config, linted_root(file, [path])).coverage


def _text(coverage: Coverage) -> str:
    rows = [
        f"{'enforced' if table.enforced else 'OPEN':<9} {table.row_security:<8} "
        f"{table.policies:>2} policies  {table.name} ({table.tenant_column})"
        for table in coverage.tables
    ]
    return "\n".join([*rows, f"{coverage.enforced} of {len(coverage.tables)} tenant tables enforced"])
