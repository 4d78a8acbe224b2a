"""Columns, constraints and index parts, read from tokens (PostgreSQL manual, CREATE TABLE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lint.catalogue import Column, Constraint, ForeignKey, Key
from lint.copying import replace
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
        if not primary:
            return tuple(self.columns)
        return tuple(
            replace(column, nullable=False) if column.name in primary else column for column in self.columns
        )


def column_definition(cursor: Cursor, into: Elements) -> None:
    """Read `name type constraint…` into `into`."""
    name = cursor.identifier()
    kind = "" if cursor.done or _begins_constraint(cursor) else read_type(cursor)
    draft = _Draft(name, kind)
    if kind in SERIALS:
        draft.type, draft.nullable, draft.default = SERIALS[kind], False, "nextval()"
    _column_constraints(cursor, draft, into)


def untyped_column(cursor: Cursor, name: str, into: Elements) -> None:
    """Read the constraints of a column that has its type from elsewhere into `into`."""
    _column_constraints(cursor, _Draft(name, ""), into)


def _begins_constraint(cursor: Cursor) -> bool:
    """Say whether a column's constraint begins here; `storage.x` is a type of a schema named so."""
    return cursor.word() in _COLUMN_WORDS and cursor.word(1) != "."


@dataclass
class _Draft:
    """A column while its constraints are read."""

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    generated: bool = False
    identity: Literal["always", "by default"] | None = None


def _column_constraints(cursor: Cursor, draft: _Draft, into: Elements) -> None:
    given = ""
    while not cursor.done:
        if cursor.eat("CONSTRAINT"):
            given = cursor.identifier()
            continue
        _column_constraint(cursor, draft, given, into)
        given = ""
    into.columns.append(
        Column(draft.name, draft.type, draft.nullable, draft.default, draft.generated, draft.identity)
    )


def _column_constraint(cursor: Cursor, draft: _Draft, given: str, into: Elements) -> None:
    """Read one constraint of a column into its draft, or into `into`."""
    word = cursor.word()
    cursor.at += 1
    if word == "NOT" and cursor.eat("NULL"):
        draft.nullable = False
    elif word == "DEFAULT":
        draft.default = stored_default(_expression(cursor), draft.type)
    elif word == "PRIMARY":
        cursor.eat("KEY")
        into.keys.append(Key((draft.name,), "primary", given, (draft.name,)))
        draft.nullable = False
    elif word == "REFERENCES":
        into.foreign_keys.append(references(cursor, (draft.name,), given))
    elif word == "UNIQUE":
        distinct = _nulls_distinct(cursor)
        into.keys.append(Key((draft.name,), "unique", given, (draft.name,), nulls_distinct=distinct))
    elif word == "CHECK":
        into.constraints.append(Constraint(given, "check", cursor.group_text()))
    elif word == "GENERATED":
        _generated(cursor, draft)
    elif word in {"COLLATE", "STORAGE", "COMPRESSION"}:
        cursor.name()
    elif word in {"OPTIONS", "WITH"}:
        cursor.skip_group()


def _expression(cursor: Cursor) -> str:
    """Read an expression up to the next column constraint."""
    first = cursor.at
    while not cursor.done:
        word = cursor.word()
        if word in _COLUMN_WORDS and cursor.at > first and not _goes_on(cursor, word):
            break
        if cursor.word() == "(" or cursor.word() == "[":
            cursor.skip_group()
        else:
            cursor.at += 1
    return cursor.flat_since(first)


def stored_default(text: str, kind: str = "") -> str | None:
    """Return a default as PostgreSQL keeps it: NULL is none, but where a length has to be applied."""
    is_null = text.upper() == "NULL" or text.upper().startswith("NULL::")
    return None if is_null and "(" not in kind else text


def _goes_on(cursor: Cursor, word: str) -> bool:
    """Say whether a word that may begin a constraint belongs to the expression (IS NOT NULL)."""
    return word in {"NOT", "NULL"} and cursor.word(-1) in {"IS", "NOT"} and word != "DEFAULT"


def _generated(cursor: Cursor, draft: _Draft) -> None:
    always = cursor.eat("ALWAYS")
    if not always:
        cursor.expect("BY", "DEFAULT")
    cursor.expect("AS")
    if cursor.eat("IDENTITY"):
        if cursor.word() == "(":
            cursor.skip_group()
        draft.identity, draft.nullable = ("always" if always else "by default"), False
        return
    draft.default, draft.generated = " ".join(cursor.group_text().split()), True
    cursor.eat("STORED")
    cursor.eat("VIRTUAL")


def _nulls_distinct(cursor: Cursor) -> bool:
    if cursor.eat("NULLS", "NOT", "DISTINCT"):
        return False
    cursor.eat("NULLS", "DISTINCT")
    return True


def references(cursor: Cursor, columns: tuple[str, ...], given: str) -> ForeignKey:
    """Read what follows REFERENCES."""
    target = dotted(cursor.name())
    target_columns = names_in(cursor) if cursor.word() == "(" else ()
    on_delete, on_update = "", ""
    set_columns: tuple[str, ...] = ()
    match_full, validated, deferrable = False, True, False
    while not cursor.done:
        if cursor.eat("ON", "DELETE"):
            on_delete, set_columns = _action(cursor)
        elif cursor.eat("ON", "UPDATE"):
            on_update = _action(cursor)[0]
        elif cursor.eat("MATCH"):
            match_full = cursor.identifier() == "full"
        elif cursor.eat("NOT", "VALID"):
            validated = False
        elif cursor.eat("DEFERRABLE"):
            deferrable = True
        elif not (cursor.eat("NOT", "DEFERRABLE") or _initially(cursor)):
            break
    return ForeignKey(
        columns,
        target,
        target_columns,
        on_delete,
        given,
        on_update,
        set_columns,
        match_full,
        deferrable,
        validated,
    )


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
        return action, names_in(cursor) if cursor.word() == "(" else ()
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
    first = cursor.at
    if cursor.word() == "(":
        text = cursor.group_text()
        inner = cursor.window(first + 1, cursor.at - 1)
        if inner.left == 1 or inner.word(1) == "COLLATE":  # a column all the same
            column = inner.identifier()
            return IndexPart(column, column, _operator_class(cursor))
        return IndexPart(f"({text})", None, _operator_class(cursor))
    name = cursor.name()
    if cursor.word() == "(":
        cursor.skip_group()
        return IndexPart(cursor.flat_since(first), None, _operator_class(cursor))
    return IndexPart(name[-1], name[-1], _operator_class(cursor))


def _operator_class(cursor: Cursor) -> str:
    if cursor.eat("COLLATE"):
        cursor.name()
    if cursor.done or cursor.word() in _SORTING:
        return ""
    return cursor.name()[-1]


def index_key(cursor: Cursor, name: str, *, unique: bool) -> Key:
    """Read an index from its name (or ON) to its end; the table's name was read by `cursor.name`."""
    method = cursor.identifier() if cursor.eat("USING") else "btree"
    parts = [index_part(element) for element in cursor.elements()]
    if cursor.eat("INCLUDE"):
        cursor.skip_group()
    distinct = _nulls_distinct(cursor)
    predicate = _where(cursor) if cursor.skip_to("WHERE") else None
    return Key(
        tuple(part.column for part in parts if part.column is not None),
        "unique" if unique else "index",
        name,
        tuple(part.text for part in parts),
        method,
        tuple(part.operator_class for part in parts),
        predicate,
        nulls_distinct=distinct,
    )


def _where(cursor: Cursor) -> str:
    cursor.at += 1
    return cursor.flat_rest()
