"""TypeScript expressions in the order they are evaluated: names, strings, choices.

Every function here is a visit (see `typescript_reader.Visit`); TABLE says which node types it is
for, and the modules for calls, functions and statements add theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.source.sites import HOLE, Choice
from lint.source.typescript_nodes import (
    STRINGS,
    WRAPPERS,
    chain_of,
    parts_of,
    string_value,
    substitutions,
    text_of,
    unwrapped,
)
from lint.source.typescript_reader import NOTHING, PLAIN, Use, Value, Visit, merged, whole_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tree_sitter import Node

    from lint.source.typescript_reader import Reader

    Visitor = Callable[[Reader, Node, Use], Visit]

_SHORT_CIRCUIT = frozenset({"&&", "||", "??"})
#: Nodes that hold no expression that runs.
SILENT = frozenset(
    {"type_annotation", "type_arguments", "type_parameters", "comment", "interface_declaration"}
    | {"type_alias_declaration", "ambient_declaration", "function_signature", "empty_statement"}
    | {"abstract_method_signature", "method_signature", "property_identifier", "jsx_text", "regex"}
    | {"statement_identifier", "accessibility_modifier", "override_modifier", "predefined_type"}
    | {"number", "true", "false", "null", "undefined", "hash_bang_line", "index_signature"}
)
_JSX = frozenset(
    {"jsx_element", "jsx_self_closing_element", "jsx_opening_element", "jsx_attribute"}
    | {"jsx_expression", "jsx_fragment"}
)
TABLE: dict[str, Visitor] = {}


def visit(reader: Reader, node: Node, use: Use = PLAIN) -> Visit:
    """Return the visit of a node of any type."""
    return TABLE.get(node.type, _children)(reader, node, use)


def visit_all(reader: Reader, nodes: Iterable[Node], use: Use = PLAIN) -> Visit:
    """Visit nodes in order and return what they told together."""
    values = []
    for node in nodes:
        kind = node.type
        if kind == "identifier":
            values.append(name_value(reader, node))
        elif kind not in SILENT:
            values.append((yield TABLE.get(kind, _children)(reader, node, use)))
    return values[0] if len(values) == 1 else merged(values)


def name_value(reader: Reader, node: Node) -> Value:
    """Read a plain name without a visit of its own: most expressions are no more."""
    name = text_of(node)
    reader.reference(name, node)
    return Value((name,), whole=(name,))


def _children(reader: Reader, node: Node, _: Use) -> Visit:
    if node.type in SILENT:
        return NOTHING
    return (yield visit_all(reader, node.named_children))


def _jsx(reader: Reader, node: Node, _: Use) -> Visit:
    """Visit what runs in an element; its names, attributes' names and plain text do not."""
    return (yield visit_all(reader, (child for child in node.named_children if child.type in _JSX)))


def _wrapped(reader: Reader, node: Node, use: Use) -> Visit:
    inner = unwrapped(node)
    return (yield visit(reader, inner, use)) if inner.type not in WRAPPERS else NOTHING


def _awaited(reader: Reader, node: Node, use: Use) -> Visit:
    inner = parts_of(node)
    return (yield visit(reader, inner[0], use._replace(awaited=True))) if inner else NOTHING


def _held(reader: Reader, node: Node, use: Use) -> Visit:
    """Visit what holds its parts themselves: an array, a spread."""
    values = []
    for part in parts_of(node):
        if part.type not in SILENT:
            value = yield visit(reader, part, Use(use.awaited, use.dropped))
            values.append(value)
    return merged(values)._replace(whole=whole_of(values))


def _unary(reader: Reader, node: Node, use: Use) -> Visit:
    """Visit `!x`, `-x`, `typeof x`, `delete x`, or `void x`, which throws its value away."""
    argument = node.child_by_field_name("argument")
    if argument is None or argument.type in SILENT:
        return NOTHING
    return merged([(yield visit(reader, argument, Use(dropped=use.dropped)))])


def _name(reader: Reader, node: Node, use: Use) -> Visit:
    """Read a name or a dotted name that is used as a value."""
    if node.type == "identifier":
        return name_value(reader, node)
    chain = chain_of(node)
    if chain.base is None:
        reader.reference(chain.written, node)
        value = Value((chain.written,), whole=(chain.written,))
    else:
        value = Value((yield visit(reader, chain.base, Use(use.awaited))).names)
    if not chain.indexes:
        return value
    return merged((value, (yield visit_all(reader, chain.indexes))))


# Strings


def _string(reader: Reader, node: Node, _: Use) -> Visit:
    return (yield _text(reader, [node], node))


def _text(reader: Reader, operands: list[Node], whole: Node) -> Visit:
    """Read strings and other operands joined by `+` as one text, with a HOLE for each of these."""
    pieces, holes, values = [], [], []
    for operand in operands:
        is_string = operand.type in STRINGS
        pieces.append(string_value(operand) if is_string else HOLE)
        for node in substitutions(operand) if is_string else [operand]:
            value = yield visit(reader, node)
            values.append(value)
            holes.append(value.names[0] if value.names else "")
    text = "".join(pieces)
    if text:
        reader.text(text, whole, tuple(holes))
    return merged(values)


def added(node: Node) -> list[Node]:
    """Return the operands of a chain of `+`, in order; a node that is none is its own."""
    operands: list[Node] = []
    current = node
    while current.type == "binary_expression" and _operator(current) == "+":
        left, right = current.child_by_field_name("left"), current.child_by_field_name("right")
        if left is None or right is None:
            break
        operands.append(unwrapped(right))
        current = unwrapped(left)
    operands.append(current)
    return operands[::-1]


def _operator(node: Node) -> str:
    operator = node.child_by_field_name("operator")
    return operator.type if operator is not None else ""


def _binary(reader: Reader, node: Node, use: Use) -> Visit:
    operands = added(node)
    if any(operand.type in STRINGS for operand in operands):
        return (yield _text(reader, operands, node))
    if len(operands) > 1:
        return merged([(yield visit_all(reader, operands))])
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None:
        return (yield visit_all(reader, node.named_children))
    first = yield visit(reader, left)
    if _operator(node) in _SHORT_CIRCUIT:
        second = yield branches(reader, [right, None], use)
        return merged((first, second))._replace(whole=whole_of((first, second)))
    return merged((first, (yield visit(reader, right))))


def branches(reader: Reader, nodes: Iterable[Node | None], use: Use) -> Visit:
    """Visit what runs one or the other (None: nothing); no step when neither does anything."""
    values, blocks = [], []
    for node in nodes:
        reader.open_block()
        if node is not None:
            values.append((yield visit(reader, node, use)))
        blocks.append(reader.close_block())
    if any(blocks):
        reader.step(Choice(tuple(blocks)))
    return merged(values)._replace(whole=whole_of(values))


def _ternary(reader: Reader, node: Node, use: Use) -> Visit:
    condition = node.child_by_field_name("condition")
    chosen = [node.child_by_field_name(name) for name in ("consequence", "alternative")]
    first = (yield visit(reader, condition)) if condition is not None else NOTHING
    second = yield branches(reader, chosen, use)
    return merged((first, second))._replace(whole=second.whole)


TABLE.update(dict.fromkeys(WRAPPERS, _wrapped))
TABLE.update(dict.fromkeys(_JSX - {"jsx_expression"}, _jsx))
TABLE.update(dict.fromkeys(STRINGS, _string))
TABLE.update(dict.fromkeys(("identifier", "member_expression", "subscript_expression", "this"), _name))
TABLE.update(dict.fromkeys(("array", "spread_element"), _held))
TABLE.update(
    {
        "unary_expression": _unary,
        "await_expression": _awaited,
        "binary_expression": _binary,
        "ternary_expression": _ternary,
    }
)
