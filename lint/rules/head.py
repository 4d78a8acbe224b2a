"""What the state rules find at the head of a history: every rule once for each database.

The rules are those of `lint.rules.live`; here they are asked as every role that serves tenants, and
what two of them would find alike is told once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.coverage import coverage_of
from lint.rules.expressions import Session
from lint.rules.live import schema_findings
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.row_security import opened, role_findings
from lint.rules.serving import viewpoints
from lint.rules.tenancy import discover
from lint.rules.viewpoint import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lint.catalogue import Catalogue, Table
    from lint.config import LintConfig
    from lint.report import Coverage, Finding
    from lint.rules.serving import HeadViewpoint
    from lint.rules.tenancy import Tenancy


#: Settings that open a way around, or that a gateway or the server sets.
_NOT_TENANTS = re.compile(r"bypass|admin|super|system|\Arequest\.|\Ajwt\.|(?:\A|[._])roles?\Z")


@dataclass(frozen=True, slots=True)
class Head:
    """A judged catalogue: it with its tenant columns, what was found out about tenants, findings."""

    catalogue: Catalogue
    tenancy: Tenancy
    findings: tuple[Finding, ...]
    coverage: Coverage


def judge_head(catalogue: Catalogue, config: LintConfig) -> Head:
    """Judge a catalogue as every role that serves tenants meets it."""
    known, tenancy = discover(catalogue, config, tenant_column=config.tenant_column)
    views = viewpoints(known, tenancy, config)
    findings = tuple(_findings(views, known, config))
    doors = opened(findings)
    coverage = coverage_of(
        known,
        config.global_tables,
        lambda table: table.qualified not in doors and _enforced(table, views),
    )
    return Head(known, tenancy, findings, coverage)


def asked_settings(heads: Iterable[Head]) -> tuple[str, ...]:
    """Return the settings by which policies know the tenant, whatever a project calls them.

    Those that the tenant's column is compared with; where it is compared with none, as in tenancy by
    membership, those that the policies ask for at all. A gateway sets its own for every request.
    """
    found: dict[str, None] = {}
    for head in heads:
        names = head.tenancy.settings or tuple(_asked_by_policies(head.catalogue))
        found.update((name, None) for name in names if not _NOT_TENANTS.search(name))
    return tuple(found)


def _asked_by_policies(catalogue: Catalogue) -> Iterator[str]:
    session = Session(catalogue)
    for table in catalogue.tables.values():
        for policy in table.permissive if table.tenant_column else ():
            for _, clause in policy.clauses():
                try:
                    yield from sorted(name.lower() for name in session.settings_in(parse_predicate(clause)))
                except (PredicateError, RecursionError):
                    continue


def _enforced(table: Table, views: Sequence[HeadViewpoint]) -> bool:
    """Say whether row security binds whoever serves tenants.

    FORCE makes that certain; without it, the roles that serve must be known to be others than the owner.
    """
    if table.enforced:
        return True
    return table.enabled and any(
        view.known
        and view.exempt(view.role, table) is None
        and any(view.permissive(table, command) for command in COMMANDS)
        for view in views
    )


def head_findings(catalogue: Catalogue, config: LintConfig) -> list[Finding]:
    """Return what the state rules find in a catalogue, without its tenancy."""
    return list(judge_head(catalogue, config).findings)


def _findings(views: Sequence[HeadViewpoint], catalogue: Catalogue, config: LintConfig) -> Iterator[Finding]:
    yield from _once(finding for view in views for finding in schema_findings(view))
    yield from role_findings(catalogue, config)


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the first finding of each fault: the roles that follow say the same of themselves."""
    seen: set[tuple[str, str, int, str, str]] = set()
    for finding in findings:
        identity = (finding.rule, finding.path, finding.line, finding.table or "", finding.subject)
        if identity not in seen:
            seen.add(identity)
            yield finding
