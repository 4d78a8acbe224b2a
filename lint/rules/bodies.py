"""What the body of a function in a policy can ask at all.

A function whose body is known, looks nothing up, and names neither the session nor a function that
might, answers from its arguments alone: it cannot tell one caller from another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.catalogue import Column
from lint.rules.expressions import called_functions
from lint.rules.results import body_text, query_of
from lint.rules.scopes import Scope, captured_test

if TYPE_CHECKING:
    from sqlglot import expressions as exp

    from lint.catalogue import Catalogue, Function
    from lint.rules.expressions import Session

_MAX_DEPTH = 4
#: Words of a body by which it may learn more than its arguments say.
_ASKS = re.compile(
    r"\b(?:from|join|into|execute|perform|call|table|user|role|\w+_user|\w+_role|current_\w+)\b",
    re.IGNORECASE,
)
_CALLED = re.compile(r"([\w$.\"]+)\s*\(")
#: What may stand before a parenthesis and asks nobody anything.
_HARMLESS = re.compile(
    r"and|any|as|begin|case|coalesce|else|elsif|greatest|if|in|is|least|length|like|lower|not|now|nullif|or|"
    r"return|select|then|trim|upper|when|where",
    re.IGNORECASE,
)


def asks_only_arguments(function: Function, session: Session, depth: int = 0) -> bool:
    """Say whether a function is known to answer from its arguments alone."""
    body = body_text(function)
    if depth > _MAX_DEPTH or function.language not in {"sql", "plpgsql"} or not body.strip():
        return False
    if _ASKS.search(body) or session.asks_caller(function):
        return False
    names = {name.replace('"', "") for name in _CALLED.findall(body)}
    return all(
        _HARMLESS.fullmatch(name) or name_asks_only_arguments(name, session, depth + 1) for name in names
    )


def name_asks_only_arguments(name: str, session: Session, depth: int = 0) -> bool:
    """Say so of every overload of a name; of a function that no catalogue shows, nothing is known."""
    found = session.functions(name)
    return bool(found) and all(asks_only_arguments(one, session, depth) for one in found)


def calls_that_may_ask(tree: exp.Expr, session: Session) -> bool:
    """Say whether an expression calls a function that may ask more than it is handed."""
    return any(not name_asks_only_arguments(name, session) for name, _ in called_functions(tree))


def captured_argument(function: Function, catalogue: Catalogue) -> tuple[str, str] | None:
    """Return (argument, inner relation) of an argument of a function in SQL that a column hides.

    PostgreSQL takes a name in such a function for a column where it can (manual, 38.5.1).
    """
    body = query_of(function)
    if body is None or not function.argument_names:
        return None
    arguments = tuple(Column(name) for name in function.argument_names if name)
    captured = captured_test(body, Scope({function.name: arguments}, catalogue))
    return captured if captured is not None and captured[0] in function.argument_names else None
