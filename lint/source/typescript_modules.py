"""Which module a TypeScript import means, in one notation with Python's: dotted from the root.

`import { run } from "../db/client.js"` in `src/jobs/a.ts` names `src.db.client.run`; a package
keeps its name as npm writes it (`@prisma/client.PrismaClient`, `pg.Pool`). Path aliases such as
`@/db` stay as written, because only a project's own configuration resolves them.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from lint.source.typescript_nodes import Bound, bound_names, parts_of, string_value, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

#: What the extractor reads.
SUFFIXES = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
#: How Deno writes a package: `npm:pg@8`, `https://esm.sh/@scope/name@2?target=deno`, `jsr:@scope/name`.
_FETCHED = re.compile(
    r"(?:npm:/?|jsr:/?|https?://(?:esm\.sh|esm\.run|cdn\.skypack\.dev|unpkg\.com|cdn\.jsdelivr\.net/npm|"
    r"cdn\.esm\.sh|jspm\.dev/npm:|deno\.land/x)/(?:v\d+/)?)((?:@[\w.-]+/)?[\w.-]+)(?:@[^/?]*)?"
    r"((?:/[^?]*)?)(?:\?.*)?\Z"
)
#: What of such an address is no part of a package: the file that a folder begins with.
_WHOLE = re.compile(r"(?:/(?:mod|index|src/index|\+esm))(?:\.[cm]?[jt]s)?\Z|/\Z")
#: Modules of deno.land by the names of the npm packages that they are like.
_ON_NPM = {"postgresjs": "postgres", "postgres": "pg"}
#: The name under which a module's default export is known when the module is one of the project's.
DEFAULT = "default"


def module_of(path: str) -> str:
    """Return the dotted module name of a file: `src/db/index.ts` is `src.db`."""
    return _dotted(_without_suffix(path.removesuffix(".d.ts")))


def module_named(specifier: str, path: str) -> str:
    """Return the module that `specifier` means in the file at `path`."""
    if not specifier.startswith("."):
        return _package(specifier)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), specifier))
    return _dotted(_without_suffix(target))


def _package(specifier: str) -> str:
    """Return a package as npm calls it, wherever it is fetched from and whatever its version."""
    fetched = _FETCHED.match(specifier) if ":" in specifier else None
    if fetched is None:
        return specifier.removeprefix("node:")
    name = _ON_NPM.get(fetched[1], fetched[1]) if "deno.land" in specifier else fetched[1]
    return name + _WHOLE.sub("", fetched[2])


def _without_suffix(path: str) -> str:
    for suffix in SUFFIXES:
        if path.endswith(suffix):
            return path.removesuffix(suffix)
    return path


def _dotted(path: str) -> str:
    return path.removesuffix("/index").replace("/", ".")


def default_of(specifier: str, path: str) -> str:
    """Return what a default import is called: a package's own name, `module.default` of ours."""
    module = module_named(specifier, path)
    return f"{module}.{DEFAULT}" if specifier.startswith(".") else module


def imported(node: Node, path: str) -> Iterator[tuple[str, str]]:
    """Yield (local name, target) for an import statement; imports of types bind no value."""
    if _types_only(node):
        return
    source = node.child_by_field_name("source")
    for clause in parts_of(node):
        if clause.type == "import_require_clause":
            yield from _required(clause, path)
        elif clause.type == "import_clause" and source is not None:
            yield from _clause(clause, string_value(source), path)


def _types_only(node: Node) -> bool:
    return any(child.type in {"type", "typeof"} for child in node.children[:2])


def _required(clause: Node, path: str) -> Iterator[tuple[str, str]]:
    source = clause.child_by_field_name("source")
    names = [part for part in parts_of(clause) if part.type == "identifier"]
    if source is not None and names:
        yield text_of(names[0]), module_named(string_value(source), path)


def _clause(clause: Node, specifier: str, path: str) -> Iterator[tuple[str, str]]:
    module = module_named(specifier, path)
    for part in parts_of(clause):
        if part.type == "identifier":
            yield text_of(part), default_of(specifier, path)
        elif part.type == "namespace_import":
            yield text_of(parts_of(part)[0]) if parts_of(part) else "", module
        elif part.type == "named_imports":
            yield from _specifiers(part, module, default_of(specifier, path))


def _specifiers(node: Node, module: str, default: str) -> Iterator[tuple[str, str]]:
    for specifier in parts_of(node):
        name, alias = _names(specifier)
        if name and not _types_only(specifier):
            yield alias, default if name == DEFAULT else f"{module}.{name}"


def _names(specifier: Node) -> tuple[str, str]:
    name = text_of(specifier.child_by_field_name("name")).strip("'\"")
    return name, text_of(specifier.child_by_field_name("alias")).strip("'\"") or name


def taken_from(pattern: Node, specifier: str, path: str) -> Iterator[tuple[str, str]]:
    """Yield (local name, target) for `const PATTERN = require(SPECIFIER)` or an awaited import()."""
    module = module_named(specifier, path)
    for bound in bound_names(pattern):
        yield bound.name, _member(module, bound)


def _member(module: str, bound: Bound) -> str:
    return f"{module}.{bound.property}" if bound.property else module


def exported_names(node: Node, path: str) -> Iterator[tuple[str, str]]:
    """Yield (exported name, target) for `export { a as b }`, with or without `from`, and `* as n`."""
    source = node.child_by_field_name("source")
    module = module_named(string_value(source), path) if source is not None else ""
    for part in parts_of(node):
        if part.type == "export_clause":
            for specifier in parts_of(part):
                name, alias = _names(specifier)
                yield alias, f"{module}.{name}" if module else name
        elif part.type == "namespace_export" and parts_of(part):
            yield text_of(parts_of(part)[0]), module


def star_export(node: Node, path: str) -> str | None:
    """Return the module whose names `export * from …` hands on, None for another statement."""
    source = node.child_by_field_name("source")
    if source is not None and any(child.type == "*" for child in node.children):
        return module_named(string_value(source), path)
    return None
