"""What a SELECT reads and what its columns are called, from its tokens alone.

Relations stand behind FROM and JOIN, and behind commas in a FROM list. Names of columns follow
`FigureColname` in PostgreSQL's parse_target.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot.tokenizer_core import Token

from lint.history import facts, kinds
from lint.history.sql import STRINGS, Cursor, Script, Statement, fold, source_of, split_commas

if TYPE_CHECKING:
    from lint.history.facts import Name


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
_FUNCTIONS_WITH_FROM = frozenset({"TRIM", "EXTRACT", "SUBSTRING", "OVERLAY", "POSITION"})
_NO_SCRIPT = Script("")


def read_query(tokens: list[Token], script: Script) -> facts.Query:
    """Read a SELECT, with parentheses around it or not."""
    cursor = Cursor(Statement(tokens, script).in_single_words())
    reading = _Reading(cursor)
    reading.run()
    return facts.Query(
        source_of(tokens, script),
        tuple(dict.fromkeys(reading.reads)),
        _outputs(tokens, script),
        reading.aliases,
    )


def relations_in(tokens: list[Token], script: Script) -> tuple[Name, ...]:
    """Return the relations that a statement reads."""
    return read_query(tokens, script).reads


class _Reading:
    """One pass over the tokens of a query; names of WITH queries are no relations."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.reads: list[Name] = []
        self.aliases: dict[str, Name] = {}
        self.own = _names_of_with(cursor.tokens)
        #: For each open parenthesis, the word before it.
        self.openings: list[str] = []

    def run(self) -> None:
        cursor = self.cursor
        while not cursor.done:
            kind, word = cursor.tokens[cursor.at].token_type, cursor.word()
            if kind is kinds.L_PAREN:
                self.openings.append(cursor.word(-1) if cursor.at else "")
            elif kind is kinds.R_PAREN and self.openings:
                self.openings.pop()
            cursor.at += 1
            if word == "JOIN" or (word == "FROM" and self._begins_a_list()):
                self._list()

    def _begins_a_list(self) -> bool:
        if (
            self.cursor.word(-2) == "DISTINCT"
            and self.cursor.at > 1
            and self.cursor.word(-3) in {"IS", "NOT"}
        ):
            return False
        return not self.openings or self.openings[-1] not in _FUNCTIONS_WITH_FROM

    def _list(self) -> None:
        """Read relations separated by commas; a parenthesis is left to the main pass."""
        while self._relation() and self.cursor.take(kinds.COMMA):
            pass

    def _relation(self) -> bool:
        cursor = self.cursor
        cursor.eat("ONLY")
        cursor.eat("LATERAL")
        while cursor.is_kind(kinds.L_PAREN) and cursor.word(1) not in {"SELECT", "WITH", "VALUES", ""}:
            self.openings.append("FROM")
            cursor.at += 1
        if cursor.is_kind(kinds.L_PAREN):
            return self._subquery()
        if cursor.done or not _is_name(cursor.tokens[cursor.at]):
            return False
        name = cursor.name()
        if cursor.is_kind(kinds.L_PAREN):
            return self._function()
        cursor.take(kinds.STAR)
        alias = self._alias()
        if len(name) > 1 or name[0] not in self.own:
            self.reads.append(name)
            self.aliases[alias or name[-1]] = name
        return True

    def _subquery(self) -> bool:
        """Read `(SELECT …) alias`, whose own relations are relations of the whole."""
        first = self.cursor.at
        self.cursor.skip_group()
        inner = _Reading(self.cursor.part(self.cursor.tokens[first + 1 : self.cursor.at - 1]))
        inner.own |= self.own
        inner.run()
        self.reads.extend(inner.reads)
        self._alias()
        return True

    def _function(self) -> bool:
        first = self.cursor.at
        self.cursor.skip_group()
        inner = _Reading(self.cursor.part(self.cursor.tokens[first + 1 : self.cursor.at - 1]))
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
            alias = "" if cursor.is_kind(kinds.L_PAREN) else cursor.identifier()
            if cursor.is_kind(kinds.L_PAREN):
                cursor.skip_group()
        return alias

    def _is_alias(self) -> bool:
        token = self.cursor.tokens[self.cursor.at]
        return _is_name(token) and self.cursor.word() not in _NOT_ALIASES


def _is_name(token: Token) -> bool:
    if token.token_type is kinds.IDENTIFIER:
        return True
    return token.token_type not in STRINGS and (token.text[:1].isalpha() or token.text[:1] == "_")


def _names_of_with(tokens: list[Token]) -> set[str]:
    """Return the names of WITH queries: `name [(columns)] AS [NOT] [MATERIALIZED] (`."""
    if not any(token.text.upper() == "WITH" for token in tokens):
        return set()
    found = set()
    for at, token in enumerate(tokens):
        if token.text.upper() in {"WITH", "RECURSIVE"} or token.token_type is kinds.COMMA:
            cursor = Cursor(Statement(tokens, _NO_SCRIPT), at + 1)
            if _is_common_table(cursor):
                found.add(fold(tokens[at + 1]))
    return found


def _is_common_table(cursor: Cursor) -> bool:
    if cursor.done or not _is_name(cursor.tokens[cursor.at]) or cursor.word() == "RECURSIVE":
        return False
    cursor.at += 1
    try:
        if cursor.is_kind(kinds.L_PAREN):
            cursor.skip_group()
    except IndexError:
        return False
    if not cursor.eat("AS"):
        return False
    cursor.eat("NOT")
    cursor.eat("MATERIALIZED")
    return cursor.is_kind(kinds.L_PAREN)


def _outputs(tokens: list[Token], script: Script) -> tuple[facts.Output, ...]:
    """Return the columns of the outermost select list, () when it cannot be told."""
    cursor = Cursor(Statement(tokens, script))
    while cursor.take(kinds.L_PAREN):
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
    return tuple(_output(run) for run in split_commas(tokens[first : cursor.at]))


def _skip_with(cursor: Cursor) -> bool:
    """Step over WITH queries to the SELECT behind them."""
    return cursor.skip_to("SELECT")


def _output(tokens: list[Token]) -> facts.Output:
    last = tokens[-1]
    if last.token_type is kinds.STAR:
        return facts.Output(star=True, of=fold(tokens[-3]) if len(tokens) > 2 else "")
    if len(tokens) > 1 and _is_name(last) and tokens[-2].token_type is not kinds.DCOLON:
        return facts.Output(fold(last))
    return facts.Output(_figured(tokens))


def _figured(tokens: list[Token]) -> str:
    """Return the name PostgreSQL gives an expression without an alias."""
    first = tokens[0]
    if first.text.upper() == "CASE":
        return "case"
    if len(tokens) == 1:
        return fold(first) if _is_name(first) and first.token_type is not kinds.NULL else "?column?"
    name = [token for token in _leading_name(tokens) if token.token_type is not kinds.DOT]
    if name and len(name) * 2 - 1 < len(tokens):
        following = tokens[len(name) * 2 - 1].token_type
        if following in {kinds.L_PAREN, kinds.DCOLON}:
            return fold(name[-1])
    cast = [at for at, token in enumerate(tokens) if token.token_type is kinds.DCOLON]
    return fold(tokens[cast[-1] + 1]) if cast and not name and cast[-1] + 1 < len(tokens) else "?column?"


def _leading_name(tokens: list[Token]) -> list[Token]:
    found: list[Token] = []
    for at, token in enumerate(tokens):
        expected_dot = at % 2 == 1
        if expected_dot != (token.token_type is kinds.DOT) or not (expected_dot or _is_name(token)):
            break
        found.append(token)
    return found


def output_name(tokens: list[Token]) -> str:
    """Return the name of one item of a select list."""
    return _output(tokens).name
