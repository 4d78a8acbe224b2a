"""Joins written with SQLAlchemy: `select(A).join(B, A.tenant_id == B.tenant_id).where(…)`.

The conditions are Python expressions in the arguments of a chain of calls; they are parsed by `ast`,
never run. A statement that is built in steps (`q = q.where(…)`) is read as one, and a condition that is
held in a variable (`same = and_(…)`) is read where the variable is bound, once and for all.
"""

from __future__ import annotations

import ast
from textwrap import dedent
from typing import TYPE_CHECKING

from lint.source.access import root_of
from lint.source.equality import Equalities, Judged, judged
from lint.source.holders import around
from lint.source.orm_accesses import names_in
from lint.source.program import binds_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Place, Table
    from lint.source.access import Models
    from lint.source.links import Link
    from lint.source.sites import Bind, Call, Source

_STARTS = frozenset({"select", "query", "update", "delete"})
_CONDITIONS = frozenset({"where", "filter", "join", "outerjoin", "join_from", "having"})
_LONGEST = 20_000


def orm_joins(
    source: Source, models: Models, link: Link, content: bytes = b""
) -> Iterator[tuple[Place, str, Judged]]:
    """Yield (place, function, judgement) of each statement over models of two schemas.

    `content` is the file's text, from which conditions that are held in variables are read.
    """
    if not models.python or source.language != "python":
        return
    held = _Held(source, content)
    for chain in _statements(source):
        reading = _Reading(source, models, link, held)
        for call in chain:
            reading.read(call)
        judgement = judged([(table.qualified, table) for table in reading.tables.values()], reading.equal)
        if judgement is not None:
            yield chain[0].place, chain[0].function, judgement


def _statements(source: Source) -> Iterator[list[Call]]:
    """Yield the calls of each statement, first to last, steps on a bound name appended."""
    inner = {id(call.receiver) for call in source.calls if call.receiver is not None}
    chains = [_chain(call) for call in source.calls if id(call) not in inner]
    started = [chain for chain in chains if chain[0].name in _STARTS or _first_start(chain)]
    by_root: dict[tuple[str, str], list[list[Call]]] = {}
    for chain in chains if started else ():
        by_root.setdefault((chain[0].function, root_of(chain[0])), []).append(chain)
    for chain in started:
        names = dict.fromkeys((chain[-1].function, name) for call in chain for name in call.bound_to)
        following = (other for name in names for other in by_root.get(name, ()) if other is not chain)
        yield [*chain, *(call for other in following for call in other)]


def _first_start(chain: list[Call]) -> bool:
    return any(call.name in _STARTS for call in chain)


def _chain(call: Call) -> list[Call]:
    calls = [call]
    while calls[-1].receiver is not None:
        calls.append(calls[-1].receiver)
    return calls[::-1]


class _Reading:
    """The tables and equalities of one statement."""

    def __init__(self, source: Source, models: Models, link: Link, held: _Held) -> None:
        self.source = source
        self.models = models
        self.link = link
        self.held = held
        self.tables: dict[str, Table] = {}
        self.equal = Equalities()

    def read(self, call: Call) -> None:
        """Note what one call of the chain adds."""
        for argument in call.arguments:
            for name in names_in(argument):
                self._table(name)
        if call.name == "filter_by":
            self._filter_by(call)
        elif call.name in _CONDITIONS:
            for argument in call.arguments:
                for condition in self.held.conjuncts(argument.text, call.function):
                    self._hold(condition)

    def _table(self, name: str) -> Table | None:
        named = self.models.named(name, self.source)
        table = self.link.table(named) if named is not None else None
        if table is not None:
            self.tables.setdefault(table.qualified, table)
        return table

    def _filter_by(self, call: Call) -> None:
        """`filter_by(tenant_id=t)` is about the statement's last joined, here only table."""
        if len(self.tables) == 1:
            (table,) = self.tables.values()
            for argument in call.arguments:
                if argument.keyword:
                    self.equal.hold((table.qualified, argument.keyword), ("value", argument.text))

    def _hold(self, condition: ast.expr) -> None:
        if isinstance(condition, ast.Compare) and [type(one) for one in condition.ops] == [ast.Eq]:
            self.equal.hold(self._value(condition.left), self._value(condition.comparators[0]))

    def _value(self, node: ast.expr) -> tuple[str, str]:
        written = ast.unparse(node)
        table = self._table(written) if isinstance(node, ast.Attribute) else None
        return (
            (table.qualified, node.attr) if table and isinstance(node, ast.Attribute) else ("value", written)
        )


class _Held:
    """The conditions of one file, those held in variables too."""

    def __init__(self, source: Source, content: bytes) -> None:
        self._source = source
        self._content = content

    def conjuncts(self, text: str, function: str) -> Iterator[ast.expr]:
        """Yield the conditions that all hold in `and_(a, b)`, `a & b`, a name for one, and one alone."""
        waiting = [node for node in (_parsed(text),) if node is not None]
        followed: set[str] = set()
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "and_":
                waiting.extend(node.args)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
                waiting.extend((node.left, node.right))
            elif isinstance(node, ast.Name) and node.id not in followed:
                followed.add(node.id)
                waiting.extend(self._bound(node.id, function))
            else:
                yield node

    def _bound(self, name: str, function: str) -> Iterator[ast.expr]:
        """Yield what a name holds at its place; nothing where it is bound twice, or on some paths only."""
        for scope in around(function):
            written = self._source.functions.get(scope)
            binds = [bind for bind in binds_of(written) if name in bind.targets]
            if len(binds) == 1 and written is not None and binds[0] in written.body:
                yield from self._right_side(binds[0])
            if binds or (written is not None and name in written.parameters):
                return

    def _right_side(self, bind: Bind) -> Iterator[ast.expr]:
        lines = self._content.decode("utf-8", "replace").split("\n")
        text = "\n".join(lines[bind.place.line - 1 : bind.place.end_line])
        statements = _statements_in(dedent(text))
        if len(bind.targets) != 1 or len(statements) != 1:
            return
        if isinstance(statements[0], ast.Assign | ast.AnnAssign) and statements[0].value is not None:
            yield statements[0].value


def _parsed(text: str) -> ast.expr | None:
    statements = _statements_in(text.strip())
    if len(statements) != 1 or not isinstance(statements[0], ast.Expr):
        return None
    return statements[0].value


def _statements_in(text: str) -> list[ast.stmt]:
    """Parse Python; nothing for what cannot be parsed or is too long to be written by hand."""
    if len(text) >= _LONGEST:
        return []
    try:
        return ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
