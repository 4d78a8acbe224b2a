"""What has surely been verified whenever a place in the source is reached.

A verification dominates a place when every path from a request handler to it passes one. The walk
follows the steps of a function in order and enters the functions it calls; a branch, a loop or a
caught exception that may skip the verification leaves the place unverified. What a verifier does
itself is not judged: it has to look things up to verify them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, TypeAlias

from lint.source.sites import Attempt, Call, Choice, Do, Leave, Repeat, Within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lint.config import LintConfig
    from lint.source.graph import FunctionId, Graph
    from lint.source.sites import Block, Function, Source


class _Nowhere:
    """The state after a return or raise: no path goes on from here."""


NOWHERE: Final = _Nowhere()
#: The verification that every path has passed, None when some path passed none.
State: TypeAlias = Call | _Nowhere | None
_NEVER_RETURNS = frozenset({"NoReturn", "Never", "never"})
_LEAVING_CALLS = ("context.abort", "sys.exit", "process.exit", "os._exit")
#: Chains of calls are followed so far for a verification; longer ones count as unverified.
_DEEPEST_CALLS = 12
_SWALLOWING = frozenset({"suppress"})


def meet(*states: State) -> State:
    """Return what holds wherever one of several paths came from."""
    alive = [state for state in states if not isinstance(state, _Nowhere)]
    if not alive:
        return NOWHERE
    return None if any(state is None for state in alive) else alive[0]


@dataclass(slots=True)
class _Walk:
    """One walk over a function: where it is, what to tell of each call, and where paths join."""

    source: Source
    tell: Callable[[Call, State], None]
    returned: list[State] = field(default_factory=list)
    broken: list[State] = field(default_factory=list)


class Verification:
    """Verifications in a program: which calls verify, and what they dominate."""

    def __init__(self, graph: Graph, config: LintConfig) -> None:
        self.graph = graph
        self._plain = frozenset(name for name in config.verifiers if "." not in name)
        self._qualified = tuple(name for name in config.verifiers if "." in name)
        self._ends: dict[FunctionId, State] = {}
        self._running: set[FunctionId] = set()
        self._reaching: frozenset[FunctionId] | None = None

    def verifies(self, call: Call, source: Source) -> bool:
        """Say whether a call is a verification."""
        if call.name in self._plain:
            return True
        if not self._qualified or call.name not in {name.rpartition(".")[2] for name in self._qualified}:
            return False
        names = [call.written, *(name for _, name in self.graph.targets(call, source))]
        return any(f".{name}".endswith(f".{wanted}") for name in names for wanted in self._qualified)

    def is_verifier(self, function: FunctionId) -> bool:
        """Say whether a function is itself a configured verifier."""
        name = function[1]
        return name.rpartition(".")[2] in self._plain or any(
            f".{name}".endswith(f".{wanted}") for wanted in self._qualified
        )

    def any_in_use(self) -> bool:
        """Say whether the program verifies anything."""
        return any(self.verifies(call, source) for source in self.graph.sources for call in source.calls)

    # One function

    def at_end(self, function: FunctionId) -> State:
        """Return what every call of a function that returns has verified."""
        if function in self._ends:
            return self._ends[function]
        if function in self._running or len(self._running) >= _DEEPEST_CALLS:
            return None
        self._running.add(function)
        self._ends[function] = state = self._end_of(function)
        self._running.discard(function)
        return state

    def _end_of(self, function: FunctionId) -> State:
        body = self.graph.functions[function]
        if not _NEVER_RETURNS.isdisjoint(body.returns.replace("]", " ").replace("[", " ").split()):
            return NOWHERE
        if _is_abstract(body) or not (self._may_verify(function) or _raises_last(body)):
            return None
        walk = _Walk(self.graph.source_of(function), lambda _call, _state: None)
        end = self._block(body.body, self.entry(function), walk)
        return meet(end, *walk.returned)

    def _may_verify(self, function: FunctionId) -> bool:
        """Say whether a function reaches a verification at all; most do not, and are not walked."""
        if self._reaching is None:
            verifying = (
                self.graph.owner(source, call.function)
                for source in self.graph.sources
                for call in source.calls
                if self.verifies(call, source)
            )
            self._reaching = self.graph.reaching(verifying)
        return function in self._reaching

    def entry(self, function: FunctionId) -> State:
        """Return what a function's decorators have verified before it runs."""
        source, body = self.graph.source_of(function), self.graph.functions[function]
        for decorator in body.decorators:
            call = Call(decorator, decorator, (), function[1], body.place)
            if self.verifies(call, source):
                return call
        for edge in self.graph.callees_of(function):
            if edge.how == "decorator":
                found = self._first_in(edge.callee)
                if found is not None:
                    return found
        return None

    def _first_in(self, function: FunctionId) -> Call | None:
        source = self.graph.source_of(function)
        return next((c for c in source.calls if c.function == function[1] and self.verifies(c, source)), None)

    def states(self, function: FunctionId, entry: State) -> list[tuple[Call, State]]:
        """Return each call of a function with what has been verified when it is made."""
        seen: list[tuple[Call, State]] = []
        walk = _Walk(self.graph.source_of(function), lambda call, state: seen.append((call, state)))
        self._block(self.graph.functions[function].body, entry, walk)
        return seen

    def _block(self, block: Block, state: State, walk: _Walk) -> State:
        for step in block:
            if isinstance(step, Do):
                state = self._call(step.call, state, walk)
            elif isinstance(step, Choice):
                state = meet(*(self._block(branch, state, walk) for branch in step.branches))
            elif isinstance(step, Repeat):
                state = self._loop(step, state, walk)
            elif isinstance(step, Attempt):
                state = self._attempt(step, state, walk)
            elif isinstance(step, Within):
                state = self._within(step, state, walk)
            elif isinstance(step, Leave):
                state = _left(step, state, walk)
        return state

    def _call(self, call: Call, state: State, walk: _Walk) -> State:
        walk.tell(call, state)
        if isinstance(state, _Nowhere) or call.written.endswith(_LEAVING_CALLS):
            return NOWHERE
        targets = self.graph.targets(call, walk.source)
        if call.dropped and self._says_it_only(targets):
            return state
        if self.verifies(call, walk.source):
            return call
        ends = [self.at_end(target) for target in targets]
        if not ends:
            return state
        after = meet(*ends)
        return after if after is not None else state

    def _says_it_only(self, targets: tuple[FunctionId, ...]) -> bool:
        """Say whether a call whose result nobody takes does nothing: not awaited, or only a bool."""
        called = [self.graph.functions[target] for target in targets]
        return any(function.asynchronous or function.returns == "bool" for function in called)

    def _loop(self, loop: Repeat, state: State, walk: _Walk) -> State:
        outer, walk.broken = walk.broken, []
        end = self._block(loop.body, state, walk)
        broken, walk.broken = walk.broken, outer
        return meet(*broken) if loop.endless else meet(state, end, *broken)

    def _attempt(self, attempt: Attempt, state: State, walk: _Walk) -> State:
        end = self._block(attempt.body, state, walk)
        ends = [end, *(self._block(handler, state, walk) for handler in attempt.handlers)]
        joined = meet(*ends)
        if not attempt.always:
            return joined
        after = self._block(attempt.always, joined if attempt.handlers else state, walk)
        return joined if not isinstance(after, _Nowhere) else NOWHERE

    def _within(self, block: Within, state: State, walk: _Walk) -> State:
        inside = self._call(block.call, state, walk) if block.call is not None else state
        end = self._block(block.body, inside, walk)
        swallows = block.call is not None and block.call.name in _SWALLOWING
        return meet(state, end) if swallows else end

    # From handlers

    def reached(self, handlers: Iterable[FunctionId]) -> dict[int, list[tuple[FunctionId, State]]]:
        """Return, by the id of each call, the handlers that reach it and what was verified then."""
        found: dict[int, list[tuple[FunctionId, State]]] = {}
        for handler in handlers:
            for call, state in self._from(handler):
                found.setdefault(id(call), []).append((handler, state))
        return found

    def _from(self, handler: FunctionId) -> Iterator[tuple[Call, State]]:
        waiting: list[tuple[FunctionId, State]] = [(handler, self.entry(handler))]
        seen: set[tuple[FunctionId, bool]] = set()
        while waiting:
            function, entry = waiting.pop()
            key = (function, entry is None)
            if key in seen:
                continue
            seen.add(key)
            source = self.graph.source_of(function)
            for call, state in self.states(function, entry):
                if isinstance(state, _Nowhere):
                    continue
                yield call, state
                waiting.extend(self._entered(call, state, source))

    def _entered(self, call: Call, state: State, source: Source) -> Iterator[tuple[FunctionId, State]]:
        """Yield the functions a call enters; a callback of a verifier runs verified."""
        verifies = self.verifies(call, source)
        if not verifies:
            yield from ((one, state) for one in self.graph.targets(call, source))
        for argument in call.arguments:
            for handed in self.graph.mentioned(argument, call.function, source):
                yield handed, call if verifies else state


def _is_abstract(function: Function) -> bool:
    """Say whether a function only says that another class implements it."""
    *before, last = function.body or (None,)
    if not isinstance(last, Leave) or last.kind != "raise" or len(before) > 1:
        return False
    raised = [step.call.name for step in before if isinstance(step, Do)]
    return "NotImplementedError" in (*raised, *last.names)


def _raises_last(function: Function) -> bool:
    last = function.body[-1] if function.body else None
    return isinstance(last, Leave) and last.kind == "raise"


def _left(leave: Leave, state: State, walk: _Walk) -> State:
    if leave.kind == "yield":
        return state
    if leave.kind == "return":
        walk.returned.append(state)
    elif leave.kind == "break":
        walk.broken.append(state)
    return NOWHERE


def request_handlers(graph: Graph, config: LintConfig) -> tuple[FunctionId, ...]:
    """Return the functions that answer requests: a servicer's public methods, and those configured."""
    return tuple(
        identity for identity, function in graph.functions.items() if _is_handler(identity, function, config)
    )


def _is_handler(identity: FunctionId, function: Function, config: LintConfig) -> bool:
    path, name = identity
    if any(fnmatchcase(f"{path}:{name}", pattern) for pattern in config.handlers):
        return True
    own = name.rpartition(".")[2]
    served = any(
        fnmatchcase(base.rpartition(".")[2], pattern)
        for base in function.bases
        for pattern in config.handler_bases
    )
    return served and not own.startswith("_") and "<anonymous" not in own
