"""Who is asked by the outside world, and which values a request brings along.

A handler is known by the habits of frameworks: a file that is a route (Next.js, SvelteKit, an edge
function of Supabase), a function given to a router together with a path, a method decorated as a route.
A value comes from a request when it leads back to a parameter of a handler; what a database returned
does not, whatever it was asked with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lint.source.access import root_of
from lint.source.holders import around, steps_of
from lint.source.provenance import argument_for
from lint.source.sites import Repeat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.config import LintConfig
    from lint.source.graph import Edge, Graph
    from lint.source.modules import FunctionId
    from lint.source.sites import Argument, Call, Function, Source

#: Functions of a route's file that the framework calls, one for each method of HTTP.
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
ROUTE = re.compile(r"(?:^|/)(?:app|routes)/(?:.*/)?(?:route|\+server)\.[jt]sx?\Z")
API_FOLDER = re.compile(r"(?:^|/)(?:pages/api/.+|supabase/functions/[^/_][^/]*/index)\.[jt]sx?\Z")
#: Tests and what they build on answer nobody.
_TESTS = re.compile(
    r"(?:^|/)(?:__tests__|__mocks__|tests?|e2e|fixtures?|mocks?)/|\.(?:test|spec)\.", re.IGNORECASE
)
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "all"})
_ROUTERS = re.compile(
    r"(?:app|router|route|routes|server|fastify|api|hono|instance|[a-z]\w*(?:Router|Routes|App))\Z"
)
_DECORATORS = frozenset({"Get", "Post", "Put", "Patch", "Delete", "All"})
#: How handlers call what they are asked with, where only the file tells that they are handlers.
_REQUEST_NAMES = frozenset({"req", "request", "_req", "ctx", "context", "event"})
_REQUEST_TYPE = re.compile(r"\b(?:\w*Request|NextApiRequest|RequestEvent|Context)\b")
_DEEPEST = 14
#: How many calls away from a handler its values are followed.
_HOPS = 3


@dataclass(frozen=True, slots=True)
class Handler:
    """What answers a request: its functions, and what stands before it (`app.post("/x", guard, …)`)."""

    path: str
    functions: tuple[FunctionId, ...]
    #: The functions and names that the framework runs before, as written.
    before: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How a message calls it."""
        own = self.functions[0][1].partition(".<anonymous")[0]
        return own if own and "<anonymous" not in own else self.path


class Requests:
    """The handlers of a program's TypeScript, and what of their requests reaches other functions."""

    def __init__(self, graph: Graph, config: LintConfig, actions: frozenset[str] = frozenset()) -> None:
        self._graph = graph
        self._config = config
        #: Files whose exported functions browsers call by name.
        self._actions = actions

    @cached_property
    def handlers(self) -> tuple[Handler, ...]:
        """Every handler, each once."""
        found: dict[tuple[FunctionId, ...], Handler] = {}
        for source in self._graph.sources:
            if source.language == "typescript" and not _TESTS.search(source.path):
                for handler in self._of(source):
                    found.setdefault(handler.functions, handler)
        return tuple(found.values())

    def _of(self, source: Source) -> Iterator[Handler]:
        if API_FOLDER.search(source.path):
            asked = tuple((source.path, one.name) for one in source.functions.values() if _takes_request(one))
            if asked:
                yield Handler(source.path, asked)
        elif ROUTE.search(source.path):
            yield from _of_route(source)
        elif source.path in self._actions:
            yield from _exported(source)
        else:
            yield from self._routed(source)
            yield from _decorated(source)

    def _routed(self, source: Source) -> Iterator[Handler]:
        """Yield what is given to a router with a path: `app.post("/x", guard, async (req) => …)`."""
        for call in source.calls:
            if not is_route(call):
                continue
            *before, last = call.arguments[1:]
            functions = self._graph.mentioned(last, call.function, source)
            if functions:
                names = [name for one in before for name in (one.text, *one.names)]
                yield Handler(source.path, functions[:1], tuple(names))

    # What a request brings along

    def brings(self, names: tuple[str, ...], function: str, source: Source, handler: Handler) -> str:
        """Return the first of some names that a handler's request decides, "" when none is."""
        walk = _Walk(self._graph, frozenset(handler.functions))
        return next((name for name in names if walk.leads_back(name, function, source)), "")


class _Walk:
    """One search backwards from a value to a handler's parameters; each name is asked for once."""

    def __init__(self, graph: Graph, handlers: frozenset[FunctionId]) -> None:
        self._graph = graph
        self._handlers = handlers
        self._seen: set[tuple[str, str, str]] = set()

    def leads_back(self, name: str, function: str, source: Source, depth: int = 0, hops: int = 0) -> bool:
        first = name.partition(".")[0].partition("[")[0].removesuffix("()")
        key = (source.path, function, first)
        if not first or key in self._seen or depth > _DEEPEST or hops > _HOPS or first in source.imports:
            return False
        self._seen.add(key)
        for scope in around(function):
            known = source.functions.get(scope)
            if known is None:
                continue
            feeding = list(self._feeding(first, known, source))
            if any(self.leads_back(one, scope, source, depth + 1, hops) for one in feeding):
                return True
            if first in known.parameters:
                return self._passed(first, known, source, depth, hops)
            if feeding:
                return False
        return False

    def _feeding(self, name: str, function: Function, source: Source) -> Iterator[str]:
        """Yield the names that a name of a function takes its value from."""
        calls = [c for c in source.calls if name in c.bound_to and c.function == function.name]
        for call in calls:
            yield from _inputs(call)
        for bind in self._graph.holders.binds(source, function).get(name, ()):
            if not any(
                call.place.line >= bind.place.line and call.place.end_line <= bind.place.end_line
                for call in calls
            ):
                yield from bind.names
        for step in steps_of(function.body):
            if isinstance(step, Repeat) and name in step.variables:
                yield from step.over

    def _passed(self, name: str, function: Function, source: Source, depth: int, hops: int) -> bool:
        """Say whether a parameter is the request, or what a caller passes for it comes from one."""
        target = (source.path, function.name)
        if target in self._handlers:
            return True
        for edge in self._graph.callers_of(target):
            caller = self._graph.source_of(edge.caller)
            for given in _given(edge, function, name):
                step = 0 if edge.how == "callback" else 1
                if self.leads_back(given, edge.caller[1], caller, depth + 1, hops + step):
                    return True
        return False


def _inputs(call: Call) -> Iterator[str]:
    """Yield the names that a call's result depends on: what it is called on, and what it is given.

    Of a chain the last call decides: what `client.from("t").select().eq("id", id)` returns is the database's.
    """
    root = root_of(call)
    if root:
        yield root
    for argument in call.arguments:
        yield from names_in(argument)


def names_in(argument: Argument) -> tuple[str, ...]:
    """Return the names that an argument reads; of a function written there, none."""
    if argument.kind in {"function", "literal"}:
        return ()
    return argument.names or ((argument.text,) if argument.kind in {"name", "member"} else ())


def _given(edge: Edge, function: Function, parameter: str) -> tuple[str, ...]:
    """Return what a call puts in for a parameter; a callback is given parts of what it is called on."""
    if edge.call is None:
        return ()
    if edge.how == "callback":
        return (root_of(edge.call),)
    argument = argument_for(edge.call, function, parameter)
    return names_in(argument) if argument is not None else ()


def is_route(call: Call) -> bool:
    """Say whether a call registers a handler for a path: `router.post("/x", …)`."""
    first = call.arguments[0] if len(call.arguments) > 1 else None
    if first is None or first.kind != "literal" or not first.text.startswith("/"):
        return False
    holder = call.written.rpartition(".")[0].rpartition(".")[2]
    return call.name in _VERBS and (_ROUTERS.match(holder) is not None or holder == "()")


def _of_route(source: Source) -> Iterator[Handler]:
    for name in METHODS:
        inside = [one for one in source.functions if one == name or one.startswith(f"{name}.")]
        if name in inside:
            yield Handler(source.path, ((source.path, name),))
        elif inside:
            asked = [one for one in inside if _takes_request(source.functions[one])]
            yield from (Handler(source.path, ((source.path, one),)) for one in asked[:1])


def _exported(source: Source) -> Iterator[Handler]:
    for name, function in source.functions.items():
        if name and "." not in name and function.exported and function.parameters:
            yield Handler(source.path, ((source.path, name),))


def _decorated(source: Source) -> Iterator[Handler]:
    """Yield the methods of a controller, with the decorators of the class around."""
    for name, function in source.functions.items():
        own = [one.rpartition(".")[2] for one in function.decorators]
        if not _DECORATORS.isdisjoint(own):
            klass = source.classes.get(name.rpartition(".")[0])
            yield Handler(source.path, ((source.path, name),), (*own, *(klass.decorators if klass else ())))


def _takes_request(function: Function) -> bool:
    if not _REQUEST_NAMES.isdisjoint(one.strip("{} ") for one in function.parameters):
        return True
    return any(_REQUEST_TYPE.search(written) for written in function.types.values()) and bool(
        function.parameters
    )
