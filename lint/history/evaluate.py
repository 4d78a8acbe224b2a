"""Python evaluated as far as its text decides the result, for migrations written in Python.

Constants, f-strings, loops over literal lists, functions of the module and names imported from the
project's own files are followed; everything else is `UNKNOWN`. Nothing is ever executed: this walks
the syntax tree, with bounds on steps, depth and size, so that no file can hang a run.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from lint.history.values import (
    HOLE,
    UNKNOWN,
    Built,
    Function,
    Imported,
    Module,
    Value,
    bounded,
    dotted,
    ordered,
    without_holes,
)
from lint.limits import check_time

MAX_STEPS = 200_000
MAX_DEPTH = 25


class BudgetExceededError(Exception):
    """The file asks for more steps than a migration ever needs."""


#: Called with (receiver, method, arguments, keywords, node) for every call that is not followed.
Effect = Callable[[str, str, "Sequence[Any]", "Mapping[str, Any]", ast.Call], Any]

_PURE: Mapping[str, Callable[..., Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "sorted": sorted,
    "reversed": lambda items: list(reversed(items)),
    "enumerate": lambda items, start=0: list(enumerate(items, start)),
    "zip": lambda *items, **_: list(zip(*items, strict=False)),
    "len": len,
    "str": str,
    "dedent": textwrap.dedent,
}
_METHODS: Mapping[type, set[str]] = {
    str: {"format", "join", "strip", "lstrip", "rstrip", "replace", "upper", "lower", "split"}
    | {"splitlines", "removeprefix", "removesuffix", "startswith", "endswith", "title", "partition"},
    dict: {"items", "keys", "values", "get"},
    set: {"union", "difference", "intersection"},
    frozenset: {"union", "difference", "intersection"},
    tuple: {"index", "count"},
    list: {"index", "count", "copy", "append", "extend"},
}
_BUILDERS = frozenset(
    {"Column", "ForeignKey", "PrimaryKeyConstraint", "UniqueConstraint", "ForeignKeyConstraint"}
)
_CATCH = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError)


class _Returned(Exception):
    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


class Evaluator:
    """Walks statements of one module, telling `effect` of every call it does not follow."""

    def __init__(self, module: Module, effect: Effect) -> None:
        self.module = module
        self.effect = effect
        self.steps = 0
        self.depth = 0

    def run(self, body: Sequence[ast.stmt], names: dict[str, Any]) -> None:
        """Execute statements over local names; BudgetExceededError when there is no end to it."""
        for statement in body:
            self._count()
            run = self._STATEMENTS.get(type(statement))
            if run is not None:
                run(self, statement, names)

    def call_function(self, name: str) -> None:
        """Execute a function of the module that takes no arguments."""
        function = self.module.names.get(name)
        if isinstance(function, Function) and isinstance(function.node, ast.FunctionDef):
            self._follow(function, [], {})

    def _count(self) -> None:
        check_time()
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise BudgetExceededError(f"more than {MAX_STEPS} steps")

    # Statements

    def _assign(self, node: ast.Assign, names: dict[str, Any]) -> None:
        value = self.value(node.value, names)
        for target in node.targets:
            self._bind(target, value, names)

    def _ann_assign(self, node: ast.AnnAssign, names: dict[str, Any]) -> None:
        if node.value is not None:
            self._bind(node.target, self.value(node.value, names), names)

    def _aug_assign(self, node: ast.AugAssign, names: dict[str, Any]) -> None:
        if isinstance(node.target, ast.Name):
            current = self._name(node.target.id, names)
            names[node.target.id] = self._binary(node.op, current, self.value(node.value, names))

    def _bind(self, target: ast.expr, value: object, names: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = list(value) if isinstance(value, (tuple, list)) else []
            exact = len(parts) == len(target.elts)
            for index, element in enumerate(target.elts):
                self._bind(element, parts[index] if exact else UNKNOWN, names)

    def _expression(self, node: ast.Expr, names: dict[str, Any]) -> None:
        self.value(node.value, names)

    def _if(self, node: ast.If, names: dict[str, Any]) -> None:
        test = self.value(node.test, names)
        if test is not UNKNOWN:
            self.run(node.body if test else node.orelse, names)
            return
        for branch in (node.body, node.orelse):  # either may run, so both are looked at
            try:
                self.run(branch, names)
            except _Returned:
                continue

    def _for(self, node: ast.For, names: dict[str, Any]) -> None:
        items = self.value(node.iter, names)
        known = isinstance(items, (list, tuple, set, frozenset, dict))
        for item in ordered(items) if known else [UNKNOWN]:
            self._bind(node.target, item, names)
            self.run(node.body, names)

    def _while(self, node: ast.While, names: dict[str, Any]) -> None:
        self.run(node.body, names)

    def _try(self, node: ast.Try, names: dict[str, Any]) -> None:
        for body in (node.body, node.orelse, node.finalbody):
            self.run(body, names)

    def _with(self, node: ast.With, names: dict[str, Any]) -> None:
        for item in node.items:
            value = self.value(item.context_expr, names)
            if item.optional_vars is not None:
                self._bind(item.optional_vars, value, names)
        self.run(node.body, names)

    def _return(self, node: ast.Return, names: dict[str, Any]) -> None:
        raise _Returned(self.value(node.value, names) if node.value else None)

    def _define(self, node: ast.FunctionDef, names: dict[str, Any]) -> None:
        names[node.name] = Function(node, self.module)

    def _import_from(self, node: ast.ImportFrom, names: dict[str, Any]) -> None:
        for alias in node.names:
            wanted = Imported(node.module or "", alias.name, node.level)
            names[alias.asname or alias.name] = wanted

    # Expressions

    def value(self, node: ast.expr, names: dict[str, Any]) -> Value:
        """Return what an expression is, UNKNOWN when its text does not decide it."""
        self._count()
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

    def _load(self, node: ast.Name, names: dict[str, Any]) -> Value:
        return self._name(node.id, names)

    def _name(self, name: str, names: dict[str, Any]) -> Value:
        value = names.get(name, self.module.names.get(name, UNKNOWN))
        if isinstance(value, Imported):
            value = self.module.load(value)
            names[name] = value
        return value

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set, names: dict[str, Any]) -> Value:
        items = self._elements(node.elts, names)
        if isinstance(node, ast.List):
            return items
        return tuple(items) if isinstance(node, ast.Tuple) else set(items)

    def _elements(self, nodes: Sequence[ast.expr], names: dict[str, Any]) -> list[Any]:
        items: list[Any] = []
        for element in nodes:
            if isinstance(element, ast.Starred):
                inner = self.value(element.value, names)
                known = isinstance(inner, (list, tuple, set, frozenset))
                items.extend(ordered(inner) if known else [UNKNOWN])
            else:
                items.append(self.value(element, names))
        return items

    def _dict(self, node: ast.Dict, names: dict[str, Any]) -> Value:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found.update(self.value(value, names))
            else:
                found[self.value(key, names)] = self.value(value, names)
        return found

    def _joined(self, node: ast.JoinedStr, names: dict[str, Any]) -> Value:
        return "".join(self._piece(part, names) for part in node.values)

    def _piece(self, node: ast.expr, names: dict[str, Any]) -> str:
        value = self.value(node.value if isinstance(node, ast.FormattedValue) else node, names)
        return str(value) if isinstance(value, (str, int, float)) else HOLE

    def _bin_op(self, node: ast.BinOp, names: dict[str, Any]) -> Value:
        return self._binary(node.op, self.value(node.left, names), self.value(node.right, names))

    def _binary(self, operator: ast.operator, left: Value, right: Value) -> Value:
        texts = isinstance(left, str) or isinstance(right, str)
        if isinstance(operator, ast.Add):
            if texts:
                left, right = (HOLE if side is UNKNOWN else side for side in (left, right))
            return bounded(left + right)
        if isinstance(operator, ast.Mod) and isinstance(left, str):
            return bounded(left % without_holes(right))
        if isinstance(operator, ast.BitOr) and isinstance(left, (set, frozenset, dict)):
            return left | right
        return UNKNOWN

    def _compare(self, node: ast.Compare, names: dict[str, Any]) -> Value:
        left, right = self.value(node.left, names), self.value(node.comparators[0], names)
        if len(node.ops) != 1 or left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        operator = node.ops[0]
        if isinstance(operator, (ast.Eq, ast.NotEq)):
            return (left == right) is isinstance(operator, ast.Eq)
        if isinstance(operator, (ast.In, ast.NotIn)):
            return (left in right) is isinstance(operator, ast.In)
        return UNKNOWN

    def _if_exp(self, node: ast.IfExp, names: dict[str, Any]) -> Value:
        test = self.value(node.test, names)
        if test is UNKNOWN:
            return UNKNOWN
        return self.value(node.body if test else node.orelse, names)

    def _subscript(self, node: ast.Subscript, names: dict[str, Any]) -> Value:
        return self.value(node.value, names)[self.value(node.slice, names)]

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, names: dict[str, Any]
    ) -> Value:
        if len(node.generators) != 1:
            return UNKNOWN
        generator = node.generators[0]
        items = self.value(generator.iter, names)
        if items is UNKNOWN:
            return UNKNOWN
        found: list[Any] = []
        for item in ordered(items):
            local = dict(names)
            self._bind(generator.target, item, local)
            if all(self.value(test, local) for test in generator.ifs):
                found.append(self.value(node.elt, local))
        return found

    def _lambda(self, node: ast.Lambda, names: dict[str, Any]) -> Value:
        del names
        return Function(node, self.module)

    def _attribute(self, node: ast.Attribute, names: dict[str, Any]) -> Value:
        owner = self.value(node.value, names)
        return owner.names.get(node.attr, UNKNOWN) if isinstance(owner, Module) else UNKNOWN

    def _call(self, node: ast.Call, names: dict[str, Any]) -> Value:
        arguments = self._elements(node.args, names)
        keywords = {keyword.arg: self.value(keyword.value, names) for keyword in node.keywords if keyword.arg}
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func, arguments, keywords, names)
        if not isinstance(node.func, ast.Name):
            return UNKNOWN
        name = node.func.id
        target = self._name(name, names)
        if isinstance(target, Function):
            return self._follow(target, arguments, keywords)
        return self._library("", name, arguments, keywords, node)

    def _method(
        self,
        node: ast.Call,
        function: ast.Attribute,
        arguments: list[Any],
        keywords: dict[str, Any],
        names: dict[str, Any],
    ) -> Value:
        owner = self.value(function.value, names)
        if isinstance(owner, Module) and isinstance(owner.names.get(function.attr), Function):
            return self._follow(owner.names[function.attr], arguments, keywords)
        if isinstance(owner, Built):
            return self.effect(repr(owner), function.attr, [owner, *arguments], keywords, node)
        if owner is not UNKNOWN and function.attr in _METHODS.get(type(owner), set()):
            held = [without_holes(argument) for argument in arguments]
            holes = {key: without_holes(value) for key, value in keywords.items()}
            return bounded(getattr(owner, function.attr)(*held, **holes))
        return self._library(dotted(function.value), function.attr, arguments, keywords, node)

    def _library(
        self,
        receiver: str,
        name: str,
        arguments: list[Any],
        keywords: dict[str, Any],
        node: ast.Call,
    ) -> Value:
        if name in _BUILDERS:
            return Built(name, tuple(arguments), keywords)
        if name in {"text", "DDL"} and arguments:
            return arguments[0]
        pure = _PURE.get(name)
        if pure is not None and UNKNOWN not in arguments:
            return bounded(pure(*arguments, **keywords))
        return self.effect(receiver, name, arguments, keywords, node)

    def _follow(self, function: Function, arguments: list[Any], keywords: dict[str, Any]) -> Value:
        names = _bound(self, function, arguments, keywords)
        outer, self.module = self.module, function.module
        self.depth += 1
        try:
            if isinstance(function.node, ast.Lambda):
                return self.value(function.node.body, names)
            self.run(function.node.body, names)
        except _Returned as returned:
            return returned.value
        finally:
            self.module = outer
            self.depth -= 1
        return None

    _STATEMENTS: ClassVar[dict[type[ast.stmt], Callable[[Evaluator, Any, dict[str, Any]], None]]] = {
        ast.Assign: _assign,
        ast.AnnAssign: _ann_assign,
        ast.AugAssign: _aug_assign,
        ast.Expr: _expression,
        ast.If: _if,
        ast.For: _for,
        ast.While: _while,
        ast.Try: _try,
        ast.With: _with,
        ast.Return: _return,
        ast.FunctionDef: _define,
        ast.ImportFrom: _import_from,
    }
    _EXPRESSIONS: ClassVar[dict[type[ast.expr], Callable[[Evaluator, Any, dict[str, Any]], Any]]] = {
        ast.Name: _load,
        ast.List: _sequence,
        ast.Tuple: _sequence,
        ast.Set: _sequence,
        ast.Dict: _dict,
        ast.JoinedStr: _joined,
        ast.BinOp: _bin_op,
        ast.Compare: _compare,
        ast.IfExp: _if_exp,
        ast.Subscript: _subscript,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.Lambda: _lambda,
        ast.Attribute: _attribute,
        ast.Call: _call,
    }


def _bound(
    evaluator: Evaluator, function: Function, arguments: list[Any], keywords: dict[str, Any]
) -> dict[str, Any]:
    """Bind the arguments of a call to a function's parameters, defaults included."""
    signature = function.node.args
    positional = [*signature.posonlyargs, *signature.args]
    names: dict[str, Any] = {parameter.arg: UNKNOWN for parameter in positional}
    defaults = positional[len(positional) - len(signature.defaults) :]
    for parameter, default in zip(defaults, signature.defaults, strict=True):
        names[parameter.arg] = evaluator.value(default, {})
    for parameter, only in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
        names[parameter.arg] = UNKNOWN if only is None else evaluator.value(only, {})
    for parameter, argument in zip(positional, arguments, strict=False):
        names[parameter.arg] = argument
    if signature.vararg is not None:
        names[signature.vararg.arg] = tuple(arguments[len(positional) :])
    names.update(keywords)
    return names
