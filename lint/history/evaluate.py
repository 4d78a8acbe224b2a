"""A Python program evaluated as far as its text decides it, for migrations written as programs.

Constants, f-strings, loops over literal lists, functions, classes and names imported from the
project's own files are followed; everything else is `Unknown`. Nothing is ever executed: this walks
the syntax tree, with bounds on steps, depth and size, so that no file can hang a run. JavaScript is
lowered to the same tree (`lint.history.javascript`).
"""

from __future__ import annotations

import ast
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar, cast

from lint.history import pure, tagged
from lint.history.python_expressions import (
    BudgetExceededError,
    Expressions,
    TaggedTemplate,
    TakenApart,
)
from lint.history.values import (
    UNKNOWN,
    Built,
    Class,
    Function,
    Imported,
    Module,
    Names,
    Query,
    Record,
    SqlText,
    Unknown,
    Value,
    bounded,
    is_known,
    ordered,
)

__all__ = ["AWAIT", "BudgetExceededError", "Call", "Effect", "Evaluator"]

#: The name of the call that awaiting a query is.
AWAIT = "await"
_MAX_ROUNDS = 1_000
#: `while True` ends by what only a run decides; a second round meets what the first has left.
_MAX_ENDLESS_ROUNDS = 2
_ENUMS = frozenset({"Enum", "StrEnum", "IntEnum"})
#: Methods of a JavaScript array that call a function for each item.
_OVER_ITEMS = frozenset({"map", "forEach", "filter", "find", "some", "every", "flatMap"})
_SQL_TEXTS = frozenset({"text", "DDL", "literal_column"})
#: What these libraries return is read from the database, so it is not built from what was passed.
_ASKS = frozenset({"inspect", "create_engine", "get_bind", "sessionmaker"})


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is not followed: on what, by which name, with what."""

    owner: Value
    #: The dotted name of what is called, through imports: `alembic.op.execute`.
    path: str
    name: str
    arguments: list[Any]
    keywords: dict[str, Any]
    node: ast.expr


#: Told of every call that is not followed; returns what it is worth, UNKNOWN when it does not care.
Effect = Callable[[Call], Any]


class _Returned(Exception):
    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


class _Stopped(Exception):
    """break, continue or raise."""


class _Broken(_Stopped):
    pass


class _Continued(_Stopped):
    pass


class _Raised(_Stopped):
    pass


_STOPS: Mapping[type[ast.stmt], type[_Stopped]] = {
    ast.Break: _Broken,
    ast.Continue: _Continued,
    ast.Raise: _Raised,
}


class Evaluator(Expressions):
    """Walks statements of one module, telling `effect` of every call it does not follow."""

    def __init__(self, module: Module, effect: Effect) -> None:
        super().__init__(module)
        self.effect = effect
        #: What each function that is being followed returns where only a run decides whether it does.
        self._returns: list[list[Value]] = []

    def run(self, body: Sequence[ast.stmt], names: Names) -> None:
        """Execute statements over local names; BudgetExceededError when there is no end to it."""
        for statement in body:
            self.count()
            stop = _STOPS.get(type(statement))
            if stop is not None:
                raise stop
            run = self._STATEMENTS.get(type(statement))
            if run is not None:
                run(self, statement, names)

    def run_module(self, body: Sequence[ast.stmt]) -> None:
        """Execute a module's top level, as far as it goes."""
        with suppress(_Stopped, _Returned, BudgetExceededError, RecursionError):
            self.run(body, self.module.names)

    def call_function(self, name: str, arguments: Sequence[Any] = ()) -> bool:
        """Execute a function of the module; False when there is none, or when it ends in `raise`."""
        function = self.module.names.get(name)
        if isinstance(function, Imported):
            function = self.module.load(function)
        return isinstance(function, Function) and self.outcome(function, arguments)[0]

    def outcome(self, function: Function, arguments: Sequence[Any]) -> tuple[bool, Value]:
        """Execute a function; return whether it ends otherwise than in `raise`, and what it returns."""
        try:
            return True, self.follow(function, list(arguments), {})
        except _Stopped:
            return False, UNKNOWN

    # Statements

    def _assign(self, node: ast.Assign, names: Names) -> None:
        value = self.value(node.value, names)
        for target in node.targets:
            self.bind(target, value, names)

    def _ann_assign(self, node: ast.AnnAssign, names: Names) -> None:
        if node.value is not None:
            self.bind(node.target, self.value(node.value, names), names)

    def _aug_assign(self, node: ast.AugAssign, names: Names) -> None:
        current = self.value(node.target, names)
        with suppress(TypeError, ValueError):
            value = self.binary(node.op, current, self.value(node.value, names))
            self.bind(node.target, value, names)

    def bind(self, target: ast.expr, value: Value, names: Names) -> None:
        """Bind as Python does; an assignment of JavaScript reaches the scope that declared the name."""
        if isinstance(target, ast.Name) and getattr(target, "outer", False) and isinstance(names, ChainMap):
            holder = next((scope for scope in names.maps if target.id in scope), names)
            holder[target.id] = value
            return
        super().bind(target, value, names)

    def _take_apart(self, node: TakenApart, names: Names) -> None:
        value = self.value(node.value, names)
        for steps, name in node.names:
            self.bind_pattern(steps, name, value, names)

    def _expression(self, node: ast.Expr, names: Names) -> None:
        self.value(node.value, names)

    def _if(self, node: ast.If, names: Names) -> None:
        test = self.truth(self.value(node.test, names))
        if is_known(test):
            with suppress(_Raised):  # what was deployed did not fail, whatever is known of it here
                self.run(node.body if test else node.orelse, names)
            return
        for branch in (node.body, node.orelse):  # either may run, so both are looked at
            self._perhaps(branch, names)

    def _perhaps(self, branch: Sequence[ast.stmt], names: Names) -> None:
        """Look at statements that may run: what they stop does not stop, what they return may be it."""
        try:
            self.run(branch, names)
        except _Returned as returned:
            if self._returns:
                self._returns[-1].append(returned.value)
        except _Stopped:
            return

    def _for(self, node: ast.For | ast.AsyncFor, names: Names) -> None:
        items = self.value(node.iter, names)
        for item in ordered(items) if pure.is_iterable(items) else [UNKNOWN]:
            self.bind(node.target, item, names)
            try:
                self.run(node.body, names)
            except _Continued:
                continue
            except _Broken:
                return
        self.run(node.orelse, names)

    def _while(self, node: ast.While, names: Names) -> None:
        endless = isinstance(node.test, ast.Constant)
        for _ in range(_MAX_ENDLESS_ROUNDS if endless else _MAX_ROUNDS):
            test = self.value(node.test, names)
            if is_known(test) and not test:
                return
            try:
                self.run(node.body, names)
            except _Continued:
                continue
            except _Broken:
                return
            if not is_known(test):
                return

    def _try(self, node: ast.Try, names: Names) -> None:
        try:
            self.run(node.body, names)
        except _Raised:
            for handler in node.handlers[:1]:
                self.run(handler.body, names)
        else:
            self.run(node.orelse, names)
        self.run(node.finalbody, names)

    def _with(self, node: ast.With | ast.AsyncWith, names: Names) -> None:
        entered: list[tuple[ast.expr, Value]] = []
        for item in node.items:
            value = self.value(item.context_expr, names)
            entered.append((item.context_expr, value))
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value, names)
        self.run(node.body, names)
        for expression, value in reversed(entered):
            if isinstance(value, Built) and isinstance(expression, ast.Call):
                self.effect(Call(value, "", "__exit__", [], {}, expression))

    def _match(self, node: ast.Match, names: Names) -> None:
        for case in node.cases:
            self._perhaps(case.body, names)

    def _return(self, node: ast.Return, names: Names) -> None:
        raise _Returned(self.value(node.value, names) if node.value else None)

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, names: Names) -> None:
        outer = None if names is self.module.names else names
        names[node.name] = Function(node, self.module, outer)

    def _define_class(self, node: ast.ClassDef, names: Names) -> None:
        bases = [self.value(base, names) for base in node.bases]
        held: dict[str, Any] = {}
        for base in bases:
            if isinstance(base, Class):
                held.update(base.names)
        fields = [f for base in bases if isinstance(base, Class) for f in base.fields]
        targets = [statement.target for statement in node.body if isinstance(statement, ast.AnnAssign)]
        fields += [target.id for target in targets if isinstance(target, ast.Name)]
        self.run(node.body, ChainMap(held, names))
        enum = any(
            base.path.rpartition(".")[2] in _ENUMS if isinstance(base, Unknown) else _is_enum(base)
            for base in bases
        )
        names[node.name] = Class(node.name, held, tuple(dict.fromkeys(fields)), enum)

    def _import(self, node: ast.Import, names: Names) -> None:
        for alias in node.names:
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            names[alias.asname or module] = Imported(module, "")

    def _import_from(self, node: ast.ImportFrom, names: Names) -> None:
        for alias in node.names:
            if alias.name == "*":
                whole = self.module.load(Imported(node.module or "", "", node.level))
                if isinstance(whole, Module):
                    public = {key: v for key, v in whole.names.items() if not key.startswith("_")}
                    names.update({key: _from(whole, v) for key, v in public.items()})
                continue
            names[alias.asname or alias.name] = Imported(node.module or "", alias.name, node.level)

    # Tagged templates, and what is awaited

    def tagged(self, node: TaggedTemplate, names: Names) -> Value:
        """Return the SQL of a template whose tag makes SQL; the text of any other."""
        tag = self.value(node.tag, names)
        if not tagged.is_tag(tag, _last_name(node.tag)):
            return super().tagged(node, names)
        parts = (
            part.value if isinstance(part, ast.FormattedValue) else part for part in node.template.values
        )
        return tagged.tagged([self.value(part, names) for part in parts], node.template)

    def awaited(self, node: ast.Await, names: Names) -> Value:
        """Return what is awaited, telling `effect` of each query that runs by that."""
        value = super().awaited(node, names)
        for query in value if isinstance(value, list) else [value]:
            if isinstance(query, Query):
                self.effect(Call(query, "", AWAIT, [], {}, node))
        return value

    # Calls

    def call(self, node: ast.Call, names: Names) -> Value:
        """Follow a call into the project's own code, or tell `effect` of it."""
        owner: Value = None
        if isinstance(node.func, ast.Attribute):
            owner, name = self.value(node.func.value, names), node.func.attr
            target = UNKNOWN if _has_methods(owner, name) else self.attribute(owner, name)
        else:
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            target = self.value(node.func, names)
        arguments = self.elements(node.args, names)
        keywords = self._keywords(node, names)
        if isinstance(target, Function):
            own = [owner] if isinstance(owner, Record) and name in owner.made_by.names else []
            return self.follow(target, own + arguments, keywords)
        if isinstance(target, Class):
            return self._construct(target, arguments, keywords)
        path = (target.path if isinstance(target, Unknown) else "") or f"?.{name}"
        return self._library(Call(owner, path, path.rpartition(".")[2], arguments, keywords, node))

    def _keywords(self, node: ast.Call, names: Names) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, names)
            if keyword.arg is not None:
                found[keyword.arg] = value
            elif isinstance(value, dict):
                found.update({str(key): item for key, item in value.items()})
        return found

    def _library(self, call: Call) -> Value:
        if isinstance(call.owner, Built):
            return self._on_built(call.owner, call)
        if is_known(call.owner) and call.owner is not None:
            return self._on_known(call)
        follow = _FOLLOWING.get(call.path)
        if follow is not None and len(call.arguments) > 1 and isinstance(call.arguments[0], Function):
            return follow(self, call.arguments[0], call.arguments[1])
        work = pure.PURE.get(call.path)
        if work is not None:
            known = not pure.has_unknown(call.arguments) or call.path == "os.getenv"
            return bounded(work(*call.arguments, **call.keywords)) if known else UNKNOWN
        if call.path == "getattr" and len(call.arguments) > 1:
            return self._getattr(call.arguments)
        if call.path in {"open", "io.open"} and call.arguments:
            return Built("open", tuple(call.arguments))
        return self._foreign(call)

    def _getattr(self, arguments: Sequence[Value]) -> Value:
        """Return `getattr(owner, name)`; whether a default stands for it only a run decides."""
        owner, name = arguments[:2]
        if not isinstance(name, str) or (isinstance(owner, Record) and name not in owner.names):
            return UNKNOWN
        return self.attribute(owner, name)

    def _foreign(self, call: Call) -> Value:
        """Build what a library's constructor builds; whatever else it does is an effect."""
        if call.name in _SQL_TEXTS and call.arguments and isinstance(call.arguments[0], str):
            return SqlText(call.arguments[0])
        told = self.effect(call)
        if is_known(told):
            return told
        self._call_back(call)
        if told.path:
            return told
        builds = call.name[:1].isupper() or call.path.startswith("sqlalchemy.")
        if builds and call.name not in _ASKS:
            return Built(call.name, tuple(call.arguments), call.keywords, call.path)
        return Unknown(call.path).called()

    def _call_back(self, call: Call) -> None:
        """Follow functions handed to code that is not the project's: it may call them, once."""
        for argument in [*call.arguments, *call.keywords.values()]:
            if isinstance(argument, Function):
                self.follow(argument, [Unknown(f"{call.path}()")], {})

    def _on_built(self, owner: Built, call: Call) -> Value:
        if (
            owner.name == "open"
            and call.name == "read"
            and isinstance(owner.arguments[0], (str, PurePosixPath))
        ):
            return self.module.read(PurePosixPath(owner.arguments[0]))
        told = self.effect(call)
        self._call_back(call)
        if is_known(told):
            return told
        return Built(call.name, (owner, *call.arguments), call.keywords, f"{owner.path}().{call.name}")

    def _on_known(self, call: Call) -> Value:
        owner, name = call.owner, call.name
        if isinstance(owner, PurePosixPath) and name in {"read_text", "read_bytes"}:
            return self.module.read(owner)
        if isinstance(owner, PurePosixPath) and name in {"glob", "rglob"} and call.arguments:
            return cast("list[Any]", self.module.match(owner, str(call.arguments[0])))
        over = name in _OVER_ITEMS and isinstance(owner, list) and bool(call.arguments)
        if over and isinstance(call.arguments[0], Function):
            return self._over(owner, name, call.arguments[0])
        work = pure.method_of(owner, name)
        if work is None:
            told = self.effect(call)
            if not is_known(told):
                self._call_back(call)
            return told
        if name not in pure.HOLDING and pure.has_unknown(call.arguments):
            return UNKNOWN
        return bounded(work(owner, *call.arguments, **call.keywords))

    def _over(self, items: list[Any], name: str, function: Function) -> Value:
        """Follow `items.map(f)` and its kin, as JavaScript has them."""
        results = [self.follow(function, [item, index], {}) for index, item in enumerate(items)]
        if name in {"filter", "find", "some", "every"}:
            kept = [item for item, test in zip(items, results, strict=True) if not is_known(test) or test]
            chosen = {"filter": kept, "find": next(iter(kept), None), "some": bool(kept)}
            return chosen.get(name, len(kept) == len(items))
        if name == "flatMap":
            return [one for each in results for one in (each if isinstance(each, list) else [each])]
        return results if name == "map" else None

    def _construct(self, made_by: Class, arguments: list[Any], keywords: dict[str, Any]) -> Value:
        if made_by.enum:
            return arguments[0] if arguments else UNKNOWN
        record = Record(made_by, dict(zip(made_by.fields, arguments, strict=False)) | keywords)
        begin = made_by.names.get("__init__")
        if isinstance(begin, Function):
            self.follow(begin, [record, *arguments], keywords)
        return record

    def follow(self, function: Function, arguments: list[Any], keywords: dict[str, Any]) -> Value:
        """Execute a function of the project and return what it returns."""
        names = self._bound(function, arguments, keywords)
        with self._inside(function.module):
            if isinstance(function.node, ast.Lambda):
                return self.value(function.node.body, names)
            return self._returned(function.node.body, names)

    def _returned(self, body: Sequence[ast.stmt], names: Names) -> Value:
        """Execute a function's body; what was deployed went past a `raise` by an earlier return."""
        earlier: list[Value] = []
        self._returns.append(earlier)
        try:
            self.run(body, names)
        except _Returned as returned:
            return returned.value
        except _Raised:
            if not earlier:
                raise
            return earlier[0] if len(earlier) == 1 else UNKNOWN
        finally:
            self._returns.pop()
        return None

    @contextmanager
    def _inside(self, module: Module) -> Iterator[None]:
        outer, self.module = self.module, module
        self.depth += 1
        try:
            yield
        finally:
            self.module = outer
            self.depth -= 1

    def _bound(self, function: Function, arguments: list[Any], keywords: dict[str, Any]) -> Names:
        """Bind the arguments of a call to a function's parameters, defaults included."""
        signature = function.node.args
        positional = [*signature.posonlyargs, *signature.args]
        own: dict[str, Any] = {parameter.arg: UNKNOWN for parameter in positional}
        outer = function.outer if function.outer is not None else {}
        names: Names = ChainMap(own, cast("dict[str, Any]", outer))
        with self._inside(function.module):
            own.update(self._defaults(signature, outer))
        for parameter, argument in zip(positional, arguments, strict=False):
            own[parameter.arg] = argument
        if signature.vararg is not None:
            own[signature.vararg.arg] = tuple(arguments[len(positional) :])
        if signature.kwarg is not None:
            own[signature.kwarg.arg] = {key: v for key, v in keywords.items() if key not in own}
        own.update(keywords)
        for parameter, steps, name in getattr(function.node, "patterns", ()):
            self.bind_pattern(steps, name, own.get(parameter, UNKNOWN), own)
        return names

    def bind_pattern(self, steps: Sequence[str | int], name: str, value: Value, names: Names) -> None:
        """Bind a name that JavaScript takes out of an object or array: `{context: queryInterface}`."""
        try:
            for step in steps:
                value = value[step] if isinstance(step, int) else self.attribute(value, step)
        except (KeyError, TypeError, IndexError):
            value = UNKNOWN
        names[name] = value

    def _defaults(self, signature: ast.arguments, outer: Names) -> Iterator[tuple[str, Any]]:
        positional = [*signature.posonlyargs, *signature.args]
        with_default = positional[len(positional) - len(signature.defaults) :]
        for parameter, default in zip(with_default, signature.defaults, strict=True):
            yield parameter.arg, self.value(default, ChainMap({}, cast("dict[str, Any]", outer)))
        for parameter, only in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
            yield parameter.arg, UNKNOWN if only is None else self.value(only, {})

    _STATEMENTS: ClassVar[dict[type[ast.stmt], Callable[[Any, Any, Names], None]]] = {
        ast.Assign: _assign,
        ast.AnnAssign: _ann_assign,
        ast.AugAssign: _aug_assign,
        ast.Expr: _expression,
        TakenApart: _take_apart,
        ast.If: _if,
        ast.For: _for,
        ast.AsyncFor: _for,
        ast.While: _while,
        ast.Try: _try,
        ast.With: _with,
        ast.AsyncWith: _with,
        ast.Match: _match,
        ast.Return: _return,
        ast.FunctionDef: _define,
        ast.AsyncFunctionDef: _define,
        ast.ClassDef: _define_class,
        ast.Import: _import,
        ast.ImportFrom: _import_from,
    }


def _mapped(evaluator: Evaluator, function: Function, items: Value) -> Value:
    if not pure.is_iterable(items):
        evaluator.follow(function, [UNKNOWN], {})
        return UNKNOWN
    return [evaluator.follow(function, [item], {}) for item in ordered(items)]


def _filtered(evaluator: Evaluator, function: Function, items: Value) -> Value:
    if not pure.is_iterable(items):
        return UNKNOWN
    tested = [(item, evaluator.follow(function, [item], {})) for item in ordered(items)]
    return [item for item, test in tested if not is_known(test) or test]


_FOLLOWING: dict[str, Callable[[Evaluator, Function, Any], Any]] = {"map": _mapped, "filter": _filtered}


def _has_methods(owner: Value, name: str) -> bool:
    """Say whether an attribute of a value is a method of its type rather than something it holds."""
    if isinstance(owner, dict):
        return name not in owner
    return isinstance(owner, (str, list, tuple, set, frozenset, PurePosixPath, Built))


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_enum(base: Value) -> bool:
    return isinstance(base, Class) and base.enum


def _from(module: Module, value: Value) -> Value:
    return module.load(value) if isinstance(value, Imported) else value
