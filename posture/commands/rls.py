"""`posture rls`: how far row security covers tenant tables, and whether it holds when it is tried."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from posture.cli import VERSION, Exit
from posture.commands.options import add_config, lint_config, linted_root, load, project_file
from posture.errors import UsageError

if TYPE_CHECKING:
    from lint.live.verify import Verification
    from lint.report import Coverage
    from posture.access import SettingBinding

EXAMPLE = """examples:
  posture rls coverage migrations/                      as the migrations leave it
  posture rls coverage --dsn postgresql:///app          as the live catalog has it
  posture rls verify --dsn postgresql:///app --role app_user
  posture rls verify --dsn … --role app_user --read-only        production: existing rows, nothing written
  posture rls verify --database core                            as posture.yaml describes it

coverage: a table counts as enforced when row security is enabled, has a permissive policy, and binds the role
that serves tenants: it is forced, or that role is known not to be its owner.
verify: judges the catalog, then becomes the role and tries every way from one tenant to another, in one
transaction that is rolled back (sequences advance). The tenant column and setting are found by themselves.

Exit 1: a finding, or a tenant table that is not enforced. Exit 3 with --strict: a probe that could not be
carried out, or nothing to count.
"""

VERIFY_FORMATS = ("text", "json", "sarif", "junit", "github")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_coverage(_action(actions, "coverage", "tables holding tenant data against tables enforced"))
    _add_verify(_action(actions, "verify", "adversarial proof on a real database"))


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    action = actions.add_parser(
        name, help=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    action.add_argument("--strict", action="store_true", help="exit 3 where nothing was shown")
    add_config(action)
    return action


def _add_coverage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", default=None, help="migrations to replay (default: here)")
    parser.add_argument("--dsn", help="read a live database instead")
    parser.add_argument("--role", help="with --dsn: enforced as this login meets the tables")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dsn", help="a privileged login: it reads the catalog, seeds, and becomes the role")
    parser.add_argument("--role", help="the login that serves tenants")
    parser.add_argument("--database", metavar="NAME", help="take both, and the binding, from posture.yaml")
    parser.add_argument("--tenant-setting", metavar="NAME", help="NAME or NAME=A,B (default: found)")
    parser.add_argument("--tenant-column", metavar="NAME", help="default: found")
    parser.add_argument("--read-only", action="store_true", help="catalog and select probes on existing rows")
    parser.add_argument("--format", choices=VERIFY_FORMATS, default="text")


def run(arguments: argparse.Namespace) -> int:
    """Count or verify, print, and return 0, 1 or (with --strict) 3."""
    from lint.errors import LintError

    try:
        return _verify(arguments) if arguments.action == "verify" else _count(arguments)
    except LintError as error:
        raise UsageError(str(error)) from error


def _count(arguments: argparse.Namespace) -> int:
    if arguments.role and not arguments.dsn:
        raise UsageError("--role says how a login meets a live database: give --dsn too")
    if arguments.dsn and arguments.path:
        raise UsageError("give a path or --dsn, not both: they are two different catalogues")
    coverage = _coverage(arguments)
    print(json.dumps(coverage.to_json(), indent=2) if arguments.format == "json" else _text(coverage))
    if coverage.enforced < len(coverage.tables):
        return Exit.FINDINGS
    return Exit.INCOMPLETE if arguments.strict and not coverage.tables else Exit.HOLDS


def _verify(arguments: argparse.Namespace) -> int:
    from lint.live.verify import verify

    target = _target(arguments)
    verification = verify(
        target.dsn,
        role=target.role,
        tenant_setting=arguments.tenant_setting,
        tenant_column=arguments.tenant_column,
        read_only=arguments.read_only,
        binding=target.binding,
    )
    print(_rendered(verification, arguments.format), end="")
    if verification.failed:
        return Exit.FINDINGS
    return Exit.INCOMPLETE if arguments.strict and verification.incomplete else Exit.HOLDS


@dataclass(frozen=True)
class _Target:
    """What is verified: a privileged DSN, the role, and how a tenant is bound where an id is not enough."""

    dsn: str
    role: str
    binding: SettingBinding | None = None


def _target(arguments: argparse.Namespace) -> _Target:
    if arguments.database is None:
        if not (arguments.dsn and arguments.role):
            raise UsageError("verify needs --dsn and --role, or --database with a posture.yaml")
        return _Target(arguments.dsn, arguments.role)
    from posture.access import binding_of

    databases = load(arguments.config).databases
    if arguments.database not in databases:
        known = ", ".join(databases) or "none"
        raise UsageError(f"posture.yaml has no database {arguments.database!r}; it names {known}")
    database = databases[arguments.database]
    binding = binding_of(database.isolation) if database.isolation else None
    return _Target(database.url.resolve(), arguments.role or database.app_role, binding)


def _rendered(verification: Verification, form: str) -> str:
    if form == "text":
        return _verification_text(verification)
    if form == "json":
        return json.dumps(verification.to_json(), indent=2) + "\n"
    from posture.commands.formats import in_tool_format
    from posture.reporting import Level, ReportItem, RunInfo

    levels: dict[str, Level] = {"error": "error", "warning": "warning", "info": "note"}
    items = [
        ReportItem(
            rule=finding.rule,
            title=finding.message,
            level=levels[finding.severity],
            message=f"{finding.table or finding.subject}: {finding.message}",
            help=finding.fix,
            fingerprint=f"{finding.rule}:{finding.table}:{finding.probe}:{finding.subject}",
        )
        for finding in verification.findings
    ]
    gaps = [f"{one.table} {one.probe}: {one.why}" for one in verification.inconclusive]
    return in_tool_format(items, RunInfo("posture rls verify", VERSION, not_examined=gaps), form)


def _verification_text(verification: Verification) -> str:
    lines = [
        f"{finding.severity:<7} {finding.rule} {finding.table or finding.subject}: {finding.message}\n"
        f"        fix: {finding.fix}"
        for finding in verification.findings
    ]
    lines += [f"not shown: {one.table} {one.probe}: {one.why}" for one in verification.inconclusive]
    coverage = verification.coverage
    lines += [f"note: {note}" for note in verification.notes]
    lines += [
        f"tenancy: {verification.tenancy.text}",
        f"{coverage.enforced} of {len(coverage.tables)} tenant tables enforced",
        f"{len(verification.findings)} findings, {len(verification.inconclusive)} inconclusive",
        f"{verification.probes} probes as {verification.role}",
        f"server {verification.server_version}, {verification.seconds:.1f} s",
    ]
    return "\n".join(lines) + "\n"


def _coverage(arguments: argparse.Namespace) -> Coverage:
    from lint.api import coverage_live, lint_catalogue, lint_paths, read_live

    path = Path(arguments.path or ".")
    file = project_file(arguments.config, path)
    config = lint_config(file)
    if arguments.dsn and arguments.role:
        return coverage_live(arguments.dsn, arguments.role, config)
    if arguments.dsn:
        return lint_catalogue(read_live(arguments.dsn, config.tenant_columns), config).coverage
    return lint_paths([path], config, linted_root(file, [path])).coverage


def _text(coverage: Coverage) -> str:
    rows = [
        f"{'enforced' if table.enforced else 'OPEN':<9} {table.row_security:<8} "
        f"{table.policies:>2} policies  {table.name} ({table.tenant_column})"
        for table in coverage.tables
    ]
    return "\n".join([*rows, f"{coverage.enforced} of {len(coverage.tables)} tenant tables enforced"])
