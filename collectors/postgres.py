"""How collectors reach a PostgreSQL database, and which of its tables hold tenant data.

A table is tenant data when it was declared so (its comment ``tenant: …``, or the registry given in
the access), or when nobody declared it and it has a column that names a tenant. Read from pg_catalog,
which every login may read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row

SYSTEM_SCHEMAS: Final = ("pg_catalog", "information_schema", "pg_toast")
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
STATEMENT_TIMEOUT: Final = timedelta(seconds=10)
LOCK_TIMEOUT: Final = timedelta(seconds=2)
CLASSIFICATIONS: Final = ("tenant", "global", "infrastructure")
UNCLASSIFIED: Final = "unclassified"

Connection = psycopg.Connection[DictRow]

_DECLARED: Final = re.compile(rf"({'|'.join(CLASSIFICATIONS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PostgresAccess:
    """How to read the catalog of a database.

    Attributes:
        dsn: libpq URL or keywords of any login that may connect; the catalog is open to all.
        application_role: the login that serves requests.
        tenant_columns: names of the column that says whose a row is, first match wins.
        declared: ``schema.table`` to classification, for tables whose comment declares none.
    """

    dsn: str = field(repr=False)
    application_role: str
    tenant_columns: tuple[str, ...] = ("tenant_id",)
    declared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A row of pg_class with what a comment, or the registry, says of it."""

    oid: int
    schema: str
    name: str
    owner: str
    enabled: bool
    forced: bool
    classification: str
    tenant_column: str | None
    tenant_column_nullable: bool
    estimated_rows: int

    @property
    def qualified(self) -> str:
        """``schema.table``."""
        return f"{self.schema}.{self.name}"

    @property
    def is_tenant(self) -> bool:
        """Declared to be tenant data, or undeclared with a tenant column."""
        undeclared = self.classification == UNCLASSIFIED and self.tenant_column is not None
        return self.classification == "tenant" or undeclared


def connect(dsn: str) -> Connection:
    """A connection with bounded patience, in autocommit, rows as dictionaries."""
    waits = {"statement_timeout": STATEMENT_TIMEOUT, "lock_timeout": LOCK_TIMEOUT}
    connection = psycopg.connect(
        dsn,
        autocommit=True,
        connect_timeout=int(CONNECT_TIMEOUT.total_seconds()),
        application_name="posture collector",
        row_factory=dict_row,
    )
    for name, wait in waits.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, str(int(wait.total_seconds() * 1000))))
    return connection


def rows(connection: Connection, query: LiteralString, parameters: Sequence[Any] = ()) -> list[DictRow]:
    """All rows of a query."""
    return connection.execute(query, parameters or None).fetchall()


_TABLES: Final = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,
       pg_get_userbyid(c.relowner)::text AS owner,
       c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
       greatest(c.reltuples, 0)::int8 AS estimated_rows,
       coalesce(obj_description(c.oid, 'pg_class'),
                obj_description(parent.inhparent, 'pg_class'), '') AS comment,
       tenant.attname::text AS tenant_column,
       coalesce(NOT tenant.attnotnull, false) AS tenant_column_nullable
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_inherits parent ON parent.inhrelid = c.oid AND c.relispartition
  LEFT JOIN LATERAL (
       SELECT a.attname, a.attnotnull FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname = ANY (%s)
        ORDER BY array_position(%s::name[], a.attname) LIMIT 1) tenant ON true
 WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
   AND n.nspname <> ALL (%s) AND n.nspname !~ '^pg_(toast_)?temp_'
   AND (NOT c.relispartition OR EXISTS (
       SELECT FROM pg_roles login
        WHERE login.rolcanlogin AND NOT login.rolsuper AND NOT pg_has_role(login.oid, c.relowner, 'MEMBER')
          AND has_table_privilege(login.oid, c.oid,
              'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')))
 ORDER BY n.nspname, c.relname
"""


def tables(connection: Connection, access: PostgresAccess) -> tuple[CatalogTable, ...]:
    """Every table outside the system schemas, ordered by name.

    A partition that no login may address is left to its table: whoever reads through the table meets
    the table's policies (manual, section 5.9). One that some login may address is a table of its own.
    """
    columns = list(access.tenant_columns)
    found = rows(connection, _TABLES, (columns, columns, list(SYSTEM_SCHEMAS)))
    return tuple(_table(row, access.declared) for row in found)


def _table(row: DictRow, declared: Mapping[str, str]) -> CatalogTable:
    comment = str(row.pop("comment"))
    qualified = f"{row['schema']}.{row['name']}"
    return CatalogTable(**row, classification=_classification(comment, declared.get(qualified, "")))


def _classification(comment: str, registered: str) -> str:
    """The first word of the comment or else of the registry's entry, when it is a classification."""
    matches = (_DECLARED.match(text.strip()) for text in (comment, registered))
    return next((match[1].lower() for match in matches if match), UNCLASSIFIED)


def server_version(connection: Connection) -> int:
    """``server_version_num``: 150018 is PostgreSQL 15.18."""
    return connection.info.server_version
