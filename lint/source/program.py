"""What scopes and readers ask of a program beyond its call graph: who makes objects, who names what.

Calls are followed by `lint.source.graph`; what it cannot follow stays unknown here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.source.graph import Graph
from lint.source.holders import steps_of
from lint.source.sites import Bind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.source.modules import FunctionId
    from lint.source.sites import Argument, Call, Function, Source


@dataclass(frozen=True, slots=True)
class Site:
    """A call, or the place where a function is handed on, and the file it stands in."""

    source: Source
    function: str
    line: int
    call: Call | None = None


class Program:
    """The functions of all sources, and the calls that reach them or make objects of their classes."""

    def __init__(self, sources: Sequence[Source], graph: Graph | None = None) -> None:
        self.sources = tuple(sources)
        self.graph = graph or Graph(self.sources)
        self._by_path = {source.path: source for source in self.sources}
        self._derived = self._by_base()
        self._made: dict[str, list[Site]] | None = None
        self._naming: dict[str, set[FunctionId]] | None = None

    def source(self, path: str) -> Source | None:
        """Return a file by its path."""
        return self._by_path.get(path)

    def function(self, path: str, name: str) -> Function | None:
        """Return a function by its file and qualified name."""
        return self.graph.functions.get((path, name))

    def targets(self, call: Call, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions a call may run, () when that cannot be seen."""
        return self.graph.targets(call, source)

    def named(self, written: str, function: str, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions that a name stands for at a place of a file."""
        return self.graph.named(written, function, source)

    def mentioned(self, argument: Argument, function: str, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions that an argument hands on: by name, in a partial, or anonymous."""
        return self.graph.mentioned(argument, function, source)

    def callers(self, target: FunctionId) -> tuple[Site, ...]:
        """Return where a function is called, or handed to what may call it."""
        edges = (edge for edge in self.graph.callers_of(target) if edge.how != "decorator")
        return tuple(
            Site(self.graph.source_of(edge.caller), edge.caller[1], edge.place.line, edge.call)
            for edge in edges
        )

    def made(self, klass: str) -> tuple[Site, ...]:
        """Return the calls `Class(…)` and `Class.of(…)`, of the classes derived from it too."""
        if self._made is None:
            self._made = {}
            for source in self.sources:
                for call in source.calls:
                    first = call.written.partition(".")[0]
                    name = last(source.imports.get(first, first))
                    if name[:1].isupper() and call.written.count(".") <= 1:
                        site = Site(source, call.function, call.place.line, call)
                        self._made.setdefault(name, []).append(site)
        return tuple(site for name in self._and_derived(klass) for site in self._made.get(name, ()))

    def naming(self, name: str) -> frozenset[FunctionId]:
        """Return the functions that call something of that last name, or hand it to a call."""
        if self._naming is None:
            self._naming = {}
            for source in self.sources:
                for call in source.calls:
                    for one in {call.name, *(last(n) for a in call.arguments for n in a.names)}:
                        self._naming.setdefault(one, set()).add((source.path, call.function))
        return frozenset(self._naming.get(name, ()))

    def _by_base(self) -> dict[str, set[str]]:
        derived: dict[str, set[str]] = {}
        for source in self.sources:
            for name, one in source.classes.items():
                for base in one.bases:
                    derived.setdefault(last(base), set()).add(last(name))
        return derived

    def _and_derived(self, klass: str) -> frozenset[str]:
        found, waiting = {klass}, [klass]
        while waiting:
            for name in self._derived.get(waiting.pop(), set()) - found:
                found.add(name)
                waiting.append(name)
        return frozenset(found)


def last(name: str) -> str:
    """Return the last part of a dotted name."""
    return name.rpartition(".")[2]


def binds_of(function: Function | None) -> Iterator[Bind]:
    """Yield the assignments of a function or module."""
    if function is not None:
        yield from (step for step in steps_of(function.body) if isinstance(step, Bind))


def constants_of(source: Source) -> dict[str, str]:
    """Return the module's constants that are texts, without their quotes."""
    found: dict[str, str] = {}
    for bind in binds_of(source.functions.get("")):
        if bind.constant[:1] in {"'", '"', "`"}:
            found.update(dict.fromkeys(bind.targets, bind.constant.strip("'\"`")))
    return found
