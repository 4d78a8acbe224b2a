"""Raw connections that are handed on: who gives one to a function that reads with what it is given.

A repository takes its session as a parameter, `find(db, id)`, so that what it reads, and in whose name,
is decided where a connection is put in: a call that gives one with no tenant bound, or that gives none
where the parameter's default is one (`client = db`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.source.holders import around
from lint.source.provenance import argument_for
from lint.source.readers import is_privileged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.source.graph import Edge
    from lint.source.modules import FunctionId
    from lint.source.readers import Reader, Readers
    from lint.source.sites import Call, Source

#: How many calls away from what reads the connection is looked for.
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Handed:
    """A call that puts in a raw connection, and what is then read with it."""

    reader: Reader
    call: Call
    source: Source
    #: The name of the connection, as the caller writes it or as the parameter's default has it.
    name: str
    #: True when the caller gives none, so that the default is taken.
    left_out: bool = False


def handed_on(readers: Readers) -> Iterator[Handed]:
    """Yield each call that hands a raw connection to a reader of a protected table."""
    for reader in readers.readers:
        source = readers.program.source(reader.path)
        if reader.scope != "unknown" or not reader.executor or source is None:
            continue
        if readers.automatic and source.language == "python":
            continue
        taker = _taker(reader, source)
        if taker is not None:
            yield from _givers(taker, reader.executor, reader, readers, {taker})


def _taker(reader: Reader, source: Source) -> FunctionId | None:
    """Return the function whose parameter a reader runs on."""
    for name in around(reader.function):
        function = source.functions.get(name)
        if function is not None and reader.executor in function.parameters:
            return source.path, name
    return None


def _givers(
    taker: FunctionId, parameter: str, reader: Reader, readers: Readers, seen: set[FunctionId]
) -> Iterator[Handed]:
    function = readers.program.function(*taker)
    if function is None or len(seen) > _DEPTH:
        return
    for edge in readers.program.graph.callers_of(taker):
        source = readers.program.source(edge.caller[0])
        if (
            edge.call is None
            or edge.how not in {"call", "name"}
            or source is None
            or _in_scope(edge, readers)
        ):
            continue
        argument = argument_for(edge.call, function, parameter)
        if argument is None:
            default = function.defaults.get(parameter, "")
            holder = readers.program.source(taker[0])
            if holder is None or is_privileged(default, holder):
                continue
            if readers.connections.holds(default, "", holder):
                yield Handed(reader, edge.call, source, default, left_out=True)
        elif is_privileged(argument.text, source):
            continue
        elif readers.connections.holds(argument.text, edge.call.function, source):
            yield Handed(reader, edge.call, source, argument.text)
        elif edge.caller not in seen and _is_parameter(argument.text, edge, readers):
            yield from _givers(edge.caller, argument.text, reader, readers, seen | {edge.caller})


def _is_parameter(name: str, edge: Edge, readers: Readers) -> bool:
    function = readers.program.function(*edge.caller)
    return function is not None and name in function.parameters


def _in_scope(edge: Edge, readers: Readers) -> bool:
    call = edge.call
    source = readers.program.source(edge.caller[0])
    if call is None or source is None:
        return True
    return readers.scopes.at(source, call.function, call.place.line).scope in {"tenant", "bypass"}
