"""What a function of SQL or PL/pgSQL returns, as one expression over its arguments.

Assignments are put in where their variables are read, and IF becomes CASE, so that a policy that calls
the function can be read as if the body stood in it. A handler of errors answers for settings that are
not set; a loop or a statement made while it runs makes the result unknown (PostgreSQL manual, 43.3 to 43.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.rules.predicates import PredicateError, parse_predicate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lint.catalogue import Function

_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_SQL_BODY = re.compile(r"\s*(?:RETURN|SELECT)\s+(.*?);?\s*\Z", re.IGNORECASE | re.DOTALL)
_LEXEME = re.compile(
    r"'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|\"[^\"]*\"|[A-Za-z_][\w$]*|:=|\S", re.DOTALL
)
_DECLARED = re.compile(
    r"\s*(?P<name>[a-z_]\w*)\s+(?:constant\s+)?[^:=]+?(?:(?::=|=|\bdefault\b)\s*(?P<value>.+))?\Z",
    re.IGNORECASE | re.DOTALL,
)
_ASSIGNED = re.compile(r"(?P<name>[a-z_]\w*)\s*(?::=|=)\s*(?P<value>.+)\Z", re.IGNORECASE | re.DOTALL)
_INTO = re.compile(
    r"select\s+(?P<value>.+?)\s+into\s+(?:strict\s+)?(?P<name>[a-z_]\w*)(?P<rest>\s+from\b.*|\s*)\Z",
    re.IGNORECASE | re.DOTALL,
)
#: Words that begin a column's name and are no column.
_NOT_NAMES = frozenset({"current_user", "session_user", "current_role", "user", "current_date", "now"})
#: Steps after which a body counts as too long to be one expression.
_MAX_STEPS = 200


class _NoExpressionError(ValueError):
    """A body that is more than one expression."""


@dataclass(frozen=True, slots=True)
class _Assign:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class _Return:
    """RETURN of a value; of None, nothing comes back: the function has raised an error."""

    value: str | None


@dataclass(frozen=True, slots=True)
class _If:
    branches: tuple[tuple[str, tuple[_Step, ...]], ...]
    otherwise: tuple[_Step, ...]


_Step = _Assign | _Return | _If


def body_text(function: Function) -> str:
    """Return a function's source without its comments."""
    return _COMMENTS.sub(" ", function.body)


def result_of(function: Function, arguments: Sequence[exp.Expr] = ()) -> exp.Expr | None:
    """Return what a call with these arguments answers as one expression, None when that is not known.

    The tree is shared: copy before changing.
    """
    return _result_of(function, tuple(arguments))


@lru_cache(maxsize=4096)
def _result_of(function: Function, arguments: tuple[exp.Expr, ...]) -> exp.Expr | None:
    values = _arguments(function, arguments)
    try:
        if function.language == "sql":
            return _sql(body_text(function), values)
        return _body(body_text(function)).result(values) if function.language == "plpgsql" else None
    except (_NoExpressionError, PredicateError, RecursionError):
        return None


def query_of(function: Function) -> exp.Expr | None:
    """Return the one expression of a function in SQL as it is written, None when it is more or unreadable."""
    match = _SQL_BODY.match(body_text(function)) if function.language == "sql" else None
    try:
        return None if match is None or ";" in match[1] else parse_predicate(match[1])
    except PredicateError:
        return None


def _arguments(function: Function, given: Sequence[exp.Expr]) -> dict[str, exp.Expr]:
    """Return the arguments of a call by name and by `$` and number."""
    values = {f"${number}": value for number, value in enumerate(given, 1)}
    for name, value in zip(function.argument_names, given, strict=False):
        if name:
            values |= {name.lower(): value, f"{function.name}.{name}".lower(): value}
    return values


def _sql(body: str, values: Mapping[str, exp.Expr]) -> exp.Expr:
    match = _SQL_BODY.match(body)
    if match is None or ";" in match[1]:
        raise _NoExpressionError(body)
    return _expression(match[1], values)


def _expression(text: str, values: Mapping[str, exp.Expr]) -> exp.Expr:
    """Return an expression of a body with the values of its names put in."""
    tree = parse_predicate(text).copy()
    tree = tree.transform(lambda node: _valued(node, values))
    for column in tree.find_all(exp.Column):
        inside = column.find_ancestor(exp.Select) is not None
        if not inside and not column.table and column.meta.get("body"):
            raise _NoExpressionError(f"{column.name} is not known")
    return tree


def _valued(node: exp.Expr, values: Mapping[str, exp.Expr]) -> exp.Expr:
    if isinstance(node, exp.Parameter):
        value = values.get(f"${node.name}")
        if value is None:
            raise _NoExpressionError(f"${node.name} was not given")
        return exp.Paren(this=value.copy())
    if not isinstance(node, exp.Column):
        return node
    name = f"{node.table}.{node.name}".lower() if node.table else node.name.lower()
    if name in values:
        return exp.Paren(this=values[name].copy())
    if not node.table and name not in _NOT_NAMES:
        node.meta["body"] = True
    return node


class _Body:
    """A PL/pgSQL body as steps, and its result by walking them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lexemes = list(_LEXEME.finditer(text))
        self.at = 0
        self.steps = 0
        self.declared: list[tuple[str, str | None]] = []
        #: What the first handler of errors does; None where there is none.
        self.handler: tuple[_Step, ...] | None = None
        self.body = self._read()

    def result(self, arguments: Mapping[str, exp.Expr]) -> exp.Expr:
        """Return the value of the first RETURN that is reached, as one expression."""
        self.steps = 0
        values = dict(arguments)
        for name, value in self.declared:
            values[name] = _expression(value, values) if value else exp.null()
        found = self._walk(self.body, values)
        return found if self.handler is None else _handled(found, self._walk(self.handler, values))

    # Reading

    def _word(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.lexemes[index][0].upper() if index < len(self.lexemes) else ""

    def _read(self) -> tuple[_Step, ...]:
        if self._word() == "DECLARE":
            self.at += 1
            while self._word() not in {"BEGIN", ""}:
                self.declared.append(_declaration(self._text()))
        if self._word() != "BEGIN":
            raise _NoExpressionError(self.text)
        self.at += 1
        body = tuple(self._until("END", "EXCEPTION"))
        if self._word() == "EXCEPTION":
            self.at += 1
            self._text("THEN")
            self.handler = tuple(self._until("WHEN", "END"))
        return body

    def _text(self, end: str = ";") -> str:
        """Read up to `;`, or to a word that is not inside a CASE, and step over it."""
        if not self._word():
            raise _NoExpressionError("it ends too early")
        first, cases = self.lexemes[self.at].start(), 0
        while True:
            word = self._word()
            if word == end and not cases:
                break
            if word == "" or word == ";":
                raise _NoExpressionError(f"no {end}")
            cases += (word == "CASE") - (word == "END" and cases > 0)
            self.at += 1
        self.at += 1
        return self.text[first : self.lexemes[self.at - 1].start()].strip()

    def _until(self, *ends: str) -> Iterator[_Step]:
        while self._word() not in ends:
            step = self._step()
            if step is not None:
                yield step

    def _step(self) -> _Step | None:
        word = self._word()
        if word == "IF":
            return self._if()
        if word == "RETURN" and self._word(1) not in {"NEXT", "QUERY"}:
            self.at += 1
            return _Return(self._text())
        if word == "NULL" or (word == "RAISE" and self._word(1) in _TOLD_ONLY):
            self._text()
            return None
        if word == "RAISE":
            self._text()
            return _Return(None)
        return self._assignment(self._text())

    def _assignment(self, text: str) -> _Assign:
        match = _ASSIGNED.match(text)
        if match is not None:
            return _Assign(match["name"].lower(), match["value"])
        match = _INTO.match(text)
        if match is None:
            raise _NoExpressionError(text)
        rest = match["rest"].strip()
        value = f"(SELECT {match['value']} {rest})" if rest else match["value"]
        return _Assign(match["name"].lower(), value)

    def _if(self) -> _If:
        branches: list[tuple[str, tuple[_Step, ...]]] = []
        while self._word() in {"IF", "ELSIF", "ELSEIF"}:
            self.at += 1
            condition = self._text("THEN")
            branches.append((condition, tuple(self._until("ELSIF", "ELSEIF", "ELSE", "END"))))
        otherwise: tuple[_Step, ...] = ()
        if self._word() == "ELSE":
            self.at += 1
            otherwise = tuple(self._until("END"))
        self._text()  # END IF
        return _If(tuple(branches), otherwise)

    # Walking

    def _walk(self, steps: Sequence[_Step], values: Mapping[str, exp.Expr]) -> exp.Expr:
        known = dict(values)
        for index, step in enumerate(steps):
            self.steps += 1
            if self.steps > _MAX_STEPS:
                raise _NoExpressionError("it is too long")
            if isinstance(step, _Return):
                return exp.null() if step.value is None else _expression(step.value, known)
            if isinstance(step, _If):
                return self._branch(step, steps[index + 1 :], known)
            known[step.name] = _expression(step.value, known)
        return exp.null()

    def _branch(self, step: _If, rest: Sequence[_Step], values: Mapping[str, exp.Expr]) -> exp.Expr:
        ifs = [
            exp.If(this=_expression(condition, values), true=self._walk([*body, *rest], values))
            for condition, body in step.branches
        ]
        return exp.Case(ifs=ifs, default=self._walk([*step.otherwise, *rest], values))


def _handled(found: exp.Expr, instead: exp.Expr) -> exp.Expr:
    """Return what a body answers whose errors are caught: an unset setting, or an empty one that is cast."""

    def forgiving(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Anonymous) or node.name.lower() != "current_setting":
            return node
        read = exp.Anonymous(this="current_setting", expressions=[node.expressions[0].copy(), exp.true()])
        return exp.Nullif(this=read, expression=exp.Literal.string(""))

    asked: exp.Expr = found.copy().transform(forgiving)
    plain = instead.this if isinstance(instead, (exp.Cast, exp.Paren)) else instead
    return asked if isinstance(plain, exp.Null) else exp.Coalesce(this=asked, expressions=[instead])


@lru_cache(maxsize=256)
def _body(text: str) -> _Body:
    return _Body(text)


#: Levels of RAISE after which a body goes on.
_TOLD_ONLY = frozenset({"NOTICE", "WARNING", "INFO", "LOG", "DEBUG"})


def _declaration(text: str) -> tuple[str, str | None]:
    match = _DECLARED.match(text)
    if match is None:
        raise _NoExpressionError(text)
    return match["name"].lower(), match["value"]
