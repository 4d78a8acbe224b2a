"""TypeScript statements as steps in the order they run, with imports and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.source.sites import Attempt, Bind, Choice, Leave, Repeat, Within
from lint.source.typescript_calls import constant_text, named_value
from lint.source.typescript_expressions import TABLE, branches, visit, visit_all
from lint.source.typescript_modules import (
    DEFAULT,
    exported_names,
    imported,
    star_export,
    taken_from,
)
from lint.source.typescript_nodes import (
    CLASSES,
    CONSTANTS,
    FUNCTIONS,
    asked_for,
    bound_names,
    chain_of,
    parts_of,
    starts_with,
    string_value,
    text_of,
    type_of,
    unwrapped,
)
from lint.source.typescript_reader import NOTHING, Use, Value, Visit

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from tree_sitter import Node

    from lint.source.sites import Block, Call, LeaveKind
    from lint.source.typescript_reader import Reader

_LEAVES: dict[str, LeaveKind] = {
    "return_statement": "return",
    "throw_statement": "raise",
    "break_statement": "break",
    "continue_statement": "continue",
}
_ENDS = frozenset(_LEAVES)
#: A `using` declaration is read as an assignment, or as a declaration by a newer grammar.
_MAY_OPEN = frozenset({"expression_statement", "lexical_declaration"})
_OPENED = frozenset({"assignment_expression", "await_expression", "variable_declarator"})
#: Which steps of the following case a case without `break` runs as well; more is not followed.
_FALL_THROUGH_STEPS = 200
_MODULE_EXPORTS = "module.exports"
#: Members of an enum: constants, which nothing runs.
_MEMBERS = frozenset({"enum_assignment", "property_identifier"})


def _sequence(reader: Reader, nodes: Sequence[Node]) -> Visit:
    """Visit statements in order; what follows a `using` declaration runs within it."""
    opened: list[tuple[Call | None, str, str]] = []
    for node in nodes:
        resource = _resource(node)
        if resource is None:
            yield visit(reader, node)
            continue
        name, value, awaited = resource
        told = yield visit(reader, value, Use(awaited=awaited, bound_to=(name,)))
        call = told.call if told.call is not None and reader.take_back(told.call) else None
        opened.append((call, name, "" if call else reader.shown(value)))
        reader.open_block()
    for call, name, written in reversed(opened):
        reader.step(Within(call, name, reader.close_block(), written))
    return NOTHING


def _resource(node: Node) -> tuple[str, Node, bool] | None:
    """Return name, value and whether it awaits, of `using x = f()` or `await using x = f()`."""
    inner = node.named_child(0) if node.type in _MAY_OPEN else None
    if inner is None or inner.type not in _OPENED:
        return None
    awaited = inner.type == "await_expression"
    assigned = parts_of(inner)[0] if awaited and parts_of(inner) else inner
    is_using = starts_with(assigned, "using") or starts_with(node, "using")
    value = assigned.child_by_field_name("right") or assigned.child_by_field_name("value")
    if not is_using or value is None:
        return None
    target = assigned.child_by_field_name("left") or assigned.child_by_field_name("name")
    return text_of(target), value, awaited or starts_with(node, "await")


def _block(reader: Reader, node: Node, _: Use) -> Visit:
    return (yield _sequence(reader, node.named_children))


def _body(reader: Reader, node: Node | None) -> Generator[Visit, Value, Block]:
    """Visit a statement as a block of its own."""
    reader.open_block()
    if node is not None:
        yield visit(reader, node)
    return reader.close_block()


def _expression_statement(reader: Reader, node: Node, _: Use) -> Visit:
    inner = parts_of(node)
    if not inner or inner[0].type == "string":
        return NOTHING  # a directive such as "use server"
    return (yield visit(reader, inner[0], Use(dropped=True)))


# Bindings


def _declaration(reader: Reader, node: Node, _: Use) -> Visit:
    return (yield visit_all(reader, node.named_children))


def _declarator(reader: Reader, node: Node, _: Use) -> Visit:
    pattern, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if pattern is None or value is None:
        reader.scope.names.declared.add(text_of(pattern))
        return NOTHING
    reader.scope.names.declared.update(bound.name for bound in bound_names(pattern))
    module = _module_taken(value)
    if module is not None:
        reader.imports.update(taken_from(pattern, module, reader.path))
        return NOTHING
    return (yield _bind(reader, node, pattern, value))


def _module_taken(value: Node) -> str | None:
    """Return the specifier of `require("x")` or `await import("x")`."""
    value = unwrapped(value)
    if value.type == "await_expression" and parts_of(value):
        value = unwrapped(parts_of(value)[0])
    called = value.child_by_field_name("function") if value.type == "call_expression" else None
    given = value.child_by_field_name("arguments")
    if called is None or given is None or text_of(called) not in {"require", "import"}:
        return None
    arguments = parts_of(given)
    return string_value(arguments[0]) if arguments and arguments[0].type == "string" else None


def _bind(reader: Reader, node: Node, pattern: Node, value: Node) -> Visit:
    bound = list(bound_names(pattern))
    targets = tuple(one.name for one in bound)
    written = type_of(node)
    if written and len(targets) == 1:
        reader.scope.types[targets[0]] = written
    _note_aliases(reader, pattern, value)
    name = targets[0] if pattern.type in {"identifier", "member_expression"} and targets else ""
    told = yield named_value(reader, value, Use(bound_to=targets, named=_function_name(name)))
    if targets and unwrapped(value).type not in FUNCTIONS | CLASSES:
        reader.step(Bind(targets, told.names, reader.place(node), _constant(value), told.whole))
    return told


def _note_aliases(reader: Reader, pattern: Node, value: Node) -> None:
    """`const { run: go } = utils` is an import when `utils` is one."""
    value = unwrapped(value)
    if pattern.type != "object_pattern" or value.type not in {"identifier", "member_expression"}:
        return
    chain = chain_of(value)
    if chain.base is None and chain.written.partition(".")[0] in reader.imports:
        module = reader.resolved(chain.written)
        reader.imports.update((one.name, f"{module}.{one.property}") for one in bound_names(pattern))


def _function_name(target: str) -> str:
    """Return how a function assigned to `target` is called: `exports.up` is "up"."""
    if target == _MODULE_EXPORTS:
        return ""
    name = target.removeprefix(f"{_MODULE_EXPORTS}.").removeprefix("exports.")
    return name.removeprefix("this.").replace(".prototype.", ".")


def _constant(value: Node) -> str:
    value = unwrapped(value)
    return text_of(value) if value.type in CONSTANTS or constant_text(value) is not None else ""


def _assignment(reader: Reader, node: Node, _: Use) -> Visit:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None:
        return (yield visit_all(reader, node.named_children))
    target = chain_of(left).written if left.type == "member_expression" else ""
    if target == _MODULE_EXPORTS or target.startswith((f"{_MODULE_EXPORTS}.", "exports.")):
        return (yield _common_export(reader, right, target))
    reader.scope.names.assigned.update(
        (bound.name, None) for bound in bound_names(left) if _is_plain(bound.name)
    )
    return (yield _bind(reader, node, left, right))


def _is_plain(name: str) -> bool:
    return "." not in name and "[" not in name


def _common_export(reader: Reader, value: Node, target: str) -> Visit:
    """Read `exports.up = …` and `module.exports = …`."""
    name = _function_name(target)
    value = unwrapped(value)
    if not name and value.type == "object":
        told = yield visit(reader, value)
        reader.exports.update((key, key) for key in told.keys if "." not in key)
        return told
    exported = name or DEFAULT
    told = yield named_value(reader, value, Use(named=exported))
    reader.exports[exported] = told.function or (told.names[0] if told.names else exported)
    return told


def _augmented(reader: Reader, node: Node, use: Use) -> Visit:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None:
        return (yield visit_all(reader, node.named_children))
    told = yield branches(reader, [right, None], use)
    target = chain_of(left).written
    if _is_plain(target):
        reader.scope.names.assigned[target] = None
    reader.step(Bind((target,), (target, *told.names), reader.place(node)))
    return told


# Control flow


def _if(reader: Reader, node: Node, _: Use) -> Visit:
    condition = node.child_by_field_name("condition")
    if condition is not None:
        yield visit(reader, condition)
    then = yield from _body(reader, node.child_by_field_name("consequence"))
    otherwise = yield from _body(reader, node.child_by_field_name("alternative"))
    if then or otherwise:
        asked, missing = asked_for(condition)
        reader.step(Choice((then, otherwise), asked, missing))
    return NOTHING


def _switch(reader: Reader, node: Node, _: Use) -> Visit:
    value, body = node.child_by_field_name("value"), node.child_by_field_name("body")
    if value is not None:
        yield visit(reader, value)
    cases = parts_of(body) if body is not None else []
    outer, reader.scope.in_switch = reader.scope.in_switch, True
    blocks = []
    for case in cases:
        tested = case.child_by_field_name("value")
        if tested is not None:
            yield visit(reader, tested)
        reader.open_block()
        yield _sequence(reader, case.children_by_field_name("body"))
        blocks.append(reader.close_block())
    reader.scope.in_switch = outer
    chosen = _fallen_through(cases, blocks)
    if not any(case.type == "switch_default" for case in cases):
        chosen.append(())
    if any(chosen):
        reader.step(Choice(tuple(chosen)))
    return NOTHING


def _fallen_through(cases: list[Node], blocks: list[Block]) -> list[Block]:
    """Return what runs from each case on: a case without `break` goes on into the next."""
    chosen = list(blocks)
    for index in range(len(blocks) - 2, -1, -1):
        statements = cases[index].children_by_field_name("body")
        last = statements[-1] if statements else None
        if last is not None and last.type == "statement_block" and last.named_children:
            last = last.named_children[-1]
        if (last is None or last.type not in _ENDS) and len(chosen[index + 1]) <= _FALL_THROUGH_STEPS:
            chosen[index] += chosen[index + 1]
    return chosen


def _for(reader: Reader, node: Node, _: Use) -> Visit:
    start = node.child_by_field_name("initializer")
    if start is not None:
        yield visit(reader, start)
    inside = [node.child_by_field_name(name) for name in ("condition", "body", "increment")]
    endless = inside[0] is None or inside[0].type == "empty_statement"
    yield from _repeated(reader, [one for one in inside if one is not None], endless=endless)
    return NOTHING


def _repeated(
    reader: Reader,
    nodes: Iterable[Node],
    variables: tuple[str, ...] = (),
    over: tuple[str, ...] = (),
    *,
    endless: bool = False,
) -> Generator[Visit, Value, None]:
    outer, reader.scope.in_switch = reader.scope.in_switch, False
    reader.open_block()
    yield visit_all(reader, nodes)
    reader.scope.in_switch = outer
    reader.step(Repeat(reader.close_block(), variables, over, endless))


def _for_each(reader: Reader, node: Node, _: Use) -> Visit:
    """Read `for (const x of xs)`, `for await` and `for … in`."""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    body = node.child_by_field_name("body")
    awaited = any(child.type == "await" for child in node.children[:2])
    told = (yield visit(reader, right, Use(awaited=awaited))) if right is not None else NOTHING
    variables = tuple(bound.name for bound in bound_names(left)) if left is not None else ()
    if node.child_by_field_name("kind") is not None:
        reader.scope.names.declared.update(variables)
    yield from _repeated(reader, [body] if body is not None else [], variables, told.names)
    return NOTHING


def _while(reader: Reader, node: Node, _: Use) -> Visit:
    condition = node.child_by_field_name("condition")
    endless = condition is not None and unwrapped(condition).type == "true"
    yield from _repeated(reader, parts_of(node), endless=endless)
    return NOTHING


def _try(reader: Reader, node: Node, _: Use) -> Visit:
    body = yield from _body(reader, node.child_by_field_name("body"))
    caught = node.child_by_field_name("handler")
    handlers: tuple[Block, ...] = ()
    if caught is not None:
        parameter = caught.child_by_field_name("parameter")
        if parameter is not None:
            reader.scope.names.declared.update(bound.name for bound in bound_names(parameter))
        handlers = ((yield from _body(reader, caught.child_by_field_name("body"))),)
    last = node.child_by_field_name("finalizer")
    always = yield from _body(reader, last.child_by_field_name("body") if last is not None else None)
    reader.step(Attempt(body, handlers, always))
    return NOTHING


def _leave(reader: Reader, node: Node, _: Use) -> Visit:
    kind = _LEAVES[node.type]
    told = NOTHING
    if kind in {"return", "raise"}:
        told = yield visit_all(reader, parts_of(node))
    elif kind == "break" and reader.scope.in_switch and node.child_by_field_name("label") is None:
        return NOTHING
    reader.step(Leave(kind, told.names, reader.place(node), told.whole))
    return told


# Imports and exports


def _import(reader: Reader, node: Node, _: Use) -> Visit:
    reader.imports.update(imported(node, reader.path))
    return (yield visit_all(reader, ()))


def _namespace(reader: Reader, node: Node, _: Use) -> Visit:
    """Read `namespace N { … }` and `enum E { … }`: the name leads to what is inside."""
    body = node.child_by_field_name("body")
    outer = reader.scope.root
    reader.scope.root = f"{outer}.{text_of(node.child_by_field_name('name'))}".strip(".")
    if body is not None:
        yield visit_all(reader, (part for part in body.named_children if part.type not in _MEMBERS))
    reader.scope.root = outer
    return NOTHING


def _export(reader: Reader, node: Node, _: Use) -> Visit:
    star = star_export(node, reader.path)
    if star is not None and not any(part.type == "namespace_export" for part in parts_of(node)):
        reader.stars.append(star)
        return NOTHING
    reader.exports.update(exported_names(node, reader.path))
    declared = node.child_by_field_name("declaration") or node.child_by_field_name("value")
    yield visit_all(reader, (child for child in node.named_children if child.type == "decorator"))
    if declared is None:
        return NOTHING
    if reader.scope.root or reader.scope.function:  # of a namespace, not of the module
        return (yield visit(reader, declared))
    if starts_with(node, "default") or any(child.type == DEFAULT for child in node.children):
        return (yield _default(reader, declared))
    reader.exports.update((name, name) for name in _declared_names(declared))
    return (yield visit(reader, declared))


def _default(reader: Reader, declared: Node) -> Visit:
    value = unwrapped(declared)
    if value.type == "identifier":
        reader.exports[DEFAULT] = text_of(value)
        return NOTHING
    name = text_of(value.child_by_field_name("name")) if value.type in FUNCTIONS | CLASSES else ""
    reader.exports[DEFAULT] = name or DEFAULT
    if value.type == "object" or value.type in CLASSES:
        return (yield visit(reader, value, Use(named=DEFAULT)))
    return (yield named_value(reader, value, Use(named=DEFAULT)))


def _declared_names(node: Node) -> Iterable[str]:
    name = node.child_by_field_name("name")
    if name is not None:
        yield text_of(name)
        return
    for declarator in parts_of(node):
        pattern = declarator.child_by_field_name("name")
        if pattern is not None:
            yield from (bound.name for bound in bound_names(pattern))


TABLE.update(dict.fromkeys(("program", "statement_block", "class_static_block"), _block))
TABLE.update(dict.fromkeys(_LEAVES, _leave))
TABLE.update(dict.fromkeys(("while_statement", "do_statement"), _while))
TABLE.update(dict.fromkeys(("internal_module", "module", "enum_declaration"), _namespace))
TABLE.update(dict.fromkeys(("lexical_declaration", "variable_declaration"), _declaration))
TABLE.update(
    {
        "expression_statement": _expression_statement,
        "variable_declarator": _declarator,
        "assignment_expression": _assignment,
        "augmented_assignment_expression": _augmented,
        "if_statement": _if,
        "switch_statement": _switch,
        "for_statement": _for,
        "for_in_statement": _for_each,
        "try_statement": _try,
        "import_statement": _import,
        "export_statement": _export,
    }
)
