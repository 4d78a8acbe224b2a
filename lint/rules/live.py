"""Every rule that a running database can show, as one role meets it, in one list.

What only a history shows (RLS005, RLS040 to RLS042, RLS044, RLS045) is not here; what only an
attempt shows is `lint.live.probe`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lint.rules.comparisons import comparison_findings, setting_findings
from lint.rules.database_rules import RLS031
from lint.rules.definers import function_findings
from lint.rules.keys import default_findings, key_findings, unique_findings
from lint.rules.passages import (
    child_findings,
    copy_findings,
    made_partition_findings,
    publication_findings,
    view_findings,
)
from lint.rules.policies import TablePolicies
from lint.rules.privileges import privilege_findings, server_findings
from lint.rules.row_security import (
    SYSTEM_SCHEMAS,
    not_forced,
    nothing_permitted,
    unprotected,
    unprotected_child,
)
from lint.rules.storage import storage_findings
from lint.rules.table_rules import RLS001, RLS003

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
    found = [*schema_findings(view), *server_findings(view)]
    return tuple(
        sorted(found, key=lambda f: (_SEVERITIES[f.severity], f.rule, f.table or "", f.subject, f.message))
    )


def schema_findings(view: Viewpoint) -> list[Finding]:
    """Return what the rules find in a schema, whichever server it runs on."""
    return [
        *_tables(view),
        *storage_findings(view),
        *setting_findings(view),
        *view_findings(view),
        *function_findings(view),
        *child_findings(view),
        *made_partition_findings(view),
        *copy_findings(view),
        *publication_findings(view),
        *privilege_findings(view),
    ]


def _tables(view: Viewpoint) -> Iterator[Finding]:
    for table in view.catalogue.tables.values():
        if view.config.is_global(table.qualified) or table.persistence == "temporary":
            continue
        if table.schema in SYSTEM_SCHEMAS:
            continue
        if table.kind == "foreign":
            yield from _foreign(table, view)
            continue
        if not (table.owner or "").startswith(_PLATFORM_OWNERS):
            yield from _state(table, view)
        if _is_judged(table, view):
            yield from TablePolicies(table, view).findings()
            yield from comparison_findings(table, view)
        if table.enabled and table.tenant_column and not table.parent:
            yield from key_findings(table, view)
        elif table.tenant_column and table.known and not table.parent:
            yield from default_findings(table, view)
            if any(other.enabled and other.tenant_column for other in view.catalogue.tables.values()):
                yield from unique_findings(table, view)


def _is_judged(table: Table, view: Viewpoint) -> bool:
    """Say whether a table's policies decide anything; without its baseline they are taken to."""
    decides = table.enabled or not table.known
    return decides and (table.parent is None or bool(view.commands(table)))


def _state(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """RLS001 to RLS004: the switches of a table."""
    if not table.inherits:
        kept_from_clients = view.hosted and view.from_history and not view.commands(table)
        for finding in unprotected(table):
            yield replace(finding, severity="info") if kept_from_clients else finding
        if "select" in view.commands(table):
            yield from unprotected_child(table, view.catalogue)
        yield from _open_to_clients(table, view)
    for finding in nothing_permitted(table, view.catalogue):
        if not _closed_by_design(table, view):
            yield finding
    yield from _closed_to_clients(table, view)
    yield from _not_forced(table, view)


def _open_to_clients(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """RLS001 for a table without row security that a hosted platform serves to whoever asks.

    Where most tables are protected, one without is forgotten, whoever's its rows are.
    """
    if table.enabled or not table.known or table.tenant_column or table.policies or table.parent:
        return
    if not (view.hosted and view.from_history and table.columns) or not {"insert", "update", "delete"} & {
        *view.commands(table)
    }:
        return
    made = [one for one in view.catalogue.tables.values() if one.known and one.schema == table.schema]
    served = any(view.role in policy.roles for one in made for policy in one.policies)
    if sum(one.enabled for one in made) * 2 <= len(made) or not served:
        return
    yield RLS001.finding(
        view.place(table),
        f"{table.qualified} has no row security, and the platform serves it: {view.role} may "
        f"{', '.join(view.commands(table))} every row of it",
        f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY;",
        table=table.qualified,
        severity="warning",
        cause="tables that the platform serves without row security",
    )


def _closed_to_clients(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """RLS003 as information: on a hosted platform a table without a policy is mostly meant to be closed."""
    silent = not table.policies or _denies_by_order(table)
    closed = table.enabled and table.known and silent and not table.parent
    if closed and view.hosted and view.from_history and view.commands(table):
        yield RLS003.finding(
            view.place(table) if table.security_place is None else table.security_place,
            f"{table.qualified} has row security and no policy that lets a row through: clients "
            "of the platform reach no row of it, only who bypasses row security does",
            f"nothing, if only the service is to have it; else CREATE POLICY … ON {table.written}",
            table=table.qualified,
            severity="info",
            cause="tables that are closed to clients: row security without a policy",
        )


def _denies_by_order(table: Table) -> bool:
    """Say whether all the policies of a table are restrictive and plainly false: closed, and said so."""
    clauses = [text for policy in table.policies for _, text in policy.clauses()]
    plain = bool(clauses) and all(text.strip(" ()").lower() == "false" for text in clauses)
    return plain and not table.permissive


def _closed_by_design(table: Table, view: Viewpoint) -> bool:
    """Say whether a table without a policy is kept for roles that bypass row security.

    On a hosted platform that is how a table of the service role is closed to clients; elsewhere it is
    so where the serving role has no right to rows of the table anyway.
    """
    if table.policies:
        return view.from_history and _denies_by_order(table)
    if view.hosted:
        return True
    return view.from_history and not view.commands(table)


def _foreign(table: Table, view: Viewpoint) -> Iterator[Finding]:
    if table.tenant_column and view.commands(table):
        yield RLS031.finding(
            view.place(table),
            f"foreign table {table.qualified} holds tenant rows ({table.tenant_column}) and cannot have row "
            f"security, and {view.role} may read it",
            f"REVOKE ALL ON {table.written} FROM {view.sql_role};",
            table=table.qualified,
        )


def _not_forced(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """RLS004, an error where the serving role has the owner's rights."""
    forced = any(other.forced for other in view.catalogue.tables.values())
    for finding in not_forced(table, owner_reads=forced or not view.hosted):
        if view.owns(table):
            yield replace(finding, severity="error")
        elif finding.severity == "warning" and view.owner_stays_away:
            yield replace(finding, severity="info")
        else:
            yield finding
