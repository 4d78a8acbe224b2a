"""What a framework gives a function before it runs: `db: Session = Depends(get_db)`, and what that sets.

FastAPI calls the functions that a route's signature names, and theirs, once for each request, so that a
session which one of them hands over is the same that another may have bound to a tenant. Dependencies of
a router or of a whole file count for every function in it: which of them they reach is not told apart.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from lint.source.access import covers
from lint.source.program import binds_of, last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.source.modules import FunctionId
    from lint.source.program import Program
    from lint.source.settings import Settings
    from lint.source.sites import Call, Function, Source

_NAMES = frozenset({"Depends", "Security"})
_GIVEN = re.compile(r"\b(?:Depends|Security)\(\s*([A-Za-z_][\w.]*)")
_WORD = re.compile(r"[A-Za-z_]\w*")
#: Calls whose dependencies hold for what is defined elsewhere.
_FOR_OTHERS = frozenset({"include_router", "FastAPI"})


class Dependencies:
    """The functions that run before others of a program, as their signatures say."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._used = any(any(_depending(source)) for source in program.sources)
        self._calls = {source.path: _dependent_calls(source) for source in program.sources}
        self._aliases = dict(self._named_types()) if any(self._calls.values()) else {}
        self._closures: dict[FunctionId, frozenset[FunctionId]] = {}

    def parameters(self) -> Iterator[tuple[Source, str, str, FunctionId]]:
        """Yield (file, function, parameter, dependency) for each parameter that a dependency gives."""
        for source in self._program.sources if self._used else ():
            for function in source.functions.values() if source.language == "python" else ():
                for name in function.parameters:
                    yield from ((source, function.name, name, d) for d in self._of(name, function, source))

    def _of(self, parameter: str, function: Function, source: Source) -> Iterator[FunctionId]:
        written = function.types.get(parameter, "")
        for text in (function.defaults.get(parameter, ""), written):
            for name in _GIVEN.findall(text):
                yield from self._program.named(name, "", source)
        for word in _WORD.findall(written) if self._aliases else ():
            yield from self._aliases.get(word, ())

    def _named_types(self) -> Iterator[tuple[str, tuple[FunctionId, ...]]]:
        """Yield types such as `Db = Annotated[Session, Depends(get_db)]` with what gives their values."""
        for source in self._program.sources:
            calls = [call for call in self._calls[source.path] if not call.function]
            for bind in binds_of(source.functions.get("")) if calls else ():
                given = [one for call in calls if covers(bind.place, call.place) for one in self._given(call)]
                yield from ((target, tuple(given)) for target in bind.targets if given)

    def _given(self, call: Call) -> tuple[FunctionId, ...]:
        source = self._program.source(call.place.path)
        name = next((a.text.partition("(")[0] for a in call.arguments), "")
        return self._program.named(name, "", source) if source is not None and name else ()

    @cached_property
    def _for_all(self) -> tuple[FunctionId, ...]:
        """What an application or a router that is put into it asks of every route."""
        return tuple(
            given
            for source in self._program.sources
            for outer in (source.calls if self._calls[source.path] else ())
            if outer.name in _FOR_OTHERS
            for call in self._calls[source.path]
            if covers(outer.place, call.place)
            for given in self._given(call)
        )

    def running(self, function: FunctionId) -> frozenset[FunctionId]:
        """Return what may run for one request of a function: it, its dependencies, and all they call."""
        if function not in self._closures:
            self._closures[function] = self._closure(function)
        return self._closures[function]

    def _closure(self, function: FunctionId) -> frozenset[FunctionId]:
        found: set[FunctionId] = set()
        waiting = {function, *self._for_all, *self._of_file(function[0])}
        while waiting:
            found |= waiting
            reached = self._program.graph.reachable_from(waiting)
            inner = {one for target in reached for one in self._program.graph.within(target) if target[1]}
            wanted = {given for target in reached for given in self._of_signature(target)}
            waiting = {*reached, *inner, *wanted} - found
        return frozenset(found)

    def _of_file(self, path: str) -> Iterator[FunctionId]:
        """Yield the dependencies that a file names outside of any function: of routers and decorators."""
        for call in self._calls.get(path, ()):
            if not call.function:
                yield from self._given(call)

    def _of_signature(self, target: FunctionId) -> Iterator[FunctionId]:
        source, function = self._program.source(target[0]), self._program.function(*target)
        if source is not None and function is not None:
            for name in function.parameters:
                yield from self._of(name, function, source)


def _dependent_calls(source: Source) -> tuple[Call, ...]:
    """Return a file's `Depends(…)` outside of signatures, which tell theirs themselves."""
    functions = [one for one in source.functions.values() if one.name]
    return tuple(call for call in _depending(source) if not any(_within(call, one) for one in functions))


def _depending(source: Source) -> Iterator[Call]:
    return (call for call in source.calls if source.language == "python" and last(call.written) in _NAMES)


def _within(call: Call, function: Function) -> bool:
    return function.place.line <= call.place.line <= function.place.end_line


def settings_within(settings: Settings, functions: frozenset[FunctionId]) -> frozenset[str] | None:
    """Return the settings that some functions set, None where one sets what could not be read."""
    if any((source.path, text.function) in functions for source, text in settings.unnamed):
        return None
    return frozenset(
        site.change.name.lower() for site in settings.sites if (site.source.path, site.function) in functions
    )
