"""Functions, procedures, triggers and rules, read from tokens.

A function is known by its name and the types of its input arguments (PostgreSQL manual, CREATE
FUNCTION), so both are read; its body stays text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lint.catalogue import Function, Trigger, written_name
from lint.copying import replace
from lint.history import facts
from lint.history.lexical import is_quoted, literal
from lint.history.queries import relations_in
from lint.history.sql import Cursor
from lint.history.types import read_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.history.facts import Fact, Routine

_MODES = frozenset({"IN", "OUT", "INOUT", "VARIADIC"})
_TYPE_GOES_ON = frozenset({"WITH", "WITHOUT", "VARYING", "PRECISION", "ARRAY"})
_DEFAULTS = frozenset({"=", ":=", "DEFAULT"})
_VOLATILITY: dict[str, Literal["immutable", "stable", "volatile"]] = {
    "IMMUTABLE": "immutable",
    "STABLE": "stable",
    "VOLATILE": "volatile",
}
_ATTRIBUTES = frozenset({"EXTERNAL", "SECURITY", "NOT", "LEAKPROOF", *_VOLATILITY})
_TIMING: dict[str, Literal["before", "after"]] = {"BEFORE": "before", "AFTER": "after"}
_EVENT_ORDER = ("insert", "delete", "update", "truncate")


@dataclass(frozen=True)
class Argument:
    """One argument of a function: its mode, name ("" without), type, and whether it has a default."""

    mode: str
    name: str
    type: str
    optional: bool


def read_arguments(cursor: Cursor) -> list[Argument]:
    """Read an argument list in parentheses."""
    return [_argument(element) for element in cursor.elements()]


def _argument(cursor: Cursor) -> Argument:
    mode = "IN"
    if cursor.word() in _MODES and cursor.left > 1:
        mode = cursor.word()
        cursor.at += 1
        if mode == "IN" and cursor.eat("OUT"):
            mode = "INOUT"
    default = next((at for at in range(cursor.at, cursor.end) if cursor.words[at] in _DEFAULTS), None)
    typed = cursor.window(cursor.at, cursor.end if default is None else default)
    name = "" if _begins_type(typed) else typed.identifier()
    if typed.word() in _MODES:  # the mode may stand behind the name
        mode = typed.word()
        typed.at += 1
    return Argument(mode, name, _type_of(typed), default is not None)


def _begins_type(cursor: Cursor) -> bool:
    """Say whether a type begins here, not a name with its type behind."""
    following = cursor.word(1)
    return cursor.left == 1 or following in _TYPE_GOES_ON or following in {".", "(", "[", "%"}


def _type_of(cursor: Cursor) -> str:
    cursor.eat("SETOF")
    found = read_type(cursor, modifiers=False)
    if cursor.eat("%"):  # table.column%TYPE
        return f"{found}%type"
    return found


def create_function(cursor: Cursor) -> list[Fact]:
    """Read CREATE FUNCTION or PROCEDURE with the cursor on that word."""
    kind: Literal["function", "procedure"] = "procedure" if cursor.word() == "PROCEDURE" else "function"
    cursor.at += 1
    name = cursor.name()
    arguments = read_arguments(cursor)
    inputs = [one for one in arguments if one.mode != "OUT" or kind == "procedure"]
    clauses = _Clauses(_returned(arguments, kind))
    while not cursor.done:
        clauses.read(cursor)
    function = Function(
        "",
        name[-1],
        search_path=clauses.search_path,
        arguments=", ".join(one.type for one in inputs),
        kind=kind,
        required_arguments=sum(not one.optional for one in inputs),
        executors=("public",),
        settings=tuple(clauses.settings),
        **clauses.fields,  # type: ignore[arg-type]
    )
    return [facts.CreateFunction(name, function, tuple(one.name for one in inputs))]


def _returned(arguments: list[Argument], kind: str) -> str:
    """Return what output arguments make the result, when there is no RETURNS."""
    outputs = [one.type for one in arguments if one.mode in {"OUT", "INOUT"}]
    if kind == "procedure":
        return "record" if outputs else ""
    return outputs[0] if len(outputs) == 1 else "record" if outputs else "void"


class _Clauses:
    """What stands behind a function's arguments, gathered clause by clause."""

    def __init__(self, returns: str) -> None:
        self.fields: dict[str, object] = {"returns": returns}
        self.search_path: str | None = None
        self.settings: list[str] = []

    def read(self, cursor: Cursor) -> None:
        """Read one clause; step over a word that is none."""
        clause = _CLAUSES.get(cursor.word())
        if clause is not None:
            clause(self, cursor)
            return
        changed = attributes(cursor)
        if changed is not None:
            self.fields |= changed
            return
        cursor.at += 1
        if cursor.word() == "(":
            cursor.skip_group()

    def returns(self, cursor: Cursor) -> None:
        cursor.at += 1
        if cursor.eat("NULL", "ON", "NULL", "INPUT"):
            return
        if cursor.eat("TABLE"):
            columns = read_arguments(cursor)
            self.fields["returns"] = columns[0].type if len(columns) == 1 else "record"
            self.fields["returns_set"] = True
            return
        self.fields["returns_set"] = cursor.eat("SETOF")
        self.fields["returns"] = _type_of(cursor)

    def body(self, cursor: Cursor) -> None:
        cursor.at += 1
        self.fields["body"] = cursor.string()
        while cursor.eat(","):  # a C function: library, symbol
            self.fields["body"] = cursor.string()

    def language(self, cursor: Cursor) -> None:
        cursor.at += 1
        self.fields["language"] = cursor.identifier().lower()

    def setting(self, cursor: Cursor) -> None:
        cursor.at += 1
        name, value = read_setting(cursor)
        if name == "search_path":
            self.search_path = value
        else:
            self.settings.append(f"{name}={value}")

    def standard_body(self, cursor: Cursor) -> None:
        """Read RETURN … or BEGIN ATOMIC … END, which ends the statement."""
        self.fields["body"] = cursor.rest_source()
        self.fields.setdefault("language", "sql")
        cursor.at = cursor.end


_CLAUSES: dict[str, Callable[[_Clauses, Cursor], None]] = {
    "RETURNS": _Clauses.returns,
    "AS": _Clauses.body,
    "LANGUAGE": _Clauses.language,
    "SET": _Clauses.setting,
    "BEGIN": _Clauses.standard_body,
    "RETURN": _Clauses.standard_body,
}


def attributes(cursor: Cursor) -> dict[str, object] | None:
    """Read one attribute that CREATE and ALTER FUNCTION share, None when there is none here."""
    word = cursor.word()
    if word not in _ATTRIBUTES:
        return None
    if cursor.eat("EXTERNAL", "SECURITY") or cursor.eat("SECURITY"):
        definer = cursor.eat("DEFINER")
        if not definer:
            cursor.expect("INVOKER")
        return {"security_definer": definer}
    volatility = _VOLATILITY.get(word)
    if volatility is not None:
        cursor.at += 1
        return {"volatility": volatility}
    if cursor.eat("NOT", "LEAKPROOF"):
        return {"leakproof": False}
    return {"leakproof": True} if cursor.eat("LEAKPROOF") else None


def read_setting(cursor: Cursor) -> tuple[str, str]:
    """Read `name = value, …` after SET; returns (name, value as `pg_proc.proconfig` has it)."""
    name = ".".join(cursor.name()).lower()
    if name == "time" and cursor.eat("ZONE"):
        return "timezone", cursor.identifier()
    if cursor.eat("FROM", "CURRENT"):
        return name, ""
    if not (cursor.eat("TO") or cursor.eat("=")):
        raise ValueError("expected TO")
    values = [_setting_value(cursor, name)]
    while cursor.eat(","):
        values.append(_setting_value(cursor, name))
    return name, ", ".join(values)


def _setting_value(cursor: Cursor, name: str) -> str:
    sign = "-" if cursor.eat("-") else ""
    token = cursor.text
    cursor.at += 1
    if name == "search_path":
        return quoted_setting(literal(token))
    return sign + (literal(token) if is_quoted(token) else token)


def quoted_setting(text: str) -> str:
    """Return one schema of a search path as PostgreSQL stores it."""
    return written_name(text)


def with_setting(function: Function, name: str, value: str) -> Function:
    """Return the function with a setting of its own made or replaced."""
    if name == "search_path":
        return replace(function, search_path=value)
    others = tuple(one for one in function.settings if not one.startswith(f"{name}="))
    return replace(function, settings=(*others, f"{name}={value}"))


def routine(cursor: Cursor) -> Routine:
    """Read `name(types)` or a bare name; types as PostgreSQL identifies the function by."""
    name = cursor.name()
    if cursor.word() != "(":
        return name, None
    inputs = [one.type for one in read_arguments(cursor) if one.mode != "OUT"]
    return name, ", ".join(inputs)


def routines(cursor: Cursor) -> tuple[Routine, ...]:
    """Read a comma-separated list of functions."""
    found = [routine(cursor)]
    while cursor.eat(","):
        found.append(routine(cursor))
    return tuple(found)


def alter_function(cursor: Cursor) -> list[Fact]:
    """Read ALTER FUNCTION, PROCEDURE or ROUTINE with the cursor behind that word."""
    named = routine(cursor)
    changes: dict[str, object] = {}
    settings: list[str] = []
    reset: list[str] = []
    while not cursor.done:
        changed = attributes(cursor)
        if changed is not None:
            changes |= changed
        elif cursor.eat("RENAME", "TO"):
            changes["name"] = cursor.identifier()
        elif cursor.eat("OWNER", "TO"):
            changes["owner"] = cursor.identifier()
        elif cursor.eat("SET", "SCHEMA"):
            changes["schema"] = cursor.identifier()
        elif cursor.eat("SET"):
            settings.append("=".join(read_setting(cursor)))
        elif cursor.eat("RESET"):
            reset.append(".".join(cursor.name()))
        else:
            cursor.at += 1
    return [facts.AlterFunction(named, changes, tuple(settings), tuple(reset))]


def drop_function(cursor: Cursor) -> list[Fact]:
    """Read DROP FUNCTION, PROCEDURE or ROUTINE with the cursor behind that word."""
    cursor.eat("IF", "EXISTS")
    named = routines(cursor)
    cascade = cursor.eat("CASCADE")
    return [facts.DropFunction(one, cascade) for one in named]


def create_trigger(cursor: Cursor) -> list[Fact]:
    """Read CREATE [CONSTRAINT] TRIGGER with the cursor behind CREATE [OR REPLACE]."""
    constraint = cursor.eat("CONSTRAINT")
    cursor.expect("TRIGGER")
    name = cursor.identifier()
    timing: Literal["before", "after", "instead of"] = "after"
    if cursor.eat("INSTEAD", "OF"):
        timing = "instead of"
    else:
        timing = _TIMING.get(cursor.word(), "after")
        cursor.at += 1
    events = _events(cursor)
    cursor.expect("ON")
    table = cursor.name()
    row_level = cursor.has("EACH", "ROW") or cursor.has("FOR", "ROW")
    if not cursor.skip_to("EXECUTE"):
        raise ValueError("expected EXECUTE")
    cursor.at += 1
    if not cursor.eat("FUNCTION"):
        cursor.expect("PROCEDURE")
    trigger = Trigger(name, "", timing, events, row_level, constraint=constraint)
    return [facts.CreateTrigger(table, trigger, cursor.name())]


def _events(cursor: Cursor) -> tuple[str, ...]:
    found = set()
    while not cursor.done and cursor.word() != "ON":
        word = cursor.word().lower()
        cursor.at += 1
        if word in _EVENT_ORDER:
            found.add(word)
        elif word == "of":
            cursor.identifiers()
    return tuple(event for event in _EVENT_ORDER if event in found)


def create_rule(cursor: Cursor) -> list[Fact]:
    """Read CREATE RULE with the cursor behind that word."""
    name = cursor.identifier()
    cursor.expect("AS", "ON")
    event = cursor.identifier()
    cursor.expect("TO")
    table = cursor.name()
    reads = relations_in(cursor) + _written(cursor)
    return [facts.CreateRule(table, name, event, cursor.statement.source, reads)]


def _written(cursor: Cursor) -> tuple[tuple[str, ...], ...]:
    """Return the relations that INSERT INTO, UPDATE and DELETE FROM name."""
    return tuple(
        cursor.window(at + 1, cursor.end).name()
        for at in range(cursor.at, cursor.end - 1)
        if cursor.words[at] in {"INTO", "UPDATE"}
    )
