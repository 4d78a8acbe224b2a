"""Expressions and functions of JavaScript and TypeScript, lowered to Python's syntax tree.

What has no counterpart becomes a name that nothing binds, which is unknown. `lint.history.javascript`
adds the statements.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, ClassVar, TypeVar

from lint.history.python_expressions import FunctionExpression, TaggedTemplate, TakenApart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tree_sitter import Node

MAX_DEPTH = 200
NOTHING = "undecided"
#: The name that stands for `require("x")`, bound to the module when the file is loaded.
REQUIRED = "require:"

Steps = tuple["str | int", ...]
_Tree = TypeVar("_Tree", ast.stmt, ast.expr, ast.FunctionDef)

_BINARY: Mapping[str, Callable[[], ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
}
_COMPARISONS: Mapping[str, Callable[[], ast.cmpop]] = {
    "===": ast.Eq,
    "==": ast.Eq,
    "!==": ast.NotEq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "in": ast.In,
}
_LOGICAL: Mapping[str, Callable[[], ast.boolop]] = {"&&": ast.And, "||": ast.Or, "??": ast.Or}
_CONSTANTS = {"true": True, "false": False, "null": None, "undefined": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_CODE_POINT = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))\Z")
_WRAPPERS = frozenset(
    {"parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression"}
    | {"type_assertion"}
)
_FUNCTIONS = frozenset(
    {"arrow_function", "function_expression", "function", "generator_function", "method_definition"}
    | {"function_declaration", "generator_function_declaration"}
)


class TooDeepError(ValueError):
    """The program is nested further than people nest."""


def unescaped(text: str) -> str:
    """Return what an escape sequence of a JavaScript string stands for."""
    match = _CODE_POINT.match(text)
    if match is not None:
        code = int(next(group for group in match.groups() if group), 16)
        return chr(code) if code <= 0x10FFFF else text
    return _ESCAPES.get(text[1:], text[1:])


def text_in(node: Node | None) -> str:
    """Return a node's source."""
    return node.text.decode(errors="replace") if node is not None and node.text else ""


class LoweredExpressions:
    """Turns expressions of tree-sitter into expressions of `ast`, with their places."""

    def __init__(self) -> None:
        self.required: list[str] = []
        self.depth = 0
        self._made = 0

    def body(self, node: Node | None) -> list[ast.stmt]:
        """Lower the statements of a function's body: the part of a program that has statements."""
        del node
        return []

    def fresh(self) -> str:
        """Return a name that no program can have written."""
        self._made += 1
        return f"taken apart {self._made}"

    def enter(self) -> None:
        """Go one level down; raise TooDeepError when that is deeper than people write."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooDeepError(f"nested more than {MAX_DEPTH} deep")

    def target(self, node: Node | None) -> ast.expr:
        """Lower what is assigned to; an assignment reaches the scope that declared the name."""
        target = self.expression(node)
        if isinstance(target, ast.Name):
            target.outer = True  # type: ignore[attr-defined]
        return target

    def function(self, node: Node, name: str) -> ast.FunctionDef:
        """Lower a function of any form to a definition of that name."""
        arguments = ast.arguments([], [], None, [], [], None, [])
        taken: list[tuple[str, Steps, str]] = []
        parameters = node.child_by_field_name("parameters")
        single = node.child_by_field_name("parameter")
        for one in parameters.named_children if parameters else [single] if single else []:
            self._parameter(one, arguments, taken)
        body = node.child_by_field_name("body")
        if body is not None and body.type != "statement_block":
            statements: list[ast.stmt] = [placed(ast.Return(self.expression(body)), body)]
        else:
            statements = self.body(body)
        made = ast.FunctionDef(name, arguments, statements, [])
        made.patterns = taken  # type: ignore[attr-defined]
        return placed(made, node)

    def _parameter(self, node: Node, arguments: ast.arguments, taken: list[tuple[str, Steps, str]]) -> None:
        wrapped = node.type in {"required_parameter", "optional_parameter"}
        pattern = node.child_by_field_name("pattern") if wrapped else node
        default = node.child_by_field_name("value" if wrapped else "right")
        if pattern is not None and pattern.type == "assignment_pattern":
            pattern = pattern.child_by_field_name("left")
        if pattern is None or node.type == "comment":
            return
        if pattern.type == "rest_pattern":
            arguments.vararg = ast.arg(text_in(pattern.named_children[0]))
            return
        name = text_in(pattern)
        if pattern.type in {"object_pattern", "array_pattern"}:
            name = self.fresh()
            taken.extend((name, steps, bound) for steps, bound in names_in(pattern, ()))
        arguments.args.append(ast.arg(name))
        if default is not None:
            arguments.defaults.append(self.expression(default))
        elif arguments.defaults:
            arguments.defaults.append(named(NOTHING))

    # Expressions

    def field(self, node: Node, field: str) -> ast.expr:
        """Lower the expression in a field of a node."""
        return self.expression(node.child_by_field_name(field))

    def expression(self, node: Node | None) -> ast.expr:
        """Lower an expression; an unbound name for what has no counterpart."""
        if node is None:
            return ast.Constant(None)
        while node.type in _WRAPPERS and node.named_children:
            last = node.type == "type_assertion"
            node = node.named_children[-1 if last else 0]
        self.enter()
        try:
            lower = self._EXPRESSIONS.get(node.type)
            return placed(named(NOTHING) if lower is None else lower(self, node), node)
        finally:
            self.depth -= 1

    def _constant(self, node: Node) -> ast.expr:
        return ast.Constant(_CONSTANTS[node.type])

    def _identifier(self, node: Node) -> ast.expr:
        return named(text_in(node))

    def _number(self, node: Node) -> ast.expr:
        text = text_in(node)
        return ast.Constant(int(text)) if text.isdigit() and len(text) < 16 else named(NOTHING)

    def _string_constant(self, node: Node) -> ast.expr:
        return ast.Constant(string_in(node))

    def _tagged(self, tag: Node | None, template: Node) -> ast.expr:
        made = TaggedTemplate()
        made.tag, made.template = self.expression(tag), self._template(template)
        placed(made.template, template)
        return made

    def _await(self, node: Node) -> ast.expr:
        return ast.Await(self.expression(node.named_children[0] if node.named_children else None))

    def _template(self, node: Node) -> ast.JoinedStr:
        parts: list[ast.expr] = []
        for child in node.named_children:
            if child.type == "template_substitution":
                inner = child.named_children[0] if child.named_children else None
                parts.append(ast.FormattedValue(self.expression(inner), -1, None))
            else:
                escaped = child.type == "escape_sequence"
                parts.append(ast.Constant(unescaped(text_in(child)) if escaped else text_in(child)))
        return ast.JoinedStr(parts)

    def _array(self, node: Node) -> ast.expr:
        return ast.List(self._items(node), ast.Load())

    def _items(self, node: Node) -> list[ast.expr]:
        found: list[ast.expr] = []
        for child in node.named_children:
            if child.type == "spread_element":
                found.append(ast.Starred(self.expression(child.named_children[0]), ast.Load()))
            elif child.type != "comment":
                found.append(self.expression(child))
        return found

    def _object(self, node: Node) -> ast.expr:
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        for child in node.named_children:
            if child.type == "pair":
                key = child.child_by_field_name("key")
                computed = key is not None and key.type == "computed_property_name"
                inner = key.named_children[0] if computed and key is not None else None
                keys.append(self.expression(inner) if computed else ast.Constant(key_in(key)))
                values.append(self.field(child, "value"))
            elif child.type == "method_definition":
                keys.append(ast.Constant(key_in(child.child_by_field_name("name"))))
                values.append(self._function(child))
            elif child.type == "shorthand_property_identifier":
                keys.append(ast.Constant(text_in(child)))
                values.append(named(text_in(child)))
            elif child.type == "spread_element":
                keys.append(None)
                values.append(self.expression(child.named_children[0]))
        return ast.Dict(keys, values)

    def _function(self, node: Node) -> ast.expr:
        made = FunctionExpression()
        made.function = self.function(node, text_in(node.child_by_field_name("name")))
        return made

    def _call(self, node: Node) -> ast.expr:
        called, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if node.type == "new_expression":
            called = node.child_by_field_name("constructor")
        if given is not None and given.type == "template_string":
            return self._tagged(called, given)
        if text_in(called) in {"require", "import"} and given is not None and given.named_children:
            wanted = given.named_children[0]
            if wanted.type == "string":
                self.required.append(string_in(wanted))
                return named(f"{REQUIRED}{string_in(wanted)}")
        return ast.Call(self.expression(called), self._items(given) if given is not None else [], [])

    def _member(self, node: Node) -> ast.expr:
        name = text_in(node.child_by_field_name("property"))
        return ast.Attribute(self.field(node, "object"), name, ast.Load())

    def _subscript(self, node: Node) -> ast.expr:
        return ast.Subscript(self.field(node, "object"), self.field(node, "index"), ast.Load())

    def _binary(self, node: Node) -> ast.expr:
        sign = text_in(node.child_by_field_name("operator"))
        left, right = self.field(node, "left"), self.field(node, "right")
        if sign in _BINARY:
            return ast.BinOp(left, _BINARY[sign](), right)
        if sign in _COMPARISONS:
            return ast.Compare(left, [_COMPARISONS[sign]()], [right])
        return ast.BoolOp(_LOGICAL[sign](), [left, right]) if sign in _LOGICAL else named(NOTHING)

    def _unary(self, node: Node) -> ast.expr:
        sign = text_in(node.child_by_field_name("operator"))
        if sign == "!":
            return ast.UnaryOp(ast.Not(), self.field(node, "argument"))
        return ast.UnaryOp(ast.USub(), self.field(node, "argument")) if sign == "-" else named(NOTHING)

    def _ternary(self, node: Node) -> ast.expr:
        chosen, other = self.field(node, "consequence"), self.field(node, "alternative")
        return ast.IfExp(self.field(node, "condition"), chosen, other)

    def _assigned(self, node: Node) -> ast.expr:
        """Lower an assignment that stands where a value does; only one to a name is kept."""
        target, value = self.target(node.child_by_field_name("left")), self.field(node, "right")
        if node.type == "augmented_assignment_expression":
            sign = text_in(node.child_by_field_name("operator")).rstrip("=")
            current = self.field(node, "left")
            value = ast.BinOp(current, _BINARY[sign](), value) if sign in _BINARY else named(NOTHING)
        return ast.NamedExpr(target, value) if isinstance(target, ast.Name) else value

    def _update(self, node: Node) -> ast.expr:
        sign: ast.operator = ast.Add() if "++" in text_in(node) else ast.Sub()
        target = self.target(node.child_by_field_name("argument"))
        value = ast.BinOp(self.field(node, "argument"), sign, ast.Constant(1))
        return ast.NamedExpr(target, value) if isinstance(target, ast.Name) else value

    _EXPRESSIONS: ClassVar[Mapping[str, Callable[[LoweredExpressions, Node], ast.expr]]] = {
        "identifier": _identifier,
        "this": _identifier,
        **dict.fromkeys(_CONSTANTS, _constant),
        "number": _number,
        "string": _string_constant,
        "template_string": _template,
        "array": _array,
        "object": _object,
        **dict.fromkeys(_FUNCTIONS, _function),
        "await_expression": _await,
        "call_expression": _call,
        "new_expression": _call,
        "member_expression": _member,
        "subscript_expression": _subscript,
        "binary_expression": _binary,
        "unary_expression": _unary,
        "ternary_expression": _ternary,
        "assignment_expression": _assigned,
        "augmented_assignment_expression": _assigned,
        "update_expression": _update,
    }


def named(text: str) -> ast.Name:
    """Return a use of a name."""
    return ast.Name(text, ast.Load())


def taken_apart(names: list[tuple[Steps, str]], value: ast.expr) -> TakenApart:
    """Return the statement that takes a value apart."""
    made = TakenApart()
    made.names, made.value = names, value
    return made


def names_in(node: Node, steps: Steps) -> Iterator[tuple[Steps, str]]:
    """Yield the names that a pattern binds, each with the steps that lead to its value."""
    if node.type in {"identifier", "shorthand_property_identifier_pattern"}:
        named = node.type != "identifier"
        yield (*steps, text_in(node)) if named else steps, text_in(node)
    elif node.type in {"object_assignment_pattern", "assignment_pattern"}:
        left = node.child_by_field_name("left")
        if left is not None:
            yield from names_in(left, steps)
    elif node.type == "pair_pattern":
        value = node.child_by_field_name("value")
        if value is not None:
            yield from names_in(value, (*steps, key_in(node.child_by_field_name("key"))))
    elif node.type == "object_pattern":
        for child in node.named_children:
            yield from names_in(child, steps)
    elif node.type == "array_pattern":
        for index, child in enumerate(node.named_children):
            yield from names_in(child, (*steps, index))


def key_in(node: Node | None) -> str:
    """Return the name of a property, quoted or not."""
    return string_in(node) if node is not None and node.type == "string" else text_in(node)


def string_in(node: Node | None) -> str:
    """Return the value of a string."""
    parts = node.named_children if node is not None else []
    return "".join(unescaped(text_in(p)) if p.type == "escape_sequence" else text_in(p) for p in parts)


def placed(made: _Tree, node: Node) -> _Tree:
    """Give a node its place; those lowered inside keep their own."""
    if not hasattr(made, "lineno"):
        made.lineno, made.col_offset = node.start_point.row + 1, node.start_point.column
        made.end_lineno, made.end_col_offset = node.end_point.row + 1, node.end_point.column
    return made
