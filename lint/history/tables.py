"""CREATE TABLE and ALTER TABLE, read from tokens (PostgreSQL manual, part VI)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.history import facts
from lint.history.columns import (
    CONSTRAINT_WORDS,
    Elements,
    column_definition,
    stored_default,
    table_constraint,
    untyped_column,
)
from lint.history.queries import read_query
from lint.history.sql import Cursor
from lint.history.types import read_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lint.history.facts import Fact, Name

TABLE_WORDS = frozenset({"TEMP", "TEMPORARY", "UNLOGGED", "GLOBAL", "LOCAL", "FOREIGN"})
_ROW_SECURITY: tuple[tuple[tuple[str, ...], bool | None, bool | None], ...] = (
    (("ENABLE", "ROW", "LEVEL", "SECURITY"), True, None),
    (("DISABLE", "ROW", "LEVEL", "SECURITY"), False, None),
    (("NO", "FORCE", "ROW", "LEVEL", "SECURITY"), None, False),
    (("FORCE", "ROW", "LEVEL", "SECURITY"), None, True),
)
_SWITCHES = frozenset(words[0] for words, _, _ in _ROW_SECURITY)
_BOUND_ENDS = ("PARTITION", "USING", "WITH", "ON", "TABLESPACE", "SERVER")


def create_table(cursor: Cursor) -> list[Fact]:
    """Read CREATE TABLE with the cursor after CREATE; temporary tables are nobody's leak."""
    words: set[str] = set()
    while cursor.word() in TABLE_WORDS:
        words.add(cursor.word())
        cursor.at += 1
    cursor.expect("TABLE")
    if_not_exists = cursor.eat("IF", "NOT", "EXISTS")
    name = cursor.name()
    if words & {"TEMP", "TEMPORARY"} or name[0] == "pg_temp":
        return []
    parent, body = None, _Body()
    if cursor.eat("PARTITION", "OF"):
        parent = cursor.name()
    elif cursor.eat("OF"):
        cursor.name()
    if cursor.word() == "(":
        for element in cursor.elements():
            body.element(element)
    elif (
        parent is None
        and not cursor.done
        and cursor.word() not in {"AS", "USING", "WITH", "ON", "TABLESPACE"}
    ):
        raise ValueError(f"unexpected {cursor.text[:30]}")
    fact = facts.CreateTable(
        name,
        body.primary_not_null(),
        tuple(body.keys),
        tuple(body.foreign_keys),
        parent,
        tuple(body.like),
        if_not_exists,
        tuple(body.constraints),
        _inherits(cursor),
        _bound(cursor) if parent else None,
        _partition_key(cursor),
        "foreign" if "FOREIGN" in words else "table",
        "UNLOGGED" in words,
        _as_query(cursor),
    )
    return [fact]


class _Body(Elements):
    """The elements of a CREATE TABLE, LIKE among them."""

    def __init__(self) -> None:
        super().__init__()
        self.like: list[facts.Like] = []

    def element(self, cursor: Cursor) -> None:
        word = cursor.word()
        if word == "LIKE":
            self.like.append(_like(cursor))
        elif word in CONSTRAINT_WORDS:
            table_constraint(cursor, self)
        elif cursor.left == 1 or (cursor.word(1) == "WITH" and cursor.word(2) == "OPTIONS"):
            self._options(cursor)
        else:
            column_definition(cursor, self)

    def _options(self, cursor: Cursor) -> None:
        """Read a column that has its type from elsewhere (PARTITION OF, OF, CREATE TABLE AS)."""
        name = cursor.identifier()
        cursor.eat("WITH", "OPTIONS")
        untyped_column(cursor, name, self)


def _like(cursor: Cursor) -> facts.Like:
    cursor.at += 1
    name, including = cursor.name(), set[str]()
    while not cursor.done:
        excluded = cursor.eat("EXCLUDING")
        if not excluded:
            cursor.expect("INCLUDING")
        what = cursor.identifier()
        including = including - {what} if excluded else including | {what}
    return facts.Like(name, frozenset(including))


def _inherits(cursor: Cursor) -> tuple[Name, ...]:
    if not cursor.eat("INHERITS"):
        return ()
    return tuple(element.name() for element in cursor.elements())


def _bound(cursor: Cursor) -> str | None:
    """Read DEFAULT or FOR VALUES …, as `pg_get_expr` begins it."""
    if cursor.eat("DEFAULT"):
        return "DEFAULT"
    first = cursor.at
    if not cursor.eat("FOR", "VALUES"):
        return None
    cursor.eat("WITH")
    cursor.skip_to(*_BOUND_ENDS)
    return cursor.flat_since(first)


def _partition_key(cursor: Cursor) -> str | None:
    if not cursor.eat("PARTITION", "BY"):
        return None
    method = cursor.identifier().upper()
    return f"{method} ({' '.join(cursor.group_text().split())})"


def _as_query(cursor: Cursor) -> facts.Query | None:
    """Read the SELECT of CREATE TABLE … AS, None when there is none."""
    if not cursor.skip_to("AS"):
        return None
    cursor.at += 1
    return read_query(cursor)


def alter_table(cursor: Cursor) -> list[Fact]:
    """Read ALTER TABLE with the cursor after ALTER [FOREIGN] TABLE: one fact for each action."""
    if cursor.eat("ALL", "IN", "TABLESPACE"):
        return []
    cursor.eat("IF", "EXISTS")
    cursor.eat("ONLY")
    name = cursor.name()
    cursor.eat("*")
    found: list[Fact] = []
    for action in cursor.rest_elements():
        found.extend(_action(action, name))
    return found


def _action(cursor: Cursor, name: Name) -> Iterator[Fact]:
    word = cursor.word()
    if word in _SWITCHES:
        for words, enabled, forced in _ROW_SECURITY:
            if cursor.eat(*words):
                yield facts.RowSecurityChange(name, enabled, forced)
                return
    read = _ACTIONS.get(word)
    if read is not None:
        cursor.at += 1
        yield from read(cursor, name)


def _add(cursor: Cursor, name: Name) -> Iterator[Fact]:
    into = Elements()
    if cursor.word() in CONSTRAINT_WORDS:
        table_constraint(cursor, into)
        yield facts.AddConstraint(
            name, tuple(into.keys), tuple(into.foreign_keys), tuple(into.constraints), into.index
        )
        return
    cursor.eat("COLUMN")
    cursor.eat("IF", "NOT", "EXISTS")
    column_definition(cursor, into)
    yield facts.AddColumn(
        name, into.columns[0], tuple(into.keys), tuple(into.foreign_keys), tuple(into.constraints)
    )


def _drop(cursor: Cursor, name: Name) -> Iterator[Fact]:
    is_constraint = cursor.eat("CONSTRAINT")
    if not is_constraint:
        cursor.eat("COLUMN")
    cursor.eat("IF", "EXISTS")
    what = cursor.identifier()
    cascade = cursor.eat("CASCADE")
    if is_constraint:
        yield facts.DropConstraint(name, what, cascade)
    else:
        yield facts.DropColumn(name, what, cascade)


def _alter(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("CONSTRAINT"):
        constraint = cursor.identifier()
        deferrable = cursor.has("DEFERRABLE") and not cursor.has("NOT", "DEFERRABLE")
        yield facts.ChangeConstraint(name, constraint, deferrable=deferrable)
        return
    cursor.eat("COLUMN")
    column = cursor.identifier()
    if cursor.eat("SET", "NOT", "NULL"):
        yield facts.SetNullable(name, column, nullable=False)
    elif cursor.eat("DROP", "NOT", "NULL"):
        yield facts.SetNullable(name, column, nullable=True)
    else:
        changes = _column_changes(cursor)
        if changes:
            yield facts.ChangeColumn(name, column, changes)


def _column_changes(cursor: Cursor) -> dict[str, object]:
    """Read SET DEFAULT, TYPE, ADD GENERATED and their opposites as fields of a column."""
    if cursor.eat("SET", "DEFAULT"):
        return {"default": stored_default(cursor.flat_rest())}
    if cursor.eat("DROP", "DEFAULT"):
        return {"default": None}
    if cursor.eat("DROP", "EXPRESSION"):
        return {"default": None, "generated": False}
    if cursor.eat("DROP", "IDENTITY"):
        return {"identity": None}
    if cursor.eat("SET", "DATA", "TYPE") or cursor.eat("TYPE"):
        return {"type": read_type(cursor)}
    cursor.eat("ADD")
    cursor.eat("SET")
    if cursor.eat("GENERATED"):
        return {"identity": "always" if cursor.eat("ALWAYS") else "by default"}
    return {}


def _rename(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("TO"):
        yield facts.RenameTable(name, cursor.identifier())
        return
    is_constraint = cursor.eat("CONSTRAINT")
    if not is_constraint:
        cursor.eat("COLUMN")
    what = cursor.identifier()
    cursor.expect("TO")
    to = cursor.identifier()
    yield (facts.ChangeConstraint(name, what, to) if is_constraint else facts.RenameColumn(name, what, to))


def _attach(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("PARTITION"):
        child = cursor.name()
        yield facts.SetParent(child, name, _bound(cursor))


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


def _validate(cursor: Cursor, name: Name) -> Iterator[Fact]:
    cursor.expect("CONSTRAINT")
    yield facts.ChangeConstraint(name, cursor.identifier(), validated=True)


def _inherit(cursor: Cursor, name: Name) -> Iterator[Fact]:
    yield facts.SetInheritance(name, cursor.name())


def _no(cursor: Cursor, name: Name) -> Iterator[Fact]:
    if cursor.eat("INHERIT"):
        yield facts.SetInheritance(name, cursor.name(), stopped=True)


def _enable(cursor: Cursor, name: Name) -> Iterator[Fact]:
    cursor.eat("REPLICA")
    cursor.eat("ALWAYS")
    yield from _switch(cursor, name, enabled=True)


def _disable(cursor: Cursor, name: Name) -> Iterator[Fact]:
    yield from _switch(cursor, name, enabled=False)


def _switch(cursor: Cursor, name: Name, *, enabled: bool) -> Iterator[Fact]:
    if cursor.eat("TRIGGER"):
        every = cursor.word() in {"ALL", "USER"}
        yield facts.ChangeTrigger(name, None if every else cursor.identifier(), enabled=enabled)


_ACTIONS: dict[str, Callable[[Cursor, Name], Iterator[Fact]]] = {
    "ADD": _add,
    "DROP": _drop,
    "ALTER": _alter,
    "RENAME": _rename,
    "ATTACH": _attach,
    "DETACH": _detach,
    "OWNER": _owner,
    "SET": _set,
    "VALIDATE": _validate,
    "INHERIT": _inherit,
    "NO": _no,
    "ENABLE": _enable,
    "DISABLE": _disable,
}
