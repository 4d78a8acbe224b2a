"""TypeScript calls: what is called, on what, with which arguments, and whether it is awaited."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.source.sites import HOLE, Argument, Call, Do
from lint.source.typescript_expressions import SILENT, TABLE, added, name_value, visit, visit_all
from lint.source.typescript_nodes import (
    CONSTANTS,
    FUNCTIONS,
    STRINGS,
    chain_of,
    key_of,
    parts_of,
    string_value,
    text_of,
    unwrapped,
)
from lint.source.typescript_reader import NAMES_KEPT, NOTHING, Use, Value, Visit, merged, whole_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from tree_sitter import Node

    from lint.source.sites import ArgumentKind
    from lint.source.typescript_reader import Reader

#: Calls that await whatever promises are in their argument.
_AWAIT_ALL = frozenset({"Promise.all", "Promise.allSettled", "Promise.race", "Promise.any"})
#: Methods of a promise: what they are called on is dropped when they are.
_THEN = frozenset({"then", "catch", "finally"})
#: A member of an enumeration or of an object of constants.
_MEMBER = re.compile(r"(?:[A-Z]\w*\.)+[A-Z]\w*|(?:\w+\.)+[A-Z][A-Z0-9_]*")


def _call(reader: Reader, node: Node, use: Use) -> Visit:
    target = node.child_by_field_name("function") or node.child_by_field_name("constructor")
    if target is None:
        return (yield visit_all(reader, node.named_children))
    chain = chain_of(target)
    base = NOTHING
    if chain.base is not None:
        dropped = use.dropped and chain.written.rpartition(".")[2] in _THEN
        base = yield visit(reader, chain.base, Use(use.awaited, dropped))
    indexes = (yield visit_all(reader, chain.indexes)) if chain.indexes else NOTHING
    written = base.function or chain.written
    if chain.base is None:
        reader.scope.names.read[written] = None
    arguments = yield from _arguments(reader, node, written, awaited=use.awaited)
    read = Value((written,)) if chain.base is None else base
    call = Call(
        reader.resolved(written),
        written,
        tuple(argument for argument, _ in arguments),
        reader.scope.function,
        _place(reader, node, target),
        use.awaited,
        use.bound_to,
        base.call,
        use.dropped and not use.awaited,
    )
    reader.calls.append(call)
    reader.step(Do(call))
    told = merged((read, indexes, *(value for _, value in arguments)))
    return told._replace(call=call)


def _place(reader: Reader, node: Node, target: Node) -> Place:
    """Return where a call stands: of a chain over several lines, where its own name does."""
    name = target.child_by_field_name("property") if target.type == "member_expression" else None
    if name is None or name.start_point[0] == node.start_point[0]:
        return reader.place(node)
    line, column = name.start_point
    return Place(reader.path, line + 1, column + 1, node.end_point[0] + 1)


def _arguments(
    reader: Reader, node: Node, written: str, *, awaited: bool
) -> Generator[Visit, Value, list[tuple[Argument, Value]]]:
    given = node.child_by_field_name("arguments")
    if given is None:
        return []
    reader.callers.append(reader.resolved(written).rpartition(".")[2])
    use = Use(awaited=awaited and written in _AWAIT_ALL)
    arguments = []
    is_tagged = given.type == "template_string"
    if is_tagged:
        reader.tagged.add(given.id)
    for argument in [given] if is_tagged else parts_of(given):
        kind = argument.type
        if kind == "identifier":
            value = name_value(reader, argument)
        else:
            value = NOTHING if kind in SILENT else (yield visit(reader, argument, use))
        arguments.append((_argument(reader, argument, value), value))
    reader.callers.pop()
    return arguments


def _argument(reader: Reader, node: Node, value: Value) -> Argument:
    node = unwrapped(node)
    kind, text = _kind_and_text(reader, node)
    names = value.names if value.function is None else reader.free[value.function]
    told = (names, value.function, value.functions, value.keys, value.constants)
    return Argument(kind, text, None, *told)


def _kind_and_text(reader: Reader, node: Node) -> tuple[ArgumentKind, str]:
    if node.type in FUNCTIONS:
        return "function", reader.shown(node)
    if node.type in CONSTANTS:
        return "literal", text_of(node)
    if node.type == "identifier":
        return "name", text_of(node)
    if node.type == "member_expression":
        written = chain_of(node).written
        return "member" if _MEMBER.fullmatch(written) else "other", reader.shown(node)
    text = constant_text(node)
    if text is not None:
        return "other" if HOLE in text else "literal", text
    return "other", reader.shown(node)


def constant_text(node: Node) -> str | None:
    """Return the text of a string, a template or strings joined by `+`; None for anything else."""
    operands = added(node)
    if not any(part.type in STRINGS for part in operands):
        return None
    return "".join(string_value(part) if part.type in STRINGS else HOLE for part in operands)


# Object literals


def _object(reader: Reader, node: Node, _: Use) -> Visit:
    values: list[Value] = []
    keys: dict[str, None] = {}
    constants: dict[str, str] = {}
    for entry in parts_of(node):
        key, value = yield from _entry(reader, entry)
        values.append(value)
        if key and len(keys) < NAMES_KEPT:
            keys[key] = None
            keys.update((f"{key}.{nested}", None) for nested in value.keys)
            constants.update((_path(key, nested), text) for nested, text in value.constants)
    kept = tuple(constants.items())[:NAMES_KEPT]
    told = merged(values)
    return told._replace(keys=tuple(keys)[:NAMES_KEPT], constants=kept, whole=whole_of(values))


def _entry(reader: Reader, entry: Node) -> Generator[Visit, Value, tuple[str, Value]]:
    if entry.type == "pair":
        key, value = key_of(entry.child_by_field_name("key")), entry.child_by_field_name("value")
        if value is None:
            return key, NOTHING
        told = yield named_value(reader, value, Use(named=key))
        constant = _constant(value)
        if constant is None and told.call is not None:
            return key, told._replace(constants=_begun_with(told.call))
        return key, told if constant is None else told._replace(constants=(("", constant),))
    if entry.type == "method_definition":
        key = key_of(entry.child_by_field_name("name"))
        return key, (yield visit(reader, entry, Use(named=key)))
    if entry.type == "shorthand_property_identifier":
        name = text_of(entry)
        reader.reference(name, entry)
        return name, Value((name,), whole=(name,))
    return "", (yield visit(reader, entry))


def _path(key: str, nested: str) -> str:
    return f"{key}.{nested}" if nested not in {"", "()"} else f"{key}{nested}"


def _begun_with(call: Call) -> tuple[tuple[str, str], ...]:
    """Return the first argument of the call that a chain begins with, when it is a constant."""
    while call.receiver is not None:
        call = call.receiver
    first = call.arguments[0] if call.arguments else None
    return (("()", first.text),) if first is not None and first.kind == "literal" else ()


def _constant(node: Node) -> str | None:
    node = unwrapped(node)
    text = text_of(node) if node.type in CONSTANTS else constant_text(node)
    return None if text is None or HOLE in text else text


def named_value(reader: Reader, node: Node, use: Use) -> Visit:
    """Visit a value that gets a name, so that functions inside it can be told by that name."""
    if unwrapped(node).type in FUNCTIONS:
        return (yield visit(reader, node, use))
    outer = reader.scope.root
    reader.scope.root = f"{outer}.{use.named}".strip(".")
    value = yield visit(reader, node, use)
    reader.scope.root = outer
    return value


TABLE.update({"call_expression": _call, "new_expression": _call, "object": _object})
