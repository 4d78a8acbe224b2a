"""Alembic's operations (`op.create_table`, `op.add_column`, …) as the SQL that they run.

Signatures are those of Alembic's operation reference; `batch_alter_table` and the entities of
alembic_utils are read too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lint.history import ddl
from lint.history.pure import is_iterable, literal, quoted
from lint.history.sqlalchemy_values import (
    NotKnownError,
    action_of,
    column_of,
    condition_of,
    reference_to,
    table_named,
    type_of,
    write,
)
from lint.history.values import HOLE, Built, SqlText, Unknown, Value, is_known, ordered

#: The names of each operation's positional arguments.
SIGNATURES: Mapping[str, tuple[str, ...]] = {
    "create_table": ("table_name",),
    "drop_table": ("table_name",),
    "rename_table": ("old_table_name", "new_table_name"),
    "add_column": ("table_name", "column"),
    "drop_column": ("table_name", "column_name"),
    "alter_column": ("table_name", "column_name"),
    "create_index": ("index_name", "table_name", "columns"),
    "drop_index": ("index_name", "table_name"),
    "create_unique_constraint": ("constraint_name", "table_name", "columns"),
    "create_primary_key": ("constraint_name", "table_name", "columns"),
    "create_check_constraint": ("constraint_name", "table_name", "condition"),
    "create_foreign_key": ("constraint_name", "source_table", "referent_table", "local_cols", "remote_cols"),
    "drop_constraint": ("constraint_name", "table_name", "type_"),
    "bulk_insert": ("table", "rows"),
    "create_entity": ("entity",),
    "replace_entity": ("entity",),
    "drop_entity": ("entity",),
}
#: In a batch the table is given once, so the operations leave it out.
_IN_BATCH: Mapping[str, str] = {
    "create_foreign_key": "source_table",
    **dict.fromkeys(("create_index", "drop_index", "create_unique_constraint"), "table_name"),
    **dict.fromkeys(("create_primary_key", "create_check_constraint", "drop_constraint"), "table_name"),
    **dict.fromkeys(("add_column", "drop_column", "alter_column"), "table_name"),
}
#: Older names of the same arguments.
_ALIASES: Mapping[str, str] = {
    "source": "source_table",
    "referent": "referent_table",
    "tablename": "table_name",
    "name": "constraint_name",
    "existing_table": "table_name",
    "local_columns": "local_cols",
    "remote_columns": "remote_cols",
}
Arguments = Mapping[str, Any]


def arguments_of(name: str, positional: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation's arguments by name; what a signature does not name stays under `rest`."""
    names = SIGNATURES[name]
    found = {_ALIASES.get(key, key) if _ALIASES.get(key) in names else key: v for key, v in keywords.items()}
    found.update(zip(names, positional, strict=False))
    found["rest"] = list(positional[len(names) :])
    return found


def in_batch(name: str, batch: Built, positional: Sequence[Any], keywords: Mapping[str, Any]) -> Arguments:
    """Return the arguments of an operation in a batch, the batch's table among them."""
    names = tuple(part for part in SIGNATURES[name] if part != _IN_BATCH.get(name))
    found = {**keywords, **dict(zip(names, positional, strict=False))}
    found["rest"] = list(positional[len(names) :])
    found[_IN_BATCH.get(name, "table_name")] = batch.arguments[0] if batch.arguments else HOLE
    found.setdefault("schema", batch.keywords.get("schema"))
    found["source_schema"] = batch.keywords.get("schema")
    return found


def statements_of(name: str, given: Arguments) -> list[str]:
    """Return the SQL of an operation; raise NotKnownError when its object is not known."""
    return _WRITERS[name](given)


def _table(given: Arguments, key: str = "table_name", schema: str = "schema") -> str:
    return ddl.dotted(_name(given, key, schema))


def _name(given: Arguments, key: str = "table_name", schema: str = "schema") -> ddl.Name:
    return ddl.name_of(_text(given, key), given.get(schema))


def _text(given: Arguments, key: str) -> str:
    value = given.get(key)
    if isinstance(value, Built) and value.name in {"f", "quoted_name"} and value.arguments:
        value = value.arguments[0]
    if not isinstance(value, str) or HOLE in value:
        raise NotKnownError(f"{key} is known only when it runs")
    return value


def _optional(given: Arguments, key: str) -> str:
    value = given.get(key)
    return value if isinstance(value, str) and HOLE not in value else ""


def _names(value: Value) -> tuple[str, ...]:
    if not is_iterable(value):
        raise NotKnownError("its columns are known only when it runs")
    return tuple(str(item) if isinstance(item, str) else HOLE for item in ordered(value))


def _exists(given: Arguments) -> str:
    return "IF EXISTS " if given.get("if_exists") is True else ""


# Tables and columns


def _create_table(given: Arguments) -> list[str]:
    name = _name(given)
    body = ddl.TableBody()
    indexes: list[ddl.Index] = []
    for element in given["rest"]:
        if isinstance(element, Unknown):
            raise NotKnownError("an element of the table is known only when it runs")
        if isinstance(element, Built):
            _element(element, name, body, indexes)
    written = body.written(name, if_not_exists=given.get("if_not_exists") is True)
    return [written, *(index.written() for index in indexes)]


def _element(built: Built, table: ddl.Name, body: ddl.TableBody, indexes: list[ddl.Index]) -> None:
    if built.name == "Column":
        column = column_of(built)
        body.columns.append(column)
        if built.keywords.get("index") is True:
            indexes.append(ddl.Index(table, (quoted(column.name),), f"ix_{table[-1]}_{column.name}"))
    elif built.name == "Index":
        indexes.append(_index(built, table))
    else:
        constraint = _constraint(built)
        if constraint is not None:
            body.constraints.append(constraint)


def _constraint(built: Built) -> ddl.Constraint | None:
    name = built.keywords.get("name")
    named = name if isinstance(name, str) else ""
    kinds = {"PrimaryKeyConstraint": "PRIMARY KEY", "UniqueConstraint": "UNIQUE"}
    if built.name in kinds:
        columns = tuple(item for item in built.arguments if isinstance(item, str))
        return ddl.Constraint(kinds[built.name], columns, named) if columns else None
    if built.name == "ForeignKeyConstraint" and len(built.arguments) > 1:
        local, remote = _names(built.arguments[0]), _names(built.arguments[1])
        return ddl.Constraint("FOREIGN KEY", local, named, reference_to(remote, built.keywords))
    if built.name == "CheckConstraint" and built.arguments:
        return ddl.Constraint("CHECK", (), named, condition=condition_of(built.arguments[0]))
    return None


def _index(built: Built, table: ddl.Name) -> ddl.Index:
    name, *columns = built.arguments
    return ddl.Index(
        table,
        tuple(map(_key_part, columns)),
        name if isinstance(name, str) else "",
        unique=built.keywords.get("unique") is True,
    )


def _key_part(value: Value) -> str:
    if isinstance(value, SqlText):
        return f"({value})" if "(" in value else str(value)
    return quoted(value) if isinstance(value, str) else f"({HOLE})"


def _drop_table(given: Arguments) -> list[str]:
    return [f"DROP TABLE {_exists(given)}{_table(given)}"]


def _rename_table(given: Arguments) -> list[str]:
    return [
        f"ALTER TABLE {_table(given, 'old_table_name')} RENAME TO {quoted(_text(given, 'new_table_name'))}"
    ]


def _add_column(given: Arguments) -> list[str]:
    built = given.get("column")
    if not isinstance(built, Built):
        raise NotKnownError("the column is known only when it runs")
    column = column_of(built)
    exists = "IF NOT EXISTS " if given.get("if_not_exists") is True else ""
    written = [f"ALTER TABLE {_table(given)} ADD COLUMN {exists}{column.written()}"]
    if built.keywords.get("index") is True:
        name = _name(given)
        written.append(ddl.Index(name, (quoted(column.name),), f"ix_{name[-1]}_{column.name}").written())
    return written


def _drop_column(given: Arguments) -> list[str]:
    column = quoted(_text(given, "column_name"))
    return [f"ALTER TABLE {_table(given)} DROP COLUMN {_exists(given)}{column}"]


def _alter_column(given: Arguments) -> list[str]:
    table, column = _table(given), quoted(_text(given, "column_name"))
    written: list[str] = []
    kind = type_of(given.get("type_"))
    if kind:
        written.append(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
    if "server_default" in given and given["server_default"] is not False:
        default = given["server_default"]
        change = "DROP DEFAULT" if default is None else f"SET DEFAULT {ddl.expression(default)}"
        written.append(f"ALTER TABLE {table} ALTER COLUMN {column} {change}")
    if isinstance(given.get("nullable"), bool):
        change = "DROP" if given["nullable"] else "SET"
        written.append(f"ALTER TABLE {table} ALTER COLUMN {column} {change} NOT NULL")
    new = _optional(given, "new_column_name") or _optional(given, "name")
    if new:
        written.append(f"ALTER TABLE {table} RENAME COLUMN {column} TO {quoted(new)}")
    return written


# Keys and indexes


def _create_index(given: Arguments) -> list[str]:
    columns = given.get("columns")
    if not is_iterable(columns):
        raise NotKnownError("its columns are known only when it runs")
    where = given.get("postgresql_where")
    index = ddl.Index(
        _name(given),
        tuple(map(_key_part, ordered(columns))),
        _optional(given, "index_name"),
        unique=given.get("unique") is True,
        method=_optional(given, "postgresql_using"),
        where="" if where is None else str(where) if isinstance(where, str) else HOLE,
        concurrently=given.get("postgresql_concurrently") is True,
        if_not_exists=given.get("if_not_exists") is True,
    )
    return [index.written()]


def _drop_index(given: Arguments) -> list[str]:
    schema = given.get("schema")
    name = ddl.dotted(ddl.name_of(_text(given, "index_name"), schema))
    return [f"DROP INDEX {_exists(given)}{name}"]


def _create_unique(given: Arguments) -> list[str]:
    return _add(given, "UNIQUE")


def _create_primary(given: Arguments) -> list[str]:
    return _add(given, "PRIMARY KEY")


def _add(given: Arguments, kind: str) -> list[str]:
    constraint = ddl.Constraint(kind, _names(given.get("columns")), _optional(given, "constraint_name"))
    return [f"ALTER TABLE {_table(given)} ADD {constraint.written()}"]


def _create_check(given: Arguments) -> list[str]:
    condition = condition_of(given.get("condition"))
    constraint = ddl.Constraint("CHECK", (), _optional(given, "constraint_name"), condition=condition)
    return [f"ALTER TABLE {_table(given)} ADD {constraint.written()}"]


def _create_foreign(given: Arguments) -> list[str]:
    target = _name(given, "referent_table", "referent_schema")
    reference = ddl.Reference(
        target,
        _names(given.get("remote_cols")),
        action_of(given.get("ondelete")),
        action_of(given.get("onupdate")),
        deferrable=given.get("deferrable") is True,
        not_valid=given.get("postgresql_not_valid") is True,
    )
    constraint = ddl.Constraint(
        "FOREIGN KEY", _names(given.get("local_cols")), _optional(given, "constraint_name"), reference
    )
    table = ddl.dotted(_name(given, "source_table", "source_schema"))
    return [f"ALTER TABLE {table} ADD {constraint.written()}"]


def _drop_constraint(given: Arguments) -> list[str]:
    name = quoted(_text(given, "constraint_name"))
    return [f"ALTER TABLE {_table(given)} DROP CONSTRAINT {_exists(given)}{name}"]


# Rows


def _bulk_insert(given: Arguments) -> list[str]:
    table = table_named(given.get("table"))
    if table is None:
        raise NotKnownError("the table is known only when it runs")
    rows = given.get("rows")
    first = next(iter(rows), None) if isinstance(rows, (list, tuple)) else None
    if not isinstance(first, dict):
        return [write("INSERT INTO", table, f"SELECT {HOLE}")]
    values = ", ".join(
        literal(v) if is_known(v) and not isinstance(v, Built) else HOLE for v in first.values()
    )
    return [write("INSERT INTO", table, f"({ddl.listed(list(map(str, first)))}) VALUES ({values})")]


# alembic_utils


def _create_entity(given: Arguments) -> list[str]:
    return [_entity(given["entity"], "CREATE")]


def _replace_entity(given: Arguments) -> list[str]:
    return [*_drop_entity(given), _entity(given["entity"], "CREATE")]


def _drop_entity(given: Arguments) -> list[str]:
    return [_entity(given["entity"], "DROP")]


def _entity(value: Value, verb: str) -> str:
    parts = value.keywords if isinstance(value, Built) else {}
    schema, signature, definition = (_optional(parts, k) for k in ("schema", "signature", "definition"))
    if not isinstance(value, Built) or not signature:
        raise NotKnownError("the entity is known only when it runs")
    name = f"{quoted(schema)}.{signature}" if schema else signature
    target = _optional(parts, "on_entity")
    on = f"{quoted(schema)}.{target}" if schema and "." not in target else target
    if value.name == "PGPolicy" and target:
        return (
            f"CREATE POLICY {signature} ON {on} {definition}"
            if verb == "CREATE"
            else (f"DROP POLICY IF EXISTS {signature} ON {on}")
        )
    kind = _ENTITIES.get(value.name)
    if kind is None:
        raise NotKnownError(f"the entity is a {value.name}, which is not followed")
    if verb == "DROP":
        return f"DROP {kind} IF EXISTS {name}"
    if value.name == "PGTrigger":
        return f"CREATE TRIGGER {signature} {definition}"
    return f"CREATE {kind} {name} {'' if value.name == 'PGFunction' else 'AS '}{definition}"


_ENTITIES = {
    "PGFunction": "FUNCTION",
    "PGView": "VIEW",
    "PGMaterializedView": "MATERIALIZED VIEW",
    "PGTrigger": "TRIGGER",
    "PGExtension": "EXTENSION",
}
_WRITERS: Mapping[str, Callable[[Arguments], list[str]]] = {
    "create_table": _create_table,
    "drop_table": _drop_table,
    "rename_table": _rename_table,
    "add_column": _add_column,
    "drop_column": _drop_column,
    "alter_column": _alter_column,
    "create_index": _create_index,
    "drop_index": _drop_index,
    "create_unique_constraint": _create_unique,
    "create_primary_key": _create_primary,
    "create_check_constraint": _create_check,
    "create_foreign_key": _create_foreign,
    "drop_constraint": _drop_constraint,
    "bulk_insert": _bulk_insert,
    "create_entity": _create_entity,
    "replace_entity": _replace_entity,
    "drop_entity": _drop_entity,
}
