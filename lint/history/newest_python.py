"""Python newer than the interpreter that runs the lint, parsed all the same.

`ast.parse` of Python 3.11 refuses what 3.12 and later added: quotes reused inside an f-string (PEP
701), type parameters and `type` statements (PEP 695), `except A, B:` without parentheses (PEP 758).
Tree-sitter reads these, so they are rewritten at their byte ranges, line for line, into what the old
parser accepts; the tree that comes back has f-strings as `JoinedStr` like any other.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import tree_sitter_python
from tree_sitter import Language, Parser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

_LANGUAGE = Language(tree_sitter_python.language())
#: A call of this name stands for an f-string that was taken apart.
_JOINED = "__joined__"

_Edit = tuple[int, int, bytes]


def parsed(text: str) -> ast.Module:
    """Parse a module; raise what `ast.parse` raises when no known syntax explains the text."""
    try:
        return ast.parse(text)
    except SyntaxError:
        older = _older(text.encode())
        if older is None:
            raise
        tree = ast.parse(older)
        _Rejoin().visit(tree)
        return ast.fix_missing_locations(tree)


def _older(source: bytes) -> bytes | None:
    """Return the same program in older syntax, None when there is nothing to rewrite."""
    tree = Parser(_LANGUAGE).parse(source)
    edits = sorted(_edits(tree.root_node, source))
    if not edits:
        return None
    parts: list[bytes] = []
    at = 0
    for start, end, replacement in edits:
        if start < at:
            continue
        parts += [source[at:start], replacement]
        at = end
    return b"".join([*parts, source[at:]])


def _edits(root: Node, source: bytes) -> Iterator[_Edit]:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "string" and any(child.type == "interpolation" for child in node.children):
            yield node.start_byte, node.end_byte, _taken_apart(node, source)
            continue
        if node.type == "concatenated_string":
            yield node.start_byte, node.end_byte, _side_by_side(node, source)
            continue
        if node.type == "type_parameter":
            yield node.start_byte, node.end_byte, _blank(node, source)
            continue
        if node.type == "type_alias_statement":
            yield node.start_byte, node.end_byte, b"pass" + _blank(node, source)[4:]
            continue
        if node.type == "except_clause":
            yield from _parenthesised(node)
        stack.extend(node.children)


def _blank(node: Node, source: bytes) -> bytes:
    return re.sub(rb"[^\n]", b" ", source[node.start_byte : node.end_byte])


def _parenthesised(node: Node) -> Iterator[_Edit]:
    """Yield the parentheses that older syntax wants around several exceptions."""
    names = [child for child in node.named_children if child.type not in {"block", "comment"}]
    if len(names) > 1 and any(child.type == "," for child in node.children):
        yield names[0].start_byte, names[0].start_byte, b"("
        yield names[-1].end_byte, names[-1].end_byte, b")"


def _taken_apart(node: Node, source: bytes) -> bytes:
    """Return an f-string as a call over its pieces, each line where it was."""
    opening = source[node.children[0].start_byte : node.children[0].end_byte]
    closing = source[node.children[-1].start_byte : node.children[-1].end_byte]
    pieces: list[bytes] = []
    at = node.children[0].end_byte
    for child in node.children:
        if child.type != "interpolation":
            continue
        pieces.append(opening + source[at : child.start_byte] + closing)
        pieces.append(_expression(child, source))
        at = child.end_byte
    pieces.append(opening + source[at : node.children[-1].start_byte] + closing)
    return f"{_JOINED}(".encode() + b", ".join(pieces) + b")"


def _side_by_side(node: Node, source: bytes) -> bytes:
    """Return texts that stand side by side as a call over them, each line where it was."""
    written = b""
    at = node.start_byte
    for child in node.children:
        written += b"\n" * source[at : child.start_byte].count(b"\n")
        at = child.end_byte
        if child.type == "string":
            inside = any(part.type == "interpolation" for part in child.children)
            text = source[child.start_byte : child.end_byte]
            written += (_taken_apart(child, source) if inside else text) + b", "
    return f"{_JOINED}(".encode() + written + b")"


def _expression(node: Node, source: bytes) -> bytes:
    """Return an interpolation's expression in parentheses, itself rewritten where it must be."""
    expression = next((c for c in node.named_children if c.type != "comment"), None)
    if expression is None:
        return b"(None)"
    inner = source[expression.start_byte : expression.end_byte]
    edits = [
        (start - expression.start_byte, end - expression.start_byte, text)
        for start, end, text in sorted(_edits(expression, source))
    ]
    for start, end, text in reversed(edits):
        inner = inner[:start] + text + inner[end:]
    missing = source[node.start_byte : node.end_byte].count(b"\n") - inner.count(b"\n")
    return b"(" + inner + b"\n" * max(missing, 0) + b")"


class _Rejoin(ast.NodeTransformer):
    """Puts f-strings together again."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == _JOINED):
            return node
        values: list[ast.expr] = []
        for argument in node.args:
            if isinstance(argument, ast.Constant):
                values.append(argument)
            elif isinstance(argument, ast.JoinedStr):
                values.extend(argument.values)
            else:
                values.append(ast.FormattedValue(argument, -1, None))
        joined = ast.JoinedStr([value for value in values if value is not None])
        return ast.copy_location(joined, node)
