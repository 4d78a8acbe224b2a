"""SQL inside strings of source code, as far as it changes whose rows are seen.

A string counts as SQL when it is passed to something that runs SQL, or when it begins as SQL is
written (its first word in capitals); prose that mentions SET ROLE does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lint.errors import SqlUnreadableError
from lint.history.lexical import is_quoted, is_string, literal
from lint.history.sql import Cursor, Script, Statement, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.source.sites import Text

Effect = Literal["role", "row_security", "setting", "bypass_role"]

_RUNS_SQL = frozenset(
    {"execute", "executemany", "exec_driver_sql", "text", "SQL", "DDL", "fetch", "fetchrow"}
    | {"fetchval", "fetchall", "fetchone", "scalar", "scalars", "stream", "prepare", "query"}
    | {"executescript", "raw", "execute_batch", "execute_values", "run_sql", "sql", "unsafe"}
    | {"$queryRaw", "$executeRaw", "$queryRawUnsafe", "$executeRawUnsafe", "literal"}
)
_WORTH_READING = re.compile(
    r"\b(?:set_config|row_security|bypassrls|role|session\s+authorization)\b|\bset\s+(?:session\s+|local\s+)?[\"\w]+\.",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:SET|SELECT|ALTER|CREATE|BEGIN|WITH|DO)\b")
_ANY_CASE = re.compile(_CAPITALS.pattern, re.IGNORECASE)
#: What opens a placeholder (`%s`, `:role`, `{role}`, `$1`), and how many tokens the longest has.
_PLACEHOLDERS = frozenset("%:{@$")
_LONGEST_PLACEHOLDER = 5
_OFF = frozenset({"off", "false", "0", "no"})


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A change to a session: its kind, the setting or role, its value, and how long it holds."""

    effect: Effect
    name: str
    value: str = ""
    #: False when it outlives the transaction.
    local: bool = True
    #: Whether SET or the function set_config() does it: only the function takes parameters.
    form: Literal["set", "set_config"] = "set_config"


def is_sql(text: Text) -> bool:
    """Say whether a string is meant as SQL and could change a session."""
    if not _WORTH_READING.search(text.value):
        return False
    if text.tagged and _ANY_CASE.match(text.value):
        return True  # a template whose tag takes values, such as s`select …` in a transaction called s
    return not _RUNS_SQL.isdisjoint(text.calls) or bool(_CAPITALS.match(text.value))


def setting_changes(sql: str) -> Iterator[SettingChange]:
    """Yield the session changes in SQL text; text that is not SQL after all yields nothing."""
    try:
        parts = list(statements(Script(sql)))
    except SqlUnreadableError:
        return
    for statement in parts:
        try:
            yield from _changes(statement)
        except (IndexError, ValueError):
            continue


def _changes(statement: Statement) -> Iterator[SettingChange]:
    cursor = Cursor(statement)
    if cursor.eat("SET"):
        yield from _set(cursor)
    elif cursor.eat("ALTER", "ROLE") or cursor.eat("CREATE", "ROLE") or cursor.eat("ALTER", "USER"):
        name = cursor.identifier()
        if cursor.has("BYPASSRLS"):
            yield SettingChange("bypass_role", name)
    else:
        yield from _set_config_calls(statement)


def _set(cursor: Cursor) -> Iterator[SettingChange]:
    local = cursor.eat("LOCAL")
    if not local:
        if cursor.eat("SESSION", "AUTHORIZATION"):
            if cursor.word() != "DEFAULT" and _is_one_value(cursor):
                yield SettingChange("role", "session_authorization", _value(cursor), local=False)
            return
        cursor.eat("SESSION")
    name = ".".join(cursor.name()).lower()
    if not (cursor.eat("=") or cursor.eat("TO")) and name != "role":
        return
    if name == "role":
        if cursor.word() != "NONE" and _is_one_value(cursor):
            yield SettingChange("role", "role", _value(cursor), local)
    elif name == "row_security":
        if _value(cursor).lower() in _OFF:
            yield SettingChange("row_security", name, "off", local)
    elif "." in name:
        yield SettingChange("setting", name, _value(cursor), local, "set")


def _is_one_value(cursor: Cursor) -> bool:
    """Say whether a name or a placeholder ends the statement; a sentence about SET ROLE goes on."""
    is_placeholder = not cursor.done and cursor.text[0] in _PLACEHOLDERS
    return cursor.left == 1 or (is_placeholder and cursor.left <= _LONGEST_PLACEHOLDER)


def _value(cursor: Cursor) -> str:
    if cursor.done:
        return ""
    return literal(cursor.text) if is_quoted(cursor.text) else cursor.text


def _set_config_calls(statement: Statement) -> Iterator[SettingChange]:
    for at, text in enumerate(statement.texts, 1):
        cursor = Cursor(statement, at)
        if text[-1] != "'" and literal(text).lower() == "set_config" and cursor.word() == "(":
            yield from _set_config(cursor.elements())


def _set_config(arguments: list[Cursor]) -> Iterator[SettingChange]:
    if len(arguments) == 3 and is_string(arguments[0].text):
        name, value, local = arguments
        is_local = literal(local.texts[local.end - 1]).lower() not in {"false", "f"}
        text = literal(value.text) if is_string(value.text) else ""
        yield from named_setting(literal(name.text), text, local=is_local)


def named_setting(name: str, value: str, *, local: bool) -> Iterator[SettingChange]:
    """Yield the change that `set_config(name, value, local)` makes, when it is one of ours."""
    name = name.lower()
    if name in {"role", "session_authorization"}:
        yield SettingChange("role", name, value, local)
    elif name == "row_security":
        if value.lower() in _OFF:
            yield SettingChange("row_security", name, value, local)
    elif "." in name:
        yield SettingChange("setting", name, value, local)
