"""Row security as the live catalog states it: tables, policies, roles, definer routines, views.

What it reads is what could let a role round row security (PostgreSQL manual, 5.9 "Row Security
Policies" and CREATE POLICY): the table's own switches, its policies, role attributes and
memberships, functions that run with their owner's rights, and views that read with theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from psycopg.rows import DictRow

from collectors.collector import Observed, Sighting
from collectors.errors import Refused
from collectors.postgres import (
    SYSTEM_SCHEMAS,
    CatalogTable,
    Connection,
    PostgresAccess,
    connect,
    rows,
    server_version,
    tables,
)
from evidence.kinds.postgres import DefinerRoutine, LoginRole, Policy, RowSecurity, Table, View
from evidence.payload import Payload
from evidence.record import Outcome
from evidence.scope import Unit

_POLICIES: Final = """
SELECT (schemaname || '.' || tablename) AS table, policyname::text AS name,
       permissive = 'PERMISSIVE' AS permissive, cmd AS command,
       ARRAY(SELECT r::text FROM unnest(roles) r ORDER BY 1) AS roles, qual AS using, with_check AS check
  FROM pg_policies ORDER BY 1, 2
"""

# A role reaches tenant rows through a privilege (its own, inherited or PUBLIC's), through ownership,
# through SET ROLE, or because nothing binds it.
_ROLES: Final = """
WITH RECURSIVE reach (member, role) AS (
     SELECT member, roleid FROM pg_auth_members
      UNION
     SELECT r.member, m.roleid FROM reach r JOIN pg_auth_members m ON m.member = r.role)
SELECT r.rolname::text AS name, r.rolcanlogin AS can_login, r.rolsuper AS superuser,
       r.rolbypassrls AS bypass_rls,
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p', 'f') AND n.nspname <> ALL (%s)) AS owns_tables,
       ARRAY(SELECT DISTINCT pg_get_userbyid(reach.role)::text FROM reach
              WHERE reach.member = r.oid ORDER BY 1) AS member_of
  FROM pg_roles r
 WHERE r.rolname !~ '^pg_'
   AND (r.rolname = %s OR r.rolsuper OR r.rolbypassrls
        OR EXISTS (SELECT FROM unnest(%s::oid[]) t (oid)
                    WHERE has_table_privilege(r.oid, t.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                       OR has_any_column_privilege(r.oid, t.oid, 'SELECT, INSERT, UPDATE'))
        OR EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY (%s::oid[])
                      AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
        OR EXISTS (SELECT FROM reach JOIN pg_roles a ON a.oid = reach.member
                    WHERE reach.role = r.oid AND a.rolname = %s))
 ORDER BY 1
"""

_DEFINERS: Final = """
SELECT format('%%s.%%s(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
       pg_get_userbyid(p.proowner)::text AS owner, r.rolsuper OR r.rolbypassrls AS unbound,
       coalesce((SELECT bool_or(s ~ '^search_path=') FROM unnest(p.proconfig) s), false)
           AS pinned_search_path,
       pg_get_functiondef(p.oid) AS body,
       ARRAY(SELECT c.oid::int8 FROM pg_class c WHERE c.relkind IN ('r', 'p')
              AND pg_has_role(p.proowner, c.relowner, 'USAGE')
              AND NOT (c.relforcerowsecurity AND c.relrowsecurity)) AS free_as_owner
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_roles r ON r.oid = p.proowner
 WHERE p.prosecdef AND p.prokind IN ('f', 'p') AND n.nspname <> ALL (%s)
 ORDER BY 1
"""

_VIEWS: Final = """
SELECT c.oid::int8 AS oid, format('%%s.%%s', n.nspname, c.relname) AS name, c.relkind = 'm' AS materialized,
       coalesce((SELECT bool_or(o ~* '^security_invoker=(true|on|1|yes)$')
                   FROM unnest(c.reloptions) o), false) AS security_invoker,
       ARRAY(SELECT DISTINCT d.refobjid::int8 FROM pg_rewrite w
               JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
              WHERE w.ev_class = c.oid AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid <> c.oid) AS reads
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND n.nspname <> ALL (%s)
 ORDER BY 2
"""


class RowSecurityCollector:
    """Reads one database's catalog in one transaction, so that the parts agree with each other."""

    name: str = "postgres.row_security"
    version: str = "1"
    population: str = "databases"
    kinds: Sequence[type[Payload]] = (RowSecurity,)

    def collect(self, unit: Unit, access: PostgresAccess) -> Iterable[Sighting]:
        """One `RowSecurity` of the unit's subject."""
        with connect(access.dsn) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield Observed(_read(connection, access), unit.subject)


def _read(connection: Connection, access: PostgresAccess) -> RowSecurity:
    found = tables(connection, access)
    tenant_tables = tuple(table for table in found if table.is_tenant)
    return RowSecurity(
        server_version=server_version(connection),
        application_role=access.application_role,
        tables=_tables(connection, found),
        roles=_roles(connection, access.application_role, tenant_tables),
        definer_routines=_definer_routines(connection, tenant_tables),
        views=_views(connection, tenant_tables),
    )


def _tables(connection: Connection, found: Iterable[CatalogTable]) -> tuple[Table, ...]:
    policies: dict[str, list[Policy]] = {}
    for row in rows(connection, _POLICIES):
        policies.setdefault(row.pop("table"), []).append(_policy(row))
    return tuple(
        Table(
            name=table.qualified,
            classification=table.classification,
            owner=table.owner,
            tenant_column=table.tenant_column,
            tenant_column_nullable=table.tenant_column_nullable,
            enabled=table.enabled,
            forced=table.forced,
            policies=tuple(policies.get(table.qualified, ())),
        )
        for table in found
    )


def _policy(row: DictRow) -> Policy:
    return Policy(**{**row, "roles": tuple(row["roles"])})


def _roles(
    connection: Connection, application_role: str, tenant_tables: Iterable[CatalogTable]
) -> tuple[LoginRole, ...]:
    oids = [table.oid for table in tenant_tables]
    parameters = (list(SYSTEM_SCHEMAS), application_role, oids, oids, application_role)
    found = rows(connection, _ROLES, parameters)
    if all(row["name"] != application_role for row in found):
        raise Refused(
            Outcome.UNREACHABLE,
            "the application role does not exist",
            f"role {application_role!r} is not in pg_roles; name the login that serves requests",
        )
    return tuple(LoginRole(**{**row, "member_of": tuple(row["member_of"])}) for row in found)


def _definer_routines(
    connection: Connection, tenant_tables: Sequence[CatalogTable]
) -> tuple[DefinerRoutine, ...]:
    return tuple(
        _definer_routine(row, tenant_tables) for row in rows(connection, _DEFINERS, (list(SYSTEM_SCHEMAS),))
    )


def _definer_routine(row: DictRow, tenant_tables: Iterable[CatalogTable]) -> DefinerRoutine:
    read = [table for table in tenant_tables if names_table(row["body"], table.schema, table.name)]
    free = set(row["free_as_owner"])
    return DefinerRoutine(
        name=row["name"],
        owner=row["owner"],
        owner_bypasses=row["unbound"] or any(table.oid in free for table in read),
        pinned_search_path=row["pinned_search_path"],
        reads=tuple(table.qualified for table in read),
    )


def names_table(body: str, schema: str, table: str) -> bool:
    """Whether a routine's text names a table: qualified anywhere, or bare where a table stands.

    Read as text because PL/pgSQL keeps no dependencies; a name put together at run time stays unseen.
    """
    qualified = rf'\b{re.escape(schema)}"?\s*\.\s*"?{re.escape(table)}\b'
    bare = rf'\b(?:from|join|into|update|only|using|table)\s+"?{re.escape(table)}\b(?!\s*\.)'
    return re.search(rf"{qualified}|{bare}", body, re.IGNORECASE) is not None


def _views(connection: Connection, tenant_tables: Iterable[CatalogTable]) -> tuple[View, ...]:
    found = rows(connection, _VIEWS, (list(SYSTEM_SCHEMAS),))
    reads = {row["oid"]: tuple(row["reads"]) for row in found}
    names = {table.oid: table.qualified for table in tenant_tables}
    views = []
    for row in found:
        read = sorted({names[oid] for oid in _closure(row["oid"], reads) if oid in names})
        if read:
            views.append(View(row["name"], row["materialized"], row["security_invoker"], tuple(read)))
    return tuple(views)


def _closure(start: int, reads: Mapping[int, tuple[int, ...]]) -> Iterator[int]:
    """Every relation that a view reads, through other views too."""
    seen: set[int] = set()
    waiting = list(reads[start])
    while waiting:
        oid = waiting.pop()
        if oid not in seen:
            seen.add(oid)
            waiting.extend(reads.get(oid, ()))
            yield oid
