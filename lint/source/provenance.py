"""Where the tenant of a bypass or tenant scope comes from.

A tenant is trusted when its type says that it was verified, when a verification returned it, or when
it is the variable of a loop over tenants that the program itself listed. A constant, nothing, or what
a request says of itself is not. Everything else is unknown, and said so rather than guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from lint.source.bypass_uses import matches
from lint.source.holders import around, steps_of
from lint.source.sites import Repeat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.config import LintConfig
    from lint.source.graph import FunctionId, Graph
    from lint.source.sites import Argument, Bind, Call, Function, Source
    from lint.source.verification import Verification

Origin = Literal["verified", "loop", "constant", "all-tenants", "request", "missing", "unknown"]
#: The worst comes first: one bad source of several decides.
_WORST: tuple[Origin, ...] = ("request", "constant", "unknown", "loop", "verified")

_REQUESTS = frozenset(
    {"request", "req", "payload", "body", "event", "headers", "query", "query_params", "params", "form"}
)
#: Parts of a request that a middleware puts there after it has authenticated the caller.
_AUTHENTICATED = frozenset(
    {"user", "auth", "state", "session", "context", "tenant", "org", "organization", "account"}
    | {"identity", "principal", "claims", "token", "workspace", "team", "scope"}
)
_WIRE_TYPES = re.compile(r"_pb2\b|\bRequest\b")
#: Calls that give a part of what they are called on, and calls that only change its form.
_READS = frozenset({"get", "pop", "getlist", "getone", "get_header", "header"})
_CONVERSIONS = frozenset({"UUID", "str", "int", "parse", "String", "Number", "strip", "lower", "TenantId"})
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a tenant was judged, and what that was read from."""

    origin: Origin
    #: The name, call or text that decided, "" when nothing did.
    evidence: str = ""


UNKNOWN = Provenance("unknown")


class Tenants:
    """Judges the tenants that are handed to bypasses and tenant scopes."""

    def __init__(self, graph: Graph, verification: Verification, config: LintConfig) -> None:
        self.graph = graph
        self.verification = verification
        self.config = config
        self._running: set[tuple[str, str, str]] = set()

    def judge(self, argument: Argument | None, call: Call, source: Source) -> Provenance:
        """Return where a call's tenant argument comes from."""
        if argument is None:
            return Provenance("missing")
        every = self._means_all(argument)
        if every is not None:
            return Provenance("all-tenants", every)
        if argument.kind == "literal" or (argument.kind == "member" and not argument.names):
            return Provenance("constant", argument.text)
        if _is_constant_name(argument):
            return Provenance("constant", argument.text)
        if argument.kind == "name" and self._is_function(argument, call, source):
            return Provenance("missing")
        return self._argument(argument, call, source, 0)

    def _means_all(self, argument: Argument) -> str | None:
        text = argument.text.removesuffix("()").rpartition(".")[2]
        return argument.text if text in self.config.all_tenants else None

    def _is_function(self, argument: Argument, call: Call, source: Source) -> bool:
        return len(call.arguments) == 1 and bool(self.graph.mentioned(argument, call.function, source))

    def _argument(self, argument: Argument, call: Call, source: Source, depth: int) -> Provenance:
        made = self._made_inline(argument, call, source)
        if made is not None:
            return self._of_call(made, source, depth)
        if argument.kind == "name":
            return self.name(argument.text, call.function, source, depth)
        parts = (f"{name}." if "." not in name else name for name in argument.names)
        return self._worst(self.name(part, call.function, source, depth) for part in parts)

    def _made_inline(self, argument: Argument, call: Call, source: Source) -> Call | None:
        """Return the call that an argument begins with: `verify_hello(request)` of `….tenant`."""
        text = argument.text.removeprefix("await ").lstrip("(")
        return next(
            (
                other
                for other in source.calls
                if other is not call
                and other.function == call.function
                and call.place.line <= other.place.line <= call.place.end_line
                and text.startswith(f"{other.written}(")
            ),
            None,
        )

    def _of_call(self, call: Call, source: Source, depth: int) -> Provenance:
        """Judge what a call returns: looked up, it is unknown; only read or converted, as its input."""
        if self._verifies(call, source):
            return Provenance("verified", call.written)
        if call.name in _READS:
            holder = call.written.rpartition(".")[0]
            part = holder if "." in holder else f"{holder}."
            return self.name(part, call.function, source, depth + 1) if holder else UNKNOWN
        if call.name in _CONVERSIONS:
            return self._worst(self._argument(one, call, source, depth + 1) for one in call.arguments)
        return UNKNOWN

    def _worst(self, found: Iterator[Provenance]) -> Provenance:
        judged = [one for one in found if one.origin != "missing"]
        return min(judged, key=lambda one: _WORST.index(one.origin), default=UNKNOWN)

    def name(self, dotted: str, function: str, source: Source, depth: int = 0) -> Provenance:
        """Return where what a name holds in a function comes from; "event." is a part of `event`."""
        key = (source.path, function, dotted)
        if key in self._running or depth > _DEEPEST:
            return UNKNOWN
        self._running.add(key)
        found = self._name(dotted, function, source, depth)
        self._running.discard(key)
        return found

    def _name(self, dotted: str, function: str, source: Source, depth: int) -> Provenance:
        first, dot, rest = dotted.partition(".")
        if first in source.imports and first not in _REQUESTS:
            return UNKNOWN
        for scope in around(function):
            written = source.functions.get(scope)
            if written is None:
                continue
            found = self._in_function(dotted, written, source, depth)
            if found is not None:
                return found
        return self._request(first, rest, None, is_part=bool(dot)) or UNKNOWN

    def _in_function(self, dotted: str, function: Function, source: Source, depth: int) -> Provenance | None:
        """Judge a name by what a function says of it, None when it says nothing."""
        first, dot, rest = dotted.partition(".")
        if first in function.types and self._is_verified_type(function.types[first]):
            return Provenance("verified", f"{first}: {function.types[first]}")
        looped = self._looped(first, function, source, depth)
        if looped is not None:
            return looped
        bound = self._bound(first, function, source, depth)
        if bound is not None:
            return bound
        if first in function.parameters:
            requested = self._request(first, rest, function, is_part=bool(dot))
            return requested or self._passed(first, rest, function, source, depth)
        return None

    def _is_verified_type(self, text: str) -> bool:
        return any(matches(name, self.config.verified_types) for name in re.findall(r"\w+", text))

    def _looped(self, first: str, function: Function, source: Source, depth: int) -> Provenance | None:
        for step in steps_of(function.body):
            if isinstance(step, Repeat) and first in step.variables:
                listed = self._listing(step.over, function, source, depth)
                return listed or Provenance("unknown", f"a loop over {', '.join(step.over)}")
        return None

    def _listing(
        self, over: tuple[str, ...], function: Function, source: Source, depth: int
    ) -> Provenance | None:
        """Say whether names hold tenants that the program listed itself."""
        for call in source.calls:
            bound = call.function == function.name and not set(call.bound_to).isdisjoint(over)
            direct = call.function == function.name and not over and self._lists(call)
            if (bound and self._lists(call)) or direct:
                return Provenance("loop", call.written)
        judged = [self.name(name, function.name, source, depth + 1) for name in over]
        return next((one for one in judged if one.origin in {"verified", "loop", "request"}), None)

    def _lists(self, call: Call) -> bool:
        config = self.config
        return matches(call.name, config.tenant_listings) or call.name in config.bypass_names

    def _bound(self, first: str, function: Function, source: Source, depth: int) -> Provenance | None:
        binds = self.graph.holders.binds(source, function).get(first, ())
        calls = [c for c in source.calls if first in c.bound_to and c.function == function.name]
        made = [self._of_call(call, source, depth) for call in calls]
        plain = [bind for bind in binds if not any(_is_bound_by(call, bind) for call in calls)]
        judged = [*made, *(self._of_bind(bind, function, source, depth) for bind in plain)]
        return self._worst(iter(judged)) if judged else None

    def _of_bind(self, bind: Bind, function: Function, source: Source, depth: int) -> Provenance:
        if bind.constant:
            return Provenance("constant", bind.constant)
        parts = (name if name in bind.values or "." in name else f"{name}." for name in bind.names)
        return self._worst(self.name(part, function.name, source, depth + 1) for part in parts)

    def _verifies(self, call: Call, source: Source) -> bool:
        if self.verification.verifies(call, source):
            return True
        found = self.graph.holders.called(call, source)
        if found is None or found.is_class:
            return False
        function = self.graph.functions.get(found.id)
        return function is not None and bool(function.returns) and self._is_verified_type(function.returns)

    def _request(
        self, first: str, rest: str, function: Function | None, *, is_part: bool
    ) -> Provenance | None:
        """Judge a part of what a request says; a whole request, or what a middleware added, says nothing."""
        if first not in _REQUESTS:
            return None
        wire = function is not None and bool(_WIRE_TYPES.search(function.types.get(first, "")))
        if function is not None and first == "request" and not wire:
            wire = any(fnmatchcase(base.rpartition(".")[2], "*Servicer") for base in function.bases)
        part = rest.partition(".")[0].lower()
        if not is_part and first in {"request", "req", "event", "body", "payload", "form"}:
            return None
        if part.partition("_")[0] in _AUTHENTICATED and not wire and first in {"request", "req"}:
            return UNKNOWN
        return Provenance("request", f"{first}.{rest}".rstrip("."))

    def _passed(self, first: str, rest: str, function: Function, source: Source, depth: int) -> Provenance:
        """Judge a parameter by what the callers that are known pass for it."""
        identity = (source.path, function.name)
        judged = []
        for edge in self.graph.callers_of(identity):
            if edge.how != "call" or edge.call is None:
                continue
            argument = argument_for(edge.call, function, first)
            if argument is not None:
                judged.append(self._from_caller(argument, edge.call, edge.caller, depth))
        bad = [one for one in judged if one.origin in {"request", "constant"}]
        if bad:
            return bad[0]
        return self._worst(iter(judged)) if judged and not rest else UNKNOWN

    def _from_caller(self, argument: Argument, call: Call, caller: FunctionId, depth: int) -> Provenance:
        if argument.kind == "literal":
            return Provenance("constant", argument.text)
        if self._means_all(argument) is not None:
            return UNKNOWN
        return self._argument(argument, call, self.graph.source_of(caller), depth + 1)


def _is_bound_by(call: Call, bind: Bind) -> bool:
    """Say whether an assignment's right side is that call."""
    return (
        set(bind.targets) <= set(call.bound_to)
        and bind.place.line <= call.place.line
        and call.place.end_line <= bind.place.end_line
    )


def _is_constant_name(argument: Argument) -> bool:
    """Say whether an argument is a name written as constants are: DEFAULT_TENANT."""
    name = argument.text.rpartition(".")[2]
    return argument.kind in {"name", "member"} and name.isupper()


def argument_for(call: Call, function: Function, parameter: str) -> Argument | None:
    """Return what a call passes for a parameter; a method's own object is not written in the call."""
    for argument in call.arguments:
        if argument.keyword == parameter:
            return argument
    names = [name for name in function.parameters if name not in {"self", "cls", "this"}]
    positional = [argument for argument in call.arguments if argument.keyword is None]
    index = names.index(parameter) if parameter in names else len(positional)
    return positional[index] if index < len(positional) else None
