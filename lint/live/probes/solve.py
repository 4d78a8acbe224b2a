"""What values satisfy a CHECK, a domain, a partition bound or a policy's condition on a column.

A boolean expression, as PostgreSQL deparses it, is turned into a `Wish` for each column: allowed
values, limits, length, pattern. What it cannot read is left to PostgreSQL, which refuses the row;
the probe of that table is then inconclusive, not passed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import expressions as exp
from sqlglot.errors import SqlglotError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Policies and constraints of one database repeat themselves.
_REMEMBERED: Final = 4096
_LENGTHS: Final = frozenset({"length", "char_length", "character_length", "octet_length", "bit_length"})
_SAMPLES: Final = (
    "abc", "a1b2c3", "a-b", "a_b", "abcdefgh", "ABC", "AB", "A1", "1", "12", "123", "1234", "12345",
    "0123456789", "123456789012", "arn:aws:iam::123456789012:role/a", "us-east-1",
    "a@example.com", "https://example.com", "http://example.com/a", "example.com", "#aabbcc",
    "+15551234567", "555-1234", "192.0.2.1", "2026-01-15", "1.2.3", "v1.2.3", "a.b", "a/b", "/a", "USD",
    "en", "en-US",
    "00000000-0000-4000-8000-000000000001", "a" * 32, "a" * 40, "a" * 64, "0" * 64, "",
)  # fmt: skip


@dataclass(slots=True)
class Wish:
    """What one column's value should be; `after` names columns that it must be greater than."""

    choices: list[str | None] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    low: str | None = None
    high: str | None = None
    low_open: bool = False
    high_open: bool = False
    shortest: int | None = None
    longest: int | None = None
    patterns: list[str] = field(default_factory=list)
    regexes: list[str] = field(default_factory=list)
    null: bool | None = None
    after: set[str] = field(default_factory=set)

    @property
    def empty(self) -> bool:
        """Whether nothing in particular is wished for."""
        return self == Wish()


Wishes = dict[str, Wish]


def wishes_of(expressions: Iterable[str]) -> Wishes:
    """What each column must be for all the expressions to hold, as far as they can be read."""
    return demanded([tree for text in expressions if (tree := parsed(text)) is not None])


def demanded(conditions: Iterable[exp.Expr]) -> Wishes:
    """The same for conditions that are trees already."""
    wishes: Wishes = {}
    for tree in conditions:
        _demand(tree, wishes)
    return wishes


@lru_cache(maxsize=_REMEMBERED)
def parsed(expression: str) -> exp.Expr | None:
    """The tree of a deparsed boolean expression, not to be changed; None when it cannot be read."""
    try:
        tree = sqlglot.parse_one(f"SELECT ({expression})", read="postgres")
    except (SqlglotError, ValueError, RecursionError):
        return None
    if not isinstance(tree, exp.Select) or not tree.expressions:
        return None
    found: exp.Expr = bare(tree.expressions[0])
    return found


def bare(node: exp.Expr) -> exp.Expr:
    """The node below parentheses, casts and aliases."""
    while isinstance(node, (exp.Paren, exp.Cast, exp.Alias)):
        node = node.this
    return node


def column_of(node: exp.Expr) -> str | None:
    """The name when a node is a column (or a domain's VALUE), else None."""
    node = bare(node)
    return node.name if isinstance(node, exp.Column) else None


def literal_of(node: exp.Expr) -> str | None:
    """The text of a constant, None for anything that is not one."""
    node = bare(node)
    if isinstance(node, exp.Literal):
        return str(node.this)
    if isinstance(node, exp.Neg) and isinstance(bare(node.this), exp.Literal):
        return f"-{bare(node.this).this}"
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    return None


def _demand(node: exp.Expr, wishes: Wishes) -> None:
    node = bare(node)
    if isinstance(node, exp.And):
        _demand(node.this, wishes)
        _demand(node.expression, wishes)
    elif isinstance(node, exp.Or):
        _demand(_easier(node), wishes)
    else:
        reader = next((read for kinds, read in _READERS if isinstance(node, kinds)), None)
        if reader is not None:
            reader(node, wishes)


def _easier(node: exp.Or) -> exp.Expr:
    """The branch of an OR to satisfy: one that names a value rather than NULL, else the first."""
    left, right = bare(node.this), bare(node.expression)
    return right if isinstance(left, exp.Is) and not isinstance(right, exp.Is) else left


def _wish(wishes: Wishes, column: str) -> Wish:
    return wishes.setdefault(column, Wish())


def _equal(node: exp.Expr, wishes: Wishes) -> None:
    left, right = node.this, node.expression
    if column_of(left) is None and column_of(right) is not None:
        left, right = right, left
    column = column_of(left)
    other = bare(right)
    if column is not None and isinstance(other, exp.Any):
        _wish(wishes, column).choices += _array(other.this)
    elif column is not None:
        constant = literal_of(right)
        if constant is not None:
            _wish(wishes, column).choices.append(constant)
    elif _measured(left) is not None:
        _length(left, right, wishes, lambda n: (n, n))


def _array(node: exp.Expr) -> list[str | None]:
    node = bare(node)
    if not isinstance(node, (exp.Array, exp.Tuple)):
        return []
    return [value for item in node.expressions if (value := literal_of(item)) is not None]


def _in(node: exp.Expr, wishes: Wishes) -> None:
    column = column_of(node.this)
    if column is not None:
        values = [literal_of(item) for item in node.args.get("expressions") or ()]
        _wish(wishes, column).choices += [value for value in values if value is not None]


def _unequal(node: exp.Expr, wishes: Wishes) -> None:
    column, constant = column_of(node.this), literal_of(node.expression)
    if column is not None and constant is not None:
        _wish(wishes, column).refused.add(constant)
    elif _measured(node.this) is not None and constant == "0":
        _wish(wishes, _measured(node.this) or "").shortest = 1


def _compare(node: exp.Expr, wishes: Wishes) -> None:
    left, right = node.this, node.expression
    less = isinstance(node, (exp.LT, exp.LTE))
    is_open = isinstance(node, (exp.LT, exp.GT))
    if literal_of(left) is not None:
        left, right, less = right, left, not less
    column, other, constant = column_of(left), column_of(right), literal_of(right)
    if column is not None and other is not None:
        low, high = (column, other) if less else (other, column)
        _wish(wishes, high).after.add(low)
    elif column is not None and constant is not None:
        _limit(_wish(wishes, column), constant, less=less, is_open=is_open)
    elif _measured(left) is not None:
        _length(left, right, wishes, _lengths(less=less, is_open=is_open))


def _limit(wish: Wish, constant: str, *, less: bool, is_open: bool) -> None:
    if less:
        wish.high, wish.high_open = constant, is_open
    else:
        wish.low, wish.low_open = constant, is_open


def _lengths(*, less: bool, is_open: bool) -> Callable[[int], tuple[int | None, int | None]]:
    step = 1 if is_open else 0
    if less:
        return lambda n: (None, n - step)
    return lambda n: (n + step, None)


def _between(node: exp.Expr, wishes: Wishes) -> None:
    column = column_of(node.this)
    low, high = literal_of(node.args["low"]), literal_of(node.args["high"])
    if column is not None and low is not None and high is not None:
        wish = _wish(wishes, column)
        wish.low, wish.high = low, high
    elif low is not None and high is not None:
        _length(node.this, node.args["low"], wishes, lambda n: (n, None))
        _length(node.this, node.args["high"], wishes, lambda n: (None, n))


def _measured(node: exp.Expr) -> str | None:
    """The column whose length an expression is, None for other expressions."""
    node = bare(node)
    if isinstance(node, (exp.Length, exp.ByteLength)) or (
        isinstance(node, exp.Anonymous) and str(node.this).lower() in _LENGTHS
    ):
        inner = node.this if not isinstance(node, exp.Anonymous) else node.expressions[0]
        inner = bare(inner)
        return column_of(inner.this if isinstance(inner, exp.Trim) else inner)
    return None


def _length(
    node: exp.Expr,
    limit: exp.Expr,
    wishes: Wishes,
    limits: Callable[[int], tuple[int | None, int | None]],
) -> None:
    column, constant = _measured(node), literal_of(limit)
    if column is None or constant is None or not constant.lstrip("-").isdigit():
        return
    shortest, longest = limits(int(constant))
    wish = _wish(wishes, column)
    wish.shortest = wish.shortest if shortest is None else shortest
    wish.longest = wish.longest if longest is None else longest


def _is(node: exp.Expr, wishes: Wishes) -> None:
    column = column_of(node.this)
    if column is not None and isinstance(bare(node.expression), exp.Null):
        _wish(wishes, column).null = not node.args.get("negate")


def _not(node: exp.Expr, wishes: Wishes) -> None:
    inner = bare(node.this)
    column = column_of(inner)
    if column is not None:
        _wish(wishes, column).choices.append("false")
    elif isinstance(inner, exp.Is) and column_of(inner.this) is not None:
        _wish(wishes, column_of(inner.this) or "").null = False
    elif isinstance(inner, (exp.EQ, exp.In)):
        _refuse(inner, wishes)


def _refuse(inner: exp.Expr, wishes: Wishes) -> None:
    column = column_of(inner.this)
    if column is None:
        return
    found: Wishes = {}
    (_in if isinstance(inner, exp.In) else _equal)(inner, found)
    refused = found.get(column, Wish()).choices
    _wish(wishes, column).refused |= {value for value in refused if value is not None}


def _like(node: exp.Expr, wishes: Wishes) -> None:
    column, pattern = column_of(node.this), literal_of(node.expression)
    if column is not None and pattern is not None:
        _wish(wishes, column).patterns.append(pattern)


def _regex(node: exp.Expr, wishes: Wishes) -> None:
    column, pattern = column_of(node.this), literal_of(node.expression)
    if column is not None and pattern is not None:
        _wish(wishes, column).regexes.append(pattern)


def _true(node: exp.Expr, wishes: Wishes) -> None:
    _wish(wishes, node.name).choices.append("true")


_READERS: Final[tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], Callable[..., None]], ...]] = (
    (exp.EQ, _equal),
    (exp.NEQ, _unequal),
    ((exp.LT, exp.LTE, exp.GT, exp.GTE), _compare),
    (exp.Between, _between),
    (exp.In, _in),
    (exp.Is, _is),
    (exp.Not, _not),
    ((exp.Like, exp.ILike), _like),
    ((exp.RegexpLike, exp.RegexpILike), _regex),
    (exp.Column, _true),
)


def text_for(wish: Wish, plain: str) -> str:
    """A text that the wish allows, made from `plain` where nothing in particular is wished for."""
    for pattern in wish.patterns:
        if "\\" not in pattern:
            plain = pattern.replace("%", plain, 1).replace("%", "").replace("_", "a")
    if wish.regexes:
        plain = next((text for text in (plain, *_SAMPLES) if _matches_all(wish, text)), plain)
    if wish.shortest is not None and len(plain) < wish.shortest:
        plain = plain.ljust(wish.shortest, "x")
    if wish.longest is not None:
        plain = plain[-wish.longest :] if wish.longest > 0 else ""
    return plain


def _matches_all(wish: Wish, text: str) -> bool:
    try:
        fits = all(re.search(pattern, text) for pattern in wish.regexes)
    except re.error:
        return False
    long_enough = wish.shortest is None or len(text) >= wish.shortest
    return fits and long_enough and (wish.longest is None or len(text) <= wish.longest)


def number_for(wish: Wish, plain: int) -> str:
    """A number inside the wish's limits; `plain` when there are none."""
    low, high = _decimal(wish.low), _decimal(wish.high)
    if low is None and high is None:
        return str(plain)
    if low is not None and high is not None:
        start = low + (1 if wish.low_open else 0)
        span = high - start - (1 if wish.high_open else 0)
        step = Decimal(plain % (int(span) + 1)) if span >= 1 else Decimal(0)
        return str(start + step if span >= 0 else (low + high) / 2)
    if low is not None:
        return str(max(low + 1, Decimal(plain)))
    return str(min(high - 1, Decimal(plain))) if high is not None else str(plain)


def _decimal(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None


def moment_for(wish: Wish, plain: datetime) -> datetime:
    """A moment inside the wish's limits; `plain` when there are none."""
    low, high = _moment(wish.low), _moment(wish.high)
    day = timedelta(days=1)
    if low is not None and high is not None:
        inside = plain if low < plain < high else low + (high - low) / 2
        return inside if inside.date() != low.date() or not wish.low_open else high - day
    if low is not None:
        return max(plain, low + day)
    return min(plain, high - day) if high is not None else plain


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def first_choice(wish: Wish, at: int = 0) -> str | None:
    """One of the values allowed by name, None when none is named."""
    allowed = [value for value in wish.choices if value not in wish.refused]
    return allowed[at % len(allowed)] if allowed else None


def merged(*groups: Mapping[str, Wish]) -> Wishes:
    """The wishes of several sources, later ones adding to earlier ones."""
    together: Wishes = {}
    for group in groups:
        for column, wish in group.items():
            at = _wish(together, column)
            _add(at, wish)
    return together


def _add(at: Wish, more: Wish) -> None:
    both = [value for value in at.choices if value in more.choices]
    at.choices = both or [*at.choices, *more.choices]
    at.refused |= more.refused
    at.low, at.low_open = (more.low, more.low_open) if more.low is not None else (at.low, at.low_open)
    at.high, at.high_open = (more.high, more.high_open) if more.high is not None else (at.high, at.high_open)
    at.shortest = more.shortest if more.shortest is not None else at.shortest
    at.longest = more.longest if more.longest is not None else at.longest
    at.patterns += more.patterns
    at.regexes += more.regexes
    at.null = more.null if more.null is not None else at.null
    at.after |= more.after
