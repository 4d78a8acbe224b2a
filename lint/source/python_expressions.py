"""What evaluating a Python expression does: calls in the order they are made, names read, strings.

Arguments come before their call and a receiver before its method. What may not run (the right side
of `and`, a branch of a ternary) is a Choice; a comprehension is a Repeat; a lambda is a Function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from lint.catalogue import Place
from lint.limits import check_time
from lint.source.python_names import (
    CONSTANTS,
    STRINGS,
    brace_filled,
    constant_of,
    dotted,
    first_of,
    interpolations,
    percent_filled,
    root_of,
    string_value,
    targets_of,
    text_of,
    values_of,
)
from lint.source.sites import (
    HOLE,
    Argument,
    Bind,
    Block,
    Call,
    Choice,
    Do,
    Function,
    Leave,
    Reference,
    Repeat,
    Step,
    Text,
)

if TYPE_CHECKING:
    from tree_sitter import Node

#: How many of the calls around a string are kept: SQL stands close to what runs it.
_CALLERS_KEPT = 7
#: Nobody names a connection at greater length, in bytes.
_LONGEST_DEFAULT = 100
#: How many steps are read between two looks at the clock.
_CHECKED_EVERY = 64
#: Deeper expressions are read for their calls and strings only; people do not write them.
_DEEPEST = 150


class Use(NamedTuple):
    """What is done with an expression's value at once."""

    bound: tuple[str, ...] = ()
    awaited: bool = False
    opens: bool = False
    dropped: bool = False


#: Nodes that evaluate nothing; where the syntax was broken, something may hide in them.
_NOTHING = frozenset({"comment", "type", "pass_statement", "line_continuation", *CONSTANTS})
UNUSED = Use()
Handler = Callable[[Any, "Node", Use], Call | None]


@dataclass(slots=True)
class Frame:
    """The function (or class body) being read: its name, its steps so far, the calls around."""

    function: str
    steps: list[Step]
    around: tuple[str, ...] = ()
    types: dict[str, str] = field(default_factory=dict)
    outer: list[str] = field(default_factory=list)
    #: Of a class body: the bases of the class, for its methods.
    bases: tuple[str, ...] = ()


class ExpressionReading:
    """The walk over expressions; the depth is bounded, so that no file can exhaust the stack."""

    def __init__(self, path: str, watched: frozenset[str] | None) -> None:
        self.path = path
        self.watched = watched
        self.calls: list[Call] = []
        self.references: list[Reference] = []
        self.texts: list[Text] = []
        self.imports: dict[str, str] = {}
        self.functions: dict[str, Function] = {}
        self.frame = Frame("", [])
        #: True when the parser met syntax that it could not read.
        self.broken = False
        self._names: list[str] = []
        #: The same few names are read over and over: equal tuples of them are one.
        self._kept: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._depth = 0
        self._steps = 0
        self._handlers = self.handlers

    def visit(self, node: Node, use: Use = UNUSED) -> Call | None:
        """Read a node; the call that it is, when it is one."""
        if self._depth >= _DEEPEST:
            self._flat(node)
            return None
        self._depth += 1
        read = self._handlers.get(node.type, ExpressionReading.children)
        call = read(self, node, use)
        if self.broken and read is not ExpressionReading.children:
            self._errors(node)
        self._depth -= 1
        return call

    def _errors(self, node: Node) -> None:
        """Read what the parser could not fit into a node: a call there is still a call."""
        for child in node.named_children:
            if child.type == "ERROR":
                self.visit(child)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What reads each kind of node; a kind not known is read through its children."""
        return EXPRESSIONS

    def children(self, node: Node, _use: Use) -> None:
        """Read each part of a node in order."""
        for child in node.named_children:
            if self.broken or child.type not in _NOTHING:
                self.visit(child)

    def names_of(self, node: Node | None, use: Use = UNUSED) -> tuple[str, ...]:
        """Read a node and return the names it reads, each once, in order; no callee's own name."""
        if node is None:
            return ()
        start = len(self._names)
        self.visit(node, use)
        names = tuple(dict.fromkeys(self._names[start:]))
        return self._kept.setdefault(names, names)

    def block(self, *nodes: Node | None) -> Block:
        """Read nodes and return their steps, apart from those around."""
        with self.apart() as steps:
            for node in nodes:
                if node is not None:
                    self.visit(node)
        return tuple(steps)

    @contextmanager
    def apart(self) -> Iterator[list[Step]]:
        """Collect the steps of what is read inside in a list of their own."""
        frame = self.frame
        saved, frame.steps = frame.steps, []
        yield frame.steps
        frame.steps = saved

    @contextmanager
    def inside(self, frame: Frame) -> Iterator[Frame]:
        """Read a function's or class's body; the names it reads are not those of what is around."""
        saved, start = self.frame, len(self._names)
        self.frame = frame
        yield frame
        del self._names[start:]
        self.frame = saved

    def step(self, step: Step) -> None:
        """Add a step to the block being read."""
        self._steps += 1
        if self._steps % _CHECKED_EVERY == 1:
            check_time()
        self.frame.steps.append(step)

    def place(self, node: Node) -> Place:
        """Return where a node stands."""
        start, end = node.start_point, node.end_point
        return Place(self.path, start[0] + 1, start[1] + 1, end[0] + 1)

    def resolved(self, name: str) -> str:
        """Return a dotted name with an import alias at its head replaced by what it stands for."""
        first, dot, rest = name.partition(".")
        return self.imports.get(first, first) + dot + rest

    def qualified(self, name: str) -> str:
        """Return a name as it is told from outside the function or class being read."""
        return f"{self.frame.function}.{name}" if self.frame.function else name

    # Names

    def name(self, node: Node, _use: Use) -> None:
        """Read a name, or a dotted one, as a value."""
        if node.type == "identifier":
            self._named(intern(text_of(node)), node)
            return
        root = root_of(node)
        if root.type == "identifier":
            self._named(intern(dotted(node)), node)
        else:
            self.visit(root)

    def _named(self, written: str, node: Node) -> None:
        self._names.append(written)
        target = self.resolved(written)
        if self.watched is None or target.rpartition(".")[2] in self.watched:
            self.references.append(Reference(target, self.frame.function, self.place(node)))

    def first_child(self, node: Node, use: Use) -> Call | None:
        """Read what stands in parentheses, or before `as`."""
        inner = first_of(node)
        return self.visit(inner, use) if inner is not None else None

    def nothing(self, _node: Node, _use: Use) -> None:
        """Pass over what evaluates nothing: constants, comments, types, patterns."""

    # Calls

    def call(self, node: Node, use: Use) -> Call | None:
        """Read a call: its receiver, its arguments, then the call itself."""
        callee, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if callee is None:
            return None
        written = intern(dotted(callee))
        target = intern(self.resolved(written))
        frame = self.frame
        saved = frame.around
        frame.around = (*saved[-_CALLERS_KEPT:], target.rpartition(".")[2])
        receiver = self._receiver(callee, written, arguments)
        given = tuple(self._arguments(arguments)) if arguments is not None else ()
        frame.around = saved
        call = Call(
            target,
            written,
            given,
            frame.function,
            self.place(node),
            use.awaited,
            use.bound,
            receiver,
            dropped=use.dropped and not use.awaited,
        )
        self.calls.append(call)
        if not use.opens:
            self.step(Do(call))
        return call

    def _receiver(self, callee: Node, written: str, arguments: Node | None) -> Call | None:
        """Read what a method is called on, and return it when it is a call."""
        if not written.startswith("()"):
            holder, _, _ = written.rpartition(".")
            if holder:
                self._names.append(intern(holder))
            return None
        root = root_of(callee)
        if root.type in STRINGS and written == "().format" and arguments is not None:
            self._format(root, arguments)
            return None
        return self.visit(root)

    def _arguments(self, node: Node) -> Iterator[Argument]:
        if node.type == "generator_expression":
            yield self._argument(node, None)
            return
        for child in node.named_children:
            if child.type == "keyword_argument":
                value = child.child_by_field_name("value")
                if value is not None:
                    yield self._argument(value, intern(text_of(child.child_by_field_name("name"))))
            elif child.type != "comment":
                yield self._argument(child, None)

    def _argument(self, node: Node, keyword: str | None) -> Argument:
        text = text_of(node)
        if node.type == "identifier":
            text = intern(text)
            self._named(text, node)
            return Argument("name", text, keyword, self._kept.setdefault((text,), (text,)))
        if node.type == "lambda":
            return Argument("function", text, keyword, function=self._define_lambda(node))
        names = self.names_of(node)
        if node.type in STRINGS:
            value = string_value(node)
            return Argument("other" if HOLE in value else "literal", value, keyword, names)
        if node.type in CONSTANTS:
            return Argument("literal", text, keyword)
        if node.type == "attribute":
            constant = text.rpartition(".")[2].isupper()
            return Argument("member" if constant else "other", text, keyword, names)
        return Argument("other", text, keyword, names)

    # Functions without a name

    def anonymous(self, node: Node, _use: Use) -> None:
        """Read a lambda that is no argument of a call."""
        self._define_lambda(node)

    def _define_lambda(self, node: Node) -> str:
        parameters, body = node.child_by_field_name("parameters"), node.child_by_field_name("body")
        place = self.place(node)
        name = self.qualified(f"<anonymous:{place.line}>")
        if name in self.functions:
            name = self.qualified(f"<anonymous:{place.line}:{place.column}>")
        taken, _, _ = self.parameters(parameters)
        with self.inside(Frame(name, [])) as frame:
            names = self.names_of(body)
            frame.steps.append(Leave("return", names, place, values_of(body)))
        self.functions[name] = Function(name, place, taken, body=tuple(frame.steps))
        return name

    def parameters(self, node: Node | None) -> tuple[tuple[str, ...], dict[str, str], dict[str, str]]:
        """Return the names of parameters, the types written on them, and their defaults, which are read."""
        names: list[str] = []
        types: dict[str, str] = {}
        defaults: dict[str, str] = {}
        for child in node.named_children if node is not None else ():
            value = child.child_by_field_name("value")
            if value is not None:
                self.visit(value)
            name = child.child_by_field_name("name") or child
            while name.type != "identifier" and name.named_child_count:
                name = name.named_children[0]
            if name.type != "identifier":
                continue
            names.append(text_of(name))
            written = child.child_by_field_name("type")
            if written is not None:
                types[names[-1]] = text_of(written)
            if value is not None and value.end_byte - value.start_byte <= _LONGEST_DEFAULT:
                defaults[names[-1]] = text_of(value)
        return tuple(names), types, defaults

    # What may not run, and what runs often

    def boolean(self, node: Node, use: Use) -> None:
        """`a and b`: the right side may not run."""
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None:
            self.visit(left, use)
        self._either(right, use)

    def _either(self, node: Node | None, use: Use) -> None:
        if node is None:
            return
        with self.apart() as steps:
            self.visit(node, use)
        if steps:
            self.step(Choice((tuple(steps), ())))

    def ternary(self, node: Node, use: Use) -> None:
        """`a if b else c`: one of two runs."""
        parts = [child for child in node.named_children if child.type != "comment"]
        if len(parts) != 3:
            self.children(node, use)
            return
        self.visit(parts[1])
        branches = []
        for part in (parts[0], parts[2]):
            with self.apart() as steps:
                self.visit(part, use)
            branches.append(tuple(steps))
        if any(branches):
            self.step(Choice(tuple(branches)))

    def walrus(self, node: Node, use: Use) -> Call | None:
        """`name := value`."""
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        targets = targets_of(name)
        start = len(self._names)
        call = self.visit(value, replace_bound(use, targets)) if value is not None else None
        names = tuple(dict.fromkeys(self._names[start:]))
        self.step(Bind(targets, names, self.place(node), constant_of(value), values_of(value)))
        return call

    def comprehension(self, node: Node, _use: Use) -> None:
        """A comprehension: its clauses nest, and its body runs innermost."""
        clauses = [c for c in node.named_children if c.type in {"for_in_clause", "if_clause"}]
        self._clauses(clauses, node.child_by_field_name("body"))

    def _clauses(self, clauses: list[Node], body: Node | None) -> None:
        if not clauses:
            if body is not None:
                self.visit(body)
            return
        clause, *rest = clauses
        if clause.type == "if_clause":
            self.children(clause, UNUSED)
            with self.apart() as steps:
                self._clauses(rest, body)
            if steps:
                self.step(Choice((tuple(steps), ())))
            return
        over = self.names_of(clause.child_by_field_name("right"))
        with self.apart() as steps:
            self._clauses(rest, body)
        self.step(Repeat(tuple(steps), targets_of(clause.child_by_field_name("left")), over))

    def handed_out(self, node: Node, use: Use) -> None:
        """`yield value`: the value goes out, and control comes back."""
        start = len(self._names)
        self.children(node, use)
        names = tuple(dict.fromkeys(self._names[start:]))
        self.step(Leave("yield", names, self.place(node), values_of(node)))

    # Strings

    def string(self, node: Node, _use: Use) -> None:
        """Read a string: its value, with what is interpolated."""
        self._text(string_value(node), self._holes(node), node)

    def _text(self, value: str, holes: Iterable[str], node: Node) -> None:
        if value:
            frame = self.frame
            self.texts.append(Text(value, frame.around, frame.function, self.place(node), tuple(holes)))

    def _holes(self, node: Node) -> tuple[str, ...]:
        return tuple(
            self._hole(part.child_by_field_name("expression") or part) for part in interpolations(node)
        )

    def _hole(self, node: Node) -> str:
        """Return the one name that an interpolated expression reads, or its text."""
        names = self.names_of(node)
        return names[0] if len(names) == 1 else text_of(node)

    def subscript(self, node: Node, use: Use) -> None:
        """Read `a[b]`; what is looked up in the environment counts as an argument of `environ`."""
        frame = self.frame
        saved = frame.around
        if dotted(node.child_by_field_name("value")).rpartition(".")[2] == "environ":
            frame.around = (*saved[-_CALLERS_KEPT:], "environ")
        self.children(node, use)
        frame.around = saved

    def operator(self, node: Node, _use: Use) -> None:
        """Read operands; text that is added or formatted with `%` is read as one string."""
        operands, sign = _operands(node)
        if sign == "%" and operands[0].type in STRINGS and len(operands) == 2:
            self._percent(*operands)
        elif sign == "+" and any(operand.type in STRINGS for operand in operands):
            self._sum(operands, node)
        else:
            for operand in operands:
                self.visit(operand)

    def _percent(self, template: Node, given: Node) -> None:
        named, values = {}, []
        parts = given.named_children if given.type in {"tuple", "dictionary"} else [given]
        for part in parts:
            if part.type == "pair":
                key, value = constant_of(part.child_by_field_name("key")), part.child_by_field_name("value")
                named[key.strip("'")] = self._hole(value) if value is not None else ""
            else:
                values.append(self._hole(part))
        holes = self._holes(template)
        text, filled = percent_filled(string_value(template), values, named)
        self._text(text, (*holes, *filled), template)

    def _format(self, template: Node, arguments: Node) -> None:
        """Read `"...".format(...)`; the arguments themselves are read with the call."""
        named, values = {}, []
        for part in arguments.named_children:
            keyword = part.child_by_field_name("name") if part.type == "keyword_argument" else None
            value = part.child_by_field_name("value") if keyword is not None else part
            if keyword is not None:
                named[text_of(keyword)] = text_of(value)
            else:
                values.append(text_of(value))
        text, filled = brace_filled(string_value(template), values, named)
        self._text(text, (*self._holes(template), *filled), template)

    def _sum(self, operands: list[Node], node: Node) -> None:
        value: list[str] = []
        holes: list[str] = []
        for operand in operands:
            if operand.type in STRINGS:
                value.append(string_value(operand))
                holes.extend(self._holes(operand))
            else:
                value.append(HOLE)
                holes.append(self._hole(operand))
        self._text("".join(value), holes, node)

    # What is nested too deep

    def _flat(self, root: Node) -> None:
        """Read calls and strings below a node without their order, in constant stack."""
        stack = [root]
        while stack:
            node = stack.pop()
            if node.type in STRINGS:
                self._text(string_value(node), (), node)
            elif node.type == "call":
                self._flat_call(node)
            stack.extend(reversed(node.named_children))

    def _flat_call(self, node: Node) -> None:
        written = dotted(node.child_by_field_name("function"))
        given = (Argument("other", "…"),)  # not read: nothing may be concluded from it
        call = Call(self.resolved(written), written, given, self.frame.function, self.place(node))
        self.calls.append(call)
        self.step(Do(call))


def replace_bound(use: Use, targets: tuple[str, ...]) -> Use:
    """Return a use whose value is bound to `targets` too."""
    return use._replace(bound=(*targets, *use.bound))


def _operands(node: Node) -> tuple[list[Node], str]:
    """Return the operands of a chain of one operator, which nests to the left, and the operator."""
    sign = text_of(node.child_by_field_name("operator"))
    operands: list[Node] = []
    current: Node | None = node
    while (
        current is not None
        and current.type == "binary_operator"
        and text_of(current.child_by_field_name("operator")) == sign
    ):
        right = current.child_by_field_name("right")
        if right is not None:
            operands.append(right)
        current = current.child_by_field_name("left")
    if current is not None:
        operands.append(current)
    return operands[::-1], sign


def merged(old: Function | None, new: Function) -> Function:
    """Return a function defined twice as one that does either; a mere overload gives way."""
    if old is None or any(name.rpartition(".")[2] == "overload" for name in old.decorators):
        return new
    return replace(new, body=(Choice((old.body, new.body)),))


EXPRESSIONS: dict[str, Handler] = {
    **dict.fromkeys(_NOTHING, ExpressionReading.nothing),
    **dict.fromkeys(STRINGS, ExpressionReading.string),
    **dict.fromkeys(("identifier", "attribute"), ExpressionReading.name),
    **dict.fromkeys(("parenthesized_expression", "as_pattern"), ExpressionReading.first_child),
    **dict.fromkeys(
        ("list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression"),
        ExpressionReading.comprehension,
    ),
    "await": lambda reading, node, use: reading.first_child(node, use._replace(awaited=True)),
    "binary_operator": ExpressionReading.operator,
    "boolean_operator": ExpressionReading.boolean,
    "call": ExpressionReading.call,
    "conditional_expression": ExpressionReading.ternary,
    "lambda": ExpressionReading.anonymous,
    "subscript": ExpressionReading.subscript,
    "named_expression": ExpressionReading.walrus,
    "yield": ExpressionReading.handed_out,
}
