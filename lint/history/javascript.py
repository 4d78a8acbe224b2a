"""JavaScript and TypeScript lowered to the syntax tree that `lint.history.evaluate` walks.

Tree-sitter reads the program; functions, loops, template literals, arrays and objects become their
Python counterparts, so that one evaluator follows migrations of both languages. What has no
counterpart becomes a name that nothing binds, which is unknown.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, ClassVar, TypeVar

import tree_sitter_typescript
from tree_sitter import Language, Parser

from lint.history.python_expressions import FunctionExpression, TakenApart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tree_sitter import Node

_TYPESCRIPT = Language(tree_sitter_typescript.language_typescript())
#: Reads JSX and plain JavaScript as well; only `<Type>value` is lost, which `.ts` files may have.
_TSX = Language(tree_sitter_typescript.language_tsx())
MAX_DEPTH = 200

EXPORTS = "module.exports"
DEFAULT_EXPORT = "export default"
_NOTHING = "undecided"
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
    | {"type_assertion", "await_expression"}
)
_FUNCTIONS = frozenset(
    {"arrow_function", "function_expression", "function", "generator_function", "method_definition"}
    | {"function_declaration", "generator_function_declaration"}
)


class TooDeepError(ValueError):
    """The program is nested further than people nest."""


def lowered(source: bytes, suffix: str) -> tuple[ast.Module, list[str]]:
    """Return a program's tree and the modules it requires; raise TooDeepError for endless nesting."""
    language = _TYPESCRIPT if suffix in {".ts", ".mts", ".cts"} else _TSX
    root = Parser(language).parse(source).root_node
    program = _Lowering()
    return ast.Module(program.statements(root.named_children), []), program.required


def unescaped(text: str) -> str:
    """Return what an escape sequence of a JavaScript string stands for."""
    match = _CODE_POINT.match(text)
    if match is not None:
        code = int(next(group for group in match.groups() if group), 16)
        return chr(code) if code <= 0x10FFFF else text
    return _ESCAPES.get(text[1:], text[1:])


def _text(node: Node | None) -> str:
    return node.text.decode(errors="replace") if node is not None and node.text else ""


class _Lowering:
    """Turns nodes of tree-sitter into nodes of `ast`, with their places."""

    def __init__(self) -> None:
        self.required: list[str] = []
        self.depth = 0
        self._made = 0

    def _fresh(self) -> str:
        self._made += 1
        return f"taken apart {self._made}"

    # Statements

    def statements(self, nodes: Iterable[Node]) -> list[ast.stmt]:
        """Lower statements; functions come first, since JavaScript hoists them."""
        found = [(node, made) for node in nodes for made in self._statement(node)]
        return [s for n, s in sorted(found, key=lambda pair: "function_decl" not in pair[0].type)]

    def _statement(self, node: Node) -> list[ast.stmt]:
        lower = self._STATEMENTS.get(node.type)
        if lower is None:
            return []
        self._enter()
        try:
            return [_placed(made, node) for made in lower(self, node)]
        finally:
            self.depth -= 1

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooDeepError(f"nested more than {MAX_DEPTH} deep")

    def body(self, node: Node | None) -> list[ast.stmt]:
        """Lower a block, or the one statement that stands for it."""
        if node is None:
            return []
        return self.statements(node.named_children if node.type == "statement_block" else [node])

    def _expression_statement(self, node: Node) -> Iterator[ast.stmt]:
        inner = node.named_children[0] if node.named_children else None
        if inner is None:
            return
        if inner.type == "assignment_expression":
            yield from self._assignment(inner)
        else:
            yield ast.Expr(self.expression(inner))

    def _assignment(self, node: Node) -> Iterator[ast.stmt]:
        left, value = node.child_by_field_name("left"), self._field(node, "right")
        written = _text(left)
        if written == EXPORTS or written.startswith((f"{EXPORTS}.", "exports.")):
            name = written.removeprefix(f"{EXPORTS}.").removeprefix("exports.")
            yield ast.Assign([ast.Name(name, ast.Store())], value)
        elif left is not None and left.type in {"object_pattern", "array_pattern"}:
            yield _taken(list(_pattern(left, ())), value)
        else:
            yield ast.Assign([self._target(left)], value)

    def _target(self, node: Node | None) -> ast.expr:
        target = self.expression(node)
        if isinstance(target, ast.Name):
            target.outer = True  # type: ignore[attr-defined]
        return target

    def _declaration(self, node: Node) -> Iterator[ast.stmt]:
        for declarator in node.named_children:
            name = declarator.child_by_field_name("name")
            if name is None:
                continue
            value = self._field(declarator, "value")
            if name.type == "identifier":
                yield ast.Assign([ast.Name(_text(name), ast.Store())], value)
            else:
                yield _taken(list(_pattern(name, ())), value)

    def _function_declaration(self, node: Node) -> Iterator[ast.stmt]:
        yield self.function(node, _text(node.child_by_field_name("name")))

    def _class(self, node: Node) -> Iterator[ast.stmt]:
        body = node.child_by_field_name("body")
        members: list[ast.stmt] = []
        for member in body.named_children if body else []:
            name = _text(member.child_by_field_name("name"))
            if member.type == "method_definition":
                members.append(_placed(self.function(member, name), member))
            elif member.type in {"public_field_definition", "field_definition"} and name:
                members.append(ast.Assign([ast.Name(name, ast.Store())], self._field(member, "value")))
        name = _text(node.child_by_field_name("name")) or DEFAULT_EXPORT
        yield ast.ClassDef(name, [], [], members, [])

    def _enum(self, node: Node) -> Iterator[ast.stmt]:
        body = node.child_by_field_name("body")
        members = [m for m in (body.named_children if body else []) if m.type == "enum_assignment"]
        keys: list[ast.expr | None] = [ast.Constant(_key(m.child_by_field_name("name"))) for m in members]
        values = [self._field(m, "value") for m in members]
        name = _text(node.child_by_field_name("name"))
        yield ast.Assign([ast.Name(name, ast.Store())], ast.Dict(keys, values))

    def _export(self, node: Node) -> Iterator[ast.stmt]:
        declaration, value = node.child_by_field_name("declaration"), node.child_by_field_name("value")
        source = node.child_by_field_name("source")
        if value is not None:
            yield ast.Assign([ast.Name(DEFAULT_EXPORT, ast.Store())], self.expression(value))
        elif declaration is not None:
            made = self._statement(declaration)
            yield from made
            if any(_text(child) == "default" for child in node.children) and made:
                name = getattr(made[-1], "name", DEFAULT_EXPORT)
                yield ast.Assign([ast.Name(DEFAULT_EXPORT, ast.Store())], _name(name))
        else:
            yield from self._exported(node, _string(source) if source is not None else None)

    def _exported(self, node: Node, source: str | None) -> Iterator[ast.stmt]:
        clause = next((child for child in node.named_children if child.type == "export_clause"), None)
        if clause is None:
            if source is not None:
                yield ast.ImportFrom(source, [ast.alias("*")], 0)
            return
        for one in clause.named_children:
            name = _text(one.child_by_field_name("name"))
            alias = _text(one.child_by_field_name("alias")) or name
            if source is not None:
                yield ast.ImportFrom(source, [ast.alias(name, alias)], 0)
            elif alias != name:
                yield ast.Assign([ast.Name(alias, ast.Store())], _name(name))

    def _import(self, node: Node) -> Iterator[ast.stmt]:
        source = _string(node.child_by_field_name("source"))
        clause = next((child for child in node.named_children if child.type == "import_clause"), None)
        for one in clause.named_children if clause else []:
            if one.type == "identifier":
                yield ast.ImportFrom(source, [ast.alias(DEFAULT_EXPORT, _text(one))], 0)
            elif one.type == "namespace_import":
                yield ast.ImportFrom(source, [ast.alias("", _text(one.named_children[0]))], 0)
            elif one.type == "named_imports":
                for each in one.named_children:
                    name = _text(each.child_by_field_name("name"))
                    alias = _text(each.child_by_field_name("alias")) or name
                    yield ast.ImportFrom(source, [ast.alias(name, alias)], 0)

    def _if(self, node: Node) -> Iterator[ast.stmt]:
        alternative = node.child_by_field_name("alternative")
        other = alternative.named_children[0] if alternative and alternative.named_children else None
        consequence = self.body(node.child_by_field_name("consequence"))
        yield ast.If(self._field(node, "condition"), consequence, self.body(other))

    def _for_in(self, node: Node) -> Iterator[ast.stmt]:
        left, items = node.child_by_field_name("left"), self._field(node, "right")
        body = self.body(node.child_by_field_name("body"))
        if left is not None and left.type in {"object_pattern", "array_pattern"}:
            held = self._fresh()
            body.insert(0, _taken(list(_pattern(left, ())), _name(held)))
            yield ast.For(ast.Name(held, ast.Store()), items, body, [])
        else:
            yield ast.For(ast.Name(_text(left), ast.Store()), items, body, [])

    def _for(self, node: Node) -> Iterator[ast.stmt]:
        start = node.child_by_field_name("initializer")
        if start is not None:
            yield from self._statement(start)
        step = node.child_by_field_name("increment")
        after: list[ast.stmt] = [] if step is None else [ast.Expr(self.expression(step))]
        body = self.body(node.child_by_field_name("body"))
        test = node.child_by_field_name("condition")
        endless = test is None or test.type == "empty_statement"
        yield ast.While(ast.Constant(True) if endless else self.expression(test), body + after, [])

    def _while(self, node: Node) -> Iterator[ast.stmt]:
        yield ast.While(self._field(node, "condition"), self.body(node.child_by_field_name("body")), [])

    def _return(self, node: Node) -> Iterator[ast.stmt]:
        yield ast.Return(self.expression(node.named_children[0]) if node.named_children else None)

    def _throw(self, node: Node) -> Iterator[ast.stmt]:
        yield ast.Raise(_name(_text(node)[:20]), None)

    def _break(self, node: Node) -> Iterator[ast.stmt]:
        yield ast.Break() if node.type == "break_statement" else ast.Continue()

    def _try(self, node: Node) -> Iterator[ast.stmt]:
        handler, final = node.child_by_field_name("handler"), node.child_by_field_name("finalizer")
        caught = self.body(handler.child_by_field_name("body")) if handler else []
        last = self.body(final.child_by_field_name("body")) if final else []
        handlers = [ast.ExceptHandler(None, None, caught)] if handler else []
        yield ast.Try(self.body(node.child_by_field_name("body")), handlers, [], last)

    def _switch(self, node: Node) -> Iterator[ast.stmt]:
        """Any case may be the one, so each is looked at."""
        body = node.child_by_field_name("body")
        for case in body.named_children if body else []:
            inner = [child for child in case.children_by_field_name("body") if child.is_named]
            yield ast.If(_name(_NOTHING), self.statements(inner), [])

    def _block(self, node: Node) -> Iterator[ast.stmt]:
        yield from self.statements(node.named_children)

    # Functions

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
            statements: list[ast.stmt] = [_placed(ast.Return(self.expression(body)), body)]
        else:
            statements = self.body(body)
        made = ast.FunctionDef(name, arguments, statements, [])
        made.patterns = taken  # type: ignore[attr-defined]
        return _placed(made, node)

    def _parameter(self, node: Node, arguments: ast.arguments, taken: list[tuple[str, Steps, str]]) -> None:
        wrapped = node.type in {"required_parameter", "optional_parameter"}
        pattern = node.child_by_field_name("pattern") if wrapped else node
        default = node.child_by_field_name("value" if wrapped else "right")
        if pattern is not None and pattern.type == "assignment_pattern":
            pattern = pattern.child_by_field_name("left")
        if pattern is None or node.type == "comment":
            return
        if pattern.type == "rest_pattern":
            arguments.vararg = ast.arg(_text(pattern.named_children[0]))
            return
        name = _text(pattern)
        if pattern.type in {"object_pattern", "array_pattern"}:
            name = self._fresh()
            taken.extend((name, steps, bound) for steps, bound in _pattern(pattern, ()))
        arguments.args.append(ast.arg(name))
        if default is not None:
            arguments.defaults.append(self.expression(default))
        elif arguments.defaults:
            arguments.defaults.append(_name(_NOTHING))

    # Expressions

    def _field(self, node: Node, field: str) -> ast.expr:
        return self.expression(node.child_by_field_name(field))

    def expression(self, node: Node | None) -> ast.expr:
        """Lower an expression; an unbound name for what has no counterpart."""
        if node is None:
            return ast.Constant(None)
        while node.type in _WRAPPERS and node.named_children:
            last = node.type == "type_assertion"
            node = node.named_children[-1 if last else 0]
        self._enter()
        try:
            lower = self._EXPRESSIONS.get(node.type)
            return _placed(_name(_NOTHING) if lower is None else lower(self, node), node)
        finally:
            self.depth -= 1

    def _constant(self, node: Node) -> ast.expr:
        return ast.Constant(_CONSTANTS[node.type])

    def _identifier(self, node: Node) -> ast.expr:
        return _name(_text(node))

    def _number(self, node: Node) -> ast.expr:
        text = _text(node)
        return ast.Constant(int(text)) if text.isdigit() and len(text) < 16 else _name(_NOTHING)

    def _string_constant(self, node: Node) -> ast.expr:
        return ast.Constant(_string(node))

    def _template(self, node: Node) -> ast.expr:
        parts: list[ast.expr] = []
        for child in node.named_children:
            if child.type == "template_substitution":
                inner = child.named_children[0] if child.named_children else None
                parts.append(ast.FormattedValue(self.expression(inner), -1, None))
            else:
                escaped = child.type == "escape_sequence"
                parts.append(ast.Constant(unescaped(_text(child)) if escaped else _text(child)))
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
                keys.append(self.expression(inner) if computed else ast.Constant(_key(key)))
                values.append(self._field(child, "value"))
            elif child.type == "method_definition":
                keys.append(ast.Constant(_key(child.child_by_field_name("name"))))
                values.append(self._function(child))
            elif child.type == "shorthand_property_identifier":
                keys.append(ast.Constant(_text(child)))
                values.append(_name(_text(child)))
            elif child.type == "spread_element":
                keys.append(None)
                values.append(self.expression(child.named_children[0]))
        return ast.Dict(keys, values)

    def _function(self, node: Node) -> ast.expr:
        made = FunctionExpression()
        made.function = self.function(node, _text(node.child_by_field_name("name")))
        return made

    def _call(self, node: Node) -> ast.expr:
        called, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if node.type == "new_expression":
            called = node.child_by_field_name("constructor")
        if given is not None and given.type == "template_string":
            return self._template(given)
        if _text(called) in {"require", "import"} and given is not None and given.named_children:
            wanted = given.named_children[0]
            if wanted.type == "string":
                self.required.append(_string(wanted))
                return _name(f"{REQUIRED}{_string(wanted)}")
        return ast.Call(self.expression(called), self._items(given) if given is not None else [], [])

    def _member(self, node: Node) -> ast.expr:
        name = _text(node.child_by_field_name("property"))
        return ast.Attribute(self._field(node, "object"), name, ast.Load())

    def _subscript(self, node: Node) -> ast.expr:
        return ast.Subscript(self._field(node, "object"), self._field(node, "index"), ast.Load())

    def _binary(self, node: Node) -> ast.expr:
        sign = _text(node.child_by_field_name("operator"))
        left, right = self._field(node, "left"), self._field(node, "right")
        if sign in _BINARY:
            return ast.BinOp(left, _BINARY[sign](), right)
        if sign in _COMPARISONS:
            return ast.Compare(left, [_COMPARISONS[sign]()], [right])
        return ast.BoolOp(_LOGICAL[sign](), [left, right]) if sign in _LOGICAL else _name(_NOTHING)

    def _unary(self, node: Node) -> ast.expr:
        sign = _text(node.child_by_field_name("operator"))
        if sign == "!":
            return ast.UnaryOp(ast.Not(), self._field(node, "argument"))
        return ast.UnaryOp(ast.USub(), self._field(node, "argument")) if sign == "-" else _name(_NOTHING)

    def _ternary(self, node: Node) -> ast.expr:
        chosen, other = self._field(node, "consequence"), self._field(node, "alternative")
        return ast.IfExp(self._field(node, "condition"), chosen, other)

    def _assigned(self, node: Node) -> ast.expr:
        """Lower an assignment that stands where a value does; only one to a name is kept."""
        target, value = self._target(node.child_by_field_name("left")), self._field(node, "right")
        if node.type == "augmented_assignment_expression":
            sign = _text(node.child_by_field_name("operator")).rstrip("=")
            current = self._field(node, "left")
            value = ast.BinOp(current, _BINARY[sign](), value) if sign in _BINARY else _name(_NOTHING)
        return ast.NamedExpr(target, value) if isinstance(target, ast.Name) else value

    def _update(self, node: Node) -> ast.expr:
        sign: ast.operator = ast.Add() if "++" in _text(node) else ast.Sub()
        target = self._target(node.child_by_field_name("argument"))
        value = ast.BinOp(self._field(node, "argument"), sign, ast.Constant(1))
        return ast.NamedExpr(target, value) if isinstance(target, ast.Name) else value

    _STATEMENTS: ClassVar[Mapping[str, Callable[[_Lowering, Node], Iterator[ast.stmt]]]] = {
        "expression_statement": _expression_statement,
        "lexical_declaration": _declaration,
        "variable_declaration": _declaration,
        "function_declaration": _function_declaration,
        "generator_function_declaration": _function_declaration,
        "class_declaration": _class,
        "abstract_class_declaration": _class,
        "enum_declaration": _enum,
        "export_statement": _export,
        "import_statement": _import,
        "if_statement": _if,
        "for_in_statement": _for_in,
        "for_statement": _for,
        "while_statement": _while,
        "do_statement": _while,
        "return_statement": _return,
        "throw_statement": _throw,
        "break_statement": _break,
        "continue_statement": _break,
        "try_statement": _try,
        "switch_statement": _switch,
        "statement_block": _block,
    }
    _EXPRESSIONS: ClassVar[Mapping[str, Callable[[_Lowering, Node], ast.expr]]] = {
        "identifier": _identifier,
        "this": _identifier,
        **dict.fromkeys(_CONSTANTS, _constant),
        "number": _number,
        "string": _string_constant,
        "template_string": _template,
        "array": _array,
        "object": _object,
        **dict.fromkeys(_FUNCTIONS, _function),
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


def _name(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def _taken(names: list[tuple[Steps, str]], value: ast.expr) -> TakenApart:
    made = TakenApart()
    made.names, made.value = names, value
    return made


def _pattern(node: Node, steps: Steps) -> Iterator[tuple[Steps, str]]:
    """Yield the names that a pattern binds, each with the steps that lead to its value."""
    if node.type in {"identifier", "shorthand_property_identifier_pattern"}:
        named = node.type != "identifier"
        yield (*steps, _text(node)) if named else steps, _text(node)
    elif node.type in {"object_assignment_pattern", "assignment_pattern"}:
        left = node.child_by_field_name("left")
        if left is not None:
            yield from _pattern(left, steps)
    elif node.type == "pair_pattern":
        value = node.child_by_field_name("value")
        if value is not None:
            yield from _pattern(value, (*steps, _key(node.child_by_field_name("key"))))
    elif node.type == "object_pattern":
        for child in node.named_children:
            yield from _pattern(child, steps)
    elif node.type == "array_pattern":
        for index, child in enumerate(node.named_children):
            yield from _pattern(child, (*steps, index))


def _key(node: Node | None) -> str:
    return _string(node) if node is not None and node.type == "string" else _text(node)


def _string(node: Node | None) -> str:
    parts = node.named_children if node is not None else []
    return "".join(unescaped(_text(p)) if p.type == "escape_sequence" else _text(p) for p in parts)


def _placed(made: _Tree, node: Node) -> _Tree:
    """Give a node its place; those lowered inside keep their own."""
    if not hasattr(made, "lineno"):
        made.lineno, made.col_offset = node.start_point.row + 1, node.start_point.column
        made.end_lineno, made.end_col_offset = node.end_point.row + 1, node.end_point.column
    return made
