"""PostgreSQL's catalogs and the information schema, as rows of the catalogue that a history has made so far.

An object identifier is the object's name, written as `regclass` shows it, so that it joins, compares and
prints alike. PostgreSQL manual, chapters 37 and 53.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import DEFAULT_SCHEMA, written_name
from lint.history.expressions import NULL, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lint.catalogue import Table
    from lint.history.state import State

Row = dict[str, Value]


def oid(schema: str, name: str) -> str:
    """Return a relation's name as `regclass` shows it, which stands for its object identifier."""
    return written_name(name) if schema == DEFAULT_SCHEMA else f"{written_name(schema)}.{written_name(name)}"


def _oid_of(qualified: str) -> str:
    schema, _, name = qualified.partition(".")
    return oid(schema, name)


def _pg_tables(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        if table.kind != "foreign":
            yield {
                "schemaname": table.schema,
                "tablename": table.name,
                "tableowner": table.owner,
                "rowsecurity": table.enabled,
            }


def _tables(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        kind = "FOREIGN" if table.kind == "foreign" else "BASE TABLE"
        yield {"table_schema": table.schema, "table_name": table.name, "table_type": kind}
    for view in state.views.values():
        if not view.materialized:
            yield {"table_schema": view.schema, "table_name": view.name, "table_type": "VIEW"}


def _columns(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for column in table.columns:
            yield {
                "table_schema": table.schema,
                "table_name": table.name,
                "column_name": column.name,
                "data_type": column.type.partition("(")[0],
                "is_nullable": "YES" if column.nullable else "NO",
            }


def _pg_policies(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for policy in table.policies:
            yield {
                "schemaname": table.schema,
                "tablename": table.name,
                "policyname": policy.name,
                "cmd": policy.command.upper(),
                "permissive": "PERMISSIVE" if policy.permissive else "RESTRICTIVE",
                "roles": policy.roles,
                "qual": NULL if policy.using is None else policy.using,
                "with_check": NULL if policy.check is None else policy.check,
            }


_RELATION_KINDS = {"table": "r", "partitioned": "p", "foreign": "f"}


def _pg_class(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        yield {
            "oid": oid(table.schema, table.name),
            "relname": table.name,
            "relnamespace": table.schema,
            "relkind": _RELATION_KINDS[table.kind],
            "relrowsecurity": table.enabled,
            "relforcerowsecurity": table.forced,
            "relispartition": table.parent is not None,
            "relnatts": str(len(table.columns)),
            "relpersistence": "u" if table.persistence == "unlogged" else "p",
        }
    for key, view in state.views.items():
        kind = "m" if view.materialized else "v"
        yield {"oid": _oid_of(key), "relname": view.name, "relnamespace": view.schema, "relkind": kind}


def _pg_namespace(state: State) -> Iterator[Row]:
    names = {table.schema for table in state.tables.values()}
    names |= {view.schema for view in state.views.values()}
    names |= {function.schema for function in state.functions.values()}
    for name in sorted(names | set(state.schemas) | {"public"}):
        yield {"oid": name, "nspname": name}


def _pg_attribute(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for number, column in enumerate(table.columns, 1):
            yield {
                "attrelid": oid(table.schema, table.name),
                "attname": column.name,
                "attnum": str(number),
                "attisdropped": False,
                "attnotnull": not column.nullable,
            }


def _pg_policy(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for policy in table.policies:
            yield {"polrelid": oid(table.schema, table.name), "polname": policy.name}


_CONSTRAINTS = {"primary": ("p", "PRIMARY KEY"), "unique": ("u", "UNIQUE"), "check": ("c", "CHECK")}


def _constraints(state: State) -> Iterator[tuple[Table, str, str, str]]:
    """Yield (table, name, letter of `pg_constraint.contype`, word of the information schema)."""
    for table in state.tables.values():
        for key in table.keys:
            if key.kind != "index":
                yield table, key.name, *_CONSTRAINTS[key.kind]
        for foreign in table.foreign_keys:
            yield table, foreign.name, "f", "FOREIGN KEY"
        for check in table.constraints:
            if check.kind == "check":
                yield table, check.name, *_CONSTRAINTS["check"]


def _pg_constraint(state: State) -> Iterator[Row]:
    for table, name, letter, _ in _constraints(state):
        yield {
            "conname": name,
            "conrelid": oid(table.schema, table.name),
            "connamespace": table.schema,
            "contype": letter,
        }


def _table_constraints(state: State) -> Iterator[Row]:
    for table, name, _, word in _constraints(state):
        yield {
            "constraint_schema": table.schema,
            "constraint_name": name,
            "table_schema": table.schema,
            "table_name": table.name,
            "constraint_type": word,
        }


def _views(state: State) -> Iterator[Row]:
    for view in state.views.values():
        yield {
            "schemaname": view.schema,
            "viewname": view.name,
            "matviewname": view.name,
            "table_schema": view.schema,
            "table_name": view.name,
        }


def _roles(state: State) -> Iterator[Row]:
    for role in state.roles.values():
        yield {
            "rolname": role.name,
            "oid": role.name,
            "rolsuper": role.superuser,
            "rolbypassrls": role.bypass_row_security,
        }


def _functions(state: State) -> Iterator[Row]:
    for function in state.functions.values():
        yield {
            "oid": function.signature,
            "proname": function.name,
            "pronamespace": function.schema,
            "prosecdef": function.security_definer,
            "prokind": "p" if function.kind == "procedure" else "f",
        }


def _pg_inherits(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for parent in filter(None, (table.parent, *table.inherits)):
            yield {"inhrelid": oid(table.schema, table.name), "inhparent": _oid_of(parent)}


def _user_tables(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        yield {"relid": oid(table.schema, table.name), "schemaname": table.schema, "relname": table.name}


def _pg_trigger(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for trigger in table.triggers:
            yield {
                "tgname": trigger.name,
                "tgrelid": oid(table.schema, table.name),
                "tgisinternal": False,
            }


def _schemata(state: State) -> Iterator[Row]:
    for row in _pg_namespace(state):
        yield {"schema_name": row["nspname"]}


RELATIONS: dict[str, Callable[[State], Iterator[Row]]] = {
    "pg_tables": _pg_tables,
    "tables": _tables,
    "columns": _columns,
    "pg_policies": _pg_policies,
    "pg_policy": _pg_policy,
    "pg_class": _pg_class,
    "pg_namespace": _pg_namespace,
    "pg_attribute": _pg_attribute,
    "pg_constraint": _pg_constraint,
    "table_constraints": _table_constraints,
    "pg_views": _views,
    "pg_matviews": _views,
    "views": _views,
    "pg_roles": _roles,
    "pg_authid": _roles,
    "pg_proc": _functions,
    "pg_inherits": _pg_inherits,
    "pg_stat_user_tables": _user_tables,
    "pg_trigger": _pg_trigger,
    "schemata": _schemata,
}
