"""What a policy's expression asks of the session: settings, functions, the connected user.

Expressions come as PostgreSQL deparses them, so functions are qualified. A function of ours without
arguments whose body is one expression is read as that expression; of any other, the text of its
body says which settings it reads (PL/pgSQL keeps no dependencies).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.rules.predicates import bare
from lint.rules.results import body_text, result_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.catalogue import Catalogue, Function

_BODY_READ = re.compile(r"\bcurrent_setting\s*\(\s*'([^']+)'(?:\s*::\s*\w+)?\s*(,\s*true)?", re.IGNORECASE)
_CALL = re.compile(r'\b([a-z_][\w$]*|"[^"]+")\s*\.\s*([a-z_][\w$]*|"[^"]+")\s*\(', re.IGNORECASE)
_BARE_CALL = re.compile(r"(?<![\w.\"$])([a-z_][\w$]*)\s*\(")
_LOOKS_UP = re.compile(r"\bfrom\s+[\w\"]", re.IGNORECASE)
_CHOOSES_ROWS = re.compile(r"\bfrom\s+[\w\"][^;]*\b(?:where|on|using)\b", re.IGNORECASE)
#: Functions of hosted platforms that tell who is connected; no catalog of ours shows their bodies.
IDENTITY_FUNCTIONS = frozenset({"auth.uid", "auth.jwt", "auth.role", "auth.email"})
_USER_NODES = tuple(
    node
    for node in (getattr(exp, name, None) for name in ("CurrentUser", "SessionUser", "CurrentRole"))
    if node is not None
)
_USER_NAMES = frozenset({"current_user", "session_user", "current_role", "user"})
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class SettingRead:
    """One reading of a session setting, as far as its own text goes."""

    name: str
    missing_ok: bool
    #: True when '' is turned into NULL (nullif), or asked for, before anything else is done with it.
    nullif: bool
    #: The type it is cast to directly, "" for none; casts to text count as none.
    cast: str = ""


def function_name(node: exp.Expr) -> str | None:
    """Return "schema.name" (or a bare name) of a call of a function sqlglot does not know."""
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous):
        return f"{node.this.name}.{node.expression.name}"
    if isinstance(node, exp.Anonymous) and not isinstance(node.parent, exp.Dot):
        return str(node.name)
    return None


def called_functions(tree: exp.Expr) -> Iterator[tuple[str, exp.Expr]]:
    """Yield (name, node) of every call of a function that is not PostgreSQL's own syntax."""
    for node in tree.find_all(exp.Dot, exp.Anonymous):
        name = function_name(node)
        if name is not None and name.lower() not in {"current_setting", "all", "any"}:
            yield name, node


def setting_reads(tree: exp.Expr) -> Iterator[SettingRead]:
    """Yield every current_setting() with a literal name in an expression."""
    for node in tree.find_all(exp.Anonymous):
        if str(node.name).lower() != "current_setting" or not node.expressions:
            continue
        name = literal(node.expressions[0])
        if name is None:
            continue
        missing = len(node.expressions) > 1 and _is_true(node.expressions[1])
        nullif, cast = _treatment(node)
        yield SettingRead(name.lower(), missing, nullif or _is_tested_before(node), cast)


def _treatment(node: exp.Expr) -> tuple[bool, str]:
    """Return whether nullif(…, '') stands around a reading, and the first cast that is not to text."""
    nullif, at = False, node.parent
    while at is not None:
        if isinstance(at, exp.Cast):
            kind = type_name(at.to)
            if kind not in {"text", "varchar", "name"}:
                return nullif, kind
        elif isinstance(at, exp.Nullif):
            nullif = nullif or literal(at.expression) == ""
        elif not isinstance(at, (exp.Paren, exp.Trim, exp.Lower, exp.Coalesce)):
            break
        at = at.parent
    return nullif, ""


def _is_tested_before(node: exp.Expr) -> bool:
    """Say whether a reading stands in a CASE of which a condition asks whether that setting is ''."""
    case = node.find_ancestor(exp.Case)
    while case is not None:
        for branch in case.args.get("ifs") or ():
            reads = any(one == node for one in branch.this.find_all(exp.Anonymous))
            if reads and any(one.this == "" for one in branch.this.find_all(exp.Literal)):
                return True
        case = case.find_ancestor(exp.Case)
    return False


def _is_true(node: exp.Expr) -> bool:
    inner = bare(node)
    return isinstance(inner, exp.Boolean) and bool(inner.this)


def type_name(kind: exp.DataType) -> str:
    """Return a type as SQL writes it, in lower case."""
    name = kind.this
    if isinstance(name, exp.DataType.Type) and not kind.expressions and name in _PLAIN_TYPES:
        return _PLAIN_TYPES[name]
    return kind.sql("postgres").lower()


#: Types whose name needs no generator, which costs more than the rest of a rule.
_PLAIN_TYPES = {
    exp.DataType.Type.TEXT: "text",
    exp.DataType.Type.UUID: "uuid",
    exp.DataType.Type.INT: "int",
    exp.DataType.Type.BIGINT: "bigint",
    exp.DataType.Type.BOOLEAN: "boolean",
    exp.DataType.Type.VARCHAR: "varchar",
    exp.DataType.Type.JSON: "json",
    exp.DataType.Type.JSONB: "jsonb",
}


def literal(node: exp.Expr) -> str | None:
    """Return the text of a constant under any casts, None when it is not one."""
    node = uncast(node)
    return str(node.this) if isinstance(node, exp.Literal) else None


def uncast(node: exp.Expr) -> exp.Expr:
    """Step through parentheses, casts and `(SELECT x)` without FROM."""
    node = bare(node)
    while isinstance(node, exp.Cast):
        node = bare(node.this)
    return node


def looks_up(body: str) -> bool:
    """Say whether a body without comments reads a relation."""
    return _LOOKS_UP.search(body) is not None


def chooses_rows(body: str) -> bool:
    """Say whether a body without comments reads rows of a relation that it chooses by a condition.

    What is read whole, such as the one row that holds a signing key, depends on nobody.
    """
    return _CHOOSES_ROWS.search(body) is not None


def is_connected_role(node: exp.Expr) -> bool:
    """Say whether a node is current_user, session_user or another word for the connected role."""
    named = isinstance(node, exp.Column) and str(node.name).lower() in _USER_NAMES
    return named or isinstance(node, _USER_NODES)


def body_settings(function: Function) -> tuple[tuple[str, bool], ...]:
    """Return (setting, missing_ok) for each current_setting() in a function's source."""
    return tuple((name.lower(), bool(missing)) for name, missing in _BODY_READ.findall(body_text(function)))


def inlined_call(function: Function, call: exp.Expr) -> exp.Expr | None:
    """Return what a call answers as one expression that reads no table, None when it is more than that."""
    tree = result_of(function, arguments_of(call))
    return None if tree is None or tree.find(exp.From) else tree


def arguments_of(call: exp.Expr) -> list[exp.Expr]:
    """Return the arguments of a call of a function sqlglot does not know."""
    found: list[exp.Expr] = (call.expression if isinstance(call, exp.Dot) else call).expressions
    return found


def _homes(functions: Iterable[str]) -> dict[str, str]:
    """Return, by bare name in lower case, the function it means: public's, or the only one."""
    homes: dict[str, str] = {}
    several: set[str] = set()
    for qualified in functions:
        schema, _, name = qualified.rpartition(".")
        if name in homes and schema != "public":
            several.add(name)
            continue
        homes[name] = qualified
    kept = {name: home for name, home in homes.items() if home.startswith("public.") or name not in several}
    return {name.lower(): home for name, home in kept.items()}


class Session:
    """Which parts of an expression are the session's: a setting, a function that reads one, a user."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._functions: dict[str, list[Function]] = {}
        for function in catalogue.functions.values():
            self._functions.setdefault(function.qualified, []).append(function)
        self._settings: dict[str, frozenset[str]] = {}
        self._callers: dict[str, bool] = {}
        self._mentioned: dict[re.Pattern[str], bool] = {}
        self._homes: dict[str, str] = {}
        if catalogue.server_version is None:  # a database qualifies every name of its own
            self._homes = _homes(self._functions)

    def qualified(self, name: str) -> str:
        """Return "schema.name" of a function written without its schema, as the search path finds it."""
        return name if "." in name else self._homes.get(name.lower(), name)

    def functions(self, name: str) -> list[Function]:
        """Return the overloads of a function of this database."""
        return self._functions.get(self.qualified(name), [])

    def called_in(self, function: Function) -> Iterator[str]:
        """Yield the functions of this database ("schema.name") that a body calls, itself left out."""
        body = body_text(function)
        names = [f"{schema.strip(chr(34))}.{name.strip(chr(34))}" for schema, name in _CALL.findall(body)]
        if self._homes:
            names += [self._homes[name] for name in _BARE_CALL.findall(body.lower()) if name in self._homes]
        for name in dict.fromkeys(names):
            if name in self._functions and name != function.qualified:
                yield name

    def mentions(self, pattern: re.Pattern[str]) -> bool:
        """Say whether the body of any function has a pattern; asked once for each."""
        if pattern not in self._mentioned:
            bodies = (one.body for overloads in self._functions.values() for one in overloads)
            self._mentioned[pattern] = any(pattern.search(body) for body in bodies)
        return self._mentioned[pattern]

    def settings_of(self, name: str, depth: int = 0) -> frozenset[str]:
        """Return the settings that a function reads, itself or through functions it calls."""
        name = self.qualified(name)
        if name in self._settings or depth > _MAX_DEPTH:
            return self._settings.get(name, frozenset())
        self._settings[name] = frozenset()
        found: set[str] = set()
        for function in self.functions(name):
            found.update(setting for setting, _ in body_settings(function))
            for called in self.called_in(function):
                found |= self.settings_of(called, depth + 1)
        self._settings[name] = frozenset(found)
        return self._settings[name]

    def asks_caller(self, function: Function, depth: int = 0) -> bool:
        """Say whether a body asks who is connected or bound, itself or through functions it calls."""
        name = function.qualified
        if name in self._callers or depth > _MAX_DEPTH:
            return self._callers.get(name, False)
        self._callers[name] = False
        body = body_text(function)
        self._callers[name] = (
            bool(self.settings_of(name))
            or "session_user" in body
            or any(f"{identity}(" in body for identity in IDENTITY_FUNCTIONS)
            or any(
                self.asks_caller(one, depth + 1)
                for called in self.called_in(function)
                for one in self.functions(called)
            )
        )
        return self._callers[name]

    def settings_in(self, tree: exp.Expr) -> frozenset[str]:
        """Return every setting an expression depends on, through functions too."""
        direct = {read.name for read in setting_reads(tree)}
        through = (self.settings_of(name) for name, _ in called_functions(tree))
        return frozenset(direct.union(*through))

    def switches_in(self, tree: exp.Expr) -> frozenset[str]:
        """Return the settings that decide an expression by themselves.

        A function that looks something up in a table with the setting's value, such as a ticket or
        a grant, is no switch: who sets the setting has not yet what it names.
        """
        direct = {read.name for read in setting_reads(tree)}
        for name, _ in called_functions(tree):
            if not any(looks_up(body_text(function)) for function in self.functions(name)):
                direct |= self.settings_of(name)
        return frozenset(direct)

    def asks_session(self, tree: exp.Expr) -> bool:
        """Say whether an expression depends on who is connected or what was set."""
        if self.settings_in(tree) or next(tree.find_all(*_USER_NODES), None) is not None:
            return True
        if any(name in IDENTITY_FUNCTIONS for name, _ in called_functions(tree)):
            return True
        return any(str(column.name).lower() in _USER_NAMES for column in tree.find_all(exp.Column))

    def reads_in(self, tree: exp.Expr, depth: int = 0) -> Iterator[SettingRead]:
        """Yield the readings of settings in an expression and in functions that are one expression."""
        yield from setting_reads(tree)
        if depth >= _MAX_DEPTH:
            return
        for name, call in called_functions(tree):
            for function in self.functions(name):
                body = inlined_call(function, call)
                if body is not None:
                    yield from self.reads_in(body, depth + 1)
