"""The rollout of row security over a schema that runs already: six waves for each table, each with evidence.

Columns (NOT NULL, keys led by the tenant), wrap (no reader outside a session), observe (log, filter
nothing), verify (every reader twice, equal), enforce (one transaction), canary (a tenant sees its rows,
nobody else does). `app.rls_wave` holds each step; its triggers refuse a skipped wave. For operators.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors, sql
from psycopg.types.json import Jsonb

from core_platform.errors import PlatformError
from core_platform.schema.migrations.connections import LOCK_TIMEOUT, acting_as, connected
from core_platform.schema.migrations.operations import EVERY_COMMAND, EnforceTenantRls, ObserveTenantRls
from core_platform.tenancy.context import Origin

if TYPE_CHECKING:
    import psycopg

    from core_platform.tenancy.context import TenantId
    from core_platform.tenancy.database import PlatformDatabase
    from core_platform.tenancy.reader_verification import ReaderComparison
    from core_platform.tenancy.sessions import TenantSession

OWNER: Final = "core_owner"
LEAST_TENANTS: Final = 2
_ATTEMPTS: Final = 5
_PAUSE: Final = timedelta(milliseconds=300)


class WaveRefused(PlatformError):
    """A table may not enter the wave: what is missing is in the message."""


class Wave(StrEnum):
    """The waves in their order."""

    COLUMNS = "columns"
    WRAP = "wrap"
    OBSERVE = "observe"
    VERIFY = "verify"
    ENFORCE = "enforce"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class TableWave:
    """Where a table stands, since when, who brought it there, and what was seen."""

    table: str
    wave: Wave
    at: str
    actor: str
    evidence: dict[str, Any]


def status(admin_url: str) -> list[TableWave]:
    """The newest step of each table, by name."""
    with connected(admin_url) as admin, acting_as(admin, OWNER):
        rows = admin.execute(
            "SELECT DISTINCT ON (table_name) table_name, wave, at::text, actor, evidence "
            "FROM app.rls_wave ORDER BY table_name, position DESC"
        ).fetchall()
    return [TableWave(table, Wave(wave), at, actor, seen) for table, wave, at, actor, seen in rows]


def prepare_columns(admin_url: str, table: str, *, actor: str) -> None:
    """Wave `columns`: every key begins with a tenant that is never NULL.

    Raises:
        WaveRefused: it does not, or there is no such table.
    """
    with connected(admin_url) as admin, acting_as(admin, OWNER):
        row = admin.execute(_COLUMNS, {"table": table}).fetchone()
        if row is None or not row[0]:
            raise WaveRefused(f"{table} has no column tenant_id that is NOT NULL: add it and fill it first")
        if row[1]:
            raise WaveRefused(f"{table}: {', '.join(row[1])} must begin with tenant_id")
        _record(
            admin, table, Wave.COLUMNS, {"tenant_column": "tenant_id", "keys_led_by_tenant": row[2]}, actor
        )


def wrap(admin_url: str, table: str, *, unwrapped_sites: int, actor: str) -> None:
    """Wave `wrap`: `posture lint` found no place that reads or writes the table outside a session.

    Raises:
        WaveRefused: there are such places.
    """
    if unwrapped_sites:
        raise WaveRefused(f"{table}: {unwrapped_sites} places use it outside a session; see posture lint")
    with connected(admin_url) as admin, acting_as(admin, OWNER):
        _record(admin, table, Wave.WRAP, {"unwrapped_sites": unwrapped_sites}, actor)


def observe(admin_url: str, table: str, *, actor: str) -> None:
    """Wave `observe`: statements without a tenant are logged; no result changes."""
    _apply(admin_url, table, ObserveTenantRls(table).statements(), Wave.OBSERVE, {}, actor)


def unwrapped_statements(admin_url: str, table: str) -> int:
    """Statements without a tenant since the table is observed, as far as they were committed.

    The server's log has the others: those rolled back, and those of read-only transactions.
    """
    with connected(admin_url) as admin, acting_as(admin, OWNER):
        row = admin.execute(
            "SELECT count(*) FROM app.unwrapped_statement WHERE table_name = %s AND at > ("
            " SELECT max(at) FROM app.rls_wave WHERE table_name = %s AND wave = 'observe')",
            (table, table),
        ).fetchone()
    return 0 if row is None else int(row[0])


def verify(admin_url: str, table: str, comparisons: list[ReaderComparison], *, actor: str) -> None:
    """Wave `verify`: each reader of the table gave two tenants the same rows both ways.

    Raises:
        WaveRefused: a reader differs, fewer than two tenants were compared, none of them had rows, or
            statements without a tenant were seen.
    """
    ours = [one for one in comparisons if table in one.tables]
    unequal = sorted({one.reader for one in ours if not one.equal})
    tenants = {one.tenant for one in ours}
    if unequal:
        raise WaveRefused(f"{table}: {', '.join(unequal)} reads other rows under row security")
    if len(tenants) < LEAST_TENANTS or not any(one.rows for one in ours):
        raise WaveRefused(f"{table}: compare its readers for {LEAST_TENANTS} tenants, one of them with rows")
    if seen := unwrapped_statements(admin_url, table):
        raise WaveRefused(f"{table}: {seen} statements without a tenant were seen; wrap them, observe again")
    evidence = {"readers": sorted({one.reader for one in ours}), "tenants": len(tenants), "unwrapped": 0}
    evidence["digests"] = sorted({one.digest for one in ours})
    with connected(admin_url) as admin, acting_as(admin, OWNER):
        _record(admin, table, Wave.VERIFY, evidence, actor)


def enforce(admin_url: str, table: str, *, actor: str, commands: str = EVERY_COMMAND) -> None:
    """Wave `enforce`: one transaction under a lock timeout, tried again while a long reader is in its way.

    Raises:
        WaveRefused: the lock was not granted in five attempts; nothing has changed.
    """
    statements = EnforceTenantRls(table, commands, commands).statements()
    _apply(admin_url, table, statements, Wave.ENFORCE, {"lock_timeout_ms": _lock_ms()}, actor)


def canary(
    admin_url: str, database: PlatformDatabase, table: str, tenants: tuple[TenantId, TenantId], *, actor: str
) -> None:
    """Wave `canary`: each tenant sees rows of its own and of nobody else.

    Raises:
        WaveRefused: a tenant sees nothing, or somebody else's row.
    """
    counts = [_canary_rows(database, table, tenant) for tenant in tenants]
    if any(foreign for _, foreign in counts) or not all(own for own, _ in counts):
        raise WaveRefused(f"{table}: the canary tenants see {counts} (own, foreign) rows")
    with connected(admin_url) as admin, acting_as(admin, OWNER):
        _record(admin, table, Wave.CANARY, {"tenants": [str(tenant) for tenant in tenants]}, actor)


def _canary_rows(database: PlatformDatabase, table: str, tenant: TenantId) -> tuple[int, int]:
    from sqlalchemy import column, func, select
    from sqlalchemy import table as named

    schema, _, name = table.rpartition(".")
    owned = column("tenant_id") == tenant.uuid
    counts = select(func.count().filter(owned), func.count().filter(~owned))

    def count(session: TenantSession) -> tuple[int, int]:
        own, foreign = session.execute(counts.select_from(named(name, schema=schema))).one()
        return own, foreign

    return database.run_as_tenant(tenant, Origin.SWEEP, count, actor="wave.canary")


def _apply(
    admin_url: str, table: str, statements: list[str], wave: Wave, evidence: dict[str, Any], actor: str
) -> None:
    """Run a wave's statements and record it in one transaction; a lock not granted is tried for again."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connected(admin_url) as admin, acting_as(admin, OWNER):
                admin.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_lock_ms())))
                for statement in statements:
                    admin.execute(statement.encode())
                _record(admin, table, wave, {**evidence, "attempts": attempt}, actor)
        except errors.LockNotAvailable as error:
            if attempt == _ATTEMPTS:
                raise WaveRefused(f"{table} stayed locked: end the long transaction first") from error
            time.sleep(_PAUSE.total_seconds() * attempt)
        else:
            return


def _record(
    admin: psycopg.Connection[Any], table: str, wave: Wave, evidence: dict[str, Any], actor: str
) -> None:
    try:
        admin.execute(
            "INSERT INTO app.rls_wave (table_name, position, wave, evidence, actor) "
            "SELECT %(table)s, coalesce(max(position), 0) + 1, %(wave)s, %(evidence)s, %(actor)s "
            "FROM app.rls_wave WHERE table_name = %(table)s",
            {"table": table, "wave": wave.value, "evidence": Jsonb(evidence), "actor": actor},
        )
    except errors.CheckViolation as error:
        raise WaveRefused(str(error.diag.message_primary)) from error


def _lock_ms() -> int:
    return LOCK_TIMEOUT // timedelta(milliseconds=1)


_COLUMNS: Final = """
SELECT coalesce(bool_or(a.attname = 'tenant_id' AND a.attnotnull), false),
       ARRAY(SELECT k.conname::text FROM pg_constraint k JOIN pg_attribute f
               ON f.attrelid = k.conrelid AND f.attnum = k.conkey[1]
              WHERE k.conrelid = to_regclass(%(table)s) AND k.contype IN ('p', 'u', 'f')
                AND f.attname <> 'tenant_id'),
       (SELECT count(*) FROM pg_constraint k
         WHERE k.conrelid = to_regclass(%(table)s) AND k.contype IN ('p', 'u', 'f'))
  FROM pg_attribute a WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0
"""
