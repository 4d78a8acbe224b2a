"""CREATE TABLE and ALTER TABLE, read from tokens (PostgreSQL manual, part VI).

Only what a rule needs is read: columns with nullability, keys, foreign keys, partitioning, owner
and row security. Everything else in these statements is stepped over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot.tokenizer_core import TokenType

from lint.catalogue import Column, ForeignKey, Key
from lint.history import facts
from lint.history.sql import Cursor, Statement, split_commas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lint.history.facts import Fact, Name

_TABLE_WORDS = frozenset({"TEMP", "TEMPORARY", "UNLOGGED", "GLOBAL", "LOCAL", "FOREIGN"})
_CONSTRAINT_WORDS = frozenset({"CONSTRAINT", "PRIMARY KEY", "PRIMARY", "UNIQUE", "CHECK", "EXCLUDE"})
_CONSTRAINT_WORDS |= {"FOREIGN KEY", "FOREIGN", "LIKE"}
_COLUMN_WORDS = frozenset(
    {"NOT", "NULL", "DEFAULT", "PRIMARY KEY", "PRIMARY", "UNIQUE", "REFERENCES", "CHECK"}
    | {"CONSTRAINT", "GENERATED", "COLLATE", "STORAGE", "COMPRESSION", "DEFERRABLE"}
)
_ROW_SECURITY: tuple[tuple[tuple[str, ...], bool | None, bool | None], ...] = (
    (("ENABLE", "ROW", "LEVEL", "SECURITY"), True, None),
    (("DISABLE", "ROW", "LEVEL", "SECURITY"), False, None),
    (("NO", "FORCE", "ROW", "LEVEL", "SECURITY"), None, False),
    (("FORCE", "ROW", "LEVEL", "SECURITY"), None, True),
)


def _norm(word: str) -> str:
    return " ".join(word.split())


def dotted(name: Name) -> str:
    """Join a name for a reference that is resolved later."""
    return ".".join(name)


def create_table(cursor: Cursor) -> list[Fact]:
    """Read CREATE TABLE with the cursor after CREATE; temporary tables are nobody's leak."""
    temporary = False
    while cursor.word() in _TABLE_WORDS:
        temporary |= cursor.word() in {"TEMP", "TEMPORARY"}
        cursor.at += 1
    cursor.expect("TABLE")
    if_not_exists = cursor.eat("IF", "NOT", "EXISTS")
    name = cursor.name()
    if temporary:
        return []
    parent = cursor.name() if cursor.eat("PARTITION", "OF") else None
    body = _Body(name)
    if cursor.is_kind(TokenType.L_PAREN):
        for element in cursor.group_elements():
            body.element(Cursor(element))
    if cursor.eat("INHERITS"):
        body.like.extend(Cursor(element).name() for element in cursor.group_elements())
    return [body.fact(parent, if_not_exists=if_not_exists)]


class _Body:
    """The elements of a CREATE TABLE, gathered one by one."""

    def __init__(self, name: Name) -> None:
        self.name = name
        self.columns: list[Column] = []
        self.keys: list[Key] = []
        self.foreign_keys: list[ForeignKey] = []
        self.like: list[Name] = []

    def element(self, cursor: Cursor) -> None:
        word = _norm(cursor.word())
        if word == "LIKE":
            cursor.at += 1
            self.like.append(cursor.name())
        elif word in _CONSTRAINT_WORDS:
            keys, foreign = table_constraint(cursor)
            self.keys.extend(keys)
            self.foreign_keys.extend(foreign)
        else:
            column, keys, foreign = column_definition(cursor)
            self.columns.append(column)
            self.keys.extend(keys)
            self.foreign_keys.extend(foreign)

    def fact(self, parent: Name | None, *, if_not_exists: bool) -> facts.CreateTable:
        primary = {name for key in self.keys if key.kind == "primary" for name in key.columns}
        columns = (
            Column(column.name, column.type, nullable=False) if column.name in primary else column
            for column in self.columns
        )
        return facts.CreateTable(
            self.name,
            tuple(columns),
            tuple(self.keys),
            tuple(self.foreign_keys),
            parent,
            tuple(self.like),
            if_not_exists,
        )


def column_definition(cursor: Cursor) -> tuple[Column, list[Key], list[ForeignKey]]:
    """Read `name type constraint…`, giving the column and the keys written on it."""
    name = cursor.identifier()
    kind = _type_text(cursor)
    nullable = True
    keys: list[Key] = []
    foreign: list[ForeignKey] = []
    while not cursor.done:
        word = _norm(cursor.word())
        if cursor.is_kind(TokenType.L_PAREN):
            cursor.skip_group()
            continue
        cursor.at += 1
        if word == "NOT" and cursor.word() == "NULL":
            nullable = False
        elif word in {"PRIMARY KEY", "PRIMARY"}:
            nullable = False
            keys.append(Key((name,), "primary"))
        elif word == "UNIQUE":
            keys.append(Key((name,), "unique"))
        elif word == "REFERENCES":
            foreign.append(_references(cursor, (name,)))
    return Column(name, kind, nullable), keys, foreign


def _type_text(cursor: Cursor) -> str:
    first = cursor.at
    while not cursor.done and _norm(cursor.word()) not in _COLUMN_WORDS:
        if cursor.is_kind(TokenType.L_PAREN):
            cursor.skip_group()
        else:
            cursor.at += 1
    if first == cursor.at:
        return ""
    tokens = cursor.tokens[first : cursor.at]
    return " ".join(cursor.script.text[tokens[0].start : tokens[-1].end + 1].split()).lower()


def _references(cursor: Cursor, columns: tuple[str, ...]) -> ForeignKey:
    target = cursor.name()
    target_columns: tuple[str, ...] = ()
    if cursor.is_kind(TokenType.L_PAREN):
        target_columns = _column_list(cursor)
    on_delete = ""
    while not cursor.done and _norm(cursor.word()) not in (_COLUMN_WORDS - {"NOT"}):
        if cursor.eat("ON", "DELETE"):
            on_delete = f"{cursor.word()} {cursor.word(1)}".strip()
            cursor.at += 2 if cursor.word() in {"SET", "NO"} else 1
        else:
            cursor.at += 1
    return ForeignKey(columns, dotted(target), target_columns, on_delete)


def _column_list(cursor: Cursor) -> tuple[str, ...]:
    """Read the columns of a key; an expression has no name and is left out."""
    found = []
    for element in cursor.group_elements():
        first = Cursor(element)
        name = first.identifier()
        if not first.is_kind(TokenType.L_PAREN):
            found.append(name)
    return tuple(found)


def table_constraint(cursor: Cursor) -> tuple[list[Key], list[ForeignKey]]:
    """Read a table constraint; CHECK and EXCLUDE give nothing a rule reads."""
    name = cursor.identifier() if cursor.eat("CONSTRAINT") else ""
    word = _norm(cursor.word())
    cursor.at += 1
    if word in {"PRIMARY", "FOREIGN"}:
        cursor.expect("KEY")
    if word in {"PRIMARY KEY", "PRIMARY"} and cursor.is_kind(TokenType.L_PAREN):
        return [Key(_column_list(cursor), "primary", name)], []
    if word == "UNIQUE":
        while not cursor.is_kind(TokenType.L_PAREN) and not cursor.done:
            cursor.at += 1
        return ([] if cursor.done else [Key(_column_list(cursor), "unique", name)]), []
    if word in {"FOREIGN KEY", "FOREIGN"}:
        columns = _column_list(cursor)
        cursor.expect("REFERENCES")
        return [], [_references(cursor, columns)]
    return [], []


def alter_table(cursor: Cursor) -> list[Fact]:
    """Read ALTER TABLE with the cursor after ALTER [FOREIGN] TABLE: one fact for each action."""
    cursor.eat("IF", "EXISTS")
    cursor.eat("ONLY")
    name = cursor.name()
    cursor.take(TokenType.STAR)
    found: list[Fact] = []
    for action in split_commas(cursor.rest()):
        found.extend(_action(Cursor(Statement(action, cursor.script)), name))
    return found


def _action(cursor: Cursor, name: Name) -> Iterator[Fact]:
    for words, enabled, forced in _ROW_SECURITY:
        if cursor.eat(*words):
            yield facts.RowSecurityChange(name, enabled, forced)
            return
    word = _norm(cursor.word())
    read = _ACTIONS.get(word)
    if read is not None:
        cursor.at += 1
        yield from read(cursor, name)


def _add(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if _norm(cursor.word()) in _CONSTRAINT_WORDS:
        keys, foreign = table_constraint(cursor)
        if _is_not_valid(cursor):
            foreign = [replace(key, validated=False) for key in foreign]
        yield facts.AddConstraint(name, tuple(keys), tuple(foreign))
        return
    cursor.eat("COLUMN")
    cursor.eat("IF", "NOT", "EXISTS")
    column, keys, foreign = column_definition(cursor)
    yield facts.AddColumn(name, column, tuple(keys), tuple(foreign))


def _is_not_valid(cursor: Cursor) -> bool:
    return [token.text.upper() for token in cursor.tokens[-2:]] == ["NOT", "VALID"]


def _drop(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("CONSTRAINT"):
        return
    cursor.eat("COLUMN")
    cursor.eat("IF", "EXISTS")
    yield facts.DropColumn(name, cursor.identifier())


def _alter(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("CONSTRAINT"):
        return
    cursor.eat("COLUMN")
    column = cursor.identifier()
    if cursor.eat("SET", "NOT", "NULL"):
        yield facts.SetNullable(name, column, nullable=False)
    elif cursor.eat("DROP", "NOT", "NULL"):
        yield facts.SetNullable(name, column, nullable=True)


def _rename(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("TO"):
        yield facts.RenameTable(name, cursor.identifier())
    elif not cursor.eat("CONSTRAINT"):
        cursor.eat("COLUMN")
        column = cursor.identifier()
        cursor.expect("TO")
        yield facts.RenameColumn(name, column, cursor.identifier())


def _attach(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("PARTITION"):
        yield facts.SetParent(cursor.name(), name)


def _detach(cursor: Cursor, name: Name) -> Iterator[Fact]:
    del name
    if cursor.eat("PARTITION"):
        yield facts.SetParent(cursor.name(), None)


def _owner(cursor: Cursor, name: Name) -> Iterator[Fact]:
    cursor.expect("TO")
    yield facts.SetOwner(name, cursor.identifier())


def _set(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("SCHEMA"):
        yield facts.SetSchema(name, cursor.identifier())


_ACTIONS: dict[str, Callable[[Cursor, Name], Iterator[Fact]]] = {
    "ADD": _add,
    "DROP": _drop,
    "ALTER": _alter,
    "RENAME": _rename,
    "ATTACH": _attach,
    "DETACH": _detach,
    "OWNER": _owner,
    "SET": _set,
}
