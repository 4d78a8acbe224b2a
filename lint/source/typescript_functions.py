"""TypeScript functions and classes: names, parameters with their types, decorators, bases."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lint.source.sites import Bind, Class, Function, Leave
from lint.source.typescript_calls import named_value
from lint.source.typescript_expressions import TABLE, visit, visit_all
from lint.source.typescript_nodes import (
    CLASSES,
    DECLARATIONS,
    FUNCTIONS,
    bound_names,
    chain_of,
    key_of,
    parts_of,
    starts_with,
    text_of,
    type_of,
    unwrapped,
)
from lint.source.typescript_reader import NOTHING, Scope, Use, Value, Visit

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tree_sitter import Node

    from lint.source.typescript_reader import Reader

_HERITAGE = frozenset({"class_heritage", "extends_clause", "implements_clause"})
_DECORATED = frozenset({"method_definition", *CLASSES})
_PATTERNS = frozenset({"object_pattern", "array_pattern"})
#: Nobody names a connection at greater length, in bytes.
_LONGEST_DEFAULT = 100
_MODIFIERS = frozenset({"accessibility_modifier", "readonly", "override_modifier"})


class _Parameter(NamedTuple):
    """A parameter: its name ("{a, b}" when it is taken apart), its type, and its default."""

    name: str
    type: str
    node: Node
    pattern: Node
    default: Node | None
    is_property: bool


def _function(reader: Reader, node: Node, use: Use) -> Visit:
    own = text_of(node.child_by_field_name("name")) if node.type != "method_definition" else ""
    local = own or _local_name(reader, node, use)
    name = reader.qualified(local, node)
    outer, callers = reader.scope, reader.callers
    if node.type in DECLARATIONS:
        outer.names.declared.add(own)
    reader.scope, reader.callers = Scope(name), []
    reader.open_block()
    parameters = _parameters(node)
    reader.scope.types.update((one.name, one.type) for one in parameters if one.type)
    names = reader.scope.names
    names.declared.update(bound.name for one in parameters for bound in bound_names(one.pattern))
    yield from _bind_parameters(reader, parameters, outer)
    yield from _body(reader, node)
    reader.functions[name] = Function(
        name,
        reader.place(node),
        tuple(one.name for one in parameters),
        _decorators(reader, node),
        outer.bases,
        reader.close_block(),
        starts_with(node, "async"),
        types=reader.scope.types,
        defaults={one.name: text_of(one.default) for one in parameters if _is_short(one.default)},
        returns=type_of(node, "return_type"),
        outer=names.outer(),
    )
    reader.free[name] = names.free()
    outer.names.read.update(dict.fromkeys(reader.free[name]))
    reader.scope, reader.callers = outer, callers
    return Value(function=name, functions=(name,))


def _local_name(reader: Reader, node: Node, use: Use) -> str:
    named = use.named or key_of(node.child_by_field_name("name"))
    return f"{reader.scope.root}.{named}".strip(".") if named else ""


def _body(reader: Reader, node: Node) -> Generator[Visit, Value, None]:
    body = node.child_by_field_name("body")
    if body is None:
        return
    value = yield visit(reader, body)
    if body.type != "statement_block":
        reader.step(Leave("return", value.names, reader.place(body), value.whole))


def _decorators(reader: Reader, node: Node) -> tuple[str, ...]:
    """Return the decorators of a class, in it or before it, or of a method, before it."""
    found = [child for child in node.named_children if child.type == "decorator"]
    before = node.prev_named_sibling if node.type in _DECORATED else None
    while before is not None and before.type in {"decorator", "comment"}:
        if before.type == "decorator":
            found.insert(0, before)
        before = before.prev_named_sibling
    return tuple(reader.resolved(_decorator_name(one)) for one in found)


def _decorator_name(node: Node) -> str:
    inner = parts_of(node)
    if not inner:
        return ""
    called = inner[0].child_by_field_name("function") if inner[0].type == "call_expression" else None
    return chain_of(called or inner[0]).written


# Parameters


def _parameters(node: Node) -> list[_Parameter]:
    single = node.child_by_field_name("parameter")
    if single is not None:
        return [_Parameter(text_of(single), "", single, single, None, is_property=False)]
    listed = node.child_by_field_name("parameters")
    return [_parameter(one) for one in parts_of(listed) if _is_value(one)] if listed is not None else []


def _is_short(default: Node | None) -> bool:
    """Say whether a default is a name, a member, a constant or a call: not a function or an object."""
    return default is not None and default.end_byte - default.start_byte <= _LONGEST_DEFAULT


def _is_value(parameter: Node) -> bool:
    pattern = parameter.child_by_field_name("pattern")
    return pattern is None or pattern.type != "this"


def _parameter(node: Node) -> _Parameter:
    pattern = node.child_by_field_name("pattern") or node.child_by_field_name("left") or node
    default = node.child_by_field_name("value") or node.child_by_field_name("right")
    if pattern.type in _PATTERNS:
        name = "{" + ", ".join(bound.name for bound in bound_names(pattern)) + "}"
    else:
        name = text_of(pattern)
    is_property = any(child.type in _MODIFIERS for child in node.children)
    return _Parameter(name, type_of(node), node, pattern, default, is_property)


def _bind_parameters(
    reader: Reader, parameters: Iterable[_Parameter], around: Scope
) -> Generator[Visit, Value, None]:
    """Add the steps that run before a body: defaults, `{ a }` taken apart, `private a`."""
    for one in parameters:
        if one.default is not None:
            yield visit(reader, one.default)
        if one.pattern.type in _PATTERNS:
            targets = tuple(bound.name for bound in bound_names(one.pattern))
            reader.step(Bind(targets, (one.name,), reader.place(one.node), values=(one.name,)))
        elif one.is_property:
            around.types[one.name] = one.type
            place = reader.place(one.node)
            reader.step(Bind((f"this.{one.name}",), (one.name,), place, values=(one.name,)))


# Classes


def _class(reader: Reader, node: Node, use: Use) -> Visit:
    name = text_of(node.child_by_field_name("name")) or use.named
    bases = tuple(_bases(reader, node))
    yield visit_all(reader, (child for child in node.named_children if child.type == "decorator"))
    yield from _heritage_calls(reader, node)
    outer = reader.scope
    root = f"{outer.root}.{name}".strip(".")
    reader.scope = Scope(outer.function, root, bases, names=outer.names)
    outer.names.declared.add(name)
    body = node.child_by_field_name("body")
    for member in body.named_children if body is not None else ():
        yield _member(reader, member)
    qualified = f"{outer.function}.{root}".strip(".")
    decorators = _decorators(reader, node)
    attributes = {key: written for key, written in reader.scope.types.items() if written}
    reader.classes[qualified] = Class(qualified, reader.place(node), bases, decorators, attributes)
    reader.scope = outer
    return NOTHING


def _bases(reader: Reader, node: Node) -> Generator[str, None, None]:
    stack = [child for child in node.named_children if child.type in _HERITAGE]
    while stack:
        child = stack.pop(0)
        if child.type in _HERITAGE:
            stack[:0] = parts_of(child)
        elif child.type not in {"type_arguments", "comment"}:
            yield reader.resolved(_base_name(child))


def _base_name(node: Node) -> str:
    if node.type == "generic_type":
        return text_of(node.child_by_field_name("name"))
    if node.type == "call_expression":
        called = node.child_by_field_name("function")
        return chain_of(called).written if called is not None else "()"
    return text_of(node) if node.type.endswith("type_identifier") else chain_of(node).written


def _heritage_calls(reader: Reader, node: Node) -> Generator[Visit, Value, None]:
    """Visit `extends Mixin(Base)`; a plain name is a base, not a value handed on."""
    for heritage in (child for child in node.named_children if child.type == "class_heritage"):
        for clause in parts_of(heritage):
            value = clause.child_by_field_name("value") if clause.type == "extends_clause" else clause
            if value is not None and value.type == "call_expression":
                yield visit(reader, value)


def _member(reader: Reader, node: Node) -> Visit:
    if node.type not in {"public_field_definition", "field_definition"}:
        return (yield visit(reader, node))
    value = node.child_by_field_name("value")
    name = key_of(node.child_by_field_name("name") or node.child_by_field_name("property"))
    reader.scope.types[name] = type_of(node)
    if value is None:
        return NOTHING
    target = f"this.{name}"
    told = yield named_value(reader, value, Use(bound_to=(target,), named=name))
    if unwrapped(value).type not in FUNCTIONS:
        reader.step(Bind((target,), told.names, reader.place(node), values=told.whole))
    return told


TABLE.update(dict.fromkeys(FUNCTIONS, _function))
TABLE.update(dict.fromkeys(CLASSES, _class))
