"""Every rule that a running database can show, as one role meets it, in one list.

What only a history shows (RLS005, RLS040 to RLS042, RLS044, RLS045) is not here; what only an
attempt shows is `lint.live.probe`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lint.rules.comparisons import comparison_findings, setting_findings
from lint.rules.database_rules import RLS031
from lint.rules.keys import key_findings
from lint.rules.passages import (
    child_findings,
    copy_findings,
    function_findings,
    publication_findings,
    view_findings,
)
from lint.rules.policies import TablePolicies
from lint.rules.privileges import privilege_findings
from lint.rules.row_security import not_forced, nothing_permitted, unprotected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Table
    from lint.report import Finding
    from lint.rules.viewpoint import Viewpoint

#: Roles of a hosted platform that own the tables it brings along.
_PLATFORM_OWNERS = ("supabase_", "cloud_admin")
_SEVERITIES = {"error": 0, "warning": 1, "info": 2}


def judged(view: Viewpoint) -> tuple[Finding, ...]:
    """Return what the rules find in a database, the worst first, then by rule and table."""
    found = [
        *_tables(view),
        *setting_findings(view),
        *view_findings(view),
        *function_findings(view),
        *child_findings(view),
        *copy_findings(view),
        *publication_findings(view),
        *privilege_findings(view),
    ]
    return tuple(
        sorted(found, key=lambda f: (_SEVERITIES[f.severity], f.rule, f.table or "", f.subject, f.message))
    )


def _tables(view: Viewpoint) -> Iterator[Finding]:
    for table in view.catalogue.tables.values():
        if view.config.is_global(table.qualified) or table.persistence == "temporary":
            continue
        if table.kind == "foreign":
            yield from _foreign(table, view)
            continue
        if not (table.owner or "").startswith(_PLATFORM_OWNERS):
            yield from _state(table, view)
        if table.enabled and (table.parent is None or view.commands(table)):
            yield from TablePolicies(table, view).findings()
            yield from comparison_findings(table, view)
        if table.enabled and table.tenant_column and not table.parent:
            yield from key_findings(table, view)


def _state(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """RLS001 to RLS004: the switches of a table."""
    if not table.inherits:
        yield from unprotected(table)
    for finding in nothing_permitted(table, view.catalogue):
        by_design = view.hosted and not table.policies and not table.tenant_column
        yield replace(finding, severity="info") if by_design else finding
    yield from _not_forced(table, view)


def _foreign(table: Table, view: Viewpoint) -> Iterator[Finding]:
    if table.tenant_column and view.commands(table):
        yield RLS031.finding(
            view.place(table),
            f"foreign table {table.qualified} holds tenant rows ({table.tenant_column}) and cannot have row "
            f"security, and {view.role} may read it",
            f"REVOKE ALL ON {table.written} FROM {view.role};",
            table=table.qualified,
        )


def _not_forced(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """RLS004, an error where the serving role has the owner's rights."""
    forced = any(other.forced for other in view.catalogue.tables.values())
    for finding in not_forced(table, owner_reads=forced or not view.hosted):
        owns = table.owner in view.rights
        yield replace(finding, severity="error") if owns else finding
