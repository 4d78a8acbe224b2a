"""Which tables a piece of SQL reads and writes, by the tokens of its statements.

Names of common table expressions, functions in FROM and what `EXTRACT(… FROM …)` names are no
tables. PostgreSQL manual: SELECT (FROM clause), INSERT, UPDATE, DELETE, MERGE, COPY, TRUNCATE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lint.errors import SqlUnreadableError
from lint.history.lexical import is_name
from lint.history.sql import Cursor, Script, Statement, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

AccessCommand = Literal["select", "insert", "update", "delete", "other"]

#: Statements that touch rows; anything else (DDL, grants) is the history's business.
_TOUCHES_ROWS = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "TRUNCATE"})
#: What ends a FROM list at its own depth of parentheses.
_ENDS_FROM = frozenset(
    {"WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "OFFSET", "FETCH", "UNION"}
    | {"INTERSECT", "EXCEPT", "WINDOW", "FOR", "SET", "RETURNING", "SELECT", "VALUES", "WHEN"}
)
_NOT_A_NAME = frozenset({"SELECT", "VALUES", "WITH", "UNNEST", "LATERAL", "ROWS", "STDIN", "STDOUT"})
#: Statements read of one text; no program writes more into a string.
_MOST_STATEMENTS = 200


@dataclass(frozen=True, slots=True)
class TableUse:
    """One table named in SQL, as "schema.name" or bare, and what is done with its rows."""

    table: str
    command: AccessCommand


def table_uses(sql: str) -> tuple[TableUse, ...]:
    """Return the tables of SQL text in the order written, each use once; () when it is no SQL."""
    found: dict[TableUse, None] = {}
    try:
        for number, statement in enumerate(statements(Script(sql))):
            if number >= _MOST_STATEMENTS:
                break
            found.update(dict.fromkeys(_Reading(statement).uses()))
    except SqlUnreadableError:
        return tuple(found)
    return tuple(found)


@dataclass(slots=True)
class _Level:
    """One depth of parentheses: is it a query, and does its FROM list go on?"""

    query: bool = False
    listing: bool = False
    #: What the tables of the list are subject to.
    command: AccessCommand = "select"


class _Reading:
    """The walk over one statement's tokens."""

    def __init__(self, statement: Statement) -> None:
        self.cursor = Cursor(statement)
        self.levels = [_Level()]
        self.common = frozenset(_common_names(statement))
        self.before = ("", "")

    def uses(self) -> Iterator[TableUse]:
        """Yield the uses; a statement that breaks off tells what stood before."""
        cursor = self.cursor
        while cursor.eat("("):
            pass
        if cursor.word() not in _TOUCHES_ROWS:
            return
        try:
            while not cursor.done:
                yield from self._step()
        except (IndexError, ValueError):
            return

    def _step(self) -> Iterator[TableUse]:
        cursor, level = self.cursor, self.levels[-1]
        word = cursor.word()
        before, self.before = self.before, (self.before[1], word)
        cursor.at += 1
        if word == "(":
            self.levels.append(_Level())
        elif word == ")":
            if len(self.levels) > 1:
                self.levels.pop()
        elif word == "FROM":
            if level.query and before[1] != "DISTINCT":
                level.listing = True
                yield from self._reference("select")
        elif word == "JOIN" or (word == "," and level.listing):
            yield from self._reference("select")
        elif word in _VERBS:
            yield from self._verb(word, before)
        elif word in _ENDS_FROM:
            level.listing = False
            level.query = level.query or word == "SELECT"

    def _verb(self, word: str, before: tuple[str, str]) -> Iterator[TableUse]:
        """Read the target of a statement's verb; in `FOR UPDATE` and `ON DELETE` it is none."""
        cursor, level = self.cursor, self.levels[-1]
        if before[1] in {"FOR", "ON", "THEN", "DO", "KEY", "BEFORE", "AFTER", "OR"}:
            return
        if word == "USING" and cursor.word() == "(" and cursor.word(1) != "SELECT":
            return  # the columns of a join
        level.query = True
        level.listing = word == "USING"
        if word == "COPY":
            yield from self._copy()
        elif word == "TRUNCATE":
            yield from self._targets("delete")
        elif word == "USING":
            yield from self._reference("select")
        elif all(cursor.eat(second) for second in _SECOND.get(word, ())):
            yield from self._reference(_COMMANDS[word])

    def _copy(self) -> Iterator[TableUse]:
        if self.cursor.word() == "(":
            return
        name = self.cursor.name()
        if self.cursor.word() == "(":
            self.cursor.skip_group()
        yield from self._named(name, "insert" if self.cursor.word() == "FROM" else "select")
        self.levels[-1].query = False

    def _targets(self, command: AccessCommand) -> Iterator[TableUse]:
        self.cursor.eat("TABLE")
        yield from self._reference(command)
        while self.cursor.eat(","):
            yield from self._reference(command)

    def _reference(self, command: AccessCommand) -> Iterator[TableUse]:
        """Read one table reference; a group of joins in parentheses is a list of its own."""
        cursor = self.cursor
        cursor.eat("LATERAL")
        cursor.eat("ONLY")
        while cursor.eat("("):
            self.levels.append(_Level(query=True, listing=True))
        if cursor.done or cursor.word() in _NOT_A_NAME or not is_name(cursor.text):
            return
        name = cursor.name()
        if cursor.word() == "(" and command == "select":
            return  # a function's rows
        self.before = ("", "")
        yield from self._named(name, command)

    def _named(self, name: tuple[str, ...], command: AccessCommand) -> Iterator[TableUse]:
        if len(name) > 1 or name[0] not in self.common:
            yield TableUse(".".join(name[-2:]), command)


_COMMANDS: dict[str, AccessCommand] = {
    "INSERT": "insert",
    "MERGE": "update",
    "UPDATE": "update",
    "DELETE": "delete",
}
_SECOND = {"INSERT": ("INTO",), "MERGE": ("INTO",), "DELETE": ("FROM",)}
_VERBS = frozenset({"INSERT", "MERGE", "UPDATE", "DELETE", "USING", "COPY", "TRUNCATE"})


def _common_names(statement: Statement) -> Iterator[str]:
    """Yield the names that `name [(…)] AS [NOT MATERIALIZED] (` gives to queries."""
    if "WITH" not in statement.words:
        return
    for at, word in enumerate(statement.words[:-1], 1):
        if word in {"WITH", "RECURSIVE", ","}:
            here = Cursor(statement, at)
            here.eat("RECURSIVE")
            name = _common_name(here)
            if name is not None:
                yield name


def _common_name(cursor: Cursor) -> str | None:
    try:
        name = cursor.identifier()
        if cursor.word() == "(":
            cursor.skip_group()
        if not cursor.eat("AS"):
            return None
        cursor.eat("NOT")
        cursor.eat("MATERIALIZED")
    except IndexError:
        return None
    return name if cursor.word() == "(" else None
