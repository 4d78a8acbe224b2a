"""What a SELECT reads and what its columns are called, from its tokens alone.

Relations stand behind FROM and JOIN, and behind commas in a FROM list. Names of columns follow
`FigureColname` in PostgreSQL's parse_target.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.history import facts
from lint.history.lexical import fold, is_name, is_string
from lint.history.sql import split_commas

if TYPE_CHECKING:
    from lint.history.facts import Name
    from lint.history.sql import Cursor


_FROM_ENDS = frozenset(
    {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "UNION", "INTERSECT"}
    | {"EXCEPT", "RETURNING", "ON", "SELECT", "SET", "VALUES"}
)
_NOT_ALIASES = _FROM_ENDS | {
    "JOIN",
    "LEFT",
    "RIGHT",
    "FULL",
    "INNER",
    "CROSS",
    "NATURAL",
    "USING",
    "TABLESAMPLE",
}
_QUERIES = frozenset({"SELECT", "WITH", "VALUES"})
_BEFORE_COMMON_TABLE = frozenset({"WITH", "RECURSIVE", ","})
_FUNCTIONS_WITH_FROM = frozenset({"TRIM", "EXTRACT", "SUBSTRING", "OVERLAY", "POSITION"})


def read_query(cursor: Cursor) -> facts.Query:
    """Read a SELECT from the cursor to its end, with parentheses around it or not."""
    return facts.Query(cursor.rest_source(), *_read(cursor))


def relations_in(cursor: Cursor) -> tuple[Name, ...]:
    """Return the relations that a statement reads from the cursor on."""
    return _read(cursor)[0]


def _read(cursor: Cursor) -> tuple[tuple[Name, ...], tuple[facts.Output, ...], dict[str, Name]]:
    whole = cursor.window(cursor.at, cursor.end)
    if whole.eat("TABLE"):
        whole.eat("ONLY")
        name = whole.name()
        return (name,), (facts.Output(star=True),), {name[-1]: name}
    reading = _Reading(cursor.window(cursor.at, cursor.end))
    reading.run()
    return tuple(dict.fromkeys(reading.reads)), _outputs(cursor), reading.aliases


class _Reading:
    """One pass over the tokens of a query; names of WITH queries are no relations."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.reads: list[Name] = []
        self.aliases: dict[str, Name] = {}
        self.own = _names_of_with(cursor)
        #: For each open parenthesis, the word before it.
        self.openings: list[str] = []

    def run(self) -> None:
        cursor = self.cursor
        while not cursor.done:
            word = cursor.words[cursor.at]
            if word == "(":
                self.openings.append(cursor.word(-1))
            elif word == ")" and self.openings:
                self.openings.pop()
            cursor.at += 1
            if word == "JOIN" or (word == "FROM" and self._begins_a_list()):
                self._list()

    def _begins_a_list(self) -> bool:
        if self.cursor.word(-2) == "DISTINCT" and self.cursor.word(-3) in {"IS", "NOT"}:
            return False
        return not self.openings or self.openings[-1] not in _FUNCTIONS_WITH_FROM

    def _list(self) -> None:
        """Read relations separated by commas; a parenthesis is left to the main pass."""
        while self._relation() and self.cursor.eat(","):
            pass

    def _relation(self) -> bool:
        cursor = self.cursor
        cursor.eat("ONLY")
        cursor.eat("LATERAL")
        while cursor.word() == "(" and _is_relation_list(cursor):
            self.openings.append("FROM")
            cursor.at += 1
        if cursor.word() == "(":
            return self._subquery()
        if cursor.done or not is_name(cursor.text):
            return False
        name = cursor.name()
        if cursor.word() == "(":
            return self._function()
        cursor.eat("*")
        alias = self._alias()
        if len(name) > 1 or name[0] not in self.own:
            self.reads.append(name)
            self.aliases[alias or name[-1]] = name
        return True

    def _subquery(self) -> bool:
        """Read `(SELECT …) alias`, whose own relations are relations of the whole."""
        first = self.cursor.at
        self.cursor.skip_group()
        inner = _Reading(self.cursor.window(first + 1, self.cursor.at - 1))
        inner.own |= self.own
        inner.run()
        self.reads.extend(inner.reads)
        self._alias()
        return True

    def _function(self) -> bool:
        first = self.cursor.at
        self.cursor.skip_group()
        inner = _Reading(self.cursor.window(first + 1, self.cursor.at - 1))
        inner.own |= self.own
        inner.run()
        self.reads.extend(inner.reads)
        if self.cursor.eat("WITH", "ORDINALITY"):
            pass
        self._alias()
        return True

    def _alias(self) -> str:
        cursor, alias = self.cursor, ""
        if cursor.eat("AS") or (not cursor.done and self._is_alias()):
            alias = "" if cursor.word() == "(" else cursor.identifier()
            if cursor.word() == "(":
                cursor.skip_group()
        return alias

    def _is_alias(self) -> bool:
        return is_name(self.cursor.text) and self.cursor.word() not in _NOT_ALIASES


def _is_relation_list(cursor: Cursor) -> bool:
    """Say whether a parenthesis holds relations, not a query."""
    word = cursor.word(1)
    return bool(word) and word not in _QUERIES and not is_string(cursor.texts[cursor.at + 1])


def _names_of_with(cursor: Cursor) -> set[str]:
    """Return the names of WITH queries: `name [(columns)] AS [NOT] [MATERIALIZED] (`."""
    words = cursor.words[cursor.first : cursor.end]
    if "WITH" not in words:
        return set()
    found = set()
    for at, word in enumerate(words, cursor.first + 1):
        if word in _BEFORE_COMMON_TABLE and _is_common_table(cursor.window(at, cursor.end)):
            found.add(fold(cursor.texts[at]))
    return found


def _is_common_table(cursor: Cursor) -> bool:
    if cursor.done or not is_name(cursor.text) or cursor.word() == "RECURSIVE":
        return False
    cursor.at += 1
    try:
        if cursor.word() == "(":
            cursor.skip_group()
    except IndexError:
        return False
    if not cursor.eat("AS"):
        return False
    cursor.eat("NOT")
    cursor.eat("MATERIALIZED")
    return cursor.word() == "("


def _outputs(query: Cursor) -> tuple[facts.Output, ...]:
    """Return the columns of the outermost select list, () when it cannot be told."""
    cursor = query.window(query.at, query.end)
    while cursor.eat("("):
        pass
    if cursor.word() == "WITH" and not _skip_with(cursor):
        return ()
    if not cursor.eat("SELECT"):
        return ()
    if cursor.eat("DISTINCT") and cursor.eat("ON"):
        cursor.skip_group()
    cursor.eat("ALL")
    first = cursor.at
    cursor.skip_to("FROM", "WHERE", "UNION", "LIMIT", "ORDER", "INTO")
    return tuple(_output(run) for run in split_commas(cursor.texts[first : cursor.at]))


def _skip_with(cursor: Cursor) -> bool:
    """Step over WITH queries to the SELECT behind them."""
    return cursor.skip_to("SELECT")


def _output(tokens: list[str]) -> facts.Output:
    last = tokens[-1]
    if last == "*":
        return facts.Output(star=True, of=fold(tokens[-3]) if len(tokens) > 2 else "")
    name = _leading_name(tokens)
    behind = tokens[len(name) :]
    is_column = not behind or (len(behind) == 1 and is_name(last)) or behind[0].upper() == "AS"
    column = fold(name[-1]) if name and is_column else ""
    if len(tokens) > 1 and is_name(last) and tokens[-2] != "::":
        return facts.Output(fold(last), column=column)
    return facts.Output(_figured(tokens), column=column)


def _figured(tokens: list[str]) -> str:
    """Return the name PostgreSQL gives an expression without an alias."""
    first = tokens[0]
    if first.upper() == "CASE":
        return "case"
    if len(tokens) == 1:
        return fold(first) if is_name(first) and first.upper() != "NULL" else "?column?"
    name = _leading_name(tokens)[::2]
    if name and tokens[len(name) * 2 - 1 :][:1] in (["("], ["::"]):
        return fold(name[-1])
    cast = [at for at, text in enumerate(tokens) if text == "::"]
    return fold(tokens[cast[-1] + 1]) if cast and not name and cast[-1] + 1 < len(tokens) else "?column?"


def _leading_name(tokens: list[str]) -> list[str]:
    found: list[str] = []
    for at, text in enumerate(tokens):
        expected_dot = at % 2 == 1
        if expected_dot != (text == ".") or not (expected_dot or is_name(text)):
            break
        found.append(text)
    return found


def output_name(tokens: list[str]) -> str:
    """Return the name of one item of a select list."""
    return _output(tokens).name
