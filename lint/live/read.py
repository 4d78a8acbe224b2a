"""The catalogue of a running PostgreSQL database, from its system catalogs.

Any login that can connect can read these (manual, chapter 53); rows of user tables are never read.
Tables that extensions own are left out: their maker decides their row security.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Literal, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import namedtuple_row
from psycopg.sql import SQL, Composed

from lint.catalogue import (
    Catalogue,
    Column,
    Command,
    ForeignKey,
    Function,
    Grant,
    Key,
    Policy,
    Role,
    Table,
    View,
)
from lint.errors import LintError

_TIMEOUT_SECONDS = 10

_OWN_RELATIONS = SQL("""
  n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
""")
_TABLES = SQL("""
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relrowsecurity AS enabled,
       c.relforcerowsecurity AS forced, pg_get_userbyid(c.relowner) AS owner,
       (SELECT format('%s.%s', pn.nspname, p.relname)
          FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
          JOIN pg_namespace pn ON pn.oid = p.relnamespace
         WHERE i.inhrelid = c.oid AND c.relispartition LIMIT 1) AS parent
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND {own} ORDER BY 2, 3
""").format(own=_OWN_RELATIONS)
_COLUMNS = SQL("""
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       NOT a.attnotnull AS nullable
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND {own}
 ORDER BY a.attrelid, a.attnum
""").format(own=_OWN_RELATIONS)
_POLICIES = SQL("""
SELECT p.polrelid AS oid, p.polname AS name, p.polpermissive AS permissive, p.polcmd::text AS command,
       ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r)::text END
               FROM unnest(p.polroles) r) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS using_text,
       pg_get_expr(p.polwithcheck, p.polrelid) AS check_text
  FROM pg_policy p ORDER BY p.polrelid, p.polname
""")
_KEYS = SQL("""
SELECT i.indrelid AS oid, ic.relname AS name, i.indisprimary AS is_primary, i.indisunique AS is_unique,
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(num, at)
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num
              ORDER BY k.at) AS columns
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid ORDER BY i.indrelid, ic.relname
""")
_FOREIGN_KEYS = SQL("""
SELECT k.conrelid AS oid, format('%s.%s', n.nspname, t.relname) AS target,
       k.confdeltype::text AS on_delete,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, at)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num
              ORDER BY u.at) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, at)
               JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num
              ORDER BY u.at) AS target_columns
  FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE k.contype = 'f' ORDER BY k.conrelid, k.conname
""")
_VIEWS = SQL("""
SELECT n.nspname AS schema, c.relname AS name, pg_get_viewdef(c.oid) AS definition,
       c.relkind = 'm' AS materialized, pg_get_userbyid(c.relowner) AS owner,
       coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) o
                  WHERE o.option_name = 'security_invoker'), false) AS security_invoker
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND {own} ORDER BY 1, 2
""").format(own=_OWN_RELATIONS)
_FUNCTIONS = SQL("""
SELECT n.nspname AS schema, p.proname AS name, p.prosecdef AS security_definer,
       pg_get_userbyid(p.proowner) AS owner,
       (SELECT s FROM unnest(p.proconfig) s WHERE s LIKE 'search\\_path=%') AS search_path
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                   AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY 1, 2
""")
_GRANTS = SQL("""
SELECT format('%s.%s', n.nspname, c.relname) AS relation, lower(x.privilege_type) AS privilege,
       CASE WHEN x.grantee = 0 THEN 'public' ELSE pg_get_userbyid(x.grantee)::text END AS grantee
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
       LATERAL aclexplode(c.relacl) x
 WHERE c.relkind IN ('r', 'p', 'v', 'm') AND x.grantee <> c.relowner AND {own}
 ORDER BY 1, 3, 2
""").format(own=_OWN_RELATIONS)
_ROLES = SQL("""
SELECT rolname AS name, rolsuper AS superuser, rolbypassrls AS bypass, rolcanlogin AS login
  FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' ORDER BY 1
""")
_COMMANDS: dict[str, Command] = {
    "*": "all",
    "r": "select",
    "a": "insert",
    "w": "update",
    "d": "delete",
}
_ON_DELETE = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "r": "RESTRICT"}


def read_database(dsn: str) -> Catalogue:
    """Read one database in one snapshot; raise LintError when it cannot be reached or read."""
    try:
        # posture: allow WRAP001 reads system catalogs only, never a row of a tenant
        with psycopg.connect(dsn, connect_timeout=_TIMEOUT_SECONDS, row_factory=namedtuple_row) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return _Reading(connection).catalogue()
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise LintError(f"{_named(dsn)}: its catalogs cannot be read ({reason})") from error


def _named(dsn: str) -> str:
    """Name a database without its password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "the database"
    host = parts.get("host") or parts.get("hostaddr") or "local socket"
    return f"database {parts.get('dbname') or 'default'} on {host}"


class _Reading:
    """One pass over the system catalogs in one transaction."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def _rows(self, query: SQL | Composed) -> list[Any]:
        rows: list[Any] = self.connection.execute(query).fetchall()
        return rows

    def _by_table(self, query: SQL | Composed) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = defaultdict(list)
        for row in self._rows(query):
            found[row.oid].append(row)
        return found

    def catalogue(self) -> Catalogue:
        """Read everything the rules need."""
        self.connection.execute("SET LOCAL search_path = pg_catalog")
        tables = self._tables()
        return Catalogue(
            f"postgres:{self.connection.info.dbname}",
            {table.qualified: table for table in tables},
            {f"{row.schema}.{row.name}": View(**row._asdict()) for row in self._rows(_VIEWS)},
            {f"{row.schema}.{row.name}": _function(row) for row in self._rows(_FUNCTIONS)},
            {row.name: Role(row.name, row.superuser, row.bypass, row.login) for row in self._rows(_ROLES)},
            tuple(Grant(row.relation, row.privilege, row.grantee) for row in self._rows(_GRANTS)),
        )

    def _tables(self) -> list[Table]:
        columns = self._by_table(_COLUMNS)
        policies = self._by_table(_POLICIES)
        keys = self._by_table(_KEYS)
        foreign = self._by_table(_FOREIGN_KEYS)
        return [
            Table(
                row.schema,
                row.name,
                tuple(Column(c.name, c.type, c.nullable) for c in columns[row.oid]),
                enabled=row.enabled,
                forced=row.forced,
                policies=tuple(_policy(policy) for policy in policies[row.oid]),
                keys=tuple(_key(key) for key in keys[row.oid]),
                foreign_keys=tuple(_foreign_key(key) for key in foreign[row.oid]),
                owner=row.owner,
                parent=row.parent,
            )
            for row in self._rows(_TABLES)
        ]


def _policy(row: Any) -> Policy:  # noqa: ANN401 - psycopg makes the row's type from the query
    return Policy(
        row.name,
        row.permissive,
        _COMMANDS[row.command],
        tuple(row.roles),
        row.using_text,
        row.check_text,
    )


def _key(row: Any) -> Key:  # noqa: ANN401 - same
    kind: Literal["primary", "unique", "index"] = "primary"
    if not row.is_primary:
        kind = "unique" if row.is_unique else "index"
    return Key(tuple(row.columns), kind, row.name)


def _foreign_key(row: Any) -> ForeignKey:  # noqa: ANN401 - same
    action = _ON_DELETE.get(row.on_delete, "")
    return ForeignKey(tuple(row.columns), row.target, tuple(row.target_columns), action)


def _function(row: Any) -> Function:  # noqa: ANN401 - same
    path = cast("str | None", row.search_path)
    setting = path.partition("=")[2] if path else None
    return Function(row.schema, row.name, row.security_definer, setting, row.owner)
