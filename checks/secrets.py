"""Secrets (SEC): are the credentials that tenants entrusted out of every other tenant's reach?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, seen, weigh
from checks.populations import DAILY, DATABASES
from checks.protection import flaws, holds_tenant_data
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.postgres import RowSecurity, Table
from evidence.scope import Scope
from evidence.view import Evidence, Observation

CONNECTION_SECRET = "integration.connection_secret"  # noqa: S105 - the name of a table

Found = tuple[tuple[Observation[RowSecurity], Table], ...]


@check("SEC-07", expects=[Expect(RowSecurity, over=DATABASES, every=DAILY)])
def connection_secrets_are_protected(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Stored connection secrets are protected by row security."""
    found = tuple(
        (catalog, table)
        for catalog in seen(evidence, scope, RowSecurity, over=DATABASES)
        for table in catalog.payload.tables
        if table.name == CONNECTION_SECRET
    )
    if not found:
        return undecided("The table of connection secrets was not found: nothing was shown.")
    return weigh(
        _exposed(found),
        (),
        facts={"tables": len(found)},
        holds="Connection secrets are protected by row security: enabled, forced and bound.",
        fails="Connection secrets are not protected by row security.",
    )


def _exposed(found: Found) -> Iterator[Deviation]:
    for catalog, table in found:
        if not holds_tenant_data(table):
            yield deviation(catalog, f"is classified as {table.classification}", table.name)
        for flaw in flaws(table, catalog.payload.application_role):
            yield deviation(catalog, flaw, table.name)


@sabotage("SEC-07", "policy dropped and row security disabled", names=CONNECTION_SECRET)
def expose_secrets(twin: Twin) -> None:
    """Every tenant's application session reads every secret's row."""
    twin.database.execute(
        "DROP POLICY tenant_isolation ON integration.connection_secret;"
        "ALTER TABLE integration.connection_secret DISABLE ROW LEVEL SECURITY"
    )


@sabotage("SEC-07", "NO FORCE ROW LEVEL SECURITY", names=CONNECTION_SECRET)
def exempt_the_owner(twin: Twin) -> None:
    """The owner reads every secret's row."""
    twin.database.execute("ALTER TABLE integration.connection_secret NO FORCE ROW LEVEL SECURITY")
