"""Tenant isolation (RLS): is every tenant's data out of every other tenant's reach?

Judges the live catalog, what two tenants could reach of each other through the application's own login,
and the tables that the lint counts in the migrations. The rules are PostgreSQL's (manual, section 5.9) in
the form that the platform promises: row security enabled and forced, and policies bound to
``app.current_tenant()``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from checks.check import Expect, check, sabotage, undecided
from checks.isolation import (
    Catalogs,
    Probes,
    attacks,
    control_gaps,
    controls,
    gaps,
    leaked,
    leaks,
    vanished,
)
from checks.judgement import deviation, seen, weigh
from checks.populations import DAILY, DATABASES, SOURCES
from checks.protection import (
    TENANT,
    TENANT_COLUMN,
    UNCLASSIFIED,
    enforced,
    flaws,
    tenant_tables,
)
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.postgres import AttemptResult, Isolation, RowSecurity, Table
from evidence.kinds.source import LintReport
from evidence.scope import Scope
from evidence.view import Evidence, Observation

CLASSIFICATIONS = frozenset({"tenant", "global", "infrastructure"})
NO_TENANT_TABLE = "The catalog was read and names no table that holds tenant data: nothing was shown."

Reports = tuple[Observation[LintReport], ...]


def _catalogs(evidence: Evidence, scope: Scope) -> Catalogs:
    return seen(evidence, scope, RowSecurity, over=DATABASES)


def _probes(evidence: Evidence, scope: Scope) -> Probes:
    return seen(evidence, scope, Isolation, over=DATABASES)


def _counts(catalogs: Catalogs) -> dict[str, int | str]:
    return {
        "tables": sum(len(tenant_tables(catalog.payload)) for catalog in catalogs),
        "enforced": sum(enforced(catalog.payload) for catalog in catalogs),
    }


def _empty(catalogs: Catalogs) -> Iterator[str]:
    """A database that was read and holds no tenant table is perhaps the wrong database."""
    if not all(tenant_tables(catalog.payload) for catalog in catalogs):
        yield "A database in scope holds no table with tenant data, so nothing was shown of it."


def _tenant_tables(catalogs: Catalogs) -> Iterator[tuple[Observation[RowSecurity], Table]]:
    return ((catalog, table) for catalog in catalogs for table in tenant_tables(catalog.payload))


# --- RLS-01 ---------------------------------------------------------------------------------------


@check("RLS-01", expects=[Expect(RowSecurity, over=DATABASES, every=DAILY)])
def rows_are_protected(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Row security is enabled, forced and bound to the tenant on every tenant table."""
    catalogs = _catalogs(evidence, scope)
    counts = _counts(catalogs)
    if not counts["tables"]:
        return undecided(NO_TENANT_TABLE)
    return weigh(
        _unprotected(catalogs),
        _empty(catalogs),
        facts=counts,
        holds="All {tables} tables that hold tenant data have row security enabled, forced and bound.",
        fails="{enforced} of {tables} tables that hold tenant data are protected by row security.",
    )


def _unprotected(catalogs: Catalogs) -> Iterator[Deviation]:
    for catalog, table in _tenant_tables(catalogs):
        for flaw in flaws(table, catalog.payload.application_role):
            yield deviation(catalog, flaw, table.name)


@sabotage("RLS-01", "policy widened to USING (true)", names="identity.app_user")
def widen_a_policy(twin: Twin) -> None:
    """Replace both clauses of the application's policy by a constant."""
    twin.database.execute("ALTER POLICY tenant_isolation ON identity.app_user USING (true) WITH CHECK (true)")


@sabotage("RLS-01", "second permissive policy opens the table", names="ai.ai_spend_event")
def add_a_wide_policy(twin: Twin) -> None:
    """Permissive policies are OR-ed: one more opens what the first one closed."""
    twin.database.execute("CREATE POLICY reporting ON ai.ai_spend_event FOR SELECT TO core_app USING (1 = 1)")


@sabotage("RLS-01", "WITH CHECK accepts any tenant", names="identity.agent")
def loosen_with_check(twin: Twin) -> None:
    """Reads stay bound, writes may name any tenant."""
    twin.database.execute("ALTER POLICY tenant_isolation ON identity.agent WITH CHECK (true)")


@sabotage("RLS-01", "NO FORCE ROW LEVEL SECURITY", names="gpu.gpu_sample")
def stop_forcing(twin: Twin) -> None:
    """The owner is exempt again."""
    twin.database.execute("ALTER TABLE gpu.gpu_sample NO FORCE ROW LEVEL SECURITY")


@sabotage("RLS-01", "row security disabled, policies left in place", names="audit.audit_log")
def disable(twin: Twin) -> None:
    """The policies are still listed and no longer apply."""
    twin.database.execute("ALTER TABLE audit.audit_log DISABLE ROW LEVEL SECURITY")


@sabotage("RLS-01", "policy that passes when a setting says so", names="integration.connection")
def bypass_by_setting(twin: Twin) -> None:
    """The flag in a setting that any session can set."""
    twin.database.execute(
        "ALTER POLICY tenant_isolation ON integration.connection USING ("
        "tenant_id = (SELECT app.current_tenant()) OR current_setting('app.rls_bypass', true) = 'on')"
    )


# --- RLS-02 ---------------------------------------------------------------------------------------


@check(
    "RLS-02",
    expects=[
        Expect(RowSecurity, over=DATABASES, every=DAILY),
        Expect(LintReport, over=SOURCES, every=DAILY),
    ],
)
def counts_agree(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """The live catalog and the migrations name the same tenant tables and enforce the same number."""
    catalogs = _catalogs(evidence, scope)
    reports = seen(evidence, scope, LintReport, over=SOURCES)
    live, written = _live_numbers(catalogs), _written_numbers(reports)
    if not live["tables"] or not reports:
        return undecided(NO_TENANT_TABLE)
    return weigh(
        _disagreements(catalogs, reports),
        _empty(catalogs),
        facts={**live, "tables_in_source": written["tables"], "enforced_in_source": written["enforced"]},
        holds="{enforced} of {tables} tables that hold tenant data are enforced, by catalog and by source.",
        fails=(
            "The live catalog shows {enforced} of {tables} tables enforced, the source "
            "{enforced_in_source} of {tables_in_source}."
        ),
    )


def _live_numbers(catalogs: Catalogs) -> dict[str, int]:
    """Tables of one name in several databases are one table of the source."""
    tables = {table.name for _, table in _tenant_tables(catalogs)}
    unprotected = {
        table.name
        for catalog, table in _tenant_tables(catalogs)
        if flaws(table, catalog.payload.application_role)
    }
    return {"tables": len(tables), "enforced": len(tables - unprotected)}


def _written_numbers(reports: Reports) -> dict[str, int]:
    return {
        "tables": sum(report.payload.tenant_tables for report in reports),
        "enforced": sum(report.payload.enforced for report in reports),
    }


def _disagreements(catalogs: Catalogs, reports: Reports) -> Iterator[Deviation]:
    live = {table.name for _, table in _tenant_tables(catalogs)}
    written = {name for report in reports for name in report.payload.tables}
    for name in sorted(written - live):
        yield Deviation("the source defines this tenant table and the live catalog has none", name)
    for name in sorted(live - written):
        yield Deviation("the live catalog has this tenant table and the source defines none", name)
    ours, theirs = _live_numbers(catalogs), _written_numbers(reports)
    for number in ("tables", "enforced"):
        if ours[number] != theirs[number]:
            yield Deviation(f"catalog {ours[number]}, source {theirs[number]}", number)


@sabotage("RLS-02", "migration adds a tenant table that the database lacks", names="ai.prompt_note")
def add_a_table_in_source(twin: Twin) -> None:
    """A tenant table without row security appears in the migrations; nobody has migrated."""
    twin.source.write(
        "core_platform/schema/migrations/versions/r9001_prompt_note.py",
        '"""A tenant table that nobody protects."""\n\n'
        "from core_platform.schema.migrations.operations import op\n\n"
        'revision = "9001"\ndown_revision = "0011"\n\n\n'
        "def upgrade() -> None:\n"
        '    """Create the table."""\n'
        '    op.execute("CREATE TABLE ai.prompt_note '
        '(tenant_id uuid NOT NULL, note text NOT NULL)")\n',
    )


@sabotage("RLS-02", "table dropped by hand in the live database", names="ai.quarantined_record")
def drop_a_live_table(twin: Twin) -> None:
    """The database lacks what the migrations promise."""
    twin.database.execute("DROP TABLE ai.quarantined_record")


@sabotage("RLS-02", "protection removed by hand in the live database", names="enforced")
def unprotect_by_hand(twin: Twin) -> None:
    """The migrations still say forced."""
    twin.database.execute("ALTER TABLE gpu.agent_stream NO FORCE ROW LEVEL SECURITY")


# --- RLS-05 ---------------------------------------------------------------------------------------


@check(
    "RLS-05",
    expects=[Expect(RowSecurity, over=DATABASES, every=DAILY)],
    claims=("RLS-05", "RLS-16"),
)
def every_table_is_accounted_for(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every table is classified, and every tenant table names its tenant and is enforced."""
    catalogs = _catalogs(evidence, scope)
    tables = [table for catalog in catalogs for table in catalog.payload.tables]
    counts = _counts(catalogs)
    if not counts["tables"]:
        return undecided(NO_TENANT_TABLE)
    classified = sum(1 for table in tables if table.classification in CLASSIFICATIONS)
    return weigh(
        _unaccounted(catalogs),
        _empty(catalogs),
        facts={**counts, "all_tables": len(tables), "classified": classified},
        holds=(
            "All {all_tables} tables are classified, and all {tables} that hold tenant data name their "
            "tenant in every row and are enforced."
        ),
        fails=(
            "{classified} of {all_tables} tables are classified and {enforced} of {tables} that hold "
            "tenant data are enforced."
        ),
    )


def _unaccounted(catalogs: Catalogs) -> Iterator[Deviation]:
    for catalog in catalogs:
        for table in catalog.payload.tables:
            role = catalog.payload.application_role
            yield from (deviation(catalog, what, table.name) for what in _omissions(table, role))


def _omissions(table: Table, application_role: str) -> Iterator[str]:
    if table.classification not in CLASSIFICATIONS:
        yield f"the table is {UNCLASSIFIED}: nobody said whether it holds tenant data"
    elif table.classification != TENANT and table.tenant_column is not None:
        yield f"classified as {table.classification}, yet it names a tenant in {table.tenant_column}"
    if table.classification != TENANT:
        return
    if table.tenant_column != TENANT_COLUMN:
        yield f"a tenant table without the column {TENANT_COLUMN}"
    elif table.tenant_column_nullable:
        yield f"{TENANT_COLUMN} may be NULL, so a row may belong to nobody"
    if flaws(table, application_role):
        yield "a tenant table that row security does not enforce"


@sabotage("RLS-05", "table created without classification", names="app.scratch")
def create_an_unclassified_table(twin: Twin) -> None:
    """Somebody keeps rows that no inventory knows."""
    twin.database.execute("CREATE TABLE app.scratch (id bigint PRIMARY KEY, content text)")


@sabotage("RLS-05", "tenant_id may be NULL", names="ai.nullable_note")
def allow_rows_of_nobody(twin: Twin) -> None:
    """A protected tenant table whose rows may name no tenant."""
    twin.database.execute(
        "CREATE TABLE ai.nullable_note (id bigint PRIMARY KEY, tenant_id uuid);"
        "COMMENT ON TABLE ai.nullable_note IS 'tenant';"
        "ALTER TABLE ai.nullable_note ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE ai.nullable_note FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY tenant_isolation ON ai.nullable_note TO core_app"
        " USING (tenant_id = (SELECT app.current_tenant()))"
        " WITH CHECK (tenant_id = (SELECT app.current_tenant()))"
    )


@sabotage("RLS-05", "tenant table declared global to escape", names="gpu.agent_stream")
def misclassify(twin: Twin) -> None:
    """The comment says global, the column says tenant."""
    twin.database.execute("COMMENT ON TABLE gpu.agent_stream IS 'global: nothing to see here'")


# --- RLS-07 ---------------------------------------------------------------------------------------


@check(
    "RLS-07",
    expects=[
        Expect(RowSecurity, over=DATABASES, every=DAILY),
        Expect(Isolation, over=DATABASES, every=DAILY),
    ],
)
def tenants_cannot_reach_each_other(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """No attempt of one tenant reached a row of another, on every tenant table."""
    probes = _probes(evidence, scope)
    made = attacks(probes)
    if not made:
        return undecided("No attempt to reach another tenant's rows was made: nothing was shown.")
    return weigh(
        leaks(probes),
        gaps(_catalogs(evidence, scope), probes),
        facts={
            "attempts": len(made),
            "leaked": sum(1 for one in made if leaked(one)),
            "inconclusive": sum(1 for one in made if one.result is AttemptResult.INCONCLUSIVE),
            "tables": len({one.table for one in made}),
        },
        holds="{attempts} attempts on {tables} tables reached no row of another tenant.",
        fails="{leaked} of {attempts} attempts reached rows of another tenant.",
    )


@sabotage("RLS-07", "row security disabled on a table", names="identity.app_user")
def disable_under_attack(twin: Twin) -> None:
    """Every tenant reads every row."""
    twin.database.execute("ALTER TABLE identity.app_user DISABLE ROW LEVEL SECURITY")


@sabotage("RLS-07", "policy opens reads to everybody", names="integration.connection_secret")
def open_reads(twin: Twin) -> None:
    """A second permissive policy on the table with the credentials."""
    twin.database.execute("CREATE POLICY open_reads ON integration.connection_secret FOR SELECT USING (true)")


@sabotage("RLS-07", "rows may be written for another tenant", names="identity.agent")
def open_writes(twin: Twin) -> None:
    """Reads stay bound; an INSERT may name any tenant."""
    twin.database.execute("ALTER POLICY tenant_isolation ON identity.agent WITH CHECK (true)")


# --- RLS-13 ---------------------------------------------------------------------------------------


@check("RLS-13", expects=[Expect(Isolation, over=DATABASES, every=DAILY)])
def tenants_see_their_own_rows(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every tenant sees its own canary rows: no table has gone silently empty."""
    probes = _probes(evidence, scope)
    own = controls(probes)
    if not own:
        return undecided("No tenant looked for its own rows: nothing was shown.")
    return weigh(
        vanished(probes),
        control_gaps(probes),
        facts={
            "tables": len({one.table for one in own}),
            "visible": sum(1 for one in own if one.result is AttemptResult.HELD),
        },
        holds="Canary rows on {tables} tables are visible to their own tenants.",
        fails="{deviations} canary rows have vanished for their own tenants.",
    )


@sabotage("RLS-13", "policy reads a setting that nobody sets", names="identity.app_user")
def bind_to_the_wrong_setting(twin: Twin) -> None:
    """The botched migration of the security page: silently zero rows."""
    twin.database.execute(
        "ALTER POLICY tenant_isolation ON identity.app_user"
        " USING (tenant_id = nullif(current_setting('app.tenant_idd', true), '')::uuid)"
    )


@sabotage("RLS-13", "policy dropped, row security left on", names="gpu.gpu_sample")
def drop_the_policy(twin: Twin) -> None:
    """Deny-all: no error, no rows."""
    twin.database.execute("DROP POLICY tenant_isolation ON gpu.gpu_sample")
