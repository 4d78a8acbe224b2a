"""SQLAlchemy's columns, types and built queries, as the SQL that PostgreSQL would get.

Types are written by the names PostgreSQL has for them; of a query only what rows of what it touches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lint.history import ddl
from lint.history.pure import quoted
from lint.history.values import HOLE, Built, Unknown, Value

_TYPES: Mapping[str, str] = {
    "String": "varchar",
    "VARCHAR": "varchar",
    "AutoString": "varchar",
    "Unicode": "varchar",
    "Text": "text",
    "TEXT": "text",
    "UnicodeText": "text",
    "Integer": "integer",
    "INTEGER": "integer",
    "SmallInteger": "smallint",
    "BigInteger": "bigint",
    "BIGINT": "bigint",
    "Boolean": "boolean",
    "BOOLEAN": "boolean",
    "Uuid": "uuid",
    "UUID": "uuid",
    "GUID": "uuid",
    "Float": "double precision",
    "Double": "double precision",
    "DOUBLE_PRECISION": "double precision",
    "Numeric": "numeric",
    "NUMERIC": "numeric",
    "DateTime": "timestamp",
    "TIMESTAMP": "timestamp",
    "Date": "date",
    "Time": "time",
    "Interval": "interval",
    "LargeBinary": "bytea",
    "BYTEA": "bytea",
    "JSON": "json",
    "JSONB": "jsonb",
    "INET": "inet",
    "CIDR": "cidr",
    "TSVECTOR": "tsvector",
    "HSTORE": "hstore",
    "CITEXT": "citext",
}
_ZONED = frozenset({"DateTime", "TIMESTAMP", "Time"})
_SIZED = frozenset({"String", "VARCHAR", "AutoString", "Unicode"})


class NotKnownError(Exception):
    """An operation on what is known only when it runs; the message names the part."""


def column_of(built: Built) -> ddl.Column:
    """Return a `sa.Column(…)`; raise NotKnownError when its name is not known."""
    names = [item for item in built.arguments[:1] if isinstance(item, str) and HOLE not in item]
    name = built.keywords.get("name", names[0] if names else None)
    if not isinstance(name, str):
        raise NotKnownError("a column's name is known only when it runs")
    words = built.keywords
    primary = words.get("primary_key") is True
    parts = [item for item in built.arguments[len(names) :] if isinstance(item, (Built, Unknown))]
    kinds = [type_of(part) for part in [words.get("type_"), *parts] if not _is_clause(part)]
    default = words.get("server_default")
    return ddl.Column(
        name,
        next((kind for kind in kinds if kind), ""),
        nullable=words.get("nullable") is not False and not primary,
        default=None if default is None or _is_clause(default) else ddl.expression(default),
        primary=primary,
        unique=words.get("unique") is True,
        generated=_generated([*parts, default]),
        references=_referenced(parts),
        check=_checked(parts),
    )


_CLAUSES = frozenset({"ForeignKey", "Computed", "Identity", "CheckConstraint", "Sequence", "FetchedValue"})


def _is_clause(part: Value) -> bool:
    return isinstance(part, Built) and part.name in _CLAUSES


def _generated(parts: Sequence[Value]) -> str:
    for part in parts:
        if isinstance(part, Built) and part.name == "Computed" and part.arguments:
            return f"GENERATED ALWAYS AS ({condition_of(part.arguments[0])}) STORED"
        if isinstance(part, Built) and part.name == "Identity":
            always = "ALWAYS" if part.keywords.get("always") is True else "BY DEFAULT"
            return f"GENERATED {always} AS IDENTITY"
    return ""


def _referenced(parts: Sequence[Value]) -> ddl.Reference | None:
    for part in parts:
        if isinstance(part, Built) and part.name == "ForeignKey" and part.arguments:
            target = part.arguments[0]
            return reference_to([target if isinstance(target, str) else HOLE], part.keywords)
    return None


def _checked(parts: Sequence[Value]) -> str | None:
    checks = [part for part in parts if isinstance(part, Built) and part.name == "CheckConstraint"]
    return condition_of(checks[0].arguments[0]) if checks and checks[0].arguments else None


def type_of(value: Value) -> str:
    """Return a SQLAlchemy type as PostgreSQL writes it; nothing for one that is not known."""
    if isinstance(value, Unknown):
        return _TYPES.get(value.path.rpartition(".")[2], "")
    if not isinstance(value, Built):
        return ""
    if value.name == "ARRAY" and value.arguments:
        inner = type_of(value.arguments[0])
        return f"{inner}[]" if inner else ""
    if value.name in {"Enum", "ENUM"}:
        name = value.keywords.get("name")
        return ddl.dotted(ddl.name_of(name, value.keywords.get("schema"))) if isinstance(name, str) else ""
    kind = _TYPES.get(value.name, "")
    if value.name in _ZONED and value.keywords.get("timezone") is True:
        return f"{kind} with time zone"
    length = value.keywords.get("length", next(iter(value.arguments), None))
    return f"{kind}({length})" if value.name in _SIZED and isinstance(length, int) else kind


def reference_to(remote: Sequence[str], keywords: Mapping[str, Any]) -> ddl.Reference:
    """Return what `table.column` targets point at; raise NotKnownError when there are none."""
    if not remote:
        raise NotKnownError("what a foreign key points at is known only when it runs")
    table = remote[0].rpartition(".")[0] or remote[0]
    return ddl.Reference(
        tuple(table.split(".")),
        tuple(target.rpartition(".")[2] for target in remote if "." in target),
        action_of(keywords.get("ondelete")),
        action_of(keywords.get("onupdate")),
        deferrable=keywords.get("deferrable") is True,
        not_valid=keywords.get("postgresql_not_valid") is True,
    )


def action_of(value: Value) -> str:
    """Return what becomes of referring rows, in the words of SQL."""
    return value.upper() if isinstance(value, str) else ""


def condition_of(value: Value) -> str:
    """Return the SQL of a condition, a hole for one that is not known."""
    return value if isinstance(value, str) else HOLE


def write(verb: str, table: str, rest: str) -> str:
    """Return a statement over rows: it is read, and never sent to a database."""
    return " ".join(part for part in (verb, table, rest) if part)


def table_named(value: Value) -> str | None:
    """Return the quoted name of `sa.table("x")` and `sa.Table("x", …)`, None for anything else."""
    if not isinstance(value, Built) or value.name not in {"table", "Table"} or not value.arguments:
        return None
    name = value.arguments[0]
    return ddl.dotted(ddl.name_of(name, value.keywords.get("schema"))) if isinstance(name, str) else None


def query_of(value: Value) -> str | None:
    """Return the SQL of a statement built by SQLAlchemy, as far as which rows of what it touches.

    None when it is no such statement, or when its table is not known.
    """
    called: list[Built] = []
    while isinstance(value, Built):
        called.append(value)
        value = next(iter(value.arguments), None)
    names = {built.name for built in called}
    verb = next((b for b in called if b.name in {"update", "insert", "delete"}), None)
    table = next((found for b in called if (found := table_named(b)) is not None), None)
    if verb is None or table is None:
        return None
    where = f"WHERE {HOLE}" if names & {"where", "filter", "filter_by"} else ""
    if verb.name == "delete":
        return write("DELETE FROM", table, where)
    columns = [key for built in called if built.name == "values" for key in built.keywords] or [HOLE]
    if verb.name == "insert":
        return write("INSERT INTO", table, f"SELECT {HOLE}")
    changes = ", ".join(f"{quoted(column)} = {HOLE}" for column in columns)
    return write("UPDATE", table, f"SET {changes} {where}".strip())
