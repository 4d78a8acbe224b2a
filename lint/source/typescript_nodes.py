"""Reading single nodes of a TypeScript tree: names, strings, patterns; nothing here walks a file.

Every function is a loop over one chain or one pattern, so that no depth of nesting can end in a
RecursionError, and text that is only shown is cut, so that nesting costs no square.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lint.source.sites import HOLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

#: How many bytes of an expression's text are kept; more is never shown.
TEXT_BYTES = 400
#: What stands around an expression without changing what it is.
WRAPPERS = frozenset(
    {"parenthesized_expression", "non_null_expression", "as_expression", "satisfies_expression"}
    | {"type_assertion", "instantiation_expression"}
)
FUNCTIONS = frozenset(
    {"arrow_function", "function_expression", "generator_function", "function"}
    | {"function_declaration", "generator_function_declaration", "method_definition"}
)
DECLARATIONS = frozenset({"function_declaration", "generator_function_declaration"})
CLASSES = frozenset({"class", "class_declaration", "abstract_class_declaration"})
STRINGS = frozenset({"string", "template_string"})
CONSTANTS = frozenset({"number", "true", "false", "null", "undefined"})
_NAMES = frozenset({"identifier", "this", "super", "import", "meta_property", "type_identifier", "undefined"})
_LAST_CHILD = frozenset({"type_assertion"})
_NAMED_EXPRESSION_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "v": "\v"}
_CODE_POINT = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\})")
_LAST_CODE_POINT = 0x10FFFF
#: `!x`, `x == null`, `x === undefined`, `x !== null`.
_ASKED = re.compile(r"!\s*(?P<plain>\w+)|(?P<compared>\w+)\s*(?:(?P<not>!)|=)==?\s*(?:null|undefined)")
_ASKING = frozenset({"identifier", "unary_expression", "binary_expression"})


def text_of(node: Node | None, limit: int = TEXT_BYTES) -> str:
    """Return a node's source text, cut at `limit` bytes."""
    if node is None:
        return ""
    content = node.text
    return content[:limit].decode("utf-8", "replace") if content is not None else ""


def parts_of(node: Node) -> list[Node]:
    """Return the named children that are no comments."""
    return [child for child in node.named_children if child.type != "comment"]


def unwrapped(node: Node) -> Node:
    """Return the expression inside parentheses, `!`, `as T`, `satisfies T` and `<T>x`."""
    while node.type in WRAPPERS:
        inner = parts_of(node)
        if not inner:
            break
        node = inner[-1] if node.type in _LAST_CHILD else inner[0]
    return node


class Chain(NamedTuple):
    """A dotted name as written, and what must be evaluated to get at it."""

    written: str
    #: The expression it starts from when that is no name, such as a call.
    base: Node | None
    #: Index expressions, in the order they run.
    indexes: tuple[Node, ...]


def chain_of(node: Node) -> Chain:
    """Read `a?.b!["c"].d` as "a.b.c.d"; what is computed shows as `()` or `[]`."""
    parts: list[str] = []
    indexes: list[Node] = []
    current = unwrapped(node)
    while current.type in {"member_expression", "subscript_expression"}:
        if current.type == "member_expression":
            parts.append(text_of(current.child_by_field_name("property")))
        else:
            parts.append(_index(current.child_by_field_name("index"), indexes))
        inner = current.child_by_field_name("object")
        if inner is None:
            break
        current = unwrapped(inner)
    named = current.type in _NAMES
    parts.append(text_of(current) if named else "()")
    written = ".".join(reversed(parts)).replace(".[]", "[]")
    return Chain(written, None if named else current, tuple(reversed(indexes)))


def _index(index: Node | None, indexes: list[Node]) -> str:
    if index is not None and index.type == "string":
        return string_value(index)
    if index is not None and index.type != "number":
        indexes.append(index)
    return "[]"


def asked_for(condition: Node | None) -> tuple[str, int]:
    """Return the name whose presence a condition asks for, and the branch (0, 1) taken when it is missing."""
    inner = unwrapped(condition) if condition is not None else None
    if inner is None or inner.type not in _ASKING:
        return "", 0
    if inner.type == "identifier":
        return text_of(inner), 1
    match = _ASKED.fullmatch(text_of(inner))
    return (match["plain"] or match["compared"], int(match["not"] is not None)) if match else ("", 0)


def string_value(node: Node) -> str:
    """Return the value of a string or template; a HOLE stands for each `${…}`."""
    pieces = []
    for part in node.named_children:
        kind = part.type
        if kind == "string_fragment":
            pieces.append((part.text or b"").decode("utf-8", "replace"))
        elif kind == "escape_sequence":
            pieces.append(_unescaped(text_of(part)))
        elif kind == "template_substitution":
            pieces.append(HOLE)
    return "".join(pieces)


def _unescaped(sequence: str) -> str:
    point = _CODE_POINT.fullmatch(sequence)
    if point is not None:
        value = int(point[1] or point[2] or point[3], 16)
        return chr(value) if value <= _LAST_CODE_POINT else "\ufffd"
    after = sequence[1:]
    if after in {"\n", "\r\n", "\r"}:
        return ""
    return _NAMED_EXPRESSION_ESCAPES.get(after, after)


def substitutions(node: Node) -> list[Node]:
    """Return the expressions inside the `${…}` of a template, in order."""
    found = []
    for part in node.named_children:
        if part.type == "template_substitution":
            inner = parts_of(part)
            if inner:
                found.append(inner[0])
    return found


def key_of(node: Node | None) -> str:
    """Return a property's name; a computed one is "[]"."""
    if node is None:
        return ""
    if node.type == "computed_property_name":
        inner = parts_of(node)
        return string_value(inner[0]) if inner and inner[0].type == "string" else "[]"
    return string_value(node) if node.type == "string" else text_of(node)


def type_of(node: Node, field: str = "type") -> str:
    """Return the type written on a parameter, variable, field or (`return_type`) function."""
    return text_of(node.child_by_field_name(field)).removeprefix(":").strip()


class Bound(NamedTuple):
    """A name that a pattern binds, and the property it is taken from ("" when it is the value)."""

    name: str
    property: str


def bound_names(pattern: Node) -> Iterator[Bound]:
    """Yield what `{ a, b: c = 1, d: [e] }`, `[x]`, `this.y` or a plain name binds, in order."""
    stack: list[tuple[Node, str]] = [(pattern, "")]
    while stack:
        node, source = stack.pop()
        kind = node.type
        if kind in {"identifier", "type_identifier"}:
            yield Bound(text_of(node), source)
        elif kind == "shorthand_property_identifier_pattern":
            name = text_of(node)
            yield Bound(name, f"{source}.{name}".lstrip("."))
        elif kind in {"member_expression", "subscript_expression"}:
            yield Bound(chain_of(node).written, source)
        else:
            stack.extend(reversed(list(_inside(node, source))))


def _inside(node: Node, source: str) -> Iterator[tuple[Node, str]]:
    """Yield the patterns inside a pattern, each with the path of properties that leads to it."""
    if node.type == "pair_pattern":
        value = node.child_by_field_name("value")
        if value is not None:
            yield value, f"{source}.{key_of(node.child_by_field_name('key'))}".lstrip(".")
    elif node.type in {"assignment_pattern", "object_assignment_pattern"}:
        left = node.child_by_field_name("left")
        if left is not None:
            yield left, source
    elif node.type in {"object_pattern", "array_pattern", "rest_pattern", *WRAPPERS}:
        yield from ((part, source) for part in parts_of(node))


def starts_with(node: Node, word: str) -> bool:
    """Say whether a keyword such as `async`, `using` or `await` stands before the node's name."""
    for child in node.children:
        if child.type == word:
            return True
        if child.is_named and child.type not in {"decorator", "accessibility_modifier", "override_modifier"}:
            return False
    return False
