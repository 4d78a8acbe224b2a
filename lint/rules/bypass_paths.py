"""Which calls are made on the paths that a caller's arguments leave open, for BYP005.

A function that asks whether a parameter was given (`if tenant is None`) takes one path for the callers
that give it and another for those that do not. What a call hands to something that runs later is not
made here either: it has a session of its own by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.source.access import covers
from lint.source.holders import inner_blocks, steps_of
from lint.source.provenance import argument_for
from lint.source.sites import Bind, Choice, Do, Within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.source.graph import FunctionId, Graph
    from lint.source.sites import Argument, Block, Call, Function, Source, Step

#: Calls that run later, or elsewhere, what they are given.
RUNS_LATER = frozenset(
    {"submit", "run_in_executor", "create_task", "ensure_future", "start_soon", "call_soon", "call_later"}
    | {"Thread", "Process", "to_thread", "apply_async", "delay", "add_task", "setTimeout", "setImmediate"}
)
_NOTHING = frozenset({"None", "null", "undefined", "False", "false", "0", ""})
_MAY_BE_NOTHING = ("None", "Optional", "null", "undefined", "?", "Any")


def calls_made(block: Block, function: Function, given: frozenset[str]) -> Iterator[Call]:
    """Yield the calls of a block of a function that a caller makes which gives some parameters."""
    steps = list(_taken(block, function, given))
    calls = [call for call in map(_call_of, steps) if call is not None]
    later = [call for call in calls if call.name in RUNS_LATER]
    for call in calls:
        if not any(call is not other and covers(other.place, call.place) for other in later):
            yield call


@dataclass(frozen=True, slots=True)
class Entered:
    """A function on the way, the parameters surely given to it, and how many calls away it is."""

    source: Source
    function: Function
    given: frozenset[str] = frozenset()
    depth: int = 0

    def calling(self, call: Call, target: FunctionId, graph: Graph) -> Entered:
        """Return a function of the program that a call of this one runs."""
        function = graph.functions[target]
        found = ((name, argument_for(call, function, name)) for name in function.parameters)
        given = frozenset(name for name, one in found if one and self._is_something(one, graph))
        return Entered(graph.source_of(target), function, given, self.depth + 1)

    def _is_something(self, argument: Argument, graph: Graph) -> bool:
        """Say whether an argument is surely not None: a constant, part of something, or bound to a value."""
        text = argument.text
        if argument.kind != "name":
            return text not in _NOTHING and " or " not in text and " if " not in text
        if text in self.function.parameters:
            written = self.function.types.get(text, "")
            typed = bool(written) and not _may_be_nothing(written)
            return text in self.given or (typed and not self._bound(text))
        return bool(self._bound(text)) and not self._is_bound_to_nothing(text, graph)

    def _bound(self, name: str) -> list[Bind]:
        return [one for one in steps_of(self.function.body) if isinstance(one, Bind) and name in one.targets]

    def _is_bound_to_nothing(self, name: str, graph: Graph) -> bool:
        """Say whether a name may hold None: written so, or returned by a function that says it may."""
        calls = (call for call in map(_call_of, steps_of(self.function.body)) if call is not None)
        makers = (one for call in calls if name in call.bound_to for one in graph.targets(call, self.source))
        written = any(bind.constant in _NOTHING - {""} for bind in self._bound(name))
        return written or any(_may_be_nothing(graph.functions[maker].returns) for maker in makers)


def _may_be_nothing(written: str) -> bool:
    return any(word in written for word in _MAY_BE_NOTHING)


def _call_of(step: Step) -> Call | None:
    return step.call if isinstance(step, Do | Within) else None


def _taken(block: Block, function: Function, given: frozenset[str]) -> Iterator[Step]:
    """Yield the steps of a block, without branches for a missing parameter that was given."""
    waiting: list[Sequence[Step]] = [block]
    while waiting:
        for step in waiting.pop():
            yield step
            inner = inner_blocks(step)
            if isinstance(step, Choice) and step.asked in given and not _is_bound(step, function):
                inner = tuple(branch for at, branch in enumerate(inner) if at != step.missing)
            waiting.extend(inner)


def _is_bound(choice: Choice, function: Function) -> bool:
    """Say whether a function gives the name that is asked for another value, outside that choice."""
    within = sum(_binds(step, choice.asked) for step in steps_of((choice,)))
    return within != sum(_binds(step, choice.asked) for step in steps_of(function.body))


def _binds(step: Step, name: str) -> bool:
    return isinstance(step, Bind) and name in step.targets
