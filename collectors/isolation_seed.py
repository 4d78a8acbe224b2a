"""What an isolation probe must know of a table to write a row into it: columns, keys, privileges.

A foreign row is a copy of one that the other tenant really has, so that its foreign keys hold, with
one fresh value in each unique key. Where row security is missing such an insert succeeds; it is not
stopped by chance.
"""

from __future__ import annotations

import random
import re
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from collectors.postgres import CatalogTable, Connection, rows

_COLUMNS: Final = """
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
       a.attgenerated = '' AND a.attidentity <> 'a'
           AND has_column_privilege(a.attrelid, a.attnum, 'INSERT') AS insertable,
       a.attgenerated = '' AND a.attidentity <> 'a'
           AND has_column_privilege(a.attrelid, a.attnum, 'UPDATE') AS updatable
  FROM pg_attribute a
 WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_UNIQUE_KEYS: Final = """
SELECT ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) ORDER BY a.attnum) AS columns
  FROM pg_index i WHERE i.indrelid = %s AND i.indisunique ORDER BY i.indexrelid
"""

_FOREIGN_KEY_COLUMNS: Final = """
SELECT DISTINCT a.attname::text AS name
  FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
 WHERE c.conrelid = %s AND c.contype = 'f'
"""

_PRIVILEGES: Final = """
SELECT visible AND has_any_column_privilege(oid, 'SELECT') AS "SELECT",
       visible AND has_any_column_privilege(oid, 'INSERT') AS "INSERT",
       visible AND has_any_column_privilege(oid, 'UPDATE') AS "UPDATE",
       visible AND has_table_privilege(oid, 'DELETE') AS "DELETE"
  FROM pg_class, LATERAL (SELECT has_schema_privilege(relnamespace, 'USAGE') AS visible) s WHERE oid = %s
"""

_UNPREDICTABLE: Final = random.SystemRandom()
_POLICY_SETTINGS: Final = r"""
SELECT DISTINCT named[1] AS name
  FROM pg_policies,
       LATERAL regexp_matches(
           concat_ws(' ', qual, with_check), 'current_setting\(\x27([^\x27]+[.][^\x27]+)\x27', 'g') named
 WHERE schemaname = %s AND tablename = %s ORDER BY 1
"""

_LENGTH: Final = re.compile(r"\((\d+)\)")

#: How to make a value that no row has, by the beginning of the type's name; the first match wins.
_FRESH: Final[tuple[tuple[str, Callable[[], str]], ...]] = (
    ("uuid", lambda: str(uuid.uuid4())),
    ("text", lambda: f"probe-{secrets.token_hex(12)}"),
    ("character", lambda: f"probe-{secrets.token_hex(12)}"),
    ("citext", lambda: f"probe-{secrets.token_hex(12)}"),
    ("bytea", lambda: rf"\x{secrets.token_hex(16)}"),
    ("bigint", lambda: str(_UNPREDICTABLE.randrange(10**15, 10**16))),
    ("integer", lambda: str(_UNPREDICTABLE.randrange(15 * 10**8, 2 * 10**9))),
    ("smallint", lambda: str(_UNPREDICTABLE.randrange(20_000, 32_000))),
    ("timestamp", lambda: datetime.now(UTC).isoformat()),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and whether the login may write it."""

    name: str
    type: str
    insertable: bool
    updatable: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A tenant table as the application's login meets it.

    `policy_settings` are settings of the application's own that the table's policies ask for.
    """

    table: CatalogTable
    tenant_column: str
    columns: tuple[Column, ...]
    unique_keys: tuple[frozenset[str], ...]
    foreign_key_columns: frozenset[str]
    privileges: frozenset[str]
    policy_settings: tuple[str, ...]

    @property
    def updatable(self) -> str:
        """A column that the login may update, another than the tenant's where there is one."""
        names = [column.name for column in self.columns if column.updatable]
        return next((name for name in names if name != self.tenant_column), self.tenant_column)


def target_of(connection: Connection, table: CatalogTable, tenant_column: str) -> Target:
    """Read what the probe needs, as the connection's login sees it."""
    oid = (table.oid,)
    granted = rows(connection, _PRIVILEGES, oid)[0]
    return Target(
        table=table,
        tenant_column=tenant_column,
        columns=tuple(Column(**row) for row in rows(connection, _COLUMNS, oid)),
        unique_keys=tuple(frozenset(row["columns"]) for row in rows(connection, _UNIQUE_KEYS, oid)),
        foreign_key_columns=frozenset(row["name"] for row in rows(connection, _FOREIGN_KEY_COLUMNS, oid)),
        privileges=frozenset(command for command, held in granted.items() if held),
        policy_settings=tuple(
            row["name"] for row in rows(connection, _POLICY_SETTINGS, (table.schema, table.name))
        ),
    )


def foreign_row(
    target: Target, template: Mapping[str, str | None], foreign_tenant: str
) -> dict[str, str | None]:
    """The values of a row of the foreign tenant, made from one that it has.

    Where the tenant column alone is a key, the row names a tenant that does not exist yet: foreign
    all the same, and not stopped by the key.
    """
    row = {column.name: template[column.name] for column in target.columns if column.insertable}
    row[target.tenant_column] = foreign_tenant
    types = {column.name: column.type for column in target.columns}
    if frozenset({target.tenant_column}) in target.unique_keys:
        row[target.tenant_column] = fresh_value(types[target.tenant_column])
    fixed = target.foreign_key_columns | {target.tenant_column}
    for key in target.unique_keys:
        chosen = _freshest(key - fixed, types)
        if chosen in row:
            row[chosen] = fresh_value(types[chosen])
    return row


def fresh_value(type_name: str) -> str | None:
    """A value that no row has, as text; None for a type without a recipe."""
    make = next((make for prefix, make in _FRESH if type_name.startswith(prefix)), None)
    if make is None:
        return None
    length = _LENGTH.search(type_name) if type_name.startswith("character") else None
    return make()[-int(length[1]) :] if length else make()


def _freshest(columns: Iterable[str], types: Mapping[str, str]) -> str:
    """Of a key's columns, the one for which a fresh value most surely satisfies every constraint."""
    order = [prefix for prefix, _ in _FRESH]
    ranked = [
        (rank, name)
        for name in sorted(columns)
        for rank, prefix in enumerate(order)
        if types[name].startswith(prefix)
    ]
    return min(ranked)[1] if ranked else ""
