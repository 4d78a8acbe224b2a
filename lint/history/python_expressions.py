"""What a Python expression is worth, as far as its text decides it."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

from lint.history import pure
from lint.history.values import (
    HOLE,
    POSTGRES,
    UNKNOWN,
    Built,
    Class,
    Function,
    Imported,
    Module,
    Names,
    Record,
    SqlText,
    Unknown,
    Value,
    bounded,
    is_known,
    ordered,
)
from lint.limits import check_time

MAX_STEPS = 200_000
MAX_DEPTH = 25
_CATCH = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError)
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: lambda left, right: left is right or left == right,
    ast.IsNot: lambda left, right: not (left is right or left == right),
}
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: pure.repeated,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}
#: What the text does not say but every migration of a PostgreSQL database meets.
_ALWAYS: Mapping[str, object] = {
    "dialect.name": "postgresql",
    "engine.name": "postgresql",
    "as_sql": False,
    "options.dialect": POSTGRES,
    "connection.options.type": POSTGRES,
    "client.config.client": POSTGRES,
    "client.dialect": POSTGRES,
}
#: What gives a migration its connection: there always is one.
_CONNECTIONS = ("get_bind()", "get_context()")


class BudgetExceededError(Exception):
    """The file asks for more steps than a migration ever needs."""


class FunctionExpression(ast.expr):
    """A function written where a value stands, with statements inside, as JavaScript has them."""

    function: ast.FunctionDef


class TakenApart(ast.stmt):
    """`const {a, b: [c]} = value`: each name with the steps that lead to it."""

    names: list[tuple[tuple[str | int, ...], str]]
    value: ast.expr


class TaggedTemplate(ast.expr):
    """``tag`text ${value}` `` of JavaScript."""

    tag: ast.expr
    template: ast.JoinedStr


class Expressions:
    """Evaluates expressions over local names; calls are the part of `lint.history.evaluate`."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.steps = 0
        self.depth = 0

    def value(self, node: ast.expr, names: Names) -> Value:
        """Return what an expression is, UNKNOWN when its text does not decide it."""
        self.count()
        if isinstance(node, ast.Constant):
            return node.value
        evaluate = self._EXPRESSIONS.get(type(node))
        if evaluate is None:
            return UNKNOWN
        if self.depth > MAX_DEPTH:
            raise BudgetExceededError("nested too deeply")
        try:
            return evaluate(self, node, names)
        except _CATCH:
            return UNKNOWN

    def count(self) -> None:
        """Take one step; raise BudgetExceededError when there were too many."""
        check_time()
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise BudgetExceededError(f"more than {MAX_STEPS} steps")

    def call(self, node: ast.Call, names: Names) -> Value:
        """Return what a call is worth; a walk without calls knows of none."""
        del node, names
        return UNKNOWN

    def bind(self, target: ast.expr, value: Value, names: Names) -> None:
        """Bind the names of a target; what it cannot be unpacked into is not known."""
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value, names)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target.elts, value, names)
        elif isinstance(target, ast.Subscript):
            owner, key = self.value(target.value, names), self.value(target.slice, names)
            if isinstance(owner, dict) and is_known(key):
                owner[key] = value
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, names)
            if isinstance(owner, Record):
                owner.names[target.attr] = value

    def _unpack(self, targets: Sequence[ast.expr], value: Value, names: Names) -> None:
        parts = list(value) if isinstance(value, (tuple, list)) else []
        star = next((i for i, target in enumerate(targets) if isinstance(target, ast.Starred)), None)
        if star is not None and len(parts) >= len(targets) - 1:
            after = len(targets) - star - 1
            middle = len(parts) - after
            parts = [*parts[:star], parts[star:middle], *parts[middle:]]
        exact = len(parts) == len(targets)
        for index, element in enumerate(targets):
            self.bind(element, parts[index] if exact else UNKNOWN, names)

    def name(self, name: str, names: Names) -> Value:
        """Return what a name stands for; an unbound one is unknown by its own name."""
        found = names.get(name, self.module.names.get(name, names))
        if found is names:
            return Unknown(name)
        if isinstance(found, Imported):
            found = self.module.load(found)
            names[name] = found
        return found

    def _load(self, node: ast.Name, names: Names) -> Value:
        return self.name(node.id, names)

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set, names: Names) -> Value:
        items = self.elements(node.elts, names)
        if isinstance(node, ast.List):
            return items
        return tuple(items) if isinstance(node, ast.Tuple) else set(items)

    def elements(self, nodes: Sequence[ast.expr], names: Names) -> list[Any]:
        """Return the values of expressions, with those that are starred spread out."""
        items: list[Any] = []
        for element in nodes:
            if isinstance(element, ast.Starred):
                inner = self.value(element.value, names)
                items.extend(ordered(inner) if pure.is_iterable(inner) else [UNKNOWN])
            else:
                items.append(self.value(element, names))
        return items

    def _dict(self, node: ast.Dict, names: Names) -> Value:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                found[self.value(key, names)] = self.value(value, names)
                continue
            spread = self.value(value, names)
            if isinstance(spread, dict):
                found.update(spread)
        return found

    def _joined(self, node: ast.JoinedStr, names: Names) -> Value:
        return "".join(self._piece(part, names) for part in node.values)

    def tagged(self, node: TaggedTemplate, names: Names) -> Value:
        """Return what a tag makes of its template: the text, for a walk that knows no tags."""
        return self._joined(node.template, names)

    def _piece(self, node: ast.expr, names: Names) -> str:
        if not isinstance(node, ast.FormattedValue):
            return pure.piece(self.value(node, names))
        value = self.value(node.value, names)
        text = pure.piece(value)
        return repr(value) if node.conversion == ord("r") and text != HOLE else text

    def _bin_op(self, node: ast.BinOp, names: Names) -> Value:
        return self.binary(node.op, self.value(node.left, names), self.value(node.right, names))

    def binary(self, kind: ast.operator, left: Value, right: Value) -> Value:
        """Return what an operator makes of two values; an unknown part of a text is a hole in it."""
        if isinstance(kind, ast.Mod) and isinstance(left, str):
            return bounded(pure.percent(left, right))
        if isinstance(kind, ast.Add) and (isinstance(left, str) or isinstance(right, str)):
            sql = isinstance(left, SqlText) or isinstance(right, SqlText)
            text = bounded(pure.piece(left) + pure.piece(right))
            return SqlText(text) if sql and isinstance(text, str) else text
        work = _BINARY.get(type(kind))
        if work is None or not (is_known(left) and is_known(right)):
            return UNKNOWN
        if isinstance(kind, ast.Div) and not isinstance(left, PurePosixPath):
            return UNKNOWN
        return bounded(work(left, right))

    def _bool_op(self, node: ast.BoolOp, names: Names) -> Value:
        """Any part that decides it decides it, wherever it stands."""
        ends = isinstance(node.op, ast.Or)
        values = [self.value(part, names) for part in node.values]
        for value in values:
            if is_known(value) and bool(value) is ends:
                return value
        return values[-1] if all(is_known(value) for value in values) else UNKNOWN

    def _unary_op(self, node: ast.UnaryOp, names: Names) -> Value:
        value = self.value(node.operand, names)
        if isinstance(node.op, ast.Not):
            truth = value if is_known(value) else self.truth(value)
            return not truth if is_known(truth) else UNKNOWN
        if not is_known(value):
            return UNKNOWN
        return -value if isinstance(node.op, ast.USub) else UNKNOWN

    def _compare(self, node: ast.Compare, names: Names) -> Value:
        left = self.value(node.left, names)
        for kind, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator, names)
            if not (is_known(left) and is_known(right)) or isinstance(left, Built):
                return UNKNOWN
            if isinstance(right, (list, tuple, dict)) and pure.has_unknown(right):
                return UNKNOWN
            if not _COMPARISONS[type(kind)](left, right):
                return False
            left = right
        return True

    def truth(self, value: Value) -> Value:
        """Return whether a value is true, UNKNOWN when that is not decided; a connection always is one."""
        if isinstance(value, Built):
            return UNKNOWN
        if is_known(value):
            return bool(value)
        return True if value.path.endswith(_CONNECTIONS) else UNKNOWN

    def _if_exp(self, node: ast.IfExp, names: Names) -> Value:
        test = self.truth(self.value(node.test, names))
        if not is_known(test):
            return UNKNOWN
        return self.value(node.body if test else node.orelse, names)

    def _subscript(self, node: ast.Subscript, names: Names) -> Value:
        owner, key = self.value(node.value, names), self.value(node.slice, names)
        if isinstance(owner, Class) and isinstance(key, str):
            return owner.names[key]
        return owner[key] if is_known(owner) else Unknown()

    def _slice(self, node: ast.Slice, names: Names) -> Value:
        ends = (node.lower, node.upper, node.step)
        return slice(*(None if end is None else self.value(end, names) for end in ends))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, names: Names) -> Value:
        found: list[Any] = []
        known = self._generate(
            node.generators, names, lambda local: found.append(self.value(node.elt, local))
        )
        if not known:
            return UNKNOWN
        return set(found) if isinstance(node, ast.SetComp) else found

    def _dict_comprehension(self, node: ast.DictComp, names: Names) -> Value:
        found: dict[Any, Any] = {}

        def add(local: Names) -> None:
            found[self.value(node.key, local)] = self.value(node.value, local)

        return found if self._generate(node.generators, names, add) else UNKNOWN

    def _generate(
        self, generators: Sequence[ast.comprehension], names: Names, add: Callable[[Names], None]
    ) -> bool:
        """Call `add` with the names of each round; False when what is gone through is not known."""
        if not generators:
            add(names)
            return True
        first, *rest = generators
        items = self.value(first.iter, names)
        if not pure.is_iterable(items):
            return False
        for item in ordered(items):
            local = dict(names)
            self.bind(first.target, item, local)
            tests = [self.value(test, local) for test in first.ifs]
            if all(not is_known(test) or test for test in tests) and not self._generate(rest, local, add):
                return False
        return True

    def _lambda(self, node: ast.Lambda, names: Names) -> Value:
        return Function(node, self.module, names)

    def _function(self, node: FunctionExpression, names: Names) -> Value:
        return Function(node.function, self.module, names)

    def _named(self, node: ast.NamedExpr, names: Names) -> Value:
        value = self.value(node.value, names)
        self.bind(node.target, value, names)
        return value

    def awaited(self, node: ast.Await, names: Names) -> Value:
        """Return what is awaited."""
        return self.value(node.value, names)

    def _attribute(self, node: ast.Attribute, names: Names) -> Value:
        return self.attribute(self.value(node.value, names), node.attr)

    def attribute(self, owner: Value, name: str) -> Value:
        """Return an attribute of a value, unknown by its dotted name when it is a library's."""
        if isinstance(owner, Unknown):
            path = f"{owner.path}.{name}"
            known = next((v for end, v in _ALWAYS.items() if path.endswith(f".{end}")), None)
            return owner.member(name) if known is None else known
        if isinstance(owner, Module):
            found = owner.names.get(name, Imported("", name, 1))
            return owner.load(found) if isinstance(found, Imported) else found
        if isinstance(owner, (Record, Class)):
            return _member(owner, name)
        if isinstance(owner, dict):
            return owner[name]
        if isinstance(owner, PurePosixPath) and name in pure.PATH_ATTRIBUTES:
            return getattr(owner, name)
        if isinstance(owner, list) and name == "length":
            return len(owner)
        return owner if name == "value" and isinstance(owner, (str, int)) else UNKNOWN

    _EXPRESSIONS: ClassVar[dict[type[ast.expr], Callable[[Any, Any, Names], Any]]] = {
        ast.Name: _load,
        ast.List: _sequence,
        ast.Tuple: _sequence,
        ast.Set: _sequence,
        ast.Dict: _dict,
        ast.JoinedStr: _joined,
        ast.BinOp: _bin_op,
        ast.BoolOp: _bool_op,
        ast.UnaryOp: _unary_op,
        ast.Compare: _compare,
        ast.IfExp: _if_exp,
        ast.Subscript: _subscript,
        ast.Slice: _slice,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.DictComp: _dict_comprehension,
        ast.Lambda: _lambda,
        FunctionExpression: _function,
        ast.NamedExpr: _named,
        ast.Await: lambda self, node, names: self.awaited(node, names),
        TaggedTemplate: lambda self, node, names: self.tagged(node, names),
        ast.Attribute: _attribute,
        ast.Call: lambda self, node, names: self.call(node, names),
    }


def _member(owner: Record | Class, name: str) -> Value:
    if name in owner.names:
        return owner.names[name]
    if isinstance(owner, Record):
        return owner.made_by.names.get(name, UNKNOWN)
    return owner.members if name == "__members__" else UNKNOWN
