"""Is a policy expression true for every row?

Two answers are looked for. A *tautology* is true whatever the row holds (`1 = 1`, a column equal to
itself, OR with either). A *capture* is a sub-select in which a name meant for the protected row
means a column of the inner table instead, so that the row is never asked (PostgreSQL resolves a
bare name in the innermost query that has it: manual, 7.2 and 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlglot import expressions as exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import SqlglotError

from lint.rules.scopes import Scope, captured_test, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.catalogue import Catalogue, Table


class PredicateError(ValueError):
    """An expression that cannot be parsed, with the parser's reason."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Why an expression is always true; `by_design` marks the plain `true` people write on purpose."""

    reason: str
    by_design: bool = False
    fix: str = ""


def always_true(expression: str, table: Table, catalogue: Catalogue) -> Proof | None:
    """Return why a policy expression on `table` is true for every row, None when it is not.

    Raises PredicateError when the expression cannot be parsed.
    """
    try:
        return _proof(expression, Scope.of_table(table, catalogue), table.name)
    except RecursionError as error:
        raise PredicateError("it is nested too deeply") from error


def _proof(expression: str, scope: Scope, table: str) -> Proof | None:
    tree = parse_predicate(expression)
    if _plain_true(tree):
        return Proof(f"({' '.join(expression.split())}) is true for every row", by_design=True)
    captured = captured_test(tree, scope)
    if captured is not None:
        column, owner = captured
        return Proof(
            f"asks nothing of the row: in the sub-select `{column}` means {owner}.{column}",
            fix=f"write {table}.{column} where the protected row is meant",
        )
    if _true(tree, scope):
        return Proof(f"({_short(expression)}) is true for every row")
    return None


def _short(expression: str) -> str:
    text = " ".join(expression.split())
    return text if len(text) <= 80 else f"{text[:77]}…"


def parse_predicate(expression: str) -> exp.Expr:
    """Parse a policy's expression, outer parentheses and `(SELECT x)` taken away.

    Raises PredicateError when it is not one expression, or longer than people write them. The tree is
    shared: copy before changing.
    """
    if len(expression) > MAX_CHARACTERS:
        raise PredicateError(f"it has {len(expression)} characters, and {MAX_CHARACTERS} are read")
    try:
        return _parse(expression)
    except RecursionError as error:
        raise PredicateError("it is nested too deeply") from error


#: Judging takes a time that grows with the square of an expression's depth.
MAX_CHARACTERS = 20_000
#: One for all: making a dialect costs more than parsing most expressions.
_POSTGRES = Postgres()


@lru_cache(maxsize=4096)
def _parse(expression: str) -> exp.Expr:
    try:
        parsed = _POSTGRES.parse(f"SELECT ({expression})")[0]
    except (SqlglotError, ValueError, TypeError) as error:  # TypeError: the compiled parser, of `0?`
        raise PredicateError(" ".join(str(error).split())[:120]) from error
    if not isinstance(parsed, exp.Select) or not parsed.expressions:
        raise PredicateError("it is not one expression")
    found: exp.Expr = bare(parsed.expressions[0])
    return found


def bare(node: exp.Expr) -> exp.Expr:
    """Step through parentheses, casts to boolean and `(SELECT x)` without FROM."""
    while True:
        if (
            isinstance(node, (exp.Paren, exp.Alias))
            or (isinstance(node, exp.Cast) and node.to.this is exp.DataType.Type.BOOLEAN)
            or (isinstance(node, exp.Subquery) and isinstance(node.this, exp.Subquery))
        ):
            node = node.this
        elif isinstance(node, exp.Subquery) and _is_from_less(node.this):
            node = node.this.expressions[0]
        else:
            return node


def _is_from_less(node: exp.Expr) -> bool:
    plain = isinstance(node, exp.Select) and len(node.expressions) == 1
    return plain and not (node.args.get("from_") or node.args.get("from") or node.args.get("where"))


def _plain_true(node: exp.Expr) -> bool:
    node = bare(node)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    return (
        isinstance(node, exp.Literal)
        and node.is_string
        and str(node.this).lower() in {"t", "true", "on", "yes", "1"}
    )


def _false(node: exp.Expr, scope: Scope) -> bool:
    node = bare(node)
    if isinstance(node, exp.Boolean):
        return not node.this
    if isinstance(node, exp.Not):
        return _true(node.this, scope)
    return isinstance(node, exp.NEQ) and _same(node.this, node.expression, scope)


def _true(node: exp.Expr, scope: Scope) -> bool:
    node = bare(node)
    if _plain_true(node):
        return True
    test = _TESTS.get(type(node))
    return test is not None and test(node, scope)


def _or(node: exp.Expr, scope: Scope) -> bool:
    left, right = bare(node.this), bare(node.expression)
    if _true(left, scope) or _true(right, scope):
        return True
    return _negates(left, right) or _negates(right, left)


def _negates(left: exp.Expr, right: exp.Expr) -> bool:
    return isinstance(left, exp.Not) and bare(left.this) == right


def _and(node: exp.Expr, scope: Scope) -> bool:
    return _true(node.this, scope) and _true(node.expression, scope)


def _not(node: exp.Expr, scope: Scope) -> bool:
    inner = bare(node.this)
    if isinstance(inner, exp.Is) and isinstance(bare(inner.expression), exp.Null):
        return _never_null(inner.this, scope)
    return _false(inner, scope)


def _is(node: exp.Expr, scope: Scope) -> bool:
    """Judge IS [NOT] NULL; the parser marks the negation on the node itself."""
    if not node.args.get("negate") or not isinstance(bare(node.expression), exp.Null):
        return False
    return _never_null(node.this, scope)


def _never_null(node: exp.Expr, scope: Scope) -> bool:
    node = bare(node)
    if isinstance(node, exp.Literal):
        return True
    if not isinstance(node, exp.Column):
        return False
    column = resolve(node, scope)
    return column is not None and not column.nullable


def _same(left: exp.Expr, right: exp.Expr, scope: Scope) -> bool:
    """Say whether both sides are the same column or the same constant."""
    left, right = _uncast(left), _uncast(right)
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        first, second = resolve(left, scope), resolve(right, scope)
        return first is not None and second is not None and first.same_as(second)
    return isinstance(left, exp.Literal) and left == right


def _uncast(node: exp.Expr) -> exp.Expr:
    node = bare(node)
    while isinstance(node, exp.Cast):
        node = bare(node.this)
    return node


def _equal(node: exp.Expr, scope: Scope) -> bool:
    return _same(node.this, node.expression, scope) or _numbers(node)


_COMPARE: dict[type[exp.Expr], Callable[[float, float], bool]] = {
    exp.EQ: lambda a, b: a == b,
    exp.NEQ: lambda a, b: a != b,
    exp.LT: lambda a, b: a < b,
    exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b,
    exp.GTE: lambda a, b: a >= b,
}


def _numbers(node: exp.Expr) -> bool:
    left, right = bare(node.this), bare(node.expression)
    if not (isinstance(left, exp.Literal) and isinstance(right, exp.Literal)):
        return False
    if left.is_string and right.is_string:
        return isinstance(node, exp.NEQ) and left != right
    if left.is_string or right.is_string:
        return False
    return _COMPARE[type(node)](float(left.this), float(right.this))


def constant(node: exp.Expr) -> bool | None:
    """Return what a comparison of two constants is, None when it is not one."""
    node = bare(node)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if type(node) not in _COMPARE:
        return None
    left, right = _uncast(node.this), _uncast(node.expression)
    if not (isinstance(left, exp.Literal) and isinstance(right, exp.Literal)):
        return None
    if left.is_string or right.is_string:
        return _equality(node, str(left.this) == str(right.this))
    return _COMPARE[type(node)](float(left.this), float(right.this))


def _equality(node: exp.Expr, same: bool) -> bool | None:
    if isinstance(node, exp.EQ):
        return same
    return not same if isinstance(node, exp.NEQ) else None


def _compare(node: exp.Expr, scope: Scope) -> bool:
    orders = isinstance(node, (exp.LTE, exp.GTE))
    return _numbers(node) or (orders and _same(node.this, node.expression, scope))


def _in(node: exp.Expr, scope: Scope) -> bool:
    return any(_same(node.this, item, scope) for item in node.args.get("expressions") or ())


def _like(node: exp.Expr, scope: Scope) -> bool:
    del scope
    pattern = bare(node.expression)
    return isinstance(pattern, exp.Literal) and set(str(pattern.this)) == {"%"}


def _coalesce(node: exp.Expr, scope: Scope) -> bool:
    return _true(node.this, scope)


def _case(node: exp.Expr, scope: Scope) -> bool:
    branches = [branch.args["true"] for branch in node.args.get("ifs") or ()]
    default = node.args.get("default")
    return default is not None and all(_true(branch, scope) for branch in [*branches, default])


def _exists(node: exp.Expr, scope: Scope) -> bool:
    del scope
    inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
    return _is_from_less(inner)


_TESTS: dict[type[exp.Expr], Callable[[exp.Expr, Scope], bool]] = {
    exp.Or: _or,
    exp.And: _and,
    exp.Not: _not,
    exp.Is: _is,
    exp.EQ: _equal,
    exp.NullSafeEQ: _equal,
    exp.NEQ: _compare,
    exp.LT: _compare,
    exp.LTE: _compare,
    exp.GT: _compare,
    exp.GTE: _compare,
    exp.In: _in,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Coalesce: _coalesce,
    exp.Case: _case,
    exp.Exists: _exists,
}
