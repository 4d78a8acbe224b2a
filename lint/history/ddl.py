"""Schema operations of migration libraries, written as the SQL that they stand for.

Alembic's and Sequelize's operations become text once, so everything the SQL front end knows of a
statement holds for them too. Names are quoted, as both libraries do where it matters; a part that is
not known is a hole (`lint.history.values.HOLE`), which the reader of the text looks out for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lint.history.pure import literal, quoted
from lint.history.values import HOLE, Built, SqlText, Unknown, Value

Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column to write: its type is SQL, its default too."""

    name: str
    type: str = ""
    nullable: bool = True
    default: str | None = None
    primary: bool = False
    unique: bool = False
    generated: str = ""
    references: Reference | None = None
    check: str | None = None

    def written(self, *, alone: bool = True) -> str:
        """Return the column's definition; its primary key too when no other column has one."""
        parts = [quoted(self.name), self.type]
        if self.generated:
            parts.append(self.generated)
        if self.default is not None:
            parts.append(f"DEFAULT {self.default}")
        if not self.nullable or self.primary:
            parts.append("NOT NULL")
        if self.primary and alone:
            parts.append("PRIMARY KEY")
        if self.unique:
            parts.append("UNIQUE")
        if self.references is not None:
            parts.append(self.references.written())
        if self.check is not None:
            parts.append(f"CHECK ({self.check})")
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a foreign key points at, and what becomes of its rows."""

    table: Name
    columns: tuple[str, ...] = ()
    on_delete: str = ""
    on_update: str = ""
    deferrable: bool = False
    not_valid: bool = False

    def written(self) -> str:
        """Return the REFERENCES clause."""
        target = f"REFERENCES {dotted(self.table)}"
        if self.columns:
            target += f" ({listed(self.columns)})"
        if self.on_delete:
            target += f" ON DELETE {self.on_delete}"
        if self.on_update:
            target += f" ON UPDATE {self.on_update}"
        target += " DEFERRABLE" if self.deferrable else ""
        return target + (" NOT VALID" if self.not_valid else "")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A table constraint: PRIMARY KEY, UNIQUE, FOREIGN KEY, CHECK or EXCLUDE."""

    kind: str
    columns: tuple[str, ...] = ()
    name: str = ""
    references: Reference | None = None
    condition: str = ""

    def written(self) -> str:
        """Return the constraint as it stands in CREATE TABLE and ADD."""
        name = f"CONSTRAINT {quoted(self.name)} " if self.name else ""
        if self.kind in {"CHECK", "EXCLUDE"}:
            return f"{name}{self.kind} ({self.condition or HOLE})"
        target = f" {self.references.written()}" if self.references else ""
        return f"{name}{self.kind} ({listed(self.columns)}){target}"


@dataclass(frozen=True, slots=True)
class Index:
    """An index to create."""

    table: Name
    columns: tuple[str, ...]
    name: str = ""
    unique: bool = False
    method: str = ""
    where: str = ""
    concurrently: bool = False
    if_not_exists: bool = False

    def written(self) -> str:
        """Return CREATE INDEX."""
        words = ["CREATE", "UNIQUE" if self.unique else "", "INDEX"]
        words += ["CONCURRENTLY" if self.concurrently else ""]
        words += ["IF NOT EXISTS" if self.if_not_exists and self.name else ""]
        words += [quoted(self.name) if self.name else "", "ON", dotted(self.table)]
        words += [f"USING {self.method}" if self.method else "", f"({', '.join(self.columns)})"]
        words += [f"WHERE {self.where}" if self.where else ""]
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class TableBody:
    """The elements of a table to create."""

    columns: list[Column] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)

    def written(self, name: Name, *, if_not_exists: bool = False) -> str:
        """Return CREATE TABLE."""
        primary = [column.name for column in self.columns if column.primary]
        lines = [column.written(alone=len(primary) == 1) for column in self.columns]
        if len(primary) > 1:
            lines.append(f"PRIMARY KEY ({listed(primary)})")
        lines += [constraint.written() for constraint in self.constraints]
        exists = "IF NOT EXISTS " if if_not_exists else ""
        return f"CREATE TABLE {exists}{dotted(name)} ({', '.join(lines)})"


def dotted(name: Sequence[str]) -> str:
    """Return a qualified name, each part quoted."""
    return ".".join(quoted(part) for part in name)


def listed(names: Sequence[str]) -> str:
    """Return quoted names, separated by commas."""
    return ", ".join(quoted(name) for name in names)


def name_of(table: Value, schema: Value = None) -> Name:
    """Return a table's name with its schema, a hole for what is not known."""
    bare = table if isinstance(table, str) else HOLE
    if schema is None:
        return tuple(bare.replace('"', "").split(".")) if "." in bare else (bare,)
    return (schema if isinstance(schema, str) else HOLE, bare)


def expression(value: Value) -> str:
    """Return a default or a condition as SQL: text that is marked as SQL, a literal, a call, or a hole."""
    if isinstance(value, Built) and value.path.startswith("sqlalchemy"):
        constants = {"true": "true", "false": "false", "null": "NULL"}
        if value.name in constants:
            return constants[value.name]
        if ".func." in value.path:
            return f"{value.name}()"
    if isinstance(value, (Unknown, Built)):
        return HOLE
    return value if isinstance(value, SqlText) else literal(value)
