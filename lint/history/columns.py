"""Columns, constraints and index parts, read from tokens (PostgreSQL manual, CREATE TABLE)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from sqlglot.tokenizer_core import Token, TokenType

from lint.catalogue import Column, Constraint, ForeignKey, Key
from lint.history.sql import flat
from lint.history.types import SERIALS, read_type

if TYPE_CHECKING:
    from lint.history.facts import Name
    from lint.history.sql import Cursor

CONSTRAINT_WORDS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "EXCLUDE", "FOREIGN"})
_COLUMN_WORDS = frozenset(
    {"NOT", "NULL", "DEFAULT", "PRIMARY", "UNIQUE", "REFERENCES", "CHECK", "CONSTRAINT", "GENERATED"}
    | {"COLLATE", "STORAGE", "COMPRESSION", "DEFERRABLE", "INITIALLY", "OPTIONS"}
)
_SORTING = frozenset({"ASC", "DESC", "NULLS"})


def dotted(name: Name) -> str:
    """Join a name for a reference that is resolved later."""
    return ".".join(name)


@dataclass
class Elements:
    """What columns and constraints of one statement say, gathered one by one."""

    columns: list[Column] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    #: The index that USING INDEX makes into a constraint.
    index: str | None = None

    def primary_not_null(self) -> tuple[Column, ...]:
        """Return the columns, those of the primary key as NOT NULL."""
        primary = {name for key in self.keys if key.kind == "primary" for name in key.columns}
        return tuple(
            replace(column, nullable=False) if column.name in primary else column for column in self.columns
        )


def column_definition(cursor: Cursor, into: Elements) -> None:
    """Read `name type constraint…` into `into`."""
    name = cursor.identifier()
    kind = "" if cursor.done or cursor.word() in _COLUMN_WORDS else read_type(cursor)
    column = Column(name, kind)
    if kind in SERIALS:
        column = Column(name, SERIALS[kind], nullable=False, default="nextval()")
    column_constraints(cursor, column, into)


def column_constraints(cursor: Cursor, column: Column, into: Elements) -> None:
    """Read what stands behind the type of a column."""
    given = ""
    while not cursor.done:
        if cursor.eat("CONSTRAINT"):
            given = cursor.identifier()
            continue
        column = _column_constraint(cursor, column, given, into)
        given = ""
    into.columns.append(column)


def _column_constraint(cursor: Cursor, column: Column, given: str, into: Elements) -> Column:
    """Read one constraint of a column and return the column as it is then."""
    word = cursor.word()
    cursor.at += 1
    if word == "NOT" and cursor.eat("NULL"):
        return replace(column, nullable=False)
    if word == "DEFAULT":
        return replace(column, default=_expression(cursor))
    if word == "GENERATED":
        return _generated(cursor, column)
    if word == "PRIMARY":
        cursor.eat("KEY")
        into.keys.append(Key((column.name,), "primary", given, (column.name,)))
        return replace(column, nullable=False)
    if word == "UNIQUE":
        distinct = _nulls_distinct(cursor)
        into.keys.append(Key((column.name,), "unique", given, (column.name,), nulls_distinct=distinct))
    elif word == "REFERENCES":
        into.foreign_keys.append(references(cursor, (column.name,), given))
    elif word == "CHECK":
        into.constraints.append(Constraint(given, "check", cursor.group_text()))
    elif word in {"COLLATE", "STORAGE", "COMPRESSION"}:
        cursor.name()
    elif word in {"OPTIONS", "WITH"}:
        cursor.skip_group()
    return column


def _expression(cursor: Cursor) -> str:
    """Read an expression up to the next column constraint."""
    first = cursor.at
    while not cursor.done:
        word = cursor.word()
        if word in _COLUMN_WORDS and cursor.at > first and not _goes_on(cursor, word):
            break
        if cursor.is_kind(TokenType.L_PAREN) or cursor.is_kind(TokenType.L_BRACKET):
            cursor.skip_group()
        else:
            cursor.at += 1
    return cursor.flat_since(first)


def _goes_on(cursor: Cursor, word: str) -> bool:
    """Say whether a word that may begin a constraint belongs to the expression (IS NOT NULL)."""
    return word in {"NOT", "NULL"} and cursor.word(-1) in {"IS", "NOT"} and word != "DEFAULT"


def _generated(cursor: Cursor, column: Column) -> Column:
    always = cursor.eat("ALWAYS")
    if not always:
        cursor.expect("BY", "DEFAULT")
    cursor.expect("AS")
    if cursor.eat("IDENTITY"):
        if cursor.is_kind(TokenType.L_PAREN):
            cursor.skip_group()
        return replace(column, identity="always" if always else "by default", nullable=False)
    text = cursor.group_text()
    cursor.eat("STORED")
    cursor.eat("VIRTUAL")
    return replace(column, default=" ".join(text.split()), generated=True)


def _nulls_distinct(cursor: Cursor) -> bool:
    if cursor.eat("NULLS", "NOT", "DISTINCT"):
        return False
    cursor.eat("NULLS", "DISTINCT")
    return True


_ACTION_WORDS = {"CASCADE", "RESTRICT", "SET", "NO"}


def references(cursor: Cursor, columns: tuple[str, ...], given: str) -> ForeignKey:
    """Read what follows REFERENCES."""
    key = ForeignKey(columns, dotted(cursor.name()), name=given)
    if cursor.is_kind(TokenType.L_PAREN):
        key = replace(key, target_columns=names_in(cursor))
    while not cursor.done:
        if cursor.eat("ON", "DELETE"):
            action, set_columns = _action(cursor)
            key = replace(key, on_delete=action, set_columns=set_columns)
        elif cursor.eat("ON", "UPDATE"):
            key = replace(key, on_update=_action(cursor)[0])
        elif cursor.eat("MATCH"):
            key = replace(key, match_full=cursor.identifier() == "full")
        elif cursor.eat("NOT", "VALID"):
            key = replace(key, validated=False)
        elif cursor.eat("DEFERRABLE"):
            key = replace(key, deferrable=True)
        elif not (cursor.eat("NOT", "DEFERRABLE") or _initially(cursor)):
            break
    return key


def _initially(cursor: Cursor) -> bool:
    if cursor.eat("NOT", "ENFORCED") or cursor.eat("ENFORCED"):
        return True
    return cursor.eat("INITIALLY", "DEFERRED") or cursor.eat("INITIALLY", "IMMEDIATE")


def _action(cursor: Cursor) -> tuple[str, tuple[str, ...]]:
    """Read a referential action, as PostgreSQL keeps it: NO ACTION is none."""
    if cursor.eat("NO", "ACTION"):
        return "", ()
    if cursor.eat("SET"):
        action = "SET " + cursor.identifier().upper()
        return action, names_in(cursor) if cursor.is_kind(TokenType.L_PAREN) else ()
    return cursor.identifier().upper(), ()


def names_in(cursor: Cursor) -> tuple[str, ...]:
    """Read a list of columns in parentheses."""
    return tuple(element.identifier() for element in cursor.elements())


def table_constraint(cursor: Cursor, into: Elements) -> None:
    """Read a table constraint into `into`."""
    given = cursor.identifier() if cursor.eat("CONSTRAINT") else ""
    if cursor.eat("PRIMARY", "KEY"):
        _key(cursor, "primary", given, into)
    elif cursor.eat("UNIQUE"):
        _key(cursor, "unique", given, into)
    elif cursor.eat("FOREIGN", "KEY"):
        columns = names_in(cursor)
        cursor.expect("REFERENCES")
        into.foreign_keys.append(references(cursor, columns, given))
    elif cursor.eat("CHECK"):
        into.constraints.append(Constraint(given, "check", cursor.group_text()))
    elif cursor.eat("EXCLUDE"):
        into.constraints.append(_exclusion(cursor, given))
    elif not cursor.eat("NOT", "NULL"):
        raise ValueError("expected a constraint")


def _key(cursor: Cursor, kind: Literal["primary", "unique"], given: str, into: Elements) -> None:
    distinct = _nulls_distinct(cursor)
    if cursor.eat("USING", "INDEX"):
        into.index = cursor.identifier()
        into.keys.append(Key((), kind, given))
        return
    columns = names_in(cursor)
    into.keys.append(Key(columns, kind, given, columns, nulls_distinct=distinct))


def _exclusion(cursor: Cursor, given: str) -> Constraint:
    first = cursor.at - 1
    if cursor.eat("USING"):
        cursor.identifier()
    columns = [element.identifier() for element in cursor.elements() if element.word(1) == "WITH"]
    cursor.skip_to("DEFERRABLE", "INITIALLY", "NOT")
    return Constraint(given, "exclusion", cursor.flat_since(first), tuple(columns))


@dataclass(frozen=True)
class IndexPart:
    """One part of an index: a column, or an expression; its operator class if one is named."""

    text: str
    column: str | None
    operator_class: str = ""


def index_part(cursor: Cursor) -> IndexPart:
    """Read one element of an index's column list."""
    first = cursor.tokens[0]
    if first.token_type is TokenType.L_PAREN:
        text = cursor.group_text()
        return IndexPart(f"({text})", None, _operator_class(cursor))
    name = cursor.name()
    if cursor.is_kind(TokenType.L_PAREN):
        cursor.skip_group()
        return IndexPart(cursor.flat_since(0), None, _operator_class(cursor))
    return IndexPart(name[-1], name[-1], _operator_class(cursor))


def _operator_class(cursor: Cursor) -> str:
    if cursor.eat("COLLATE"):
        cursor.name()
    if cursor.done or cursor.word() in _SORTING:
        return ""
    return cursor.name()[-1]


def index_key(cursor: Cursor, *, unique: bool) -> Key:
    """Read an index from its name (or ON) to its end; the table's name was read by `cursor.name`."""
    method = cursor.identifier() if cursor.eat("USING") else "btree"
    parts = [index_part(element) for element in cursor.elements()]
    if cursor.eat("INCLUDE"):
        cursor.skip_group()
    distinct = _nulls_distinct(cursor)
    predicate = flat(_where(cursor), cursor.script) if cursor.skip_to("WHERE") else None
    return Key(
        tuple(part.column for part in parts if part.column is not None),
        "unique" if unique else "index",
        "",
        tuple(part.text for part in parts),
        method,
        tuple(part.operator_class for part in parts),
        predicate,
        nulls_distinct=distinct,
    )


def _where(cursor: Cursor) -> list[Token]:
    cursor.at += 1
    return cursor.rest()
