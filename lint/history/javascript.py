"""JavaScript and TypeScript lowered to the syntax tree that `lint.history.evaluate` walks.

Tree-sitter reads the program; functions, loops, template literals, arrays and objects become their
Python counterparts, so that one evaluator follows migrations of both languages.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, ClassVar

import tree_sitter_typescript
from tree_sitter import Language, Parser

from lint.history.javascript_expressions import (
    NOTHING,
    REQUIRED,
    LoweredExpressions,
    TooDeepError,
    key_in,
    named,
    names_in,
    placed,
    string_in,
    taken_apart,
    text_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tree_sitter import Node

__all__ = ["DEFAULT_EXPORT", "EXPORTS", "REQUIRED", "TooDeepError", "lowered"]

_TYPESCRIPT = Language(tree_sitter_typescript.language_typescript())
#: Reads JSX and plain JavaScript as well; only `<Type>value` is lost, which `.ts` files may have.
_TSX = Language(tree_sitter_typescript.language_tsx())
EXPORTS = "module.exports"
DEFAULT_EXPORT = "export default"


def lowered(source: bytes, suffix: str) -> tuple[ast.Module, list[str]]:
    """Return a program's tree and the modules it requires; raise TooDeepError for endless nesting."""
    language = _TYPESCRIPT if suffix in {".ts", ".mts", ".cts"} else _TSX
    root = Parser(language).parse(source).root_node
    program = _Lowering()
    return ast.Module(program.statements(root.named_children), []), program.required


class _Lowering(LoweredExpressions):
    """Turns nodes of tree-sitter into nodes of `ast`, with their places."""

    # Statements

    def statements(self, nodes: Iterable[Node]) -> list[ast.stmt]:
        """Lower statements; functions come first, since JavaScript hoists them."""
        found = [(node, made) for node in nodes for made in self._statement(node)]
        return [s for n, s in sorted(found, key=lambda pair: "function_decl" not in pair[0].type)]

    def _statement(self, node: Node) -> list[ast.stmt]:
        lower = self._STATEMENTS.get(node.type)
        if lower is None:
            return []
        self.enter()
        try:
            return [placed(made, node) for made in lower(self, node)]
        finally:
            self.depth -= 1

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
        left, value = node.child_by_field_name("left"), self.field(node, "right")
        written = text_in(left)
        if written == EXPORTS or written.startswith((f"{EXPORTS}.", "exports.")):
            name = written.removeprefix(f"{EXPORTS}.").removeprefix("exports.")
            yield ast.Assign([ast.Name(name, ast.Store())], value)
        elif left is not None and left.type in {"object_pattern", "array_pattern"}:
            yield taken_apart(list(names_in(left, ())), value)
        else:
            yield ast.Assign([self.target(left)], value)

    def _declaration(self, node: Node) -> Iterator[ast.stmt]:
        for declarator in node.named_children:
            name = declarator.child_by_field_name("name")
            if name is None:
                continue
            value = self.field(declarator, "value")
            if name.type == "identifier":
                yield ast.Assign([ast.Name(text_in(name), ast.Store())], value)
            else:
                yield taken_apart(list(names_in(name, ())), value)

    def _function_declaration(self, node: Node) -> Iterator[ast.stmt]:
        yield self.function(node, text_in(node.child_by_field_name("name")))

    def _class(self, node: Node) -> Iterator[ast.stmt]:
        body = node.child_by_field_name("body")
        members: list[ast.stmt] = []
        for member in body.named_children if body else []:
            name = text_in(member.child_by_field_name("name"))
            if member.type == "method_definition":
                members.append(placed(self.function(member, name), member))
            elif member.type in {"public_field_definition", "field_definition"} and name:
                members.append(ast.Assign([ast.Name(name, ast.Store())], self.field(member, "value")))
        name = text_in(node.child_by_field_name("name")) or DEFAULT_EXPORT
        yield ast.ClassDef(name, [], [], members, [])

    def _enum(self, node: Node) -> Iterator[ast.stmt]:
        body = node.child_by_field_name("body")
        members = [m for m in (body.named_children if body else []) if m.type == "enum_assignment"]
        keys: list[ast.expr | None] = [ast.Constant(key_in(m.child_by_field_name("name"))) for m in members]
        values = [self.field(m, "value") for m in members]
        name = text_in(node.child_by_field_name("name"))
        yield ast.Assign([ast.Name(name, ast.Store())], ast.Dict(keys, values))

    def _export(self, node: Node) -> Iterator[ast.stmt]:
        declaration, value = node.child_by_field_name("declaration"), node.child_by_field_name("value")
        source = node.child_by_field_name("source")
        if value is not None:
            yield ast.Assign([ast.Name(DEFAULT_EXPORT, ast.Store())], self.expression(value))
        elif declaration is not None:
            made = self._statement(declaration)
            yield from made
            if any(text_in(child) == "default" for child in node.children) and made:
                name = getattr(made[-1], "name", DEFAULT_EXPORT)
                yield ast.Assign([ast.Name(DEFAULT_EXPORT, ast.Store())], named(name))
        else:
            yield from self._exported(node, string_in(source) if source is not None else None)

    def _exported(self, node: Node, source: str | None) -> Iterator[ast.stmt]:
        clause = next((child for child in node.named_children if child.type == "export_clause"), None)
        if clause is None:
            if source is not None:
                yield ast.ImportFrom(source, [ast.alias("*")], 0)
            return
        for one in clause.named_children:
            name = text_in(one.child_by_field_name("name"))
            alias = text_in(one.child_by_field_name("alias")) or name
            if source is not None:
                yield ast.ImportFrom(source, [ast.alias(name, alias)], 0)
            elif alias != name:
                yield ast.Assign([ast.Name(alias, ast.Store())], named(name))

    def _import(self, node: Node) -> Iterator[ast.stmt]:
        source = string_in(node.child_by_field_name("source"))
        clause = next((child for child in node.named_children if child.type == "import_clause"), None)
        for one in clause.named_children if clause else []:
            if one.type == "identifier":
                yield ast.ImportFrom(source, [ast.alias(DEFAULT_EXPORT, text_in(one))], 0)
            elif one.type == "namespace_import":
                yield ast.ImportFrom(source, [ast.alias("", text_in(one.named_children[0]))], 0)
            elif one.type == "named_imports":
                for each in one.named_children:
                    name = text_in(each.child_by_field_name("name"))
                    alias = text_in(each.child_by_field_name("alias")) or name
                    yield ast.ImportFrom(source, [ast.alias(name, alias)], 0)

    def _if(self, node: Node) -> Iterator[ast.stmt]:
        alternative = node.child_by_field_name("alternative")
        other = alternative.named_children[0] if alternative and alternative.named_children else None
        consequence = self.body(node.child_by_field_name("consequence"))
        yield ast.If(self.field(node, "condition"), consequence, self.body(other))

    def _for_in(self, node: Node) -> Iterator[ast.stmt]:
        left, items = node.child_by_field_name("left"), self.field(node, "right")
        body = self.body(node.child_by_field_name("body"))
        if left is not None and left.type in {"object_pattern", "array_pattern"}:
            held = self.fresh()
            body.insert(0, taken_apart(list(names_in(left, ())), named(held)))
            yield ast.For(ast.Name(held, ast.Store()), items, body, [])
        else:
            yield ast.For(ast.Name(text_in(left), ast.Store()), items, body, [])

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
        yield ast.While(self.field(node, "condition"), self.body(node.child_by_field_name("body")), [])

    def _return(self, node: Node) -> Iterator[ast.stmt]:
        yield ast.Return(self.expression(node.named_children[0]) if node.named_children else None)

    def _throw(self, node: Node) -> Iterator[ast.stmt]:
        yield ast.Raise(named(text_in(node)[:20]), None)

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
            yield ast.If(named(NOTHING), self.statements(inner), [])

    def _block(self, node: Node) -> Iterator[ast.stmt]:
        yield from self.statements(node.named_children)

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
