"""Whether the text of a row-security policy binds rows to the tenant of the session.

Reads what `pg_policies` prints (PostgreSQL's `pg_get_expr`: redundant parentheses, explicit casts and
a column alias on each sub-select). It knows one binding and the bypass's own form, and anything else is
not bound: a policy that this module cannot read is reported, never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

TENANT_FUNCTION = "app.current_tenant"
BYPASS_FUNCTION = "app.bypass_scope"

#: A name, a parenthesised list of parts, an operator or a literal.
Part = str | tuple["Part", ...]
Group = tuple[Part, ...]

_NAME = r'(?:"(?:[^"]|"")*"|[A-Za-z_][\w$]*)'
_TOKEN = re.compile(
    rf"\s*({_NAME}(?:\.{_NAME})*|'(?:[^']|'')*'|\d+(?:\.\d+)?|::|[<>=!~*/+\-|&@#%^?]+|[()\[\],.;:])"
)
_SIMPLE = re.compile(r"[a-z_][a-z0-9_$]*")
_KEYWORDS = frozenset(
    {"select", "as", "and", "or", "not", "any", "array", "case", "true", "false", "in", "is"}
)
_HARMLESS_CASTS = frozenset({"text", "uuid"})
#: Words that give a top-level AND or OR another meaning than conjunction and disjunction.
_OPAQUE = frozenset({"case", "between", "not"})


class UnreadablePolicyError(ValueError):
    """The text is not an expression that this module can read."""


def binds_tenant(expression: str, column: str) -> bool:
    """Whether every row that satisfies `expression` has the session's tenant in `column`."""
    return _implies(expression, lambda term: term in _tenant_terms(column))


def binds_bypass(expression: str, column: str) -> bool:
    """Whether every row that satisfies `expression` lies in the scope of a bypass grant."""
    return _implies(expression, lambda term: term in _bypass_terms(column))


def is_constant_true(expression: str) -> bool:
    """Whether the text is plainly true for every row (``true``, ``(1 = 1)``)."""
    try:
        term = _unwrapped(_parsed(expression))
    except UnreadablePolicyError:
        return False
    return term == ("true",) or (len(term) == 3 and term[1] == "=" and term[0] == term[2])


def _implies(expression: str, is_bound: Callable[[Group], bool]) -> bool:
    try:
        return _holds(_parsed(expression), is_bound)
    except UnreadablePolicyError:
        return False


def _holds(term: Group, is_bound: Callable[[Group], bool]) -> bool:
    """A conjunction needs one bound term; of a disjunction each must be bound."""
    term = _unwrapped(term)
    if is_bound(term) or not term:
        return bool(term)
    if _OPAQUE.intersection(part for part in term if isinstance(part, str)):
        return False
    for word, quantifier in (("or", all), ("and", any)):
        if word in term:
            return quantifier(_holds(part, is_bound) for part in _split(term, word))
    return False


def _tenant_terms(column: str) -> tuple[Group, ...]:
    bare: Group = (TENANT_FUNCTION, ())
    return tuple(
        pair for value in (*_selected(TENANT_FUNCTION), bare) for pair in _equalities((column,), value)
    )


def _bypass_terms(column: str) -> tuple[Group, ...]:
    listed: tuple[Group, ...] = (
        ("array", "[", "'*'", ",", column, "]"),
        ("array", "[", column, ",", "'*'", "]"),
    )
    members: tuple[Group, ...] = tuple(
        (*value, "=", "any", choices) for value in _selected(BYPASS_FUNCTION) for choices in listed
    )
    single = tuple(
        pair
        for value in _selected(BYPASS_FUNCTION)
        for other in (("'*'",), (column,))
        for pair in _equalities(other, value)
    )
    return members + single


def _selected(function: str) -> tuple[Group, Group]:
    """``(SELECT f())`` with and without the alias that PostgreSQL prints."""
    alias = function.rpartition(".")[2]
    return (("select", function, (), "as", alias),), (("select", function, ()),)


def _equalities(left: Group, right: Group) -> tuple[Group, Group]:
    return (*left, "=", *right), (*right, "=", *left)


def _split(term: Group, word: str) -> Iterator[Group]:
    piece: list[Part] = []
    for part in term:
        if part == word:
            yield tuple(piece)
            piece = []
        else:
            piece.append(part)
    yield tuple(piece)


def _unwrapped(term: Group) -> Group:
    while len(term) == 1 and isinstance(term[0], tuple):
        term = term[0]
    return term


def _parsed(expression: str) -> Group:
    stack: list[list[Part]] = [[]]
    for token in _tokens(expression):
        if token == "(":  # noqa: S105 - a parenthesis
            stack.append([])
        elif token == ")":  # noqa: S105 - a parenthesis
            if len(stack) == 1:
                raise UnreadablePolicyError("unbalanced parentheses")
            closed = tuple(_without_casts(stack.pop()))
            stack[-1].append(_simplified(closed, stack[-1]))
        else:
            stack[-1].append(token)
    if len(stack) != 1:
        raise UnreadablePolicyError("unbalanced parentheses")
    return tuple(_without_casts(stack[0]))


def _simplified(closed: Group, before: list[Part]) -> Part:
    """``((x))`` is ``(x)`` and ``(x)`` is ``x``, except as the arguments of a function."""
    is_call = bool(before) and isinstance(before[-1], str) and _is_name(before[-1])
    if len(closed) == 1 and isinstance(closed[0], tuple):
        return closed[0]
    return closed[0] if len(closed) == 1 and not is_call else closed


def _is_name(part: str) -> bool:
    return part not in _KEYWORDS and bool(_SIMPLE.match(part))


def _without_casts(parts: list[Part]) -> list[Part]:
    kept: list[Part] = []
    rest = iter(parts)
    for part in rest:
        cast = next(rest, None) if part == "::" else None
        if part != "::":
            kept.append(part)
        elif cast not in _HARMLESS_CASTS:
            kept.extend(one for one in (part, cast) if one is not None)
    return kept


def _tokens(expression: str) -> Iterator[str]:
    position, text = 0, expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UnreadablePolicyError(f"cannot read {text[position : position + 20]!r}")
        yield _normalised(match[1])
        position = match.end()


def _normalised(token: str) -> str:
    if not (token[0] == '"' or token[0].isalpha() or token[0] == "_"):
        return token
    return ".".join(_normalised_name(name) for name in re.findall(_NAME, token))


def _normalised_name(name: str) -> str:
    if not name.startswith('"'):
        return name.lower()
    inner = name[1:-1]
    return inner if _SIMPLE.fullmatch(inner) and inner not in _KEYWORDS else name
