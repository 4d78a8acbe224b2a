"""What a policy's expression is where no tenant was set: true for every row, or not.

A setting that nobody made is NULL, and '' on a connection where it was set before (PostgreSQL manual,
current_setting; a transaction that made it leaves '' behind). The expression is worked out for both
with SQL's three values; whatever depends on the row or on other tables is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import expressions as exp

from lint.rules.expressions import function_name
from lint.rules.predicates import bare
from lint.rules.results import result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.rules.expressions import Session


class _Unknown:
    """A value that depends on the row, or cannot be worked out."""


UNKNOWN: Final = _Unknown()
Value = str | int | bool | None | _Unknown
_MAX_DEPTH = 4
#: Who is signed in; nobody is where no session was made.
_NOBODY = frozenset({"auth.uid", "auth.email"})


def true_when_unset(node: exp.Expr, session: Session, *, nobody: bool = False) -> bool:
    """Say whether an expression is true where its settings were never made, or were taken away.

    With `nobody`, who is signed in is not known either, as for the anonymous clients of a platform.
    """
    return any(_Worked(session, unset, nobody=nobody).value(node) is True for unset in (None, ""))


class _Worked:
    """Works out expressions for one value of every setting that an application makes."""

    def __init__(self, session: Session, unset: str | None, *, nobody: bool) -> None:
        self.session = session
        self.unset = unset
        self.nobody = nobody
        self.depth = 0

    def value(self, node: exp.Expr) -> Value:
        """Return what an expression is, UNKNOWN where that depends on more than the settings."""
        if isinstance(node, exp.Cast) and node.to.this is exp.DataType.Type.BOOLEAN:
            return _boolean(self.value(node.this))
        if isinstance(node, exp.Paren):
            return self.value(node.this)
        node = bare(node)
        if isinstance(node, exp.Null):
            return None
        known = _CONSTANTS.get(type(node))
        if known is not None:
            return known(node)
        name = function_name(node)
        if name is not None:
            return self._call(name, node)
        work = _WORK.get(type(node))
        return UNKNOWN if work is None else work(self, node)

    def _call(self, name: str, node: exp.Expr) -> Value:
        call = node.expression if isinstance(node, exp.Dot) else node
        if name.lower().removeprefix("pg_catalog.") == "current_setting":
            return self._setting(call)
        if name.lower() in _NOBODY and self.nobody:
            return None
        body = self._result(name, call.expressions)
        if body is None or self.depth >= _MAX_DEPTH:
            return UNKNOWN
        self.depth += 1
        found = self.value(body)
        self.depth -= 1
        return found

    def _result(self, name: str, arguments: list[exp.Expr]) -> exp.Expr | None:
        count = len(arguments)
        functions = [
            one
            for one in self.session.functions(name)
            if one.required_arguments <= count <= len(one.arguments.split(", ") if one.arguments else ())
        ]
        return result_of(functions[0], arguments) if len(functions) == 1 else None

    def _setting(self, call: exp.Expr) -> Value:
        arguments = call.expressions
        name = self.value(arguments[0]) if arguments else UNKNOWN
        if not isinstance(name, str) or "." not in name or name.startswith(("request.", "graphql.")):
            return UNKNOWN
        forgiving = len(arguments) > 1 and self.value(arguments[1]) is True
        return self.unset if forgiving or self.unset is not None else UNKNOWN


def _boolean(value: Value) -> Value:
    """Return what a value is as a boolean; a text that is none fails, so that no row is seen."""
    if isinstance(value, str):
        return _BOOLEANS.get(value.strip().lower(), UNKNOWN)
    return value if value is None or isinstance(value, bool) else UNKNOWN


#: How PostgreSQL reads a text as a boolean.
_BOOLEANS = {
    **dict.fromkeys(("t", "true", "y", "yes", "on", "1"), True),
    **dict.fromkeys(("f", "false", "n", "no", "off", "0"), False),
}


def _literal(node: exp.Expr) -> Value:
    if node.is_string:
        return str(node.this)
    return int(node.this) if str(node.this).isdigit() else UNKNOWN


_CONSTANTS: dict[type[exp.Expr], Callable[[exp.Expr], Value]] = {
    exp.Boolean: lambda node: bool(node.this),
    exp.Literal: _literal,
}


def _or(work: _Worked, node: exp.Expr) -> Value:
    values = [work.value(node.this), work.value(node.expression)]
    if any(value is True for value in values):
        return True
    return False if all(value is False for value in values) else _either(values)


def _and(work: _Worked, node: exp.Expr) -> Value:
    values = [work.value(node.this), work.value(node.expression)]
    if any(value is False for value in values):
        return False
    return True if all(value is True for value in values) else _either(values)


def _either(values: list[Value]) -> Value:
    """Return NULL for an AND or OR that no side decides, unless a side is not known."""
    return UNKNOWN if any(value is UNKNOWN for value in values) else None


def _not(work: _Worked, node: exp.Expr) -> Value:
    value = work.value(node.this)
    return (not value) if isinstance(value, bool) else _either([value])


def _is(work: _Worked, node: exp.Expr) -> Value:
    value, other = work.value(node.this), work.value(node.expression)
    if isinstance(value, _Unknown):
        return UNKNOWN
    return (value is other) != bool(node.args.get("negate"))


def _compared(holds: Callable[[Value, Value], bool]) -> Callable[[_Worked, exp.Expr], Value]:
    def work(work: _Worked, node: exp.Expr) -> Value:
        values = [work.value(node.this), work.value(node.expression)]
        if None in values:
            return None
        if any(isinstance(value, _Unknown) for value in values) or type(values[0]) is not type(values[1]):
            return UNKNOWN
        return holds(*values)

    return work


def _same(work: _Worked, node: exp.Expr) -> Value:
    values = [work.value(node.this), work.value(node.expression)]
    if any(isinstance(value, _Unknown) for value in values):
        return UNKNOWN
    return (values[0] == values[1]) == isinstance(node, exp.NullSafeEQ)


def _in(work: _Worked, node: exp.Expr) -> Value:
    items = node.args.get("expressions") or ()
    value, values = work.value(node.this), [work.value(item) for item in items]
    if value is None:
        return None
    if isinstance(value, _Unknown) or not values:
        return UNKNOWN
    if value in values:
        return True
    return False if not any(one is None or isinstance(one, _Unknown) for one in values) else UNKNOWN


def _coalesce(work: _Worked, node: exp.Expr) -> Value:
    for part in (node.this, *node.expressions):
        value = work.value(part)
        if value is not None:
            return value
    return None


def _nullif(work: _Worked, node: exp.Expr) -> Value:
    value, other = work.value(node.this), work.value(node.expression)
    if isinstance(value, _Unknown) or isinstance(other, _Unknown):
        return UNKNOWN
    return None if value == other else value


def _cast(work: _Worked, node: exp.Expr) -> Value:
    """Return NULL as it is and texts as texts; '' fails as a uuid or a number, so that no row is seen."""
    value = work.value(node.this)
    if value is None:
        return None
    return value if isinstance(value, str) and _is_text(node) else UNKNOWN


def _is_text(node: exp.Expr) -> bool:
    kind = node.args["to"].this
    return kind in {exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR}


def _case(work: _Worked, node: exp.Expr) -> Value:
    if node.this is not None:
        return UNKNOWN
    for branch in node.args.get("ifs") or ():
        holds = work.value(branch.this)
        if holds is True:
            return work.value(branch.args["true"])
        if isinstance(holds, _Unknown):
            return UNKNOWN
    default = node.args.get("default")
    return None if default is None else work.value(default)


def _text(made: Callable[[str], Value]) -> Callable[[_Worked, exp.Expr], Value]:
    def work(work: _Worked, node: exp.Expr) -> Value:
        value = work.value(node.this)
        return made(value) if isinstance(value, str) else _either([value])

    return work


_WORK: dict[type[exp.Expr], Callable[[_Worked, exp.Expr], Value]] = {
    exp.Or: _or,
    exp.And: _and,
    exp.Not: _not,
    exp.Is: _is,
    exp.EQ: _compared(lambda a, b: a == b),
    exp.NEQ: _compared(lambda a, b: a != b),
    exp.NullSafeEQ: _same,
    exp.NullSafeNEQ: _same,
    exp.In: _in,
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
    exp.Cast: _cast,
    exp.Case: _case,
    exp.Length: _text(len),
    exp.Trim: _text(str.strip),
    exp.Lower: _text(str.lower),
    exp.Upper: _text(str.upper),
}
