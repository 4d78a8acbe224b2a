"""What a migration does beside changing the schema: rows, settings, roles and transactions.

Under FORCE ROW LEVEL SECURITY the migrating role is bound like any other, so what a statement reads
and writes, and which tenant the session has bound by then, decides whether it does anything at all.
A statement is known by its first words, so that an INSERT of ten thousand rows costs no more than
one of a single row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lint.copying import replace
from lint.history.lexical import fold, is_name, is_quoted, is_string, literal
from lint.history.sql import Cursor, Statement
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
    "question",
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
    #: True inside a FOR loop, where each tenant may be bound in turn and one may have no such row.
    looped: bool = False


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
    read = _READERS.get(statement.words[0])
    if read is None:
        return []
    try:
        return read(Cursor(statement, 1))
    except (IndexError, ValueError):
        return []


def outside_transactions(text: str) -> list[Act]:
    """Return the fact that a file's own words ask its tool for no transaction."""
    lowered = text.lower()  # the pattern is tried at every letter, these are found at once
    is_marked = "--" in text and ("transaction" in lowered or "txmode" in lowered)
    return [Transaction("none")] if is_marked and _NO_TRANSACTION.search(text) else []


def loop_source(source: Cursor) -> list[Act]:
    """Return what `FOR … IN SELECT …` reads: over no rows it does nothing."""
    reads = read_names(source)
    return [Rows("loop", None, reads)] if reads else []


def question(run: Cursor) -> list[Act]:
    """Return what a query reads whose answer decides what is done next."""
    reads = read_names(run)
    return [Rows("question", None, reads)] if reads else []


def counts_rows(text: str) -> bool:
    """Say whether code looks at how many rows a statement touched."""
    return _COUNTED.search(text) is not None


def swallows_duplicates(words: list[str]) -> bool:
    """Say whether exception handlers pass over "it exists already" without doing anything about it."""
    if not {"DUPLICATE_OBJECT", "OTHERS"} & set(words) or "POLICY" in words:
        return False
    raises = [index for index, word in enumerate(words) if word == "RAISE"]
    return all(words[index + 1 : index + 2] and words[index + 1] in _LOUD_RAISES for index in raises)


def read_names(run: Cursor) -> tuple[Name, ...]:
    """Return the relations named after FROM, JOIN and USING from the cursor on, CTEs left out."""
    words, first = run.words[run.at : run.end], run.at
    if words[:1] == ["TABLE"]:
        return (run.window(first + 1, run.end).name(),)
    if _SOURCE_WORDS.isdisjoint(words):
        return ()
    found: dict[Name, None] = {}
    for at, word in enumerate(words):
        if word in _SOURCE_WORDS and not (at and words[at - 1] == "DISTINCT"):
            found.update(dict.fromkeys(_sources(run.window(first + at + 1, run.end))))
    own = _with_names(run)
    return tuple(name for name in found if name not in own)


def _sources(cursor: Cursor) -> Iterator[Name]:
    """Read the names of a FROM list, up to what is no plain name."""
    while True:
        cursor.eat("LATERAL")
        cursor.eat("ONLY")
        if cursor.done or not is_name(cursor.text):
            return
        name = cursor.name()
        if cursor.word() == "(":
            return
        yield name
        cursor.eat("AS")
        if not cursor.done and is_name(cursor.text):
            cursor.at += 1
        if not cursor.eat(","):
            return


def _with_names(run: Cursor) -> set[Name]:
    """Return the names that the query itself defines: `name AS [NOT] [MATERIALIZED] (`."""
    words, found = run.words, set[Name]()
    for at in range(run.at + 1, run.end - 1):
        if words[at] != "AS":
            continue
        after = at + 1
        while after < run.end and words[after] in {"NOT", "MATERIALIZED"}:
            after += 1
        if after < run.end and words[after] == "(":
            found.add((fold(run.texts[at - 1]),))
    return found


def _insert(cursor: Cursor) -> list[Act]:
    cursor.expect("INTO")
    target = cursor.name()
    if cursor.eat("AS"):
        cursor.at += 1
    columns: tuple[str, ...] = ()
    if cursor.word() == "(" and cursor.word(1) not in {"SELECT", "WITH"}:
        columns = tuple(element.identifier() for element in cursor.elements())
    if cursor.eat("OVERRIDING"):
        cursor.at += 2
    if cursor.word() in {"VALUES", "DEFAULT"}:
        return [Rows("insert values", target, (), columns)]
    return [Rows("insert", target, read_names(cursor), columns, _has_where(cursor))]


def _update(cursor: Cursor) -> list[Act]:
    cursor.eat("ONLY")
    target = cursor.name()
    while not cursor.done and cursor.word() != "SET":
        cursor.at += 1
    cursor.expect("SET")
    reads = tuple(name for name in read_names(cursor) if name != target)
    filtered = _has_where(cursor)
    columns = tuple(name for one in _assignments(cursor) for name in _assigned(one))
    return [Rows("update", target, reads, columns, filtered)]


def _assignments(cursor: Cursor) -> list[Cursor]:
    first = cursor.at
    cursor.skip_to(*_CLAUSES)
    return cursor.window(first, cursor.at).rest_elements()


def _assigned(one: Cursor) -> tuple[str, ...]:
    """Return the columns of `a = …` or `(a, b) = …`."""
    if one.word() == "(":
        return tuple(column.identifier() for column in one.elements())
    return (one.identifier(),)


def _delete(cursor: Cursor) -> list[Act]:
    cursor.expect("FROM")
    cursor.eat("ONLY")
    target = cursor.name()
    reads = tuple(name for name in read_names(cursor) if name != target)
    return [Rows("delete", target, reads, (), _has_where(cursor))]


def _merge(cursor: Cursor) -> list[Act]:
    cursor.expect("INTO")
    cursor.eat("ONLY")
    target = cursor.name()
    return [Rows("merge", target, read_names(cursor), (), filtered=True)]


def _has_where(cursor: Cursor) -> bool:
    return "WHERE" in cursor.words[cursor.at : cursor.end]


def _copy(cursor: Cursor) -> list[Act]:
    if cursor.word() == "(":
        return []
    target = cursor.name()
    if cursor.word() == "(":
        cursor.skip_group()
    return [Rows("copy from", target)] if cursor.eat("FROM") else []


def _truncate(cursor: Cursor) -> list[Act]:
    cursor.eat("TABLE")
    cursor.eat("ONLY")
    return [Rows("truncate", name) for name in cursor.names()]


def _refresh(cursor: Cursor) -> list[Act]:
    cursor.expect("MATERIALIZED", "VIEW")
    cursor.eat("CONCURRENTLY")
    name = cursor.name()
    return [] if cursor.eat("WITH", "NO", "DATA") else [Rows("refresh", name)]


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
        reads += read_names(Cursor(body))
        if not cursor.eat(","):
            break
    for act in acts(cursor.statement.part(cursor.at, cursor.end)):
        through = isinstance(act, Rows) and act.verb != "insert values"
        found.append(_reading(act, reads, own) if through else act)
    return found


def _with_body(cursor: Cursor) -> Statement:
    if cursor.word() == "(":
        cursor.skip_group()
    cursor.expect("AS")
    cursor.eat("NOT")
    cursor.eat("MATERIALIZED")
    first = cursor.at + 1
    cursor.skip_group()
    return cursor.statement.part(first, cursor.at - 1)


def _reading(act: Act, reads: tuple[Name, ...], own: set[Name]) -> Act:
    if not isinstance(act, Rows):
        return act
    everything = dict.fromkeys(name for name in act.reads + reads if name not in own)
    return replace(act, reads=tuple(everything))


def _select(cursor: Cursor) -> list[Act]:
    found: list[Act] = []
    words = cursor.words
    if "INTO" in words or "SET_CONFIG" in words:
        for at, word in enumerate(words, 1):
            if word == "INTO":
                into = Cursor(cursor.statement, at)
                into.eat("TABLE")
                found.append(Rows("select into", into.name(), read_names(Cursor(cursor.statement))))
            elif word == "SET_CONFIG":
                found.extend(_set_config(Cursor(cursor.statement, at)))
    return found or _bound_by_function(cursor)


def _bound_by_function(cursor: Cursor) -> list[Act]:
    """Read `SELECT app.set_tenant(…)`: the project's own way to bind something."""
    if not is_name(cursor.text):
        return []
    name = cursor.name()
    if cursor.word() == "(" and _BINDING_FUNCTION.search(name[-1]):
        return [SettingChange(ANY_SETTING, None)]
    return []


def _set_config(cursor: Cursor) -> list[Act]:
    elements = cursor.elements()
    if len(elements) != 3:
        return []
    name = _text(elements[0].rest())
    if name is None:
        return []
    local = literal(elements[2].text) not in {"false", "f", "off"}
    return _setting(name.lower(), _text(elements[1].rest()), local=local)


def _text(tokens: list[str]) -> str | None:
    """Return the text of a literal, casts included; None when only a run knows it."""
    if not tokens or not is_string(tokens[0]) or HOLE in tokens[0]:
        return None
    plain = len(tokens) == 1 or tokens[1] == "::"
    return literal(tokens[0]) if plain else None


def _set(cursor: Cursor) -> list[Act]:
    local = cursor.word() == "LOCAL"
    if local or cursor.word() == "SESSION":
        cursor.at += 1
    name = ".".join(cursor.name())
    if not (cursor.eat("TO") or cursor.eat("=")):
        return []
    return _setting(name, _value(cursor), local=local)


def _value(cursor: Cursor) -> str | None:
    if cursor.left != 1 or HOLE in cursor.text:
        return None
    if is_quoted(cursor.text):
        return literal(cursor.text)
    return "" if cursor.word() == "DEFAULT" else cursor.text


def _setting(name: str, value: str | None, *, local: bool) -> list[Act]:
    if name.lower() == "role":
        return [_role(value or "")]
    return [SettingChange(name.lower(), value, local)]


def _role(name: str) -> RoleChange:
    return RoleChange(None if name.lower() in {"", "none", "default"} else name)


def _reset(cursor: Cursor) -> list[Act]:
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
    if "AS" not in cursor.words:
        return []
    cursor.eat("IF", "NOT", "EXISTS")
    name = cursor.name()
    if not cursor.skip_to("AS") or cursor.words[-3:] == ["WITH", "NO", "DATA"]:
        return []
    cursor.at += 1
    reads = read_names(cursor)
    return [Rows(verb, name, reads)] if reads else []


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
