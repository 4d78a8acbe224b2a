"""Tables touched through SQLAlchemy and SQLModel: `select(Model)`, `session.query(Model)`, `add(Model())`.

A name counts as a model only when it is defined in the file or imported into it, and the functions
only when they come from SQLAlchemy or SQLModel, so that `dict.update` is no UPDATE.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.source.access import Access, covers, root_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.source.access import Models, Runs, Via
    from lint.source.sites import Argument, Call, Source
    from lint.source.sql_tables import AccessCommand

_LIBRARY = re.compile(r"(?:sqlalchemy|sqlmodel)\b")
_STATEMENTS: dict[str, AccessCommand] = {
    "select": "select",
    "exists": "select",
    "insert": "insert",
    "update": "update",
    "delete": "delete",
}
#: Methods of a statement or a session whose arguments name what else is read.
_READ_METHODS = frozenset({"join", "outerjoin", "select_from", "join_from", "outerjoin_from"})
_SESSION_READS = frozenset({"query", "get", "get_one"})
_ADDS = frozenset({"add", "add_all", "merge", "bulk_save_objects"})
_BULK: dict[str, AccessCommand] = {"bulk_insert_mappings": "insert", "bulk_update_mappings": "update"}
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")


def sqlalchemy_accesses(source: Source, models: Models, runs: Runs) -> Iterator[Access]:
    """Yield the accesses of a Python file through models and Core tables."""
    if not models.python:
        return
    for call in source.calls:
        if call.name in _STATEMENTS and _LIBRARY.match(call.callee):
            yield from _statement(call, source, models, runs)
        elif call.name in _READ_METHODS or call.name in _SESSION_READS:
            yield from _method(call, source, models, runs)
        elif call.name in _BULK:
            yield from _named(call, call.arguments[:1], _BULK[call.name], source, models, runs)
        elif ".query." in call.written:
            yield from _flask(call, source, models)
        else:
            yield from _made(call, source, models)


def _statement(call: Call, source: Source, models: Models, runs: Runs) -> Iterator[Access]:
    command = _STATEMENTS[call.name]
    arguments = call.arguments if command == "select" else call.arguments[:1]
    yield from _named(call, arguments, command, source, models, runs)


def _method(call: Call, source: Source, models: Models, runs: Runs) -> Iterator[Access]:
    """Read `statement.join(Model)` and `session.get(Model, key)`; `cache.get(x)` names no model."""
    arguments = call.arguments if call.name == "query" else call.arguments[:1]
    if call.name in {"join_from", "outerjoin_from"}:
        arguments = call.arguments[:2]
    yield from _named(call, arguments, "select", source, models, runs)


def _named(
    call: Call,
    arguments: tuple[Argument, ...],
    command: AccessCommand,
    source: Source,
    models: Models,
    runs: Runs,
) -> Iterator[Access]:
    seen: set[str] = set()
    for argument in arguments:
        for name in names_in(argument):
            table = models.named(name, source)
            if table is not None and table not in seen:
                seen.add(table)
                yield _access(table, command, call, name, runs)


def names_in(argument: Argument) -> tuple[str, ...]:
    """Return the dotted names an argument reads: as extracted, else those its text shows."""
    if argument.names or argument.kind in {"literal", "function"}:
        return argument.names
    return tuple(_NAME.findall(argument.text))


def _access(table: str, command: AccessCommand, call: Call, name: str, runs: Runs) -> Access:
    via: Via = "orm" if name[:1].isupper() else "core"
    run = runs.around(call.place, call.function)
    executor = root_of(run) if run is not None else _executor_of_method(call)
    return Access(
        table, command, call.place, call.function, via, shown(f"{call.written}({name}, …)"), executor
    )


def _executor_of_method(call: Call) -> str:
    return root_of(call) if call.name in _SESSION_READS | _BULK.keys() else ""


def _flask(call: Call, source: Source, models: Models) -> Iterator[Access]:
    name = call.written.partition(".query.")[0]
    table = models.named(name, source)
    if table is not None:
        yield Access(table, "select", call.place, call.function, "orm", shown(call.written), "")


def _made(call: Call, source: Source, models: Models) -> Iterator[Access]:
    """Yield an INSERT for `session.add(Model(…))`, also when the object had a name before."""
    if not call.name[:1].isupper():
        return
    table = models.named(call.written, source)
    if table is None:
        return
    adding = _adding(call, source)
    if adding is not None:
        yield Access(
            table,
            "insert",
            call.place,
            call.function,
            "orm",
            shown(f"{adding.written}({call.written}(…))"),
            root_of(adding),
        )


def _adding(made: Call, source: Source) -> Call | None:
    names = frozenset(made.bound_to)
    for call in source.calls:
        if call.name not in _ADDS or call.function != made.function:
            continue
        if covers(call.place, made.place) or any(a.text in names for a in call.arguments):
            return call
    return None
