"""What a request itself states reaches a binding: is there anything on the way that asks who sends it?

In TypeScript handlers, routers and middlewares are looked through (`lint.source.askers`); in Python a
route with what its signature depends on, the routers of its file, and what runs before every request.
A program that asks in a place of which nothing is known here is taken to ask.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from lint.source.askers import Askers, asks_by_name
from lint.source.holders import around
from lint.source.program import last
from lint.source.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lint.config import LintConfig
    from lint.source.modules import FunctionId
    from lint.source.readers import Readers
    from lint.source.requests import Handler
    from lint.source.sites import Function, Source

_ROUTES = frozenset({"get", "post", "put", "patch", "delete", "route", "api_route", "websocket"})
_TENANT = re.compile(r"tenant|org|workspace|account|team|company", re.IGNORECASE)
#: What a framework gives a Flask route of its request.
_REQUEST = re.compile(
    r"request\.(?:json|args|form|values|headers|view_args|get_json|data|cookies|query_params)\b"
)
#: What gives a parameter of a route another way than the request.
_GIVEN = re.compile(r"\b(?:Depends|Security|Inject|Provide)\b")
_BEFORE = frozenset({"before_request", "middleware", "before_app_request"})


class Asked:
    """The handlers of a program, by whether anything asks who calls them."""

    def __init__(self, readers: Readers, contents: Mapping[str, bytes], config: LintConfig) -> None:
        self._readers = readers
        self._graph = readers.program.graph
        self._requests = Requests(self._graph, config)
        self._askers = Askers(self._graph, contents)

    def unasked(self, names: tuple[str, ...], function: str, source: Source) -> str:
        """Return the first of some names that a request states to a handler which asks nobody, else ""."""
        if source.language == "python":
            return self._in_python(names, function, source)
        handler = self._handlers.get(next((one for one in self._ids(function, source)), ("", "")))
        if handler is None or self._askers.asks(handler) or self._askers.middleware(handler.path):
            return ""
        return self._requests.brings(names, function, source, handler)

    def _ids(self, function: str, source: Source) -> Iterator[FunctionId]:
        return ((source.path, one) for one in around(function) if (source.path, one) in self._handlers)

    @cached_property
    def _handlers(self) -> dict[FunctionId, Handler]:
        return {one: handler for handler in self._requests.handlers for one in handler.functions}

    # Python

    def _in_python(self, names: tuple[str, ...], function: str, source: Source) -> str:
        route = next((one for one in around(function) if _is_route(source.functions.get(one))), "")
        known = source.functions.get(route)
        if not route or known is None or self._asks_in_python(known, source):
            return ""
        return next((name for name in names if _is_stated(name, known)), "")

    def _asks_in_python(self, route: Function, source: Source) -> bool:
        if source.path in self._guarded or "" in self._guarded:
            return True
        running = self._readers.connections.dependencies.running((source.path, route.name))
        called = (name for _, name in running if name != route.name)
        written = re.findall(
            r"\w+", " ".join((*route.defaults.values(), *route.types.values(), *route.decorators))
        )
        return any(map(asks_by_name, (last(name) for name in called))) or any(map(asks_by_name, written))

    @cached_property
    def _guarded(self) -> frozenset[str]:
        """The files whose routers ask before every route; "" where something asks before every request."""
        found: set[str] = set()
        for source in self._graph.sources:
            for call in source.calls if source.language == "python" else ():
                words = {word for one in call.arguments for word in re.findall(r"\w+", one.text)}
                if call.name == "add_middleware" and any(
                    re.search("auth|jwt|login|tenant", w, re.IGNORECASE) for w in words
                ):
                    found.add("")
                elif call.name in {"APIRouter", "include_router", "FastAPI"} and any(
                    map(asks_by_name, words)
                ):
                    found.add(source.path if call.name == "APIRouter" else "")
            found.update("" for one in source.functions.values() if self._runs_before(one, source))
        return frozenset(found)

    def _runs_before(self, function: Function, source: Source) -> bool:
        """Say whether a function runs before every request and calls what asks."""
        if _BEFORE.isdisjoint(map(last, function.decorators)):
            return False
        return any(asks_by_name(call.written) for call in source.calls if call.function == function.name)


def _is_route(function: Function | None) -> bool:
    return function is not None and any("." in d and last(d) in _ROUTES for d in function.decorators)


def _is_stated(name: str, route: Function) -> bool:
    """Say whether a name is what a request states of a tenant: a parameter of the route, or read from it."""
    if _REQUEST.search(name):
        return True
    plain = name in route.parameters and _TENANT.search(name) is not None
    return plain and not _GIVEN.search(route.defaults.get(name, "") + route.types.get(name, ""))
