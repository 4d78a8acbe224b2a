"""What migrations written as programs share: SQL text whose places are calls of the program.

Text may have holes where the program decides it only when it runs. A fact with a hole where it only
describes a policy's condition is kept with that condition opaque; a fact whose object is not known
is `NotAnalysed`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.errors import SqlUnreadableError
from lint.history import facts
from lint.history.sql import Script, Statement, statements
from lint.history.statements import statement_facts
from lint.history.values import HOLE

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable

    from lint.history.facts import Fact
    from lint.history.replay import Replay
    from lint.history.statements import Operations

#: Facts whose definition may have holes: what matters of them is their name and their rights.
_DESCRIBED = ("CreateFunction", "CreateView", "CreateRoutine")


class Program:
    """The replay of one program's file: applies SQL and notes at the places of its calls."""

    def __init__(self, path: str, replay: Replay, operations: Operations) -> None:
        self.path = path
        self.replay = replay
        self.operations = operations
        self.statements = 0

    def place(self, node: ast.expr | None = None) -> Place:
        """Return where a call stands; the file itself without one."""
        if node is None:
            return Place(self.path)
        return Place(self.path, node.lineno, node.col_offset + 1, node.end_lineno or node.lineno)

    def note(self, reason: str, node: ast.expr | None = None) -> None:
        """Say that something was not analysed."""
        self.apply([facts.NotAnalysed(reason)], node)

    def apply(self, changes: Iterable[Fact], node: ast.expr | None = None) -> None:
        """Apply facts at a call's place."""
        self.replay.apply(changes, self.place(node))

    def sql(self, text: str, node: ast.expr | None = None) -> None:
        """Replay SQL that a call executes."""
        try:
            for statement in statements(Script(text)):
                self.statements += 1
                self.apply(self._facts(statement), node)
        except SqlUnreadableError as error:
            self.note(f"SQL that cannot be tokenized: {error}", node)

    def _facts(self, statement: Statement) -> list[Fact]:
        changes: list[Fact] = statement_facts(statement, self.operations)
        if not changes or HOLE not in statement.source:
            return changes
        return [change for fact in changes for change in _without_holes(fact, statement)]


def _without_holes(fact: Fact, statement: Statement) -> list[Fact]:
    written = repr(fact)
    if HOLE not in written:
        return [fact]
    opening = " ".join(statement.source[:60].split()).replace(HOLE, "…")
    note = facts.NotAnalysed(f"`{opening}` names what is known only when it runs")
    if isinstance(fact, facts.CreatePolicy) and HOLE not in repr((fact.table, fact.policy.name)):
        kept = replace(fact, policy=replace(fact.policy, using=None, check=None, opaque=True))
        return [note, kept] if HOLE not in repr(kept) else [note]
    named = HOLE in repr(getattr(fact, "name", HOLE))
    return [fact] if type(fact).__name__ in _DESCRIBED and not named else [note]
