"""Python source read by tree-sitter: calls, names used as values, and strings.

tree-sitter parses the newest syntax on any interpreter and recovers from errors, so that a file
with one broken line is still read. Nothing is imported or executed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import tree_sitter_python
from tree_sitter import Language, Node, Parser

from lint.catalogue import Place
from lint.source.sites import HOLE, Argument, Call, Reference, Source, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"', "\n": ""}
_ESCAPE = re.compile(r"\\([\s\S])")
_SCOPES = frozenset({"function_definition", "class_definition"})
#: How many of the calls around a string are kept: SQL stands close to what runs it.
_CALLERS_KEPT = 7
_STRINGS = frozenset({"string", "concatenated_string"})


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_python.language()))


def read_python(content: bytes, path: str, watched: frozenset[str] | None = None) -> Source:
    """Return what a Python file does; a file with syntax errors is read as far as it goes.

    With `watched`, only names that end in one of these (through any alias) are told as values.
    """
    reading = _Reading(path, watched)
    reading.read(_parser().parse(content).root_node)
    return Source(
        path,
        tuple(reading.calls),
        tuple(reading.references),
        tuple(reading.texts),
        reading.imports,
    )


class _Reading:
    """The walk over one file; a stack, not recursion, so that depth cannot crash it."""

    def __init__(self, path: str, watched: frozenset[str] | None) -> None:
        self.path = path
        self.watched = watched
        self.calls: list[Call] = []
        self.references: list[Reference] = []
        self.texts: list[Text] = []
        self.imports: dict[str, str] = {}

    def read(self, root: Node) -> None:
        stack: list[tuple[Node, str, tuple[str, ...]]] = [(root, "", ())]
        while stack:
            node, function, calls = stack.pop()
            if node.type in {"import_statement", "import_from_statement"}:
                self._import(node)
                continue
            if node.type in _SCOPES:
                name = node.child_by_field_name("name")
                function = f"{function}.{_text(name)}".lstrip(".")
            elif node.type == "call":
                calls = (*calls[-_CALLERS_KEPT:], self._call(node, function))
            elif node.type in _STRINGS:
                self._string(node, function, calls)
            elif node.type == "identifier":
                self._identifier(node, function)
            children = _interpolations(node) if node.type in _STRINGS else node.named_children
            stack.extend((child, function, calls) for child in reversed(list(children)))

    def _place(self, node: Node) -> Place:
        start, end = node.start_point, node.end_point
        return Place(self.path, start[0] + 1, start[1] + 1, end[0] + 1)

    def _import(self, node: Node) -> None:
        module = node.child_by_field_name("module_name")
        prefix = f"{_text(module)}." if module is not None else ""
        for imported in node.children_by_field_name("name"):
            if imported.type == "aliased_import":
                target = _text(imported.child_by_field_name("name"))
                alias = _text(imported.child_by_field_name("alias"))
            else:
                target = alias = _text(imported)
                if not prefix:
                    alias = target = target.partition(".")[0]
            self.imports[alias] = prefix + target

    def _resolved(self, dotted: str) -> str:
        first, dot, rest = dotted.partition(".")
        return self.imports.get(first, first) + dot + rest

    def _last_part(self, name: str) -> str:
        return self.imports.get(name, name).rpartition(".")[2]

    def _call(self, node: Node, function: str) -> str:
        callee = node.child_by_field_name("function")
        written = _dotted(callee) if callee is not None else ""
        arguments = node.child_by_field_name("arguments")
        given = tuple(_arguments(arguments)) if arguments is not None else ()
        call = Call(self._resolved(written), written, given, function, self._place(node))
        self.calls.append(call)
        return call.name

    def _string(self, node: Node, function: str, calls: tuple[str, ...]) -> None:
        parent = node.parent
        if parent is not None and parent.type == "expression_statement":
            return
        value = _string_value(node)
        if value:
            self.texts.append(Text(value, calls, function, self._place(node)))

    def _identifier(self, node: Node, function: str) -> None:
        """Note a name read as a value, which is neither called, defined, nor a part of a name."""
        name = _text(node)
        if self.watched is not None and self._last_part(name) not in self.watched:
            return
        parent = node.parent
        if parent is None or not _is_read(node, parent):
            return
        written = name if parent.type != "attribute" else _dotted(parent)
        self.references.append(Reference(self._resolved(written), function, self._place(node)))


def _is_read(node: Node, parent: Node) -> bool:
    if parent.type == "attribute":
        if parent.child_by_field_name("attribute") != node:
            return False  # only the whole dotted name is a value
        node, grand = parent, parent.parent
        return grand is not None and _is_read(node, grand) and grand.type != "attribute"
    if parent.type == "call":
        return parent.child_by_field_name("function") != node
    if parent.type == "keyword_argument":
        return parent.child_by_field_name("value") == node
    if parent.type in {"assignment", "default_parameter"}:
        return parent.child_by_field_name("left") != node and parent.child_by_field_name("name") != node
    return parent.type not in {*_SCOPES, "parameters", "typed_parameter", "lambda_parameters", "type"}


def _text(node: Node | None) -> str:
    if node is None or node.text is None:
        return ""
    return node.text.decode("utf-8", "replace")


def _dotted(node: Node) -> str:
    """Return a dotted name; parts that are not names show as `()`."""
    parts: list[str] = []
    current: Node | None = node
    while current is not None and current.type == "attribute":
        parts.append(_text(current.child_by_field_name("attribute")))
        current = current.child_by_field_name("object")
    parts.append(_text(current) if current is not None and current.type == "identifier" else "()")
    return ".".join(reversed(parts))


def _arguments(node: Node) -> Iterator[Argument]:
    for child in node.named_children:
        if child.type == "comment":
            continue
        keyword = None
        value: Node | None = child
        if child.type == "keyword_argument":
            keyword = _text(child.child_by_field_name("name"))
            value = child.child_by_field_name("value")
        if value is not None:
            yield _argument(value, keyword)


def _argument(node: Node, keyword: str | None) -> Argument:
    text = _text(node)
    if node.type == "lambda":
        return Argument("function", text, keyword)
    if node.type in _STRINGS:
        value = _string_value(node)
        return Argument("other" if HOLE in value else "literal", value, keyword)
    if node.type in {"true", "false", "none", "integer", "float"}:
        return Argument("literal", text, keyword)
    if node.type == "attribute":
        constant = _dotted(node).split(".")[-1].isupper()
        return Argument("member" if constant else "other", text, keyword)
    return Argument("name" if node.type == "identifier" else "other", text, keyword)


def _string_value(node: Node) -> str:
    if node.type == "concatenated_string":
        return "".join(_string_value(part) for part in node.named_children if part.type == "string")
    raw = "r" in _text(node)[:3].partition('"')[0].partition("'")[0].lower()
    pieces = []
    for part in node.named_children:
        if part.type == "interpolation":
            pieces.append(HOLE)
        elif part.type == "string_content":
            text = _text(part)
            pieces.append(text if raw else _ESCAPE.sub(_unescaped, text))
    return "".join(pieces)


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])


def _interpolations(node: Node) -> Iterator[Node]:
    for part in node.named_children:
        if part.type == "interpolation":
            yield part
        elif part.type == "string":
            yield from _interpolations(part)
