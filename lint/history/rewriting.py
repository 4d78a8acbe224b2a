"""Names inside expressions and queries, followed when what they name is renamed.

PostgreSQL keeps policies, views and constraints as trees, so a rename never breaks them; here they
are text, and the text is changed where its tokens name the thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import written_name
from lint.errors import SqlUnreadableError
from lint.history.lexical import fold, is_string
from lint.history.queries import relations_in
from lint.history.sql import Cursor, Statement, tokenized

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lint.history.facts import Name

_BEFORE_RELATION = frozenset({"FROM", "JOIN", "ONLY", "INTO", "UPDATE", "TABLE"})


def _tokens(text: str, name: str) -> Statement:
    """Return the tokens of a text that may name something, none when it does not or cannot be read."""
    if name.lower() not in text.lower():
        return Statement.of([])
    try:
        return tokenized(text)
    except SqlUnreadableError:
        return Statement.of([])


def _replaced(text: str, tokens: Statement, chosen: list[int], to: str) -> str:
    for at in reversed(chosen):
        first = tokens.starts[at]
        text = text[:first] + to + text[first + len(tokens.texts[at]) :]
    return text


def _is(token: str, name: str) -> bool:
    return not is_string(token) and fold(token) == name


def _at(tokens: Statement, at: int) -> str:
    """Return a token, "" outside the run."""
    return tokens.words[at] if 0 <= at < len(tokens.words) else ""


def names_column(text: str, column: str) -> bool:
    """Say whether an expression names a column of that name."""
    return any(_is(token, column) for token in _tokens(text, column).texts)


def names_function(text: str, schema: str, name: str) -> bool:
    """Say whether an expression calls a function, by its bare name or with its schema."""
    tokens = _tokens(text, name)
    return any(_calls(tokens, at, schema) for at, token in enumerate(tokens.texts) if _is(token, name))


def _calls(tokens: Statement, at: int, schema: str) -> bool:
    if _at(tokens, at + 1) != "(":
        return False
    return _at(tokens, at - 1) != "." or (at > 1 and _is(tokens.texts[at - 2], schema))


def column_renamed(
    text: str, column: str, to: str, table: str, captured: Callable[[tuple[Name, ...]], bool]
) -> str:
    """Return an expression on a table after one of its columns was renamed.

    A bare name inside a sub-select belongs to the relations there if one of them has a column of
    that name, which `captured` tells of the names of relations.
    """
    tokens = _tokens(text, column)
    if not tokens.texts:
        return text
    inner = _inside_selects(tokens)
    is_captured = bool(inner) and captured(relations_in(Cursor(tokens)))
    chosen = [
        at
        for at, token in enumerate(tokens.texts)
        if _is(token, column)
        and _at(tokens, at + 1) not in {"(", "."}
        and _belongs(tokens, at, table, bare=not (at in inner and is_captured))
    ]
    return _replaced(text, tokens, chosen, written_name(to))


def _belongs(tokens: Statement, at: int, table: str, *, bare: bool) -> bool:
    if _at(tokens, at - 1) == ".":
        return at > 1 and _is(tokens.texts[at - 2], table)
    return bare


def _inside_selects(tokens: Statement) -> Collection[int]:
    """Return the positions that stand inside `(SELECT …)`."""
    found: set[int] = set()
    openings: list[bool] = []
    for at, word in enumerate(tokens.words):
        if word == "(":
            openings.append(_at(tokens, at + 1) in {"SELECT", "WITH"})
        elif word == ")" and openings:
            openings.pop()
        elif any(openings):
            found.add(at)
    return found


def relation_renamed(text: str, old: tuple[str, str], new: tuple[str, str]) -> str:
    """Return a text after a relation got another name or schema; aliases hide a bare name."""
    schema, name = old
    tokens = _tokens(text, name)
    for at in range(len(tokens.texts) - 1, -1, -1):
        if not _is(tokens.texts[at], name) or not _names_relation(tokens, at):
            continue
        first = at
        if _at(tokens, at - 1) == "." and at > 1:
            if not _is(tokens.texts[at - 2], schema):
                continue
            first = at - 2
        written = written_name(new[1])
        if first < at or (schema != new[0] and not _is_qualifier(tokens, at)):
            written = f"{written_name(new[0])}.{written}"
        end = tokens.starts[at] + len(tokens.texts[at])
        text = text[: tokens.starts[first]] + written + text[end:]
    return text


def _is_qualifier(tokens: Statement, at: int) -> bool:
    return _at(tokens, at + 1) == "."


def _names_relation(tokens: Statement, at: int) -> bool:
    first = at - 2 if _at(tokens, at - 1) == "." else at
    before = _at(tokens, first - 1)
    return before in _BEFORE_RELATION or _at(tokens, at + 1) == "."
