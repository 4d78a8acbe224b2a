"""Tenant isolation (RLS), its rollout: sessions that carry no tenant over, and the AI schema's tables.

A part of the area `tenant_isolation` in a module of its own, for length. Judges the probe of the platform's
own sessions and the live catalog.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, seen, weigh
from checks.populations import DAILY, DATABASES, PLATFORM, WEEKLY
from checks.protection import flaws, tenant_tables
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.platform import TenantContext
from evidence.kinds.postgres import RowSecurity, Table
from evidence.scope import Scope
from evidence.view import Evidence, Observation

Contexts = tuple[Observation[TenantContext], ...]

POOL: Final = "core_platform/tenancy/pool.py"
NO_TENANT_TABLE: Final = "A catalog was read that names no table holding tenant data."
AI_SCHEMA: Final = "ai."
REFUSED: Final = "42501"


# --- RLS-06 ---------------------------------------------------------------------------------------


@check("RLS-06", expects=[Expect(TenantContext, over=PLATFORM, every=DAILY)])
def context_ends_with_its_transaction(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """A tenant's context ends with its transaction, and a pooled connection carries none over."""
    contexts = seen(evidence, scope, TenantContext, over=PLATFORM)
    if not contexts:
        return undecided("No session of the platform was tried: nothing was shown.")
    return weigh(
        _carried_over(contexts),
        _not_shown(contexts),
        facts={
            "sessions": sum(context.payload.sessions for context in contexts),
            "left_behind": sum(context.payload.left_behind for context in contexts),
            "foreign_rows": sum(context.payload.foreign_rows for context in contexts),
        },
        holds="{sessions} sessions of two tenants on one connection left nothing of a tenant behind.",
        fails="A connection kept something of a tenant after {left_behind} of {sessions} sessions.",
    )


def _carried_over(contexts: Contexts) -> Iterator[Deviation]:
    for context in contexts:
        found = context.payload
        if found.left_behind:
            yield deviation(context, f"left after {found.left_behind} sessions", "tenant ticket")
        if found.foreign_rows:
            yield deviation(context, f"{found.foreign_rows} rows of another tenant", "tenant rows")
        if found.unbound_sqlstate != REFUSED:
            yield deviation(context, "a statement without a session was not refused", "unbound statement")


def _not_shown(contexts: Contexts) -> Iterator[str]:
    for context in contexts:
        if context.payload.backends != 1 or context.payload.sessions < 2:
            yield "The sessions were not served by one connection, so that it was reused was not shown."
        if context.payload.own_rows < 1:
            yield "No session saw a row of its own tenant, so that it was bound was not shown."


@sabotage("RLS-06", "ticket bound for the session and not cleared", names="tenant ticket")
def bind_for_the_session(twin: Twin) -> None:
    """SET SESSION instead of SET LOCAL: the next user of the connection inherits the tenant."""
    twin.source.patch(POOL, "set_config($1, $2, true)", "set_config($1, $2, false)")
    twin.source.patch(POOL, "CLOSE ALL; RESET ALL; UNLISTEN *; SELECT", "SELECT")


@sabotage("RLS-06", "statements without a tenant answered", names="unbound statement")
def answer_without_a_tenant(twin: Twin) -> None:
    """No ticket reads as every tenant."""
    twin.database.execute("ALTER POLICY tenant_isolation ON identity.tenant USING (true)")


# --- RLS-15 ---------------------------------------------------------------------------------------


@check("RLS-15", expects=[Expect(RowSecurity, over=DATABASES, every=WEEKLY)])
def ai_tables_are_enforced(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every table of the AI schema that holds tenant data is counted and enforced."""
    catalogs = seen(evidence, scope, RowSecurity, over=DATABASES)
    tables = [(catalog, table) for catalog in catalogs for table in _ai_tables(catalog.payload)]
    if not tables:
        return undecided("The catalog names no table of the AI schema that holds tenant data.")
    open_tables = list(_unenforced(tables))
    return weigh(
        open_tables,
        (NO_TENANT_TABLE for catalog in catalogs if not tenant_tables(catalog.payload)),
        facts={
            "tables": len(tables),
            "enforced": len(tables) - len({one.where for one in open_tables}),
        },
        holds="{enforced} of {tables} tables of the AI schema are enforced.",
        fails="Only {enforced} of {tables} tables of the AI schema are enforced.",
    )


def _ai_tables(catalog: RowSecurity) -> Iterator[Table]:
    return (table for table in tenant_tables(catalog) if table.name.startswith(AI_SCHEMA))


def _unenforced(tables: list[tuple[Observation[RowSecurity], Table]]) -> Iterator[Deviation]:
    for catalog, table in tables:
        for flaw in flaws(table, catalog.payload.application_role):
            yield deviation(catalog, flaw, table.name)


@sabotage("RLS-15", "another table of the AI schema without row security", names="ai.prompt_template")
def add_an_ai_table(twin: Twin) -> None:
    """The eighteenth table, which nobody counted."""
    twin.database.execute(
        "CREATE TABLE ai.prompt_template (tenant_id uuid NOT NULL, template_id uuid NOT NULL,"
        " PRIMARY KEY (tenant_id, template_id));"
        "COMMENT ON TABLE ai.prompt_template IS 'tenant: templates'"
    )
