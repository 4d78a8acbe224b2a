"""What running Python statements does: control flow, definitions, assignments, imports.

A function's body is no part of what is around it; its decorators and defaults are. A class's body
runs where the class stands, under the class's name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lint.source.python_expressions import EXPRESSIONS, ExpressionReading, Frame, Handler, Use, merged
from lint.source.python_names import (
    STRINGS,
    asked_for,
    constant_of,
    dotted,
    first_of,
    root_of,
    targets_of,
    text_of,
    values_of,
)
from lint.source.sites import Attempt, Bind, Choice, Class, Function, Leave, LeaveKind, Repeat, Within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tree_sitter import Node

    from lint.source.sites import Block

#: A longer chain of `elif` is told as one flat choice, each condition with its own branch.
_DEEPEST_CHAIN = 20
_LEAVES: dict[str, LeaveKind] = {
    "return_statement": "return",
    "raise_statement": "raise",
    "break_statement": "break",
    "continue_statement": "continue",
}


class StatementReading(ExpressionReading):
    """The walk over statements."""

    def __init__(self, path: str, watched: frozenset[str] | None) -> None:
        super().__init__(path, watched)
        self.classes: dict[str, Class] = {}
        self.wildcards: list[str] = []

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What reads each kind of node: statements, and expressions."""
        return HANDLERS

    def module(self, root: Node) -> None:
        """Read a whole file; its top level is the function named ""."""
        self.broken = root.has_error
        self.children(root, Use())
        self.functions[""] = Function("", self.place(root), body=tuple(self.frame.steps), exported=True)

    # Simple statements

    def expression(self, node: Node, _use: Use) -> None:
        """An expression as a statement; a string alone is documentation."""
        for child in node.named_children:
            if child.type not in STRINGS:
                self.visit(child, Use(dropped=True))

    def assignment(self, node: Node, use: Use) -> None:
        """`a = b = value`: what is bound, and what is read for it."""
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        targets = targets_of(left)
        written = node.child_by_field_name("type")
        if written is not None:
            self.frame.types.update(dict.fromkeys(targets, text_of(written)))
        if right is None:
            return
        bound = (*use.bound, *targets)
        if right.type == "assignment":
            self.visit(right, Use(bound))
        else:
            names = self.names_of(right, Use(bound))
            self.step(Bind(bound, names, self.place(node), constant_of(right), values_of(right)))
        if left is not None:
            self._target(left)

    def augmented(self, node: Node, _use: Use) -> None:
        """`a += value` reads what it binds."""
        left = node.child_by_field_name("left")
        targets = targets_of(left)
        names = self.names_of(node.child_by_field_name("right"))
        self.step(Bind(targets, (*targets, *names), self.place(node)))
        if left is not None:
            self._target(left)

    def _target(self, target: Node) -> None:
        """Read what an assignment's target evaluates: indexes, and calls whose result it changes."""
        stack = [target]
        while stack:
            node = stack.pop()
            if node.type == "subscript":
                self.children(node, Use())
            elif node.type == "attribute":
                if root_of(node).type != "identifier":
                    self.visit(root_of(node))
            elif node.type != "identifier":
                stack.extend(reversed(node.named_children))

    def leave(self, node: Node, _use: Use) -> None:
        """`return`, `raise`, `break` or `continue`."""
        names = tuple(name for child in node.named_children for name in self.names_of(child))
        values = tuple(name for child in node.named_children for name in values_of(child))
        self.step(Leave(_LEAVES[node.type], tuple(dict.fromkeys(names)), self.place(node), values))

    def outer(self, node: Node, _use: Use) -> None:
        """`global x` or `nonlocal x`."""
        self.frame.outer.extend(text_of(child) for child in node.named_children)

    def imported(self, node: Node, _use: Use) -> None:
        """`import a.b as c` and `from a import b as c`; a relative module is told from the root."""
        module = node.child_by_field_name("module_name")
        source = self._module(text_of(module)) if module is not None else ""
        if any(child.type == "wildcard_import" for child in node.named_children):
            self.wildcards.append(source)
        prefix = f"{source}." if source else ""
        for name in node.children_by_field_name("name"):
            if name.type == "aliased_import":
                target = text_of(name.child_by_field_name("name"))
                alias = text_of(name.child_by_field_name("alias"))
            else:
                target = alias = text_of(name)
                if module is None:
                    alias = target = target.partition(".")[0]
            self.imports[alias] = prefix + target

    def _module(self, written: str) -> str:
        """Return a module's name; one dot is the file's own package, each further dot one above."""
        name = written.lstrip(".")
        level = len(written) - len(name)
        if not level:
            return name
        package = self.path.split("/")[:-1]
        above = package[: len(package) - (level - 1)] if level > 1 else package
        return ".".join([*above, *([name] if name else [])])

    # Control flow

    def condition(self, node: Node, _use: Use) -> None:
        """`if … elif … else`: the conditions are read in order, each after the ones before fail."""
        self._visit_field(node, "condition")
        asked, missing = asked_for(node.child_by_field_name("condition"))
        branches: list[tuple[Block, Block]] = [((), self.block(node.child_by_field_name("consequence")))]
        otherwise: Block = ()
        for clause in node.children_by_field_name("alternative"):
            if clause.type == "else_clause":
                otherwise = self.block(clause.child_by_field_name("body"))
            else:
                before = self.block(clause.child_by_field_name("condition"))
                branches.append((before, self.block(clause.child_by_field_name("consequence"))))
        if len(branches) > _DEEPEST_CHAIN or not any(before for before, _ in branches):
            taken = [(*before, *branch) for before, branch in branches]
            otherwise = (Choice((*taken, otherwise)),)
        else:
            for before, branch in reversed(branches):
                otherwise = (*before, Choice((branch, otherwise))) if branch or otherwise else before
        if asked and len(otherwise) == 1 and isinstance(otherwise[0], Choice) and len(branches) == 1:
            otherwise = (replace(otherwise[0], asked=asked, missing=missing),)
        self.frame.steps.extend(otherwise)

    def _visit_field(self, node: Node, name: str) -> None:
        child = node.child_by_field_name(name)
        if child is not None:
            self.visit(child)

    def for_loop(self, node: Node, _use: Use) -> None:
        """`for x in xs: … else: …`."""
        over = self.names_of(node.child_by_field_name("right"))
        body = self.block(node.child_by_field_name("body"))
        self.step(Repeat(body, targets_of(node.child_by_field_name("left")), over))
        self._loop_else(node)

    def while_loop(self, node: Node, _use: Use) -> None:
        """`while condition: … else: …`; the condition is read once."""
        condition = node.child_by_field_name("condition")
        over = self.names_of(condition)
        endless = constant_of(condition) in {"True", "1"}
        self.step(Repeat(self.block(node.child_by_field_name("body")), (), over, endless))
        self._loop_else(node)

    def _loop_else(self, node: Node) -> None:
        """After a loop that no `break` ended."""
        for clause in node.children_by_field_name("alternative"):
            body = self.block(clause.child_by_field_name("body"))
            if body:
                self.step(Choice((body, ())))

    def attempt(self, node: Node, _use: Use) -> None:
        """`try`; its `else` is the end of its body."""
        body = self.block(node.child_by_field_name("body"))
        handlers: list[Block] = []
        always: Block = ()
        for clause in node.named_children:
            if clause.type in {"except_clause", "except_group_clause"}:
                handlers.append(self.block(*clause.named_children))
            elif clause.type == "finally_clause":
                always = self.block(*clause.named_children)
            elif clause.type == "else_clause":
                body += self.block(clause.child_by_field_name("body"))
        self.step(Attempt(body, tuple(handlers), always))

    def opened(self, node: Node, _use: Use) -> None:
        """`with a as x, b as y`: each item is opened inside the one before."""
        clause = next((c for c in node.named_children if c.type == "with_clause"), None)
        values = [
            item.child_by_field_name("value")
            for item in (clause.named_children if clause is not None else ())
            if item.type == "with_item"
        ]
        self._within([value for value in values if value is not None], node.child_by_field_name("body"))

    def _within(self, items: list[Node], body: Node | None) -> None:
        if not items:
            if body is not None:
                self.visit(body)
            return
        item, *rest = items
        names: tuple[str, ...] = ()
        opened: Node | None = item
        if item.type == "as_pattern":
            names = targets_of(item.child_by_field_name("alias"))
            opened = first_of(item)
        call = self.visit(opened, Use(names, opens=True)) if opened is not None else None
        with self.apart() as steps:
            self._within(rest, body)
        written = dotted(opened) if call is None else ""
        self.step(Within(call, ", ".join(names), tuple(steps), written.strip("()")))

    def match(self, node: Node, _use: Use) -> None:
        """`match`: one case runs, or none when no case takes everything."""
        for subject in node.children_by_field_name("subject"):
            self.visit(subject)
        body = node.child_by_field_name("body")
        branches: list[Block] = []
        complete = False
        for case in body.named_children if body is not None else ():
            if case.type == "case_clause":
                guard = case.child_by_field_name("guard")
                branches.append(self.block(guard, case.child_by_field_name("consequence")))
                complete |= guard is None and _takes_everything(case)
        self.step(Choice(tuple(branches) if complete else (*branches, ())))

    # Definitions

    def function_definition(self, node: Node, _use: Use) -> None:
        """A function without decorators."""
        self._define(node, ())

    def decorated(self, node: Node, _use: Use) -> None:
        """A function or class with decorators, which are evaluated here."""
        names: list[str] = []
        for child in node.named_children:
            if child.type == "decorator":
                names.extend(self._decorator(child))
        definition = node.child_by_field_name("definition")
        if definition is not None and definition.type == "class_definition":
            self._define_class(definition, tuple(names))
        elif definition is not None:
            self._define(definition, tuple(names))

    def _decorator(self, node: Node) -> list[str]:
        content = first_of(node)
        if content is None:
            return []
        self.visit(content)
        named = content.child_by_field_name("function") if content.type == "call" else content
        return [self.resolved(dotted(named))]

    def _define(self, node: Node, decorators: tuple[str, ...]) -> None:
        own = text_of(node.child_by_field_name("name"))
        name, bases = self.qualified(own), self.frame.bases
        taken, types, defaults = self.parameters(node.child_by_field_name("parameters"))
        with self.inside(Frame(name, [], types=types)) as frame:
            self._visit_field(node, "body")
        function = Function(
            name,
            self.place(node),
            taken,
            decorators,
            bases,
            tuple(frame.steps),
            asynchronous=bool(node.children) and node.children[0].type == "async",
            exported=not own.startswith("_"),
            types=frame.types,
            defaults=defaults,
            returns=text_of(node.child_by_field_name("return_type")),
            outer=tuple(frame.outer),
        )
        self.functions[name] = merged(self.functions.get(name), function)

    def class_definition(self, node: Node, _use: Use) -> None:
        """A class without decorators."""
        self._define_class(node, ())

    def _define_class(self, node: Node, decorators: tuple[str, ...]) -> None:
        own = text_of(node.child_by_field_name("name"))
        name = self.qualified(own)
        given = node.child_by_field_name("superclasses")
        written = [c for c in given.named_children if c.type != "keyword_argument"] if given else []
        bases = tuple(self.resolved(dotted(_generic(base))) for base in written)
        if given is not None:
            self.visit(given)
        with self.inside(Frame(name, self.frame.steps, bases=bases)) as frame:
            self._visit_field(node, "body")
        attributes = dict(frame.types)
        exported = not own.startswith("_")
        self.classes[name] = Class(name, self.place(node), bases, decorators, attributes, exported)


def _generic(base: Node) -> Node:
    """Return the class that is made special: `Base` of `Base[T]`."""
    inner = base.child_by_field_name("value") if base.type == "subscript" else None
    return inner or base


def _takes_everything(case: Node) -> bool:
    """Say whether a case is `case _:` or `case name:`."""
    pattern = next((c for c in case.named_children if c.type == "case_pattern"), None)
    if pattern is None:
        return False
    inner = first_of(pattern)
    return text_of(pattern) == "_" or (
        inner is not None and inner.type == "dotted_name" and inner.named_child_count == 1
    )


STATEMENTS: dict[str, Handler] = {
    **dict.fromkeys(_LEAVES, StatementReading.leave),
    **dict.fromkeys(("global_statement", "nonlocal_statement"), StatementReading.outer),
    **dict.fromkeys(("import_statement", "import_from_statement"), StatementReading.imported),
    "assignment": StatementReading.assignment,
    "augmented_assignment": StatementReading.augmented,
    "class_definition": StatementReading.class_definition,
    "decorated_definition": StatementReading.decorated,
    "expression_statement": StatementReading.expression,
    "for_statement": StatementReading.for_loop,
    "function_definition": StatementReading.function_definition,
    "if_statement": StatementReading.condition,
    "match_statement": StatementReading.match,
    "try_statement": StatementReading.attempt,
    "while_statement": StatementReading.while_loop,
    "with_statement": StatementReading.opened,
}
HANDLERS: dict[str, Handler] = {**EXPRESSIONS, **STATEMENTS}
