"""What an imported name stands for among the files that were read, whatever their language.

A module is named by its path with dots (`src/db/index.ts` and `src/db/__init__.py` are `src.db`).
Where a project's own roots are is not known, so an import is matched from the end of the path: from
the folder nearest to the importing file, or from a folder that is the only one to have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lint.source.sites import Source

#: A function of the program: its file's path and its qualified name in it, "" for the top level.
FunctionId: TypeAlias = tuple[str, str]
Parts: TypeAlias = tuple[str, ...]

_SUFFIXES = (".d.ts", ".py", ".pyi", ".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
_FOLDER_MODULES = frozenset({"__init__", "index"})
#: Written before a path from the project's root, by the habit of most bundlers.
_ROOT_ALIASES = ("@/", "~/")
#: A scoped package's name has two parts, and what it exports is a third.
_LEAST_OF_PACKAGE = 3
#: What names of folders' aliases begin with.
_ALIAS_MARKS = frozenset("@#$~")
_DEEPEST = 12
#: How many places one name is looked for at: modules that hand on everything lead to ever more.
_MOST_ASKED = 200


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function or class of a file, by qualified name; "" is the module itself."""

    path: str
    name: str
    is_class: bool = False

    @property
    def id(self) -> FunctionId:
        """The id of the function."""
        return self.path, self.name


def module_parts(path: str) -> Parts:
    """Return the parts of a module's name."""
    for suffix in _SUFFIXES:
        if path.endswith(suffix):
            path = path.removesuffix(suffix)
            break
    parts = tuple(path.split("/"))
    return parts[:-1] if parts[-1] in _FOLDER_MODULES and len(parts) > 1 else parts


class Modules:
    """The files of a program, found by what imports call them."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.sources = {source.path: source for source in sources}
        self._parts = {path: module_parts(path) for path in self.sources}
        self._by_last: dict[str, list[str]] = {}
        for path, parts in self._parts.items():
            self._by_last.setdefault(parts[-1], []).append(path)
        self._classes = {path: _class_names(source) for path, source in self.sources.items()}
        self._found: dict[tuple[str, str], Symbol | None] = {}
        self._modules: dict[tuple[Parts, str], str | None] = {}
        self._bases: dict[Symbol, tuple[Symbol, ...]] = {}

    def classes_of(self, path: str) -> frozenset[str]:
        """Return the qualified names of a file's classes."""
        return self._classes[path]

    def is_class(self, path: str, name: str) -> bool:
        """Say whether a qualified name of a file is a class."""
        return name in self._classes.get(path, ())

    def symbol(self, path: str, name: str) -> Symbol | None:
        """Return what a qualified name of a file stands for, if it is defined there."""
        source = self.sources[path]
        if name in source.functions:
            return Symbol(path, name)
        return Symbol(path, name, is_class=True) if name in self._classes[path] else None

    def find(self, dotted: str, importer: str) -> Symbol | None:
        """Return what an absolute dotted name stands for, None when it is no part of the program."""
        key = (dotted, importer.rpartition("/")[0])
        if key not in self._found:
            parts = _split(dotted)
            found = self._find(parts, importer, 0, set()) or self._in_workspace(parts)
            self._found[key] = found or self._aliased(parts, importer)
        return self._found[key]

    def _aliased(self, parts: Parts, importer: str) -> Symbol | None:
        """Return what a name below an alias of a folder stands for: `$lib/server/db`, `#db/client`.

        What the alias is led to stands in a manifest; the path below it mostly is the only one of its kind.
        """
        is_alias = len(parts) >= _LEAST_OF_PACKAGE and parts[0][:1] in _ALIAS_MARKS
        return self._find(parts[1:], importer, 0, set()) if is_alias else None

    def _in_workspace(self, parts: Parts) -> Symbol | None:
        """Return what a package of the project's own exports: `Db` of `@shop/data`, defined below a `data`.

        How such a name is led to a folder stands in a manifest; that only one file below a folder of the
        package's name defines it shows the same.
        """
        if len(parts) < _LEAST_OF_PACKAGE or not parts[0].startswith("@"):
            return None
        package, name = parts[1], parts[-1]
        found = [path for path in self._defining.get(name, ()) if package in self._parts[path]]
        return self.symbol(found[0], name) if len(found) == 1 else None

    @cached_property
    def _defining(self) -> Mapping[str, list[str]]:
        """The TypeScript files that define a name at their top level."""
        found: dict[str, list[str]] = {}
        for path, source in self.sources.items():
            if source.language == "typescript":
                for name in {*source.functions, *self._classes[path]}:
                    if name and "." not in name:
                        found.setdefault(name, []).append(path)
        return found

    def _find(self, parts: Parts, importer: str, depth: int, seen: set[tuple[str, Parts]]) -> Symbol | None:
        if depth > _DEEPEST:
            return None
        for length in range(len(parts), 0, -1):
            path = self._module(parts[:length], importer)
            if path is not None:
                found = self._asked(path, parts[length:], depth, seen)
                if found is not None:
                    return found
        return None

    def _asked(self, path: str, rest: Parts, depth: int, seen: set[tuple[str, Parts]]) -> Symbol | None:
        """Ask a module for a name once: modules may hand each other's names on in circles."""
        if (path, rest) in seen or len(seen) >= _MOST_ASKED:
            return None
        seen.add((path, rest))
        return self._member(path, rest, depth, seen)

    def _module(self, parts: Parts, importer: str) -> str | None:
        """Return the file of a module: the exact one, else the nearest, else the only one."""
        if parts[-1] not in self._by_last:
            return None
        key = (parts, importer.rpartition("/")[0])
        if key not in self._modules:
            self._modules[key] = self._nearest(parts, importer)
        return self._modules[key]

    def _nearest(self, parts: Parts, importer: str) -> str | None:
        matches = [path for path in self._by_last[parts[-1]] if self._parts[path][-len(parts) :] == parts]
        exact = [path for path in matches if self._parts[path] == parts]
        if exact:
            return exact[0]
        folder = module_parts(importer)[:-1]
        near = [path for path in matches if _is_above(self._parts[path][: -len(parts)], folder)]
        if near:
            return max(near, key=lambda path: len(self._parts[path]))
        return matches[0] if len(matches) == 1 and len(parts) > 1 else None

    def _member(self, path: str, rest: Parts, depth: int, seen: set[tuple[str, Parts]]) -> Symbol | None:
        """Return what a module's name stands for: defined there, handed on, or imported."""
        if not rest:
            return Symbol(path, "")
        source = self.sources[path]
        found = self.symbol(path, ".".join(rest))
        if found is not None:
            return found
        for target in _handed_on(source, rest):
            if "." not in target and self.symbol(path, target) is not None:
                return self.symbol(path, target)
            found = self._find(_split(target), path, depth + 1, seen)
            if found is not None:
                return found
        return self._handed_on_whole(source, rest, depth, seen)

    def _handed_on_whole(
        self, source: Source, rest: Parts, depth: int, seen: set[tuple[str, Parts]]
    ) -> Symbol | None:
        """Return a name of the modules all of whose names are handed on; such a module is named whole."""
        if depth > _DEEPEST:
            return None
        for module in source.star_exports:
            parts = _split(module)
            path = self._module(parts, source.path) if parts else None
            found = self._asked(path, rest, depth + 1, seen) if path is not None else None
            if found is not None:
                return found
        return None

    def bases(self, path: str, name: str) -> tuple[Symbol, ...]:
        """Return a class and the classes of the program that it is derived from, nearest first."""
        first = Symbol(path, name, is_class=True)
        if first not in self._bases:
            self._bases[first] = tuple(self._derivation(first))
        return self._bases[first]

    def _derivation(self, first: Symbol) -> Iterator[Symbol]:
        waiting, seen = [first], {first}
        while waiting:
            current = waiting.pop(0)
            yield current
            for base in self._base_names(current):
                found = self.find(base, current.path) or self.symbol(current.path, base)
                if found is not None and found.is_class and found not in seen:
                    seen.add(found)
                    waiting.append(found)

    def _base_names(self, symbol: Symbol) -> tuple[str, ...]:
        source = self.sources[symbol.path]
        written = source.classes.get(symbol.name)
        if written is not None:
            return written.bases
        return next(
            (
                function.bases
                for name, function in source.functions.items()
                if name.startswith(f"{symbol.name}.")
            ),
            (),
        )

    def method(self, owner: Symbol, name: str) -> FunctionId | None:
        """Return a class's method, its own or an inherited one."""
        for base in self.bases(owner.path, owner.name):
            qualified = f"{base.name}.{name}"
            if qualified in self.sources[base.path].functions:
                return base.path, qualified
        return None


def _class_names(source: Source) -> frozenset[str]:
    """Return the classes of a file; without a list of them, what has methods and is no function."""
    owners = {name.rpartition(".")[0] for name in source.functions if "." in name}
    unlisted = {name for name in owners if name not in source.functions and "<anonymous" not in name}
    return frozenset(source.classes) | unlisted


def _handed_on(source: Source, rest: Sequence[str]) -> Iterator[str]:
    """Yield the dotted names that a module's name may stand for elsewhere."""
    first, below = rest[0], "".join(f".{part}" for part in rest[1:])
    for mapping in (source.exports, source.imports):
        if first in mapping:
            yield mapping[first] + below


def _split(dotted: str) -> Parts:
    for alias in _ROOT_ALIASES:
        dotted = dotted.removeprefix(alias)
    return tuple(part for part in dotted.replace("/", ".").split(".") if part)


def _is_above(folder: Sequence[str], other: Sequence[str]) -> bool:
    return tuple(other[: len(folder)]) == tuple(folder)
