"""SQL that JavaScript writes with tags and builders: slonik, postgres.js, Kysely, Drizzle, Prisma, Knex.

A template tagged `sql` is SQL whose places are identifiers, other SQL, or parameters; `sql.identifier`,
`sql.ref`, `sql.join` and their kin make what goes into them. Such a query runs when it is awaited,
returned by the migration, or handed to a connection, so it is a value of its own until then.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lint.history.pure import literal, piece, quoted
from lint.history.values import HOLE, MAX_TEXT, UNKNOWN, Query, SqlText, Unknown, Value, without_holes

if TYPE_CHECKING:
    from lint.history.evaluate import Call

#: What stands for the object that a migration is given, and for the transaction that it opens.
GIVEN = ("queryInterface", "transaction()")
_TAGS = frozenset({"sql", "pgsql", "$executeraw", "$queryraw"})
#: After these a text in a tagged template is a name, since no parameter can stand there.
_BEFORE_NAME = re.compile(
    r"""(?:[."]|\b(?:table|on|policy|from|join|into|update|schema|exists|only|role|to|user|index|view|function
    |column|type|trigger|sequence|references|cascade|add|owner))\s*\Z""",
    re.IGNORECASE | re.VERBOSE,
)
#: So much of the text is looked at for that word.
_NEAR = 40
_BINDING = re.compile(r"\\\?|\?\??|(?<!:):(\w+)(:?)")


def is_tag(tag: Value, name: str) -> bool:
    """Say whether a tag makes SQL: by what it stands for, or by its name where that is not known."""
    if not isinstance(tag, Unknown):
        return False
    parts = tag.path.lower().replace("()", "").split(".")
    known = not _TAGS.isdisjoint(parts) or tag.path.startswith(GIVEN)
    return known or (name.lower() in _TAGS and not tag.path.endswith("String.raw"))


def tagged(parts: Sequence[Value], template: ast.JoinedStr) -> Value:
    """Return the SQL of a tagged template from the values of its parts, texts and places in turn."""
    text = ""
    for part, value in zip(template.values, parts, strict=True):
        text += _placed(text, value) if isinstance(part, ast.FormattedValue) else piece(value)
    return Query(text, template) if len(text) <= MAX_TEXT else UNKNOWN


def _placed(before: str, value: Value) -> str:
    """Return what a value is in the SQL: SQL as it is, a known value as the constant that is bound."""
    if isinstance(value, list) and value and all(isinstance(item, SqlText) for item in value):
        return ", ".join(value)
    if isinstance(value, SqlText):
        return value
    if isinstance(value, str) and _BEFORE_NAME.search(before[-_NEAR:]):
        return value
    known = value is None or isinstance(value, (str, int, float))
    return literal(value) if known else HOLE


def made(call: Call) -> Value:
    """Return what a builder of SQL makes of its arguments, UNKNOWN for any other call."""
    if call.owner is None and (call.name.lower() in _TAGS or call.path in GIVEN):
        return _identifier(*call.arguments)
    build = _BUILDERS.get(call.name)
    if build is None or not isinstance(call.owner, Unknown) or not call.arguments:
        return UNKNOWN
    of_sql = not _TAGS.isdisjoint(call.path.lower().split(".")[:-1]) or call.path.startswith("Prisma.")
    return build(*call.arguments) if of_sql or call.name in _ANYWHERE else UNKNOWN


def _identifier(*names: Value) -> Value:
    """Return names as one identifier with its dots, as `sql.identifier(['s', 't'])` and `sql('s.t')` do."""
    parts = names[0] if len(names) == 1 and isinstance(names[0], list) else list(names)
    if not parts or not all(isinstance(part, (str, Unknown)) for part in parts):
        return UNKNOWN
    if len(parts) == 1 and isinstance(parts[0], str):
        parts = parts[0].split(".")
    return SqlText(".".join(quoted(part) for part in parts))


def _exact(*names: Value) -> Value:
    """Return names as one identifier, dots inside them kept."""
    parts = names[0] if len(names) == 1 and isinstance(names[0], list) else list(names)
    known = bool(parts) and all(isinstance(part, (str, Unknown)) for part in parts)
    return SqlText(".".join(quoted(part) for part in parts)) if known else UNKNOWN


def _raw(text: Value, bindings: Value = None) -> Value:
    if not isinstance(text, str):
        return Query(HOLE)
    return Query(bound(text, bindings))


def _join(items: Value, glue: Value = ", ") -> Value:
    if not isinstance(items, list) or not isinstance(glue, str):
        return UNKNOWN
    return SqlText(glue.join(_placed("", item) for item in items))


def bound(text: str, bindings: Value) -> str:
    """Return SQL with Knex's bindings in it: `??` and `:name:` are names, `?` and `:name` constants."""
    given = list(bindings) if isinstance(bindings, (list, tuple)) else []
    named = bindings if isinstance(bindings, dict) else {}
    if not given and not named:
        return text

    def replaced(match: re.Match[str]) -> str:
        if match[1]:
            held = match[1] in named
            value = named.get(match[1])
            return (_name(value) if match[2] else literal(value)) if held else match[0]
        if match[0] == r"\?" or not given:
            return "?" if match[0] == r"\?" else match[0]
        value = given.pop(0)
        return _name(value) if match[0] == "??" else literal(value)

    return _BINDING.sub(replaced, text)


def _name(value: Value) -> str:
    return ".".join(quoted(part) for part in str(without_holes(value)).split("."))


_BUILDERS: Mapping[str, Callable[..., Any]] = {
    "identifier": _exact,
    "id": _exact,
    "ref": _identifier,
    "table": _identifier,
    "literalValue": lambda value: SqlText(literal(value)),
    "lit": lambda value: SqlText(literal(value)),
    "val": lambda value: SqlText(literal(value)),
    "join": _join,
    "raw": _raw,
    "unsafe": _raw,
}
#: Builders that run what they make when it is awaited, on whatever connection they are called.
_ANYWHERE = frozenset({"raw", "unsafe"})
