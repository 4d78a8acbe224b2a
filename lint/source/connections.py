"""Which calls open a database connection, and which names then hold one that has no tenant bound.

Callees are matched with their imports resolved, so that `requests.Session` is no database session.
A name holds a raw connection when it is bound to such a call, or to a method of such a name
(`engine.connect()`, `pool.acquire()`), or imported from a module where it is.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from lint.source import typescript_db
from lint.source.access import covers, root_of
from lint.source.dependencies import Dependencies
from lint.source.holders import around, steps_of
from lint.source.modules import Symbol, module_parts
from lint.source.sites import Leave, Within

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from lint.source.modules import FunctionId
    from lint.source.program import Program
    from lint.source.sites import Call, Function, Source

#: A call, and the names that its result has.
Binding: TypeAlias = "tuple[Call, tuple[str, ...]]"
OPENS_PYTHON = re.compile(
    r"sqlalchemy(?:\.\w+)*\.(?:create_engine|create_async_engine|engine_from_config|"
    r"async_engine_from_config|Session|AsyncSession|sessionmaker|async_sessionmaker|"
    r"scoped_session|async_scoped_session)"
    r"|sqlmodel(?:\.\w+)*\.(?:create_engine|Session|AsyncSession)"
    r"|psycopg(?:\.\w+)*\.connect"
    r"|psycopg2\.connect|psycopg2\.pool\.\w*ConnectionPool"
    r"|psycopg_pool(?:\.\w+)*\.\w*ConnectionPool"
    r"|asyncpg(?:\.\w+)*\.(?:connect|create_pool)"
    r"|aiopg(?:\.\w+)*\.(?:connect|create_pool|create_engine)|pg8000(?:\.\w+)*\.connect"
)
#: A project's own package around its generated client has any name.
_PRISMA_CLIENT = re.compile(r"prisma\w*[./](?:[\w./-]+\.)?PrismaClient\Z", re.IGNORECASE)
_METHODS = {
    "engine": frozenset({"connect", "begin", "raw_connection"}),
    "pool": frozenset({"connection", "acquire", "getconn", "connect", "query"}),
}
#: Methods of a raw holder whose result is raw again.
_HANDS_ON = frozenset({"connect", "begin", "raw_connection", "connection", "acquire", "getconn", "cursor"})
#: Methods that put something into a store, and those that look up what a request has bound.
_STORES = frozenset({"set", "setdefault", "put", "add"})
_CONTEXTS = frozenset({"getStore", "AsyncLocalStorage", "enterWith"})
#: What names of scopes and folders' aliases begin with; what a package has between its name and a file.
_ALIAS_MARKS = ("@", "#", "$", "~")
_FOLDERS_OF_PACKAGES = frozenset({"", "src", "dist", "lib"})
#: Methods by which every query of a Prisma client gets code of the project's around it.
_EXTENDS = frozenset({"$extends", "$use"})
#: Methods that run a callback in a transaction of their own.
_TRANSACTIONS = frozenset({"$transaction", "transaction", "begin", "tx", "task"})


def opens_connection(call: Call, source: Source) -> bool:
    """Say whether a call makes an engine, a pool, a connection or a session of its own."""
    if source.language == "typescript":
        return _is_imported(call, source) and (
            typescript_db.opens_connection(call) or _PRISMA_CLIENT.search(call.callee) is not None
        )
    return OPENS_PYTHON.fullmatch(call.callee) is not None


def _is_imported(call: Call, source: Source) -> bool:
    """Say whether what is called was imported: a parameter called `knex` builds queries, it opens nothing."""
    return call.written.partition(".")[0] in source.imports or call.written.startswith("()")


def takes_connection(call: Call, source: Source) -> bool:
    """Say whether a call takes a connection from an engine or pool that was imported."""
    parts = call.written.split(".")
    if len(parts) < 2 or parts[0] not in source.imports:
        return False
    holder = parts[-2].lower().rpartition("_")[2]
    return parts[-1] in _METHODS.get(holder, ())


class Connections:
    """The names that hold raw connections, by file and function ("" for the module, "self." names too).

    `bound` are the functions that bind a tenant: what they hand out is not raw.
    """

    def __init__(self, program: Program, bound: Container[FunctionId] = ()) -> None:
        self._program = program
        self._bound = bound
        self.openers = frozenset(self._opening_functions())
        self._held: dict[str, dict[str, set[str]]] = {}
        self._exports: dict[str, list[Source]] = {}
        bindings = {source.path: tuple(_bindings(source)) for source in program.sources}
        for source in program.sources:
            held = self._held.setdefault(source.path, {})
            for function, name in self._opened(source, bindings[source.path]):
                held.setdefault(name, set()).add("" if _is_of_all(name, function, source) else function)
            if any("" in where for where in held.values()):
                self._exports.setdefault(module_parts(source.path)[-1], []).append(source)
        for source in program.sources:
            self._spread(source, bindings[source.path])
        self.dependencies = Dependencies(program)
        #: (path, function, parameter) of the sessions that a framework takes from a function that opens one.
        self.given = frozenset(self._given())

    def _given(self) -> Iterator[tuple[str, str, str]]:
        """Yield the parameters whose dependency hands out a raw connection, and note what they hold."""
        giving: dict[FunctionId, bool] = {}
        for source, function, name, target in self.dependencies.parameters():
            if target not in giving:
                giving[target] = target in self.openers or self._hands_out(target)
            if giving[target]:
                self._held[source.path].setdefault(name, set()).add(function)
                yield source.path, function, name

    def taker(self, name: str, function: str, path: str) -> FunctionId | None:
        """Return the function around here that a framework gives a raw connection by that name."""
        return next(((path, one) for one in around(function) if (path, one, name) in self.given), None)

    def _hands_out(self, target: FunctionId) -> bool:
        """Say whether a function yields or returns a name that holds a raw connection in it."""
        source, function = self._program.source(target[0]), self._program.function(*target)
        if source is None or function is None or target in self._bound:
            return False
        return any(
            isinstance(step, Leave)
            and step.kind in {"return", "yield"}
            and any(self.holds(name, target[1], source) for name in step.values)
            for step in steps_of(function.body)
        )

    def holds(self, name: str, function: str, source: Source) -> bool:
        """Say whether a name holds a raw connection in a function of a file."""
        if not name:
            return False
        where = self._held.get(source.path, {}).get(name, set())
        if any(not one or function == one or function.startswith(f"{one}.") for one in where):
            return True
        return self._is_imported(name, source) or self._is_client(name, function, source)

    def opened_in(self, name: str, function: str, source: Source) -> bool:
        """Say whether a name holds what a function opened itself, or one that it stands inside."""
        scopes = set(around(function)) - {""}
        return any(
            name in names and call.function in scopes and self._opens_here(call, source)
            for call, names in _bindings(source)
        )

    def _opens_here(self, call: Call, source: Source) -> bool:
        """Say whether a call gives a raw connection, or makes one of a factory such as `SessionLocal`."""
        return self.opens(call, source) or ("." not in call.written and self.holds(call.written, "", source))

    def opens(self, call: Call, source: Source) -> bool:
        """Say whether a call gives a raw connection, by itself or through a function of the project."""
        if opens_connection(call, source) or takes_connection(call, source):
            return True
        return any(target in self.openers for target in self._program.targets(call, source))

    def _is_imported(self, name: str, source: Source) -> bool:
        first, dot, attribute = name.partition(".")
        if dot and first in source.imports:
            return self._exported(source.imports[first], attribute) or self._is_imported(first, source)
        module, _, original = source.imports.get(name, "").rpartition(".")
        return self._exported(module, original)

    def _exported(self, module: str, original: str) -> bool:
        """Say whether a module of the program holds a raw connection under a name of its top level."""
        wanted = _last_parts(module)
        for other in self._exports.get(wanted[-1], ()) if wanted else ():
            held = self._held[other.path]
            if "" not in held.get(other.exports.get(original, original), ()):
                continue
            if module_parts(other.path)[-len(wanted) :] == wanted[-len(module_parts(other.path)) :]:
                return True
        return module[:1] in _ALIAS_MARKS and self._is_of_workspace(module, original)

    def _is_of_workspace(self, module: str, original: str) -> bool:
        """Say whether a package of the project's own, or an alias of a folder, exports a raw connection.

        As for functions: only one file below a folder of that name holds one under the name.
        """
        below = [part for part in module.replace("/", ".").split(".")[1:] if part not in _FOLDERS_OF_PACKAGES]
        holding = {
            other.path
            for others in self._exports.values()
            for other in others
            if "" in self._held[other.path].get(original, ())
            and below
            and set(below) <= set(module_parts(other.path))
        }
        return len(holding) == 1

    def _is_client(self, name: str, function: str, source: Source) -> bool:
        """Say whether a name holds an object of a class of the project that is a Prisma client itself.

        A client that its own file extends may bind a tenant to every query, so it proves nothing.
        """
        if source.language != "typescript":
            return False
        klass = self._program.graph.holders.held(source, function, name)
        return klass is not None and klass in self._clients

    @cached_property
    def _clients(self) -> frozenset[Symbol]:
        """The classes of the program that are derived from Prisma's client."""
        modules = self._program.graph.modules
        written = (
            Symbol(source.path, name, is_class=True)
            for source in self._program.sources
            for name in (source.classes if source.language == "typescript" else ())
        )
        return frozenset(one for one in written if any(map(self._is_plain_client, modules.bases(*one.id))))

    def _is_plain_client(self, klass: Symbol) -> bool:
        source = self._program.graph.modules.sources[klass.path]
        known = source.classes.get(klass.name)
        derived = known is not None and any(_PRISMA_CLIENT.search(base) for base in known.bases)
        return derived and not any(call.name in _EXTENDS for call in source.calls)

    def _opening_functions(self) -> Iterator[FunctionId]:
        """Yield the functions that return or yield what they opened."""
        for source in self._program.sources:
            for call in source.calls:
                target = (source.path, call.function)
                if not call.function or target in self._bound or not opens_connection(call, source):
                    continue
                function = source.functions.get(call.function)
                if _gives_away(function, call) or _gives_from_store(function, call, source):
                    yield target

    def _opened(self, source: Source, bindings: Iterable[Binding]) -> Iterator[tuple[str, str]]:
        for call, names in bindings:
            if self.opens(call, source):
                for name in names:
                    yield call.function, name

    def _spread(self, source: Source, bindings: Sequence[Binding]) -> None:
        """Follow `with engine.connect() as c` and `cursor = c.cursor()`; twice, for a cursor of one."""
        held = self._held[source.path]
        for _ in range(2):
            for call, names in bindings:
                if call.name in _HANDS_ON or call.name == root_of(call) or "." not in call.written:
                    root = root_of(call) or call.written
                    if self.holds(root, call.function, source):
                        for name in names:
                            held.setdefault(name, set()).add(call.function)
        for call in source.calls:
            if call.name in _TRANSACTIONS and self.holds(root_of(call), call.function, source):
                for function, name in _given_to(call, source):
                    held.setdefault(name, set()).add(function)


def _is_of_all(name: str, function: str, source: Source) -> bool:
    """Say whether what a function binds is everybody's: an attribute, or a name declared global."""
    known = source.functions.get(function)
    return name.startswith(("self.", "this.")) or (known is not None and name in known.outer)


def _given_to(call: Call, source: Source) -> Iterator[tuple[str, str]]:
    """Yield (function, its first parameter) of each callback that a transaction is handed to."""
    for argument in call.arguments:
        function = source.functions.get(argument.function or "")
        if function is not None and function.parameters:
            yield function.name, function.parameters[0]


def _bindings(source: Source) -> Iterator[Binding]:
    """Yield (call, names its result has) for assignments and `with … as name`."""
    for call in source.calls:
        if call.bound_to:
            yield call, call.bound_to
    for function in source.functions.values():
        for step in steps_of(function.body):
            if isinstance(step, Within) and step.call is not None and step.name:
                yield step.call, (step.name,)


def _gives_away(function: Function | None, call: Call) -> bool:
    names = {*call.bound_to, call.written}
    for step in steps_of(function.body) if function is not None else ():
        if not isinstance(step, Leave) or step.kind not in {"return", "yield"}:
            continue
        if not names.isdisjoint(step.names) or covers(step.place, call.place):
            return True
    return False


def _gives_from_store(function: Function | None, call: Call, source: Source) -> bool:
    """Say whether what a call opens is put in a store that the function then returns from.

    `pools.set(key, drizzle(url)); return pools.get(key)`, unless something else is looked up there first.
    """
    here = [other for other in source.calls if function is not None and other.function == function.name]
    if any(other.name in _CONTEXTS for other in here):
        return False
    stores = {root_of(other) for other in here if other.name in _STORES and covers(other.place, call.place)}
    return any(
        isinstance(step, Leave)
        and step.kind == "return"
        and any(name.partition(".")[0] in stores for name in step.names)
        for step in steps_of(function.body if function is not None else ())
    )


def _last_parts(module: str) -> tuple[str, ...]:
    """Return the last two parts of an imported module's name, aliases of a root left out."""
    return tuple(part for part in module.replace("/", ".").split(".") if part not in {"", "@", "~"})[-2:]
