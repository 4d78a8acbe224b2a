"""Inside which scope a line of code runs: a tenant's, a bypass, or a raw connection.

A scope is entered by a configured verb (`with tenant_session(…)`, `run_as_tenant(…, fn)`, a decorator,
a dependency), by a parameter whose type is a session of a tenant, or by a function of the project's own
that sets the tenant's setting. A function whose every caller is inside a scope is inside it too. What
none of these shows is unknown, and said so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lint.config import path_matches
from lint.source.bypass_uses import matches
from lint.source.holders import steps_of
from lint.source.program import last
from lint.source.settings import is_tenant_setting
from lint.source.sites import Do, Leave, Within

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from lint.config import LintConfig
    from lint.source.modules import FunctionId
    from lint.source.program import Program
    from lint.source.settings import Settings
    from lint.source.sites import Argument, Block, Call, Function, Source

Scope = Literal["tenant", "bypass", "raw", "unknown"]

_BYPASS_WORD = re.compile(
    r"bypass|super_?user|as_?admin|service_?role|unscoped|without_?(?:rls|tenant)", re.IGNORECASE
)
_MANAGERS = frozenset({"contextmanager", "asynccontextmanager"})
#: How far a function that calls a binder is a binder itself, and callers are asked for their scope.
_DEPTH = 5
_DEPENDS = frozenset({"Depends", "Security", "inject", "Inject"})


@dataclass(frozen=True, slots=True)
class Reach:
    """How a line is reached: its scope, and what shows it, for a person."""

    scope: Scope
    why: str


@dataclass(frozen=True, slots=True)
class _Region:
    """Lines of one function that run in a scope."""

    first: int
    last: int
    reach: Reach


UNKNOWN = Reach("unknown", "nothing in sight says which tenant is bound")


class Scopes:
    """The scopes of a program. `verbs` are the functions, by name, that open one."""

    def __init__(self, program: Program, settings: Settings, config: LintConfig) -> None:
        self.program = program
        self._config = config
        self._types = _session_types(config)
        self.binders = _binders(program, settings, config)
        self._verbs: dict[str, Scope] = {
            **dict.fromkeys(config.tenant_scopes, "tenant"),
            **dict.fromkeys(config.bypass_names, "bypass"),
        }
        self._globbed: dict[str, bool] = {}
        self._bound_at = _bound_at(settings, config)
        self._depending: dict[str, tuple[Call, ...]] = {}
        self._handed = dict(self._callbacks())
        self._aliases = dict(self._dependencies())
        self._regions: dict[FunctionId, tuple[_Region, ...]] = {}
        self._asked: dict[FunctionId, Reach] = {}
        self._made: dict[str, frozenset[Scope]] = {}

    @property
    def any_tenant_scope(self) -> bool:
        """True when the code binds a tenant anywhere: without one there is nothing to be inside of."""
        called = (call.name for source in self.program.sources for call in source.calls)
        return bool(self.binders) or any(self._verbs.get(name) == "tenant" for name in called)

    @property
    def automatic(self) -> bool:
        """True when a listener of the project binds the tenant to every session that is opened."""
        listening = {"listens_for", "listen"}
        for path, name in self.binders:
            function = self.program.function(path, name)
            outside = not path_matches(path, self._config.verified_packages)
            if function and outside and not listening.isdisjoint(last(one) for one in function.decorators):
                return True
        return False

    def verb(self, call: Call, source: Source) -> Reach | None:
        """Return the scope that a call opens or binds, None when it does neither."""
        scope = self._verbs.get(call.name) or self._verbs.get(last(call.written)) or self._by_glob(call.name)
        if scope is not None:
            return Reach(scope, f"{call.name} in line {call.place.line}")
        for target in self.program.targets(call, source):
            if target in self.binders:
                return Reach(self.binders[target], f"{call.name}, which binds the tenant")
        return self.verb(call.receiver, source) if call.receiver is not None else None

    def _by_glob(self, name: str) -> Scope | None:
        if name not in self._globbed:
            self._globbed[name] = matches(name, self._config.bypass_contexts)
        return "bypass" if self._globbed[name] else None

    def at(self, source: Source, function: str, line: int) -> Reach:
        """Return the scope of a line of a function, by the innermost evidence."""
        name = function
        while True:
            inside = self._inside(source, name, line)
            if inside is not None:
                return inside
            if not name:
                return UNKNOWN
            name = name.rpartition(".")[0]

    def _inside(self, source: Source, name: str, line: int) -> Reach | None:
        around = [r for r in self._regions_of(source, name) if r.first <= line <= r.last]
        if around:
            return min(around, key=lambda region: region.last - region.first).reach
        if not name:
            return None
        whole = self.whole(source, name)
        return whole if whole.scope != "unknown" else None

    def around(self, source: Source, function: str, line: int) -> bool:
        """Say whether a scope stands around a line in its own function, or in one that it stands inside."""
        while function:
            if any(r.first <= line <= r.last for r in self._regions_of(source, function)):
                return True
            handed = self._handed.get((source.path, function))
            if handed is not None and ".<anonymous" in f".{function}":
                return True
            function = function.rpartition(".")[0]
        return False

    def whole(self, source: Source, name: str) -> Reach:
        """Return the scope that a whole function runs in, its callers asked where it says nothing."""
        target = (source.path, name)
        if target in self._asked:
            return self._asked[target]
        self._asked[target] = UNKNOWN
        found = (
            self.by_signature(source, name)
            or self._handed.get(target)
            or self._by_callers(target)
            or self._by_construction(name)
        )
        self._asked[target] = found or UNKNOWN
        return self._asked[target]

    def by_signature(self, source: Source, name: str) -> Reach | None:
        """Return the scope that a function's parameters, decorators or dependencies promise."""
        function = source.functions.get(name)
        if function is None:
            return None
        for parameter, written in function.types.items():
            for word in re.findall(r"[\w.]+", written):
                scope = self._types.get(last(word)) or self._aliases.get(last(word))
                if scope is not None:
                    return Reach(scope, f"its {parameter} is a {last(word)}")
        for decorator in function.decorators:
            scope = self._verbs.get(last(decorator)) or self._bound_by(decorator, source)
            if scope is not None:
                return Reach(scope, f"@{last(decorator)}")
        return self._by_dependency(function, source)

    def _bound_by(self, written: str, source: Source) -> Scope | None:
        for target in self.program.named(written, "", source):
            if target in self.binders:
                return self.binders[target]
        return None

    def _by_dependency(self, function: Function, source: Source) -> Reach | None:
        """Read `session = Depends(tenant_session)` in a function's signature."""
        for call in self._dependent_calls(source):
            if function.place.line <= call.place.line <= function.place.end_line:
                scope = self._given(call, source)
                if scope is not None:
                    return Reach(scope, f"its dependency {call.arguments[0].text}")
        return None

    def _dependent_calls(self, source: Source) -> tuple[Call, ...]:
        if source.path not in self._depending:
            self._depending[source.path] = tuple(call for call in source.calls if call.name in _DEPENDS)
        return self._depending[source.path]

    def _given(self, call: Call, source: Source) -> Scope | None:
        for argument in call.arguments[:1]:
            scope = self._verbs.get(last(argument.text)) or self._bound_by(argument.text, source)
            if scope is not None:
                return scope
        return None

    def _dependencies(self) -> Iterator[tuple[str, Scope]]:
        """Yield the names of types such as `Annotated[Session, Depends(tenant_session)]`."""
        from lint.source.access import covers
        from lint.source.program import binds_of

        for source in self.program.sources:
            calls = [call for call in self._dependent_calls(source) if not call.function]
            if not calls:
                continue
            for bind in binds_of(source.functions.get("")):
                for call in calls:
                    scope = self._given(call, source) if covers(bind.place, call.place) else None
                    if scope is not None:
                        yield from ((target, scope) for target in bind.targets)

    def _callbacks(self) -> Iterator[tuple[FunctionId, Reach]]:
        """Yield each function that is handed to a verb, with the scope it will run in."""
        for source in self.program.sources:
            for call in source.calls:
                reach = self.verb(call, source) if call.arguments else None
                if reach is None:
                    continue
                why = f"{call.name} runs it ({source.path}:{call.place.line})"
                for argument in call.arguments:
                    for target in self._handed_to(argument, call, source):
                        if target not in self.binders:
                            yield target, Reach(reach.scope, why)

    def _handed_to(self, argument: Argument, call: Call, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions that a scope runs; what one written there calls has callers elsewhere, too."""
        if argument.function is not None:
            return ((source.path, argument.function),)
        return self.program.mentioned(argument, call.function, source)

    def _by_callers(self, target: FunctionId, depth: int = 0) -> Reach | None:
        """Return the scope that every caller is in; callers of which one is unknown prove nothing."""
        sites = self.program.callers(target)
        if not sites or depth > _DEPTH:
            return None
        reached = {self.at(site.source, site.function, site.line).scope for site in sites}
        if len(reached) == 1 and "unknown" not in reached:
            return Reach(next(iter(reached)), f"all {len(sites)} callers in sight are")
        return None

    def _by_construction(self, name: str) -> Reach | None:
        """Return the scope that every object of a method's class is made in."""
        klass, dot, method = name.partition(".")
        if not dot or not klass[:1].isupper() or "." in method:
            return None
        made = self._made_in(klass)
        if len(made) == 1 and "unknown" not in made:
            return Reach(next(iter(made)), f"every {klass} in sight is made there")
        return None

    def _made_in(self, klass: str) -> frozenset[Scope]:
        if klass not in self._made:
            self._made[klass] = frozenset({"unknown"})
            found: set[Scope] = set()
            for site in self.program.made(klass):
                if site.call is None or site.function.startswith(f"{klass}."):
                    continue
                opened = self.verb(site.call, site.source)
                found.add((opened or self.at(site.source, site.function, site.line)).scope)
            self._made[klass] = frozenset(found)
        return self._made[klass]

    def _regions_of(self, source: Source, name: str) -> tuple[_Region, ...]:
        target = (source.path, name)
        if target not in self._regions:
            function = source.functions.get(name)
            if function is not None:
                end = function.place.end_line
                after = (_Region(line, end, reach) for line, reach in self._bound_at.get(target, ()))
                self._regions[target] = (*self._walk(function.body, source, end), *after)
            else:
                self._regions[target] = ()
        return self._regions[target]

    def _walk(self, block: Block, source: Source, end: int) -> Iterator[_Region]:
        """Yield the lines inside `with scope():`, and those after a call that binds the tenant."""
        for step in steps_of(block):
            if isinstance(step, Within) and step.call is not None:
                reach = self.verb(step.call, source)
                if reach is not None:
                    line = step.call.place.line
                    yield _Region(line, max(_last_line(step.body), step.call.place.end_line), reach)
            elif isinstance(step, Do):
                reach = self.verb(step.call, source)
                if reach is not None:
                    runs_it = self._is_given_work(step.call, source)
                    yield _Region(step.call.place.line, step.call.place.end_line if runs_it else end, reach)

    def _is_given_work(self, call: Call, source: Source) -> bool:
        """Say whether a call runs a function that it is given, so that its scope ends with it."""
        return any(self.program.mentioned(one, call.function, source) for one in call.arguments)


def _bound_at(settings: Settings, config: LintConfig) -> dict[FunctionId, list[tuple[int, Reach]]]:
    """Return the lines from which on a function has a tenant bound, by statements of its own."""
    found: dict[FunctionId, list[tuple[int, Reach]]] = {}
    for site in settings.sites:
        is_tenant = site.change.effect == "setting" and is_tenant_setting(site.change.name, config)
        if site.function and is_tenant and site.change.value.lower() != "default":
            line = site.place.line
            reach = Reach("tenant", f"{site.change.name} is set in line {line}")
            found.setdefault((site.source.path, site.function), []).append((line, reach))
    return found


def _session_types(config: LintConfig) -> dict[str, Scope]:
    return {
        **dict.fromkeys(config.tenant_session_types, "tenant"),
        **dict.fromkeys(config.bypass_session_types, "bypass"),
    }


def _last_line(block: Block) -> int:
    lines = [0]
    for step in steps_of(block):
        call = getattr(step, "call", None)
        place = getattr(step, "place", None) or (call.place if call is not None else None)
        if place is not None:
            lines.append(place.end_line)
    return max(lines)


def _binders(program: Program, settings: Settings, config: LintConfig) -> dict[FunctionId, Scope]:
    """Return the project's own functions that bind a tenant, or open a scope that does."""
    found: dict[FunctionId, Scope] = {}
    for source, function in _setters(settings, config):
        if function:
            found[source.path, function] = _scope_named(function)
    found.update(_around(found, program))
    verbs = {*config.tenant_scopes, *config.bypass_names}
    newest = set(found)
    for _ in range(_DEPTH):
        candidates = {user for target in newest for user in program.naming(last(target[1]))} - found.keys()
        newest = {user for user in candidates if last(user[1]) not in verbs and _binds(user, program, found)}
        found.update((user, _scope_named(user[1])) for user in newest)
    return found


def _around(binders: Container[FunctionId], program: Program) -> Iterator[tuple[FunctionId, Scope]]:
    """Yield what runs a function that it was given inside a callback that binds, as `withTenant` does."""
    for source in program.sources:
        for call in source.calls:
            outer, mark, _ = call.function.partition(".<anonymous")
            known = source.functions.get(outer) if mark and (source.path, call.function) in binders else None
            if known is not None and call.written in known.parameters:
                yield (source.path, outer), _scope_named(outer)


def _setters(settings: Settings, config: LintConfig) -> Iterator[tuple[Source, str]]:
    """Yield (file, function) of each place that sets a tenant's setting, or one of unknown name."""
    for site in settings.sites:
        if site.change.effect == "setting" and is_tenant_setting(site.change.name, config):
            yield from _users(site.source, site.function, site.place.line)
    for source, text in settings.unnamed:
        yield from _users(source, text.function, text.place.line)


def _users(source: Source, function: str, line: int) -> Iterator[tuple[Source, str]]:
    """Yield where a statement is used: its function, or those that name the constant it is in."""
    if function:
        yield source, function
        return
    from lint.source.program import binds_of

    for bind in binds_of(source.functions.get("")):
        if bind.place.line <= line <= bind.place.end_line and len(bind.targets) == 1:
            name = bind.targets[0]
            for call in source.calls:
                if any(name == argument.text or name in argument.names for argument in call.arguments):
                    yield source, call.function


def _scope_named(function: str) -> Scope:
    return "bypass" if _BYPASS_WORD.search(last(function)) else "tenant"


def _binds(user: FunctionId, program: Program, known: Container[FunctionId]) -> bool:
    """Say whether a function's caller is in a scope afterwards, or inside what it returns."""
    source, function = program.source(user[0]), program.function(*user)
    if source is None or function is None:
        return False
    hands_on, sessions = _hands_on(function), _sessions_taken(function)
    for step in steps_of(function.body):
        if isinstance(step, Leave) and step.kind == "return" and not _runs_work(step, function, source):
            named = [program.named(name, function.name, source) for name in step.names]
            if any(target in known for targets in named for target in targets):
                return True
        call = step.call if isinstance(step, (Do, Within)) else None
        if call is None or not (hands_on or (isinstance(step, Do) and _is_given(call, sessions))):
            continue
        if any(target in known for target in program.targets(call, source)):
            return True
    return False


def _runs_work(step: Leave, function: Function, source: Source) -> bool:
    """Say whether what is returned is the result of work that a scope has run: `return scope(t, tx => …)`."""
    return any(
        call.function == function.name
        and step.place.line <= call.place.line <= step.place.end_line
        and any(argument.function is not None for argument in call.arguments)
        for call in source.calls
    )


def _is_given(call: Call, sessions: frozenset[str]) -> bool:
    return any(not sessions.isdisjoint((argument.text, *argument.names)) for argument in call.arguments)


def _hands_on(function: Function) -> bool:
    """Say whether a function gives its caller the scope: a context manager or a generator."""
    if not _MANAGERS.isdisjoint(last(name) for name in function.decorators):
        return True
    return any(isinstance(step, Leave) and step.kind == "yield" for step in steps_of(function.body))


def _sessions_taken(function: Function) -> frozenset[str]:
    """Return the parameters that are a session or connection by their name."""
    words = ("session", "conn", "connection", "cursor", "tx", "trx", "client", "db")
    return frozenset(name for name in function.parameters if name.strip("*_").lower() in words)
