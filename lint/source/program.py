"""Who calls whom, as far as names show it: the index that scopes and readers look things up in.

A name is followed within its file (innermost function first), through `self`, and through imports by
the module's last part. A method of an object of unknown type is followed only when one function of the
whole program has that name; everything else stays unknown and is said so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from lint.source.sites import Attempt, Bind, Choice, Do, Leave

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.source.sites import Argument, Block, Call, Class, Function, Source, Step

#: A function of the program: its file's path and its qualified name.
FunctionId: TypeAlias = tuple[str, str]

#: Names that half of all classes have: one definition of them proves nothing about a call.
_COMMON = frozenset(
    {"get", "set", "run", "call", "add", "all", "list", "create", "update", "delete", "query", "execute"}
    | {"begin", "connect", "close", "commit", "send", "read", "write", "find", "save", "load", "init", "main"}
    | {"open", "start", "stop", "apply", "handle", "process", "next", "map", "filter", "push", "then", "test"}
)
_SELF = frozenset({"self", "this", "cls"})
#: How many bases up a method is looked for.
_BASES = 6


@dataclass(frozen=True, slots=True)
class Site:
    """A call and the file it stands in."""

    source: Source
    call: Call


class Program:
    """The functions of all sources and the calls and mentions that reach them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self._by_id: dict[FunctionId, Function] = {}
        self._by_name: dict[str, list[FunctionId]] = {}
        self._by_path = {source.path: source for source in sources}
        self._classes: dict[str, list[tuple[str, Class]]] = {}
        for source in sources:
            for name, one in source.classes.items():
                self._classes.setdefault(last(name), []).append((source.path, one))
            for name, function in source.functions.items():
                if name:
                    self._by_id[source.path, name] = function
                    self._by_name.setdefault(last(name), []).append((source.path, name))
        self._callers: dict[FunctionId, list[Site]] | None = None
        self._constructions: dict[str, list[Site]] | None = None
        self._naming: dict[str, set[FunctionId]] | None = None

    def function(self, path: str, name: str) -> Function | None:
        """Return a function by its file and qualified name."""
        return self._by_id.get((path, name))

    def source(self, path: str) -> Source | None:
        """Return a file by its path."""
        return self._by_path.get(path)

    def functions(self) -> Iterator[tuple[FunctionId, Function]]:
        """Yield every function with its id."""
        yield from self._by_id.items()

    def targets(self, call: Call, source: Source, *, loosely: bool = False) -> tuple[FunctionId, ...]:
        """Return the functions a call may run, () when that cannot be seen.

        `loosely` follows a method of an object of unknown type when one function has that name.
        """
        written = call.written or call.callee
        return self.named(written, call.function, source) or (self._only(last(written)) if loosely else ())

    def named(self, written: str, function: str, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions that a name stands for at a place of a file."""
        first, _, rest = written.partition(".")
        if not rest:
            here = self._in_file(first, function, source)
            return here or self._imported(source.imports.get(first, ""))
        if "." in rest and first in _SELF:
            return ()
        if first in _SELF:
            return self._method(function.partition(".")[0], rest)
        if first in source.imports:
            return self._imported(f"{source.imports[first]}.{rest}")
        return self._method(first, rest) if first[:1].isupper() else ()

    def mentioned(self, argument: Argument, function: str, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions that an argument hands on: by name, in a partial, or anonymous."""
        if argument.function is not None:
            return ((source.path, argument.function),)
        if argument.kind == "literal":
            return ()
        names = argument.names or (argument.text,)
        return tuple(found for name in names for found in self.named(name, function, source))

    def callers(self, target: FunctionId) -> tuple[Site, ...]:
        """Return the calls seen to run a function."""
        if self._callers is None:
            self._callers = {}
            for source in self.sources:
                for call in source.calls:
                    for found in self.targets(call, source, loosely=True):
                        self._callers.setdefault(found, []).append(Site(source, call))
        return tuple(self._callers.get(target, ()))

    def calls_of(self, klass: str) -> tuple[Site, ...]:
        """Return the calls that make an object of a class: `Class(…)`, `Class.of(…)`."""
        if self._constructions is None:
            self._constructions = {}
            for source in self.sources:
                for call in source.calls:
                    first = call.written.partition(".")[0]
                    name = last(source.imports.get(first, first))
                    if name in self._classes and call.written.count(".") <= 1:
                        self._constructions.setdefault(name, []).append(Site(source, call))
        return tuple(self._constructions.get(klass, ()))

    def naming(self, name: str) -> frozenset[FunctionId]:
        """Return the functions that call something of that last name, or hand it to a call."""
        if self._naming is None:
            self._naming = {}
            for source in self.sources:
                for call in source.calls:
                    for one in {call.name, *(last(n) for a in call.arguments for n in a.names)}:
                        self._naming.setdefault(one, set()).add((source.path, call.function))
        return frozenset(self._naming.get(name, ()))

    def _in_file(self, name: str, function: str, source: Source) -> tuple[FunctionId, ...]:
        around = function
        while True:
            qualified = f"{around}.{name}".lstrip(".")
            if qualified in source.functions:
                return ((source.path, qualified),)
            if not around:
                return ()
            around = around.rpartition(".")[0]

    def _method(self, klass: str, name: str, depth: int = 0) -> tuple[FunctionId, ...]:
        """Return a class's method, its own or a base's, when one class has that name."""
        classes = self._classes.get(klass, [])
        if len(classes) != 1 or depth > _BASES:
            return ()
        path, one = classes[0]
        if (path, f"{one.name}.{name}") in self._by_id:
            return ((path, f"{one.name}.{name}"),)
        inherited = (self._method(last(base), name, depth + 1) for base in one.bases)
        return next((found for found in inherited if found), ())

    def subclasses(self, klass: str) -> frozenset[str]:
        """Return the names of a class and of those that derive from it."""
        found, grown = frozenset({klass}), True
        while grown:
            more = {
                name
                for name, classes in self._classes.items()
                for _, one in classes
                if any(last(base) in found for base in one.bases)
            }
            grown = not more <= found
            found |= more
        return found

    def _imported(self, dotted: str) -> tuple[FunctionId, ...]:
        """Return the functions that `module.name` or `module.Class.method` stands for."""
        module, _, name = dotted.rpartition(".")
        if not module:
            return ()
        found = [one for one in self._by_name.get(name, []) if one[1] == name]
        exact = [one for one in found if is_module(one[0], module)]
        if exact:
            return tuple(exact)
        klass = last(module)
        if klass[:1].isupper():
            return self._method(klass, name)
        return tuple(found) if len(found) == 1 and name not in _COMMON else ()

    def _only(self, name: str) -> tuple[FunctionId, ...]:
        found = self._by_name.get(name, [])
        return tuple(found) if len(found) == 1 and name not in _COMMON else ()


def is_module(path: str, module: str) -> bool:
    """Say whether a file is the module that was imported, relative imports by their last parts."""
    file = PurePosixPath(path)
    parts = [*file.parent.parts, *([] if file.stem in {"__init__", "index"} else [file.stem])]
    wanted = [part for part in module.replace("\\", "/").replace("/", ".").strip("@~.").split(".") if part]
    return bool(wanted) and bool(parts) and parts[-1] == wanted[-1]


def last(name: str) -> str:
    """Return the last part of a dotted name."""
    return name.rpartition(".")[2]


def steps_of(block: Sequence[Step]) -> Iterator[Step]:
    """Yield every step of a block in order, those inside others too."""
    waiting = list(reversed(block))
    while waiting:
        step = waiting.pop()
        yield step
        for inner in reversed(_inner(step)):
            waiting.extend(reversed(inner))


def _inner(step: Step) -> tuple[Block, ...]:
    """Return the blocks of a step in the order they may run."""
    if isinstance(step, (Do, Bind, Leave)):
        return ()
    if isinstance(step, Choice):
        return step.branches
    if isinstance(step, Attempt):
        return (step.body, *step.handlers, step.always)
    return (step.body,)


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
