"""Functions of a project that run the SQL they are given: `query(text, params)` around a pool.

What is read through one is written where it is called, and runs where the function says: on a connection
of its own with nobody bound, unless a scope stands around what it does.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from lint.source.access import RUNS, covers, executor_of

if TYPE_CHECKING:
    from lint.source.access import Access
    from lint.source.connections import Connections
    from lint.source.modules import FunctionId
    from lint.source.program import Program
    from lint.source.scopes import Scopes
    from lint.source.sites import Call, Source


class Runners:
    """The functions that hand a parameter to a raw connection as the statement to run."""

    def __init__(self, program: Program, scopes: Scopes, connections: Connections) -> None:
        self._program = program
        self._scopes = scopes
        self._connections = connections

    @cached_property
    def _found(self) -> frozenset[FunctionId]:
        return frozenset(
            (source.path, call.function)
            for source in self._program.sources
            for call in source.calls
            if call.function and call.name in RUNS and self._runs_parameter(call, source)
        )

    def _runs_parameter(self, call: Call, source: Source) -> bool:
        function = source.functions.get(call.function)
        first = call.arguments[0] if call.arguments else None
        if function is None or first is None or first.text not in function.parameters:
            return False
        if (source.path, call.function) in self._scopes.binders:
            return False
        bound = self._scopes.at(source, call.function, call.place.line).scope in {"tenant", "bypass"}
        raw = self._connections.holds(executor_of(call, source), call.function, source)
        return raw and (not bound or not self._scopes.around(source, call.function, call.place.line))

    def around(self, access: Access, source: Source) -> str:
        """Return how such a function is written in the call around an access, "" when none is."""
        if not self._found:
            return ""
        for call in source.calls:
            inside = call.function == access.function and covers(call.place, access.place)
            if inside and not self._found.isdisjoint(self._program.targets(call, source)):
                return call.written
        return ""
