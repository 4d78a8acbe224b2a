"""Who calls whom, across files and languages, and honestly which calls could not be followed.

A call is followed by name through imports and re-exports, through `self`, and through objects whose
class the source tells (`lint.source.holders`). A function handed on by name or written in place is
taken to be called by who hands it on; a decorated function runs its decorator's wrapper first.
"""

from __future__ import annotations

import builtins
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from lint.limits import check_time
from lint.source.holders import Holders, around, steps_of
from lint.source.modules import FunctionId, Modules, Symbol
from lint.source.sites import Leave

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.catalogue import Place
    from lint.source.sites import Argument, Call, Function, Source

__all__ = ["Edge", "FunctionId", "Graph", "Unresolved"]

How = Literal["call", "callback", "decorator", "name"]
_CONSTRUCTORS = ("__init__", "__new__", "constructor", "__post_init__")
#: Names that half of all classes have: one definition of them proves nothing about a call.
_COMMON = frozenset(
    {"get", "set", "run", "call", "add", "all", "list", "create", "update", "delete", "query", "execute"}
    | {"begin", "connect", "close", "commit", "send", "read", "write", "find", "save", "load", "init", "main"}
    | {"open", "start", "stop", "apply", "handle", "process", "next", "map", "filter", "push", "then", "test"}
    | {"append", "items", "keys", "values", "join", "format", "count", "index", "insert", "remove", "pop"}
    | {"copy", "encode", "decode", "split", "strip", "replace", "filter", "exists", "first", "scalar"}
)
_BUILT_IN = frozenset(dir(builtins)) | {"()", "Promise", "Array", "Object", "JSON", "Error", "Date"}


@dataclass(frozen=True, slots=True)
class Edge:
    """One function may run another: the call (or None), and how that is known."""

    caller: FunctionId
    callee: FunctionId
    place: Place
    how: How = "call"
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A call that may run a function of the program and could not be followed, and why."""

    caller: FunctionId
    written: str
    place: Place
    reason: str


class Graph:
    """The call graph of a program; edges are found when first asked for."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.sources = tuple(sources)
        self.modules = Modules(self.sources)
        self.holders = Holders(self.modules)
        self.functions: dict[FunctionId, Function] = {
            (source.path, name): function
            for source in self.sources
            for name, function in source.functions.items()
        }
        self._by_name: dict[str, list[FunctionId]] = {}
        for path, name in self.functions:
            self._by_name.setdefault(name.rpartition(".")[2], []).append((path, name))
        self._edges: tuple[dict[FunctionId, list[Edge]], dict[FunctionId, list[Edge]]] | None = None
        #: By the call itself: it is asked for by edges, scopes and connections alike.
        self._targets: dict[int, tuple[Symbol | None, tuple[FunctionId, ...]]] = {}
        #: By function, then name: what a name that is handed on stands for.
        self._by_mention: dict[FunctionId, dict[str, tuple[FunctionId, ...]]] = {}

    # Names and calls

    def source_of(self, function: FunctionId) -> Source:
        """Return the file that a function stands in."""
        return self.modules.sources[function[0]]

    def targets(self, call: Call, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions a call may run, () when none of the program's or not known."""
        return self._followed(call, source)[1]

    def _followed(self, call: Call, source: Source) -> tuple[Symbol | None, tuple[FunctionId, ...]]:
        """Return what a call names, None when that is not known, and the functions it may run."""
        if id(call) not in self._targets:
            check_time()
            found = self.holders.called(call, source)
            runs = self._run_by(found) if found is not None else ()
            if found is None:
                runs = self._through_variable(call.written, source, call.function) or self._only(call, source)
            self._targets[id(call)] = found, runs
        return self._targets[id(call)]

    def named(self, written: str, function: str, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions that a name stands for, seen from a function of a file."""
        found = self.holders.meant(written, source, function)
        if found is not None:
            return self._run_by(found)
        return self._through_variable(written, source, function)

    def mentioned(self, argument: Argument, function: str, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions that an argument hands on: by name, in a partial, or written there."""
        written = [name for name in (argument.function, *argument.functions) if name is not None]
        here = [(source.path, name) for name in dict.fromkeys(written) if name in source.functions]
        handed = [found for name in argument.names for found in self._handed(name, function, source)]
        return tuple(dict.fromkeys((*here, *handed)))

    def _handed(self, name: str, function: str, source: Source) -> tuple[FunctionId, ...]:
        known = self._by_mention.setdefault((source.path, function), {})
        if name not in known:
            known[name] = tuple(self._handed_on(name, function, source))
        return known[name]

    def _handed_on(self, name: str, function: str, source: Source) -> Iterator[FunctionId]:
        """Yield the function that a name handed on stands for; a class handed on is no call."""
        found = self.holders.meant(name, source, function)
        if found is not None:
            if not found.is_class and found.name:
                yield found.id
        elif "." not in name:
            yield from self._through_variable(name, source, function)

    def _run_by(self, symbol: Symbol) -> tuple[FunctionId, ...]:
        """Return what runs when a symbol is called: the function, or a class's constructor."""
        if not symbol.is_class:
            return (symbol.id,) if symbol.name else ()
        made = (self.modules.method(symbol, name) for name in _CONSTRUCTORS)
        return tuple(found for found in made if found is not None)

    def _through_variable(self, name: str, source: Source, function: str) -> tuple[FunctionId, ...]:
        """Return the functions that a local name was bound to, such as `job = partial(work, x)`.

        What a function returned is not that function: `id = find(x)` hands nothing on.
        """
        written = source.functions.get(function)
        if "." in name or written is None:
            return ()
        found: dict[FunctionId, None] = {}
        results = self.holders.made(source, function, name)
        for bind in self.holders.binds(source, written).get(name, ()):
            for other in bind.names:
                plain = other != name and other not in results
                symbol = self.holders.meant(other, source, function) if plain else None
                if symbol is not None and not symbol.is_class and symbol.name:
                    found[symbol.id] = None
        return tuple(found)

    def _only(self, call: Call, source: Source) -> tuple[FunctionId, ...]:
        """Return the one method of the program with an uncommon name, for an object of any class."""
        found = self._by_name.get(call.name, [])
        if "." not in call.written or len(found) != 1 or call.name in _COMMON:
            return ()
        foreign = self.holders.is_foreign(source, call.function, call.written)
        return () if foreign or self.holders.is_outside(call, source) else tuple(found)

    # Edges

    def callees_of(self, function: FunctionId) -> tuple[Edge, ...]:
        """Return the edges that leave a function."""
        return tuple(self._built()[0].get(function, ()))

    def callers_of(self, function: FunctionId) -> tuple[Edge, ...]:
        """Return the edges that reach a function."""
        return tuple(self._built()[1].get(function, ()))

    @cached_property
    def unresolved(self) -> tuple[Unresolved, ...]:
        """The calls that may run the program's functions and could not be followed."""
        return tuple(self._not_followed())

    def _not_followed(self) -> Iterator[Unresolved]:
        for source in self.sources:
            for call in source.calls:
                reason = None if self._followed(call, source)[1] else self._why_not(call, source)
                if reason is not None:
                    yield Unresolved(self.owner(source, call.function), call.written, call.place, reason)

    def reachable_from(self, functions: Iterable[FunctionId]) -> frozenset[FunctionId]:
        """Return the functions that these may run, themselves included."""
        return self._closure(functions, 0)

    def reaching(self, functions: Iterable[FunctionId]) -> frozenset[FunctionId]:
        """Return the functions that may run one of these, themselves included."""
        return self._closure(functions, 1)

    def _closure(self, functions: Iterable[FunctionId], direction: Literal[0, 1]) -> frozenset[FunctionId]:
        edges = self._built()[direction]
        waiting = deque(functions)
        seen = set(waiting)
        while waiting:
            for edge in edges.get(waiting.popleft(), ()):
                other = edge.caller if direction else edge.callee
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return frozenset(seen)

    def owner(self, source: Source, function: str) -> FunctionId:
        """Return the function that code of a class's body or of a function runs in."""
        while function and function not in source.functions:
            function = function.rpartition(".")[0]
        return source.path, function

    def _built(self) -> tuple[dict[FunctionId, list[Edge]], dict[FunctionId, list[Edge]]]:
        if self._edges is None:
            leaving: dict[FunctionId, list[Edge]] = {}
            reaching: dict[FunctionId, list[Edge]] = {}
            for source in self.sources:
                for edge in self._edges_of(source):
                    leaving.setdefault(edge.caller, []).append(edge)
                    reaching.setdefault(edge.callee, []).append(edge)
            self._edges = leaving, reaching
        return self._edges

    def _edges_of(self, source: Source) -> Iterator[Edge]:
        for call in source.calls:
            caller = self.owner(source, call.function)
            symbol, found = self._followed(call, source)
            how: How = "call" if found and symbol else "name"
            yield from (Edge(caller, callee, call.place, how, call) for callee in found)
            handed = [
                one for argument in call.arguments for one in self.mentioned(argument, call.function, source)
            ]
            yield from (Edge(caller, callee, call.place, "callback", call) for callee in handed)
        for function in source.functions.values():
            yield from self._edges_of_function(source, function)

    def _edges_of_function(self, source: Source, function: Function) -> Iterator[Edge]:
        """Yield a function's wrappers, and the functions of its own that it returns."""
        own = (source.path, function.name)
        for decorator in function.decorators:
            written = self.holders.defined(decorator, source, function.name.rpartition(".")[0])
            found = written or self.modules.find(decorator, source.path)
            if found is not None:
                yield from (Edge(own, inner, function.place, "decorator") for inner in self.within(found.id))
        for step in steps_of(function.body):
            if isinstance(step, Leave) and step.kind == "return":
                returned = (f"{function.name}.{name}".lstrip(".") for name in step.names)
                yield from (
                    Edge(own, (source.path, name), step.place, "callback")
                    for name in returned
                    if name in source.functions and function.name
                )

    def within(self, function: FunctionId) -> tuple[FunctionId, ...]:
        """Return the functions defined inside a function, or a decorator class's `__call__`."""
        path, name = function
        inside = (other for other in self.modules.sources[path].functions if other.startswith(f"{name}."))
        return tuple((path, other) for other in inside)

    def _why_not(self, call: Call, source: Source) -> str | None:
        """Return why a call could not be followed, None when it runs nothing of the program."""
        first = call.written.partition(".")[0]
        if first in source.imports or self._followed(call, source)[0] is not None:
            return None
        if "." in call.written:
            known = call.name in self._by_name and not self.holders.is_foreign(source, call.function, first)
            return "a method of an object whose class is not known" if known else None
        if self._is_parameter(call.written, source, call.function):
            return "a function that is a parameter"
        return None if call.written in _BUILT_IN else "a name that is not defined or imported here"

    def _is_parameter(self, name: str, source: Source, function: str) -> bool:
        functions = (source.functions.get(scope) for scope in around(function))
        return any(name in one.parameters for one in functions if one is not None)
