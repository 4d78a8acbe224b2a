"""TypeScript and JavaScript read by tree-sitter into the model of `lint.source.sites`.

The TSX grammar reads everything but `<T>x`, the TypeScript grammar everything but JSX; a file is
read by the one its suffix asks for, and by the other as well when that one met errors. Nothing is
imported or executed, and no input raises: what cannot be read is left out and `broken` is set.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import tree_sitter_typescript
from tree_sitter import Language, Parser

# The modules of functions and statements add theirs to the table of visits when they are imported.
import lint.source.typescript_functions
import lint.source.typescript_statements  # noqa: F401
from lint.catalogue import Place
from lint.limits import within_time
from lint.source.sites import Class, Function, Source, unread
from lint.source.syntax import lost_line
from lint.source.typescript_expressions import visit
from lint.source.typescript_modules import SUFFIXES, module_of
from lint.source.typescript_reader import Reader, run

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

__all__ = ["SUFFIXES", "module_of", "read_typescript"]

_Named = TypeVar("_Named", Function, Class)
_TYPESCRIPT_FIRST = (".ts", ".mts", ".cts")
#: ``sql<Row>`…` `` and the like, which the grammar takes for comparisons: the type is blanked.
_TYPED_TAG = re.compile(rb"(?:sql|SQL|[Rr]aw|query|Query)(<[^`;()]{1,600}?>)(?=`)")
_NOT_LINE_END = re.compile(rb"[^\n]")


@cache
def _parser(tsx: bool) -> Parser:
    language = tree_sitter_typescript.language_tsx() if tsx else tree_sitter_typescript.language_typescript()
    return Parser(Language(language))


def read_typescript(content: bytes, path: str, watched: frozenset[str] | None = None) -> Source:
    """Return what a TypeScript or JavaScript file does; errors of syntax are read around.

    With `watched`, only names that end in one of these (through any alias) are told as values.
    """
    return within_time(path, lambda: _read(content, path, watched), lambda: unread(path, "typescript"))


def _read(content: bytes, path: str, watched: frozenset[str] | None) -> Source:
    content = _TYPED_TAG.sub(_blanked, content)
    tree = _parsed(content, path)
    reader = Reader(path, content, watched)
    run(visit(reader, tree.root_node))
    top = Function(
        "",
        Place(path, 1, 1, tree.root_node.end_point[0] + 1),
        body=reader.close_block(),
        types=reader.scope.types,
    )
    functions = sorted(reader.functions.values(), key=_position)
    return Source(
        path,
        tuple(reader.calls),
        tuple(reader.references),
        tuple(reader.texts),
        reader.imports,
        "typescript",
        functions={"": top, **{one.name: _marked(one, reader) for one in functions}},
        broken=tree.root_node.has_error,
        lost=lost_line(tree.root_node) if tree.root_node.has_error else 0,
        exports=reader.exports,
        star_exports=tuple(reader.stars),
        classes={name: _marked(one, reader) for name, one in reader.classes.items()},
    )


def _blanked(match: re.Match[bytes]) -> bytes:
    start = match.start(1) - match.start()
    return match[0][:start] + _NOT_LINE_END.sub(b" ", match[1])


def _parsed(content: bytes, path: str) -> Tree:
    first = not path.endswith(_TYPESCRIPT_FIRST)
    tree = _parser(first).parse(content)
    if not tree.root_node.has_error:
        return tree
    other = _parser(not first).parse(content)
    return min((tree, other), key=lambda one: _unread(one.root_node))


def _unread(root: Node) -> int:
    """Return how many bytes stand inside errors; the nodes without any are not walked."""
    unread, stack = 0, [root]
    while stack:
        node = stack.pop()
        if node.type == "ERROR":
            unread += node.end_byte - node.start_byte + 1
        elif node.has_error:
            unread += node.is_missing
            stack.extend(node.children)
    return unread


def _marked(one: _Named, reader: Reader) -> _Named:
    """Return a function or class, marked when it or the class or object around it is exported."""
    exported = {*reader.exports, *reader.exports.values()}
    if one.name in exported or one.name.partition(".")[0] in exported:
        return replace(one, exported=True)
    return one


def _position(function: Function) -> tuple[int, int]:
    return function.place.line, function.place.column
