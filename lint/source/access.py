"""Which table a source file touches, where, and through what: the readers and writers of a program.

Three ways are seen: SQL in strings, statements of an ORM or query builder over a model, and a query
builder's methods over a table's name. What cannot be resolved to a name is left out here and counted
by `lint.source.readers`; nothing is guessed from a variable's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lint.source.program import binds_of
from lint.source.sites import HOLE
from lint.source.sql_tables import AccessCommand, table_uses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lint.catalogue import Place
    from lint.source.orm_python import Model
    from lint.source.sites import Call, Source, Text

Via = Literal["sql", "orm", "core"]

#: Methods and functions that run the SQL they are given.
RUNS = frozenset(
    {"execute", "executemany", "exec_driver_sql", "exec", "fetch", "fetchrow", "fetchval", "fetchall"}
    | {"fetchone", "scalar", "scalars", "stream", "stream_scalars", "query", "raw", "copy", "copy_expert"}
    | {"execute_batch", "execute_values", "executescript", "run_sql", "first", "one", "all", "many", "none"}
    | {"$queryRaw", "$executeRaw", "$queryRawUnsafe", "$executeRawUnsafe", "unsafe", "sql", "cursor"}
)
#: Functions that make a statement of a string, which another call runs.
MAKES_SQL = frozenset({"text", "SQL", "DDL", "sql", "raw", "Sql", "literal_column", "prepare"})
_ROWS = r"SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|WITH|MERGE\s+INTO|COPY|TRUNCATE"
_AS_SQL = re.compile(rf"\s*(?:--[^\n]*\n\s*)*\(?\s*(?:{_ROWS})\b")
_AS_SQL_ANY_CASE = re.compile(_AS_SQL.pattern, re.IGNORECASE)
_SHAPE = re.compile(r"\b(?:from|into|join|using|update|truncate|copy)\s+(?:only\s+)?[\w\"]", re.IGNORECASE)
#: Functions that tell people something: SQL in their words is run by nobody.
_SAYS = frozenset(
    {"print", "log", "debug", "info", "warn", "warning", "error", "exception", "fail", "skip", "help"}
)
_SHOWN = 80
#: `module.pool.fetch` has more parts than a method of a name.
_OF_MODULE = 2


@dataclass(frozen=True, slots=True)
class Access:
    """One use of a table: "schema.name" or bare as written, what is done, and where it stands."""

    table: str
    command: AccessCommand
    place: Place
    function: str
    via: Via
    #: What stands there, cut to one line.
    written: str
    #: The name it runs on ("session", "self.pool"), "" when the call that runs it is not in sight.
    executor: str = ""


@dataclass(frozen=True, slots=True)
class Models:
    """What names stand for tables: of Python by class or variable, of TypeScript by client name."""

    python: tuple[Model, ...] = ()
    typescript: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str, source: Source) -> str | None:
        """Return the table that a name of a file stands for: defined there, or imported."""
        first, _, rest = name.partition(".")
        last = rest.partition(".")[0] if first in source.imports and "." in name else first
        wanted = {first, last, source.imports.get(first, "").rpartition(".")[2]}
        found = [model for model in self.python if model.name in wanted]
        here = [model for model in found if model.path == source.path]
        if here:
            return here[0].table
        tables = {model.table for model in found if first in source.imports}
        return next(iter(tables)) if len(tables) == 1 else None


def accesses(source: Source, models: Models) -> tuple[Access, ...]:
    """Return what a file reads and writes, in the order of lines."""
    from lint.source.orm_accesses import sqlalchemy_accesses
    from lint.source.typescript_accesses import typescript_accesses

    runs = Runs(source)
    found = [*sql_accesses(source, runs)]
    if source.language == "python":
        found.extend(sqlalchemy_accesses(source, models, runs))
    else:
        found.extend(typescript_accesses(source, models))
    return tuple(sorted(dict.fromkeys(found), key=lambda access: (access.place, access.table)))


class Runs:
    """The calls of a file that run statements on something, by function."""

    def __init__(self, source: Source) -> None:
        self._calls: dict[str, list[Call]] = {}
        for call in source.calls:
            if call.name in RUNS and ("." in call.written or call.receiver is not None):
                self._calls.setdefault(call.function, []).append(call)

    def around(self, place: Place, function: str) -> Call | None:
        """Return the innermost of them around a place."""
        around = (call for call in self._calls.get(function, ()) if covers(call.place, place))
        return max(around, key=lambda call: (call.place.line, call.place.column), default=None)


def sql_accesses(source: Source, runs: Runs) -> Iterator[Access]:
    """Yield the tables of SQL in strings; a constant counts where it is used."""
    for text in source.texts:
        if not is_row_sql(text):
            continue
        uses = [use for use in table_uses(text.value) if HOLE not in use.table]
        for function, place, executor in _runs(text, source, runs) if uses else ():
            for use in uses:
                yield Access(use.table, use.command, place, function, "sql", shown(text.value), executor)


def is_row_sql(text: Text) -> bool:
    """Say whether a string is SQL over rows: run as such, or written as SQL is (in capitals)."""
    if not _SHAPE.search(text.value):
        return False
    if text.calls and text.calls[-1] in _SAYS:
        return False
    run = text.tagged or not (RUNS | MAKES_SQL).isdisjoint(text.calls)
    return bool((_AS_SQL_ANY_CASE if run else _AS_SQL).match(text.value))


def _runs(text: Text, source: Source, runs: Runs) -> list[tuple[str, Place, str]]:
    """Return (function, place, executor) of each place that runs a string."""
    call = runs.around(text.place, text.function)
    if call is not None:
        return [(text.function, text.place, executor_of(call, source))]
    if text.tagged:
        tag = tag_of(text, source)
        return [(text.function, text.place, tag.written if tag is not None else "")]
    name = _constant_of(text, source)
    if name is None:
        return [(text.function, text.place, "")]
    used = [
        (call.function, call.place, root_of(call) if call.name in RUNS else "")
        for call in source.calls
        if call.place != text.place and any(_names(argument.text, name) for argument in call.arguments)
    ]
    return used or [(text.function, text.place, "")]


def _names(written: str, name: str) -> bool:
    return written == name or written.startswith(f"{name}.")


def _constant_of(text: Text, source: Source) -> str | None:
    """Return the name of the module's constant that a string is the value of."""
    if text.function:
        return None
    for bind in binds_of(source.functions.get("")):
        if len(bind.targets) == 1 and covers(bind.place, text.place):
            return bind.targets[0]
    return None


def covers(outer: Place, inner: Place) -> bool:
    """Say whether a place lies within the lines of another, and not before its column."""
    begins = (outer.line, outer.column) <= (inner.line, inner.column)
    return begins and inner.end_line <= outer.end_line


def root_of(call: Call) -> str:
    """Return the name a chain of calls begins with: "session", "self.pool", "" for none."""
    while call.receiver is not None:
        call = call.receiver
    parts = call.written.replace("()", "").split(".")
    if parts[0] in {"self", "this", "cls"} and len(parts) > 2:
        return ".".join(parts[:2])
    return parts[0] if len(parts) > 1 else ""


def executor_of(call: Call, source: Source) -> str:
    """Return the name that a call runs a statement on: "db" in `db.query(…)` and in `sql`…`.execute(db)`.

    Of a module that was imported it is the module's name for it: "pg.pool" in `pg.pool.fetch(…)`.
    """
    root = root_of(call)
    if not root and call.receiver is not None and call.name == "execute":
        given = [one.text for one in call.arguments if one.kind in {"name", "member"}]
        return given[0] if len(given) == len(call.arguments) == 1 else root
    parts = call.written.split(".")
    is_module = source.language == "python" and call.receiver is None and len(parts) > _OF_MODULE
    return ".".join(parts[:2]) if is_module and root == parts[0] and root in source.imports else root


def tag_of(text: Text, source: Source) -> Call | None:
    """Return the call of a template's tag: `sql` in sql`select …`."""
    calls = [
        call for call in source.calls if call.function == text.function and covers(call.place, text.place)
    ]
    tags = [call for call in calls if call.name == text.calls[-1:][0]] if text.calls else []
    return max(tags, key=lambda call: (call.place.line, call.place.column), default=None)


def shown(text: str) -> str:
    """Return text on one line, cut to what a message can carry."""
    line = " ".join(text.replace(HOLE, "…").split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
