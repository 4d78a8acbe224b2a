"""Modules of the project that its migrations import, found and evaluated once.

A name is looked for as Python would with any folder above the migration, up to the linted root, on
its path (and the `src` folder of each): that covers packages with re-exports, relative imports and
src layouts without knowing how the project is installed. Nothing outside the root is read.
"""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lint.history.evaluate import Evaluator
from lint.history.newest_python import parsed
from lint.history.values import UNKNOWN, Imported, Module, Unknown, Value
from lint.reads import noted

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How many re-exports lead from a name to where it is defined, at most.
MAX_HOPS = 12
MAX_BYTES = 4 * 1024 * 1024
MAX_MATCHES = 1_000


class Project:
    """The files below one root as its migrations see them; each module is evaluated once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.modules: dict[Path, Module] = {}
        self._hops = 0
        self._places: dict[tuple[str, int, Path], Path | None] = {}

    def module(self, location: Path, tree: ast.Module) -> Module:
        """Evaluate the top level of a module that stands at `location`."""
        at = location.resolve()
        module = Module()
        module.load = lambda wanted: self._load(wanted, at)
        module.read = self._text
        module.match = self._match
        module.names["__file__"] = at.as_posix()
        module.names["__name__"] = at.stem
        self.modules[at] = module
        Evaluator(module, lambda _: UNKNOWN).run_module(tree.body)
        return module

    def _load(self, wanted: Imported, importer: Path) -> Value:
        """Return the value of an imported name, Unknown by its dotted name for what is not the project's."""
        if self._hops > MAX_HOPS:
            return UNKNOWN
        self._hops += 1
        try:
            return self._found(wanted, importer)
        finally:
            self._hops -= 1

    def _found(self, wanted: Imported, importer: Path) -> Value:
        foreign = Unknown(f"{wanted.module}.{wanted.name}".strip("."))
        path = self._find(wanted.module, wanted.level, importer)
        if path is None:
            inner = self._find(f"{wanted.module}.{wanted.name}".strip("."), wanted.level, importer)
            return foreign if inner is None or not wanted.name else self._module_at(inner)
        module = self._module_at(path)
        if not wanted.name:
            return module
        if wanted.name in module.names:
            value = module.names[wanted.name]
            return module.load(value) if isinstance(value, Imported) else value
        part = self._submodule(path, wanted.name)
        return UNKNOWN if part is None else self._module_at(part)

    def _module_at(self, path: Path) -> Module:
        if path not in self.modules:
            self.modules[path] = Module()  # what an import cycle sees
            tree = _tree(path)
            if tree is not None:
                self.module(path, tree)
        return self.modules[path]

    def _submodule(self, package: Path, name: str) -> Path | None:
        folder = package.parent if package.name == "__init__.py" else None
        return None if folder is None else _file(folder / name)

    def _find(self, module: str, level: int, importer: Path) -> Path | None:
        key = (module, level, importer.parent)
        if key not in self._places:
            parts = [part for part in module.split(".") if part]
            files = (_file(folder.joinpath(*parts)) for folder in self._folders(level, importer))
            self._places[key] = next((found for found in files if found is not None), None)
        found = self._places[key]
        return None if found == importer else found

    def _folders(self, level: int, importer: Path) -> Iterator[Path]:
        if level:
            if len(importer.parents) >= level:
                yield importer.parents[level - 1]
            return
        for folder in importer.parents:
            if folder != self.root and self.root not in folder.parents:
                return
            yield folder
            yield folder / "src"

    def _inside(self, path: PurePosixPath) -> Path | None:
        try:
            found = Path(path).resolve()
        except (OSError, ValueError, RuntimeError):
            return None
        return found if self.root in found.parents else None

    def _text(self, path: PurePosixPath) -> Value:
        found = self._inside(path)
        try:
            if found is None or not found.is_file() or found.stat().st_size > MAX_BYTES:
                return UNKNOWN
            return noted(found).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return UNKNOWN

    def _match(self, folder: PurePosixPath, pattern: str) -> list[PurePosixPath]:
        found = self._inside(folder / "x")
        if found is None or "/" in pattern or ".." in pattern or not found.parent.is_dir():
            return []
        matches = sorted(path for path in found.parent.glob(pattern) if path.is_file())
        return [PurePosixPath(path) for path in matches[:MAX_MATCHES]]


def _file(path: Path) -> Path | None:
    for candidate in (path.with_name(f"{path.name}.py") if path.name else path, path / "__init__.py"):
        if noted(candidate).is_file():
            return candidate
    return None


def _tree(path: Path) -> ast.Module | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        return parsed(path.read_bytes().decode("utf-8-sig"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
