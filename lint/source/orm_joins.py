"""Joins written with SQLAlchemy: `select(A).join(B, A.tenant_id == B.tenant_id).where(…)`.

The conditions are Python expressions in the arguments of a chain of calls; they are parsed by `ast`,
never run. A statement that is built in steps (`q = q.where(…)`) is read as one.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from lint.source.access import root_of
from lint.source.equality import Equalities, Judged, judged
from lint.source.orm_accesses import names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Place, Table
    from lint.source.access import Models
    from lint.source.readers import Link
    from lint.source.sites import Call, Source

_STARTS = frozenset({"select", "query", "update", "delete"})
_CONDITIONS = frozenset({"where", "filter", "join", "outerjoin", "join_from", "having"})
_LONGEST = 20_000


def orm_joins(source: Source, models: Models, link: Link) -> Iterator[tuple[Place, str, Judged]]:
    """Yield (place, function, judgement) of each statement over models of two schemas."""
    if not models.python or source.language != "python":
        return
    for chain in _statements(source):
        reading = _Reading(source, models, link)
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
    for chain in started:
        names = {(chain[-1].function, name) for call in chain for name in call.bound_to}
        later = [
            call
            for other in chains
            if other is not chain and (other[0].function, root_of(other[0])) in names
            for call in other
        ]
        yield [*chain, *later]


def _first_start(chain: list[Call]) -> bool:
    return any(call.name in _STARTS for call in chain)


def _chain(call: Call) -> list[Call]:
    calls = [call]
    while calls[-1].receiver is not None:
        calls.append(calls[-1].receiver)
    return calls[::-1]


class _Reading:
    """The tables and equalities of one statement."""

    def __init__(self, source: Source, models: Models, link: Link) -> None:
        self.source = source
        self.models = models
        self.link = link
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
                for condition in _conjuncts(argument.text):
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


def _conjuncts(text: str) -> Iterator[ast.expr]:
    """Yield the conditions that all hold in `and_(a, b)`, `a & b` and a condition alone."""
    try:
        waiting = [ast.parse(text.strip(), mode="eval").body] if len(text) < _LONGEST else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "and_":
            waiting.extend(node.args)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            waiting.extend((node.left, node.right))
        else:
            yield node
