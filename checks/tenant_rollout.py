"""Tenant isolation (RLS), its rollout: sessions that carry no tenant over, and the AI schema's tables.

A part of the area `tenant_isolation` in a module of its own, for length. Judges the probe of the platform's
own sessions and the live catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Final

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, seen, weigh
from checks.populations import DAILY, DATABASES, PLATFORM, WEEKLY
from checks.protection import flaws, tenant_tables
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.platform import TenantContext
from evidence.kinds.postgres import RlsWaves, RowSecurity, Table
from evidence.scope import Scope
from evidence.view import Evidence, Observation

Contexts = tuple[Observation[TenantContext], ...]

POOL: Final = "core_platform/tenancy/pool.py"
NO_TENANT_TABLE: Final = "A catalog was read that names no table holding tenant data."
AI_SCHEMA: Final = "ai."
REFUSED: Final = "42501"
WAVES: Final = ("columns", "wrap", "observe", "verify", "enforce", "canary")
ENFORCED: Final = "enforce"
DONE: Final = frozenset({ENFORCED, "canary"})


# --- RLS-03 ---------------------------------------------------------------------------------------


@check(
    "RLS-03",
    expects=[
        Expect(RlsWaves, over=DATABASES, every=WEEKLY),
        Expect(RowSecurity, over=DATABASES, every=WEEKLY),
    ],
)
def waves_are_on_record(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every tenant table stands in the record of waves, skipped none, and is as enforced as it says."""
    catalogs = seen(evidence, scope, RowSecurity, over=DATABASES)
    records = {one.subject: one for one in seen(evidence, scope, RlsWaves, over=DATABASES)}
    recorded = [_newest(one.payload) for one in records.values()]
    if not any(tenant_tables(catalog.payload) for catalog in catalogs) or not any(recorded):
        return undecided("No tenant table and its waves were read: nothing was shown.")
    return weigh(
        (*_unlike_the_record(catalogs, records), *_skipped(records.values())),
        (NO_TENANT_TABLE for catalog in catalogs if not tenant_tables(catalog.payload)),
        facts={
            "tables": sum(len(tenant_tables(catalog.payload)) for catalog in catalogs),
            "recorded": sum(len(newest) for newest in recorded),
            "enforced": sum(wave in DONE for newest in recorded for wave in newest.values()),
        },
        holds="{enforced} of {recorded} tables on record have reached enforcement, wave by wave.",
        fails="The record of waves and the catalog disagree, or a wave was skipped, in {deviations} places.",
    )


def _newest(record: RlsWaves) -> dict[str, str]:
    return {step.table: step.wave for step in sorted(record.steps, key=lambda step: step.position)}


def _unlike_the_record(
    catalogs: tuple[Observation[RowSecurity], ...], records: Mapping[str, Observation[RlsWaves]]
) -> Iterator[Deviation]:
    for catalog in catalogs:
        record = records.get(catalog.subject)
        newest = _newest(record.payload) if record else {}
        for table in tenant_tables(catalog.payload):
            protected = not flaws(table, catalog.payload.application_role)
            wave = newest.get(table.name)
            if wave is None:
                yield deviation(catalog, "no wave is on record", table.name)
            elif (wave in DONE) != protected:
                state = "is enforced" if protected else "is not enforced"
                yield deviation(catalog, f"the record says {wave}, and the table {state}", table.name)


def _skipped(records: Iterable[Observation[RlsWaves]]) -> Iterator[Deviation]:
    for record in records:
        steps = sorted(record.payload.steps, key=lambda step: (step.table, step.position))
        for table, ours in groupby(steps, key=lambda step: step.table):
            waves = [step.wave for step in ours]
            for before, after in zip(["", *waves], waves, strict=False):
                if not _may_follow(before, after):
                    yield deviation(record, f"{after} after {before or 'nothing'}", table)


def _may_follow(before: str, after: str) -> bool:
    """Forward one wave or back; a table that was made enforced begins there, and stays."""
    if after not in WAVES:
        return False
    if not before:
        return after in {WAVES[0], ENFORCED}
    if before in DONE:
        return after in DONE
    return WAVES.index(after) <= WAVES.index(before) + 1


@sabotage("RLS-03", "wave marked done that was never gone through", names="gpu.agent_stream")
def skip_waves(twin: Twin) -> None:
    """Readers were not wrapped, observed or verified, and the record says enforced."""
    twin.database.execute(
        "ALTER TABLE app.rls_wave DISABLE TRIGGER USER;"
        "DELETE FROM app.rls_wave WHERE table_name = 'gpu.agent_stream';"
        "INSERT INTO app.rls_wave (table_name, position, wave, evidence, actor)"
        " VALUES ('gpu.agent_stream', 1, 'columns', '{}', 'nobody'),"
        " ('gpu.agent_stream', 2, 'enforce', '{}', 'nobody')"
    )


@sabotage("RLS-03", "table recorded as enforced that is not", names="ai.budget")
def unprotect_a_finished_table(twin: Twin) -> None:
    """The record stays, the protection goes."""
    twin.database.execute("ALTER TABLE ai.budget NO FORCE ROW LEVEL SECURITY")


@sabotage("RLS-03", "table that no wave knows", names="ai.prompt_template")
def add_a_table_without_a_wave(twin: Twin) -> None:
    """A tenant table made by hand."""
    twin.database.execute(
        "CREATE TABLE ai.prompt_template (tenant_id uuid NOT NULL, template_id uuid NOT NULL,"
        " PRIMARY KEY (tenant_id, template_id));"
        "COMMENT ON TABLE ai.prompt_template IS 'tenant: templates'"
    )


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
