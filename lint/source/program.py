"""Who calls whom, as far as names show it: the index that scopes and readers look things up in.

A name is followed within its file (innermost function first), through `self`, and through imports by
the module's last part. A method of an object of unknown type is followed only when one function of the
whole program has that name; everything else stays unknown and is said so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.source.sites import Argument, Bind, Call, Function, Source, Step

#: A function of the program: its file's path and its qualified name.
FunctionId: TypeAlias = tuple[str, str]

#: Names that half of all classes have: one definition of them proves nothing about a call.
_COMMON = frozenset(
    {"get", "set", "run", "call", "add", "all", "list", "create", "update", "delete", "query", "execute"}
    | {"begin", "connect", "close", "commit", "send", "read", "write", "find", "save", "load", "init", "main"}
    | {"open", "start", "stop", "apply", "handle", "process", "next", "map", "filter", "push", "then", "test"}
)
_SELF = frozenset({"self", "this", "cls"})


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
        for source in sources:
            for name, function in source.functions.items():
                if name:
                    self._by_id[source.path, name] = function
                    self._by_name.setdefault(last(name), []).append((source.path, name))
        self._callers: dict[FunctionId, list[Site]] | None = None

    def function(self, path: str, name: str) -> Function | None:
        """Return a function by its file and qualified name."""
        return self._by_id.get((path, name))

    def functions(self) -> Iterator[tuple[FunctionId, Function]]:
        """Yield every function with its id."""
        yield from self._by_id.items()

    def targets(self, call: Call, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions a call may run, () when that cannot be seen."""
        return self.named(call.written or call.callee, call.function, source)

    def named(self, written: str, function: str, source: Source) -> tuple[FunctionId, ...]:
        """Return the functions that a name stands for at a place of a file."""
        first, _, rest = written.partition(".")
        if not rest:
            here = self._in_file(first, function, source)
            return here or self._imported(source.imports.get(first, ""))
        if first in _SELF and "." not in rest:
            return self._in_class(rest, function, source) or self._only(rest)
        if first in source.imports:
            found = self._imported(f"{source.imports[first]}.{rest}")
            if found:
                return found
        return self._only(last(written))

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
                    for found in self.targets(call, source):
                        self._callers.setdefault(found, []).append(Site(source, call))
        return tuple(self._callers.get(target, ()))

    def _in_file(self, name: str, function: str, source: Source) -> tuple[FunctionId, ...]:
        around = function
        while True:
            qualified = f"{around}.{name}".lstrip(".")
            if qualified in source.functions:
                return ((source.path, qualified),)
            if not around:
                return ()
            around = around.rpartition(".")[0]

    def _in_class(self, name: str, function: str, source: Source) -> tuple[FunctionId, ...]:
        qualified = f"{function.partition('.')[0]}.{name}"
        return ((source.path, qualified),) if qualified in source.functions else ()

    def _imported(self, dotted: str) -> tuple[FunctionId, ...]:
        """Return the functions that `module.name` or `module.Class.method` stands for."""
        module, _, name = dotted.rpartition(".")
        if not module:
            return ()
        found = self._by_name.get(name, [])
        exact = [one for one in found if is_module(one[0], module) and one[1] == name]
        if exact:
            return tuple(exact)
        module, _, klass = module.rpartition(".")
        methods = [one for one in found if one[1] == f"{klass}.{name}"]
        reexported = [one for one in found if one[1] == name]
        return tuple(methods) or (tuple(reexported) if len(reexported) == 1 else ())

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
        inner: list[Step] = []
        for part in ("body", "handlers", "always", "branches"):
            for one in getattr(step, part, ()):
                inner.extend(one if isinstance(one, tuple) else (one,))
        waiting.extend(reversed(inner))


def binds_of(function: Function | None) -> Iterator[Bind]:
    """Yield the assignments of a function or module."""
    from lint.source.sites import Bind

    if function is not None:
        yield from (step for step in steps_of(function.body) if isinstance(step, Bind))


def constants_of(source: Source) -> dict[str, str]:
    """Return the module's constants that are texts, without their quotes."""
    found: dict[str, str] = {}
    for bind in binds_of(source.functions.get("")):
        if bind.constant[:1] in {"'", '"', "`"}:
            found.update(dict.fromkeys(bind.targets, bind.constant.strip("'\"`")))
    return found
