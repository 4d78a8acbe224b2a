"""What a migration does beside changing the schema: rows, settings, roles and transactions.

Under FORCE ROW LEVEL SECURITY the migrating role is bound like any other, so what a statement reads
and writes, and which tenant the session has bound by then, decides whether it does anything at all.
A statement is known by its first words, so that an INSERT of ten thousand rows costs no more than
one of a single row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sqlglot.tokenizer_core import Token, TokenType

from lint.history.sql import STRINGS, Cursor, Script, Statement, fold, split_commas, tokenize
from lint.history.values import HOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Name = tuple[str, ...]
Verb = Literal[
    "insert values",
    "insert",
    "update",
    "delete",
    "merge",
    "copy from",
    "truncate",
    "create table as",
    "create materialized view",
    "refresh",
    "select into",
    "loop",
]
#: Stands for every setting: RESET ALL, or a function of the project that binds something.
ANY_SETTING = "*"

#: What says in the text of a migration that its tool runs it without a transaction.
_NO_TRANSACTION = re.compile(
    r"^[ \t]*--[ \t]*(?:migrate:up[^\n]*\btransaction:\s*false|atlas:txmode\s+none"
    r"|\+goose\s+no\s+transaction|no-transaction)\b",
    re.IGNORECASE | re.MULTILINE,
)
_BINDING_FUNCTION = re.compile(
    r"^(?:set|bind|enter|use|with|begin|assume|switch|enable)_.*(?:tenant|context|bypass|rls|org|account"
    r"|workspace|team|claim|session)|^login|^authenticate",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"\bROW_COUNT\b|\bFOUND\b|\bASSERT\b|\bRETURNING\b", re.IGNORECASE)
_MODIFIERS = frozenset({"TEMP", "TEMPORARY", "UNLOGGED", "GLOBAL", "LOCAL"})
_SOURCE_WORDS = frozenset({"FROM", "JOIN", "USING"})
_CLAUSES = frozenset({"FROM", "WHERE", "RETURNING"})
_LOUD_RAISES = frozenset({"NOTICE", "WARNING", "INFO", "LOG", "DEBUG"})


class Act:
    """Something that changes no object of the schema, or only through another statement's effect."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rows(Act):
    """A statement over rows: which relation it fills or changes, and which it reads."""

    verb: Verb
    target: Name | None
    reads: tuple[Name, ...] = ()
    #: Columns that it assigns; empty when all, or not known.
    columns: tuple[str, ...] = ()
    filtered: bool = False
    #: True when the migration looks how many rows were touched.
    checked: bool = False


@dataclass(frozen=True, slots=True)
class SettingChange(Act):
    """SET, RESET or set_config; the value is "" when taken back, None when only a run knows it."""

    name: str
    value: str | None
    local: bool = False


@dataclass(frozen=True, slots=True)
class RoleChange(Act):
    """The role set through `set_config` or `SET role = …`; None is back to who connected."""

    role: str | None


@dataclass(frozen=True, slots=True)
class Transaction(Act):
    """A boundary of transactions; "none" means that the file runs statement by statement."""

    kind: Literal["begin", "commit", "rollback", "none"]


def acts(statement: Statement) -> list[Act]:
    """Return what a statement does beside the schema; nothing when it is not understood."""
    first = statement.tokens[0]
    read = None if first.token_type in STRINGS else _READERS.get(first.text.upper())
    if read is None:
        return []
    try:
        return read(Cursor(statement, 1))
    except (IndexError, ValueError):
        return []


def outside_transactions(text: str) -> list[Act]:
    """Return the fact that a file's own words ask its tool for no transaction."""
    return [Transaction("none")] if "--" in text and _NO_TRANSACTION.search(text) else []


def loop_source(tokens: list[Token], script: Script) -> list[Act]:
    """Return what `FOR … IN SELECT …` reads: over no rows it does nothing."""
    reads = read_names(tokens, script)
    return [Rows("loop", None, reads)] if reads else []


def counts_rows(text: str) -> bool:
    """Say whether code looks at how many rows a statement touched."""
    return _COUNTED.search(text) is not None


def swallows_duplicates(handlers: list[Token]) -> bool:
    """Say whether exception handlers pass over "it exists already" without doing anything about it."""
    words = [token.text.upper() for token in handlers]
    if not {"DUPLICATE_OBJECT", "OTHERS"} & set(words) or "POLICY" in words:
        return False
    raises = [index for index, word in enumerate(words) if word == "RAISE"]
    return all(words[index + 1 : index + 2] and words[index + 1] in _LOUD_RAISES for index in raises)


def read_names(tokens: list[Token], script: Script) -> tuple[Name, ...]:
    """Return the relations that a query names after FROM, JOIN and USING, its CTEs left out."""
    cursor = Cursor(Statement(tokens, script))
    found: dict[Name, None] = {}
    for index, token in enumerate(tokens):
        word = "" if token.token_type in STRINGS else token.text.upper()
        if word in _SOURCE_WORDS and not _is_distinct_from(tokens, index):
            cursor.at = index + 1
            found.update(dict.fromkeys(_sources(cursor)))
    own = _with_names(tokens)
    return tuple(name for name in found if name not in own)


def _is_distinct_from(tokens: list[Token], index: int) -> bool:
    return index > 0 and tokens[index - 1].token_type is TokenType.DISTINCT


def _sources(cursor: Cursor) -> Iterator[Name]:
    """Read the names of a FROM list, up to what is no plain name."""
    while True:
        cursor.eat("LATERAL")
        cursor.eat("ONLY")
        if cursor.done or not _starts_name(cursor.tokens[cursor.at]):
            return
        name = cursor.name()
        if cursor.is_kind(TokenType.L_PAREN):
            return
        yield name
        cursor.eat("AS")
        if not cursor.done and not cursor.is_kind(TokenType.COMMA) and _starts_name(cursor.tokens[cursor.at]):
            cursor.at += 1
        if not cursor.take(TokenType.COMMA):
            return


def _starts_name(token: Token) -> bool:
    if token.token_type is TokenType.IDENTIFIER:
        return True
    return token.token_type not in STRINGS and (token.text[:1].isalpha() or token.text[:1] == "_")


def _with_names(tokens: list[Token]) -> set[Name]:
    """Return the names that the query itself defines: `name AS [NOT] [MATERIALIZED] (`."""
    found: set[Name] = set()
    for index, token in enumerate(tokens[:-1]):
        if token.token_type is not TokenType.ALIAS or index == 0:
            continue
        after = index + 1
        while after < len(tokens) and tokens[after].text.upper() in {"NOT", "MATERIALIZED"}:
            after += 1
        if after < len(tokens) and tokens[after].token_type is TokenType.L_PAREN:
            found.add((fold(tokens[index - 1]),))
    return found


def _insert(cursor: Cursor) -> list[Act]:
    cursor.expect("INTO")
    target = cursor.name()
    if cursor.eat("AS"):
        cursor.at += 1
    columns: tuple[str, ...] = ()
    if cursor.is_kind(TokenType.L_PAREN) and cursor.word(1) not in {"SELECT", "WITH"}:
        columns = tuple(Cursor(element).identifier() for element in cursor.group_elements())
    if cursor.eat("OVERRIDING"):
        cursor.at += 2
    if cursor.word() in {"VALUES", "DEFAULT"}:
        return [Rows("insert values", target, (), columns)]
    rest = cursor.rest()
    return [Rows("insert", target, read_names(rest, cursor.script), columns, _has_where(rest))]


def _update(cursor: Cursor) -> list[Act]:
    cursor.eat("ONLY")
    target = cursor.name()
    while not cursor.done and cursor.word() != "SET":
        cursor.at += 1
    cursor.expect("SET")
    rest = cursor.rest()
    columns = tuple(name for run in split_commas(_assignments(cursor)) for name in _assigned(run))
    reads = tuple(name for name in read_names(rest, cursor.script) if name != target)
    return [Rows("update", target, reads, columns, _has_where(rest))]


def _assignments(cursor: Cursor) -> list[Token]:
    first = cursor.at
    while not cursor.done and cursor.word() not in _CLAUSES:
        if cursor.is_kind(TokenType.L_PAREN):
            cursor.skip_group()
        else:
            cursor.at += 1
    return cursor.tokens[first : cursor.at]


def _assigned(run: list[Token]) -> Iterator[str]:
    """Yield the columns of `a = …` or `(a, b) = …`."""
    if run[0].token_type is not TokenType.L_PAREN:
        yield fold(run[0])
        return
    for token in run[1:]:
        if token.token_type is TokenType.R_PAREN:
            return
        if token.token_type is not TokenType.COMMA:
            yield fold(token)


def _delete(cursor: Cursor) -> list[Act]:
    cursor.expect("FROM")
    cursor.eat("ONLY")
    target = cursor.name()
    rest = cursor.rest()
    reads = tuple(name for name in read_names(rest, cursor.script) if name != target)
    return [Rows("delete", target, reads, (), _has_where(rest))]


def _merge(cursor: Cursor) -> list[Act]:
    cursor.expect("INTO")
    cursor.eat("ONLY")
    target = cursor.name()
    return [Rows("merge", target, read_names(cursor.rest(), cursor.script), (), filtered=True)]


def _has_where(tokens: list[Token]) -> bool:
    return any(token.token_type is TokenType.WHERE for token in tokens)


def _copy(cursor: Cursor) -> list[Act]:
    if cursor.is_kind(TokenType.L_PAREN):
        return []
    target = cursor.name()
    if cursor.is_kind(TokenType.L_PAREN):
        cursor.skip_group()
    return [Rows("copy from", target)] if cursor.eat("FROM") else []


def _truncate(cursor: Cursor) -> list[Act]:
    cursor.eat("TABLE")
    cursor.eat("ONLY")
    return [Rows("truncate", name) for name in cursor.names()]


def _refresh(cursor: Cursor) -> list[Act]:
    cursor = _untold(cursor)
    cursor.expect("MATERIALIZED", "VIEW")
    cursor.eat("CONCURRENTLY")
    name = cursor.name()
    return [] if cursor.eat("WITH", "NO", "DATA") else [Rows("refresh", name)]


def _untold(cursor: Cursor) -> Cursor:
    """Return a cursor over what the tokenizer handed over as one string after a client command."""
    token = cursor.tokens[cursor.at]
    if token.token_type is not TokenType.STRING:
        return cursor
    text = cursor.script.text[cursor.tokens[cursor.at - 1].end + 1 : token.end + 1]
    script = Script(text)
    return Cursor(Statement(tokenize(text), script))


def _with(cursor: Cursor) -> list[Act]:
    """Read what each WITH query does, then the statement behind them, which reads through them."""
    cursor.eat("RECURSIVE")
    found: list[Act] = []
    own: set[Name] = set()
    reads: tuple[Name, ...] = ()
    while True:
        own.add((cursor.identifier(),))
        body = _with_body(cursor)
        found.extend(acts(body))
        reads += read_names(body.tokens, cursor.script)
        if not cursor.take(TokenType.COMMA):
            break
    for act in acts(Statement(cursor.rest(), cursor.script)):
        through = isinstance(act, Rows) and act.verb != "insert values"
        found.append(_reading(act, reads, own) if through else act)
    return found


def _with_body(cursor: Cursor) -> Statement:
    if cursor.is_kind(TokenType.L_PAREN):
        cursor.skip_group()
    cursor.expect("AS")
    cursor.eat("NOT")
    cursor.eat("MATERIALIZED")
    first = cursor.at + 1
    cursor.skip_group()
    return Statement(cursor.tokens[first : cursor.at - 1], cursor.script)


def _reading(act: Act, reads: tuple[Name, ...], own: set[Name]) -> Act:
    if not isinstance(act, Rows):
        return act
    everything = dict.fromkeys(name for name in act.reads + reads if name not in own)
    return replace(act, reads=tuple(everything))


def _select(cursor: Cursor) -> list[Act]:
    found: list[Act] = []
    tokens = cursor.tokens
    for index, token in enumerate(tokens):
        if token.token_type is TokenType.INTO:
            into = Cursor(Statement(tokens, cursor.script), index + 1)
            into.eat("TABLE")
            found.append(Rows("select into", into.name(), read_names(tokens, cursor.script)))
        elif token.token_type is TokenType.VAR and token.text.lower() == "set_config":
            found.extend(_set_config(Cursor(Statement(tokens, cursor.script), index + 1)))
    return found or _bound_by_function(cursor)


def _bound_by_function(cursor: Cursor) -> list[Act]:
    """Read `SELECT app.set_tenant(…)`: the project's own way to bind something."""
    if not _starts_name(cursor.tokens[cursor.at]):
        return []
    name = cursor.name()
    if cursor.is_kind(TokenType.L_PAREN) and _BINDING_FUNCTION.search(name[-1]):
        return [SettingChange(ANY_SETTING, None)]
    return []


def _set_config(cursor: Cursor) -> list[Act]:
    elements = cursor.group_elements()
    if len(elements) != 3:
        return []
    name = _text(elements[0].tokens)
    if name is None:
        return []
    local = elements[2].tokens[0].text.lower() not in {"false", "f", "off"}
    return _setting(name.lower(), _text(elements[1].tokens), local=local)


def _text(tokens: list[Token]) -> str | None:
    """Return the text of a literal, casts included; None when only a run knows it."""
    if not tokens or tokens[0].token_type not in STRINGS or HOLE in tokens[0].text:
        return None
    plain = len(tokens) == 1 or tokens[1].token_type is TokenType.DCOLON
    return tokens[0].text if plain else None


def _set(cursor: Cursor) -> list[Act]:
    local = cursor.word() == "LOCAL"
    if local or cursor.word() == "SESSION":
        cursor.at += 1
    name = ".".join(cursor.name())
    if not (cursor.eat("TO") or cursor.take(TokenType.EQ)):
        return []
    return _setting(name, _value(cursor), local=local)


def _value(cursor: Cursor) -> str | None:
    tokens = cursor.rest()
    if len(tokens) != 1 or HOLE in tokens[0].text:
        return None
    if tokens[0].token_type in STRINGS:
        return tokens[0].text
    return "" if tokens[0].text.upper() == "DEFAULT" else tokens[0].text


def _setting(name: str, value: str | None, *, local: bool) -> list[Act]:
    if name.lower() == "role":
        return [_role(value or "")]
    return [SettingChange(name.lower(), value, local)]


def _role(name: str) -> RoleChange:
    return RoleChange(None if name.lower() in {"", "none", "default"} else name)


def _reset(cursor: Cursor) -> list[Act]:
    cursor = _untold(cursor)
    if cursor.eat("ALL"):
        return [SettingChange(ANY_SETTING, "")]
    return _setting(".".join(cursor.name()), "", local=False)


def _begin(cursor: Cursor) -> list[Act]:
    return [] if cursor.word() == "ATOMIC" else [Transaction("begin")]


def _commit(cursor: Cursor) -> list[Act]:
    return [] if cursor.word() == "PREPARED" else [Transaction("commit")]


def _rollback(cursor: Cursor) -> list[Act]:
    while cursor.word() in {"WORK", "TRANSACTION"}:
        cursor.at += 1
    return [] if cursor.word() in {"TO", "PREPARED"} else [Transaction("rollback")]


def _create(cursor: Cursor) -> list[Act]:
    while cursor.word() in _MODIFIERS:
        cursor.at += 1
    if cursor.eat("TABLE"):
        return _filled(cursor, "create table as")
    if cursor.eat("MATERIALIZED", "VIEW"):
        return _filled(cursor, "create materialized view")
    if cursor.word() in {"INDEX", "UNIQUE"} and "CONCURRENTLY" in {cursor.word(1), cursor.word(2)}:
        return [Transaction("none")]
    return []


def _filled(cursor: Cursor, verb: Verb) -> list[Act]:
    """Read the query of CREATE … AS, None of which runs WITH NO DATA."""
    cursor.eat("IF", "NOT", "EXISTS")
    name = cursor.name()
    while not cursor.done and cursor.word() != "AS":
        if cursor.is_kind(TokenType.L_PAREN):
            cursor.skip_group()
        else:
            cursor.at += 1
    if not cursor.eat("AS") or _ends_with(cursor, "WITH", "NO", "DATA"):
        return []
    reads = read_names(cursor.rest(), cursor.script)
    return [Rows(verb, name, reads)] if reads else []


def _ends_with(cursor: Cursor, *words: str) -> bool:
    return tuple(token.text.upper() for token in cursor.tokens[-len(words) :]) == words


_READERS: dict[str, Callable[[Cursor], list[Act]]] = {
    "INSERT": _insert,
    "UPDATE": _update,
    "DELETE": _delete,
    "MERGE": _merge,
    "COPY": _copy,
    "TRUNCATE": _truncate,
    "REFRESH": _refresh,
    "WITH": _with,
    "SELECT": _select,
    "PERFORM": _select,
    "SET": _set,
    "RESET": _reset,
    "BEGIN": _begin,
    "START": _begin,
    "COMMIT": _commit,
    "END": _commit,
    "ROLLBACK": _rollback,
    "ABORT": _rollback,
    "CREATE": _create,
}
#: The first words of statements that do something beside the schema.
ACTING_WORDS = frozenset(_READERS)
