"""Names inside expressions and queries, followed when what they name is renamed.

PostgreSQL keeps policies, views and constraints as trees, so a rename never breaks them; here they
are text, and the text is changed where its tokens name the thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot.tokenizer_core import Token, TokenType

from lint.catalogue import written_name
from lint.errors import SqlUnreadableError
from lint.history import kinds
from lint.history.queries import relations_in
from lint.history.sql import STRINGS, Script, fold, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lint.history.facts import Name

_BEFORE_RELATION = frozenset({"FROM", "JOIN", "ONLY", "INTO", "UPDATE", "TABLE"})


def _tokens(text: str, name: str) -> list[Token]:
    """Return the tokens of a text that may name something, none when it does not or cannot be read."""
    if name.lower() not in text.lower():
        return []
    try:
        return tokenize(text)
    except SqlUnreadableError:
        return []


def _replaced(text: str, tokens: list[Token], chosen: list[int], to: str) -> str:
    for at in reversed(chosen):
        text = text[: tokens[at].start] + to + text[tokens[at].end + 1 :]
    return text


def _is(token: Token, name: str) -> bool:
    return token.token_type not in STRINGS and fold(token) == name


def _kind(tokens: list[Token], at: int) -> TokenType | None:
    return tokens[at].token_type if 0 <= at < len(tokens) else None


def names_column(text: str, column: str) -> bool:
    """Say whether an expression names a column of that name."""
    return any(_is(token, column) for token in _tokens(text, column))


def names_function(text: str, schema: str, name: str) -> bool:
    """Say whether an expression calls a function, by its bare name or with its schema."""
    tokens = _tokens(text, name)
    return any(_calls(tokens, at, schema) for at, token in enumerate(tokens) if _is(token, name))


def _calls(tokens: list[Token], at: int, schema: str) -> bool:
    if _kind(tokens, at + 1) is not kinds.L_PAREN:
        return False
    return _kind(tokens, at - 1) is not kinds.DOT or (at > 1 and _is(tokens[at - 2], schema))


def column_renamed(
    text: str, column: str, to: str, table: str, captured: Callable[[tuple[Name, ...]], bool]
) -> str:
    """Return an expression on a table after one of its columns was renamed.

    A bare name inside a sub-select belongs to the relations there if one of them has a column of
    that name, which `captured` tells of the names of relations.
    """
    tokens = _tokens(text, column)
    if not tokens:
        return text
    script = Script(text)
    inner = _inside_selects(tokens)
    is_captured = bool(inner) and captured(relations_in(tokens, script))
    chosen = [
        at
        for at, token in enumerate(tokens)
        if _is(token, column)
        and _kind(tokens, at + 1) not in {kinds.L_PAREN, kinds.DOT}
        and _belongs(tokens, at, table, bare=not (at in inner and is_captured))
    ]
    return _replaced(text, tokens, chosen, written_name(to))


def _belongs(tokens: list[Token], at: int, table: str, *, bare: bool) -> bool:
    if _kind(tokens, at - 1) is kinds.DOT:
        return at > 1 and _is(tokens[at - 2], table)
    return bare


def _inside_selects(tokens: list[Token]) -> Collection[int]:
    """Return the positions that stand inside `(SELECT …)`."""
    found: set[int] = set()
    openings: list[bool] = []
    for at, token in enumerate(tokens):
        if token.token_type is kinds.L_PAREN:
            openings.append(at + 1 < len(tokens) and tokens[at + 1].text.upper() in {"SELECT", "WITH"})
        elif token.token_type is kinds.R_PAREN and openings:
            openings.pop()
        elif any(openings):
            found.add(at)
    return found


def relation_renamed(text: str, old: tuple[str, str], new: tuple[str, str]) -> str:
    """Return a text after a relation got another name or schema; aliases hide a bare name."""
    schema, name = old
    tokens = _tokens(text, name)
    for at in range(len(tokens) - 1, -1, -1):
        if not _is(tokens[at], name) or not _names_relation(tokens, at):
            continue
        first = at
        if _kind(tokens, at - 1) is kinds.DOT and at > 1:
            if not _is(tokens[at - 2], schema):
                continue
            first = at - 2
        written = written_name(new[1])
        if first < at or (schema != new[0] and not _is_qualifier(tokens, at)):
            written = f"{written_name(new[0])}.{written}"
        text = text[: tokens[first].start] + written + text[tokens[at].end + 1 :]
    return text


def _is_qualifier(tokens: list[Token], at: int) -> bool:
    return _kind(tokens, at + 1) is kinds.DOT


def _names_relation(tokens: list[Token], at: int) -> bool:
    first = at - 2 if _kind(tokens, at - 1) is kinds.DOT else at
    before = tokens[first - 1].text.upper() if first > 0 else ""
    return before in _BEFORE_RELATION or _kind(tokens, at + 1) is kinds.DOT
