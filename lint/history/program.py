"""What migrations written as programs share: SQL text whose places are calls of the program.

Text may have holes where the program decides it only when it runs (`lint.history.holes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.copying import replace
from lint.history import facts
from lint.history.holes import without_holes
from lint.history.sql import Script, Statement, statements
from lint.history.statements import statement_facts
from lint.history.values import HOLE
from lint.history.work import Rows

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable

    from lint.history.facts import Fact
    from lint.history.replay import Replay
    from lint.history.statements import Operations


class Program:
    """The replay of one program's file: applies SQL and notes at the places of its calls."""

    def __init__(self, path: str, replay: Replay, operations: Operations) -> None:
        self.path = path
        self.replay = replay
        self.operations = operations
        self.statements = 0
        #: True when the program looks at how many rows a statement touched.
        self.counts_rows = False
        self._noted: set[tuple[str, Place]] = set()

    def place(self, node: ast.expr | None = None) -> Place:
        """Return where a call stands; the file itself without one."""
        if node is None:
            return Place(self.path)
        return Place(self.path, node.lineno, node.col_offset + 1, node.end_lineno or node.lineno)

    def _line(self, statement: Statement, node: ast.expr | None) -> Place:
        """Return where a statement of a text that is written over lines stands."""
        line, column = statement.script.line_and_column(statement.start)
        last, _ = statement.script.line_and_column(statement.end - 1)
        above = (node.lineno if node is not None else 1) - 1
        first = node.col_offset + 1 if line == 1 and node is not None else 0
        return Place(self.path, line + above, column + first, last + above)

    def note(self, reason: str, node: ast.expr | None = None) -> None:
        """Say that something was not analysed."""
        self.apply([facts.NotAnalysed(reason)], node)

    def apply(self, changes: Iterable[Fact], node: ast.expr | None = None) -> None:
        """Apply facts at a call's place; a loop that meets the same gap again tells it once."""
        self._apply(changes, self.place(node))

    def _apply(self, changes: Iterable[Fact], place: Place) -> None:
        for change in changes:
            if isinstance(change, facts.NotAnalysed):
                if (change.reason, place) in self._noted:
                    continue
                self._noted.add((change.reason, place))
            self.replay.apply([change], place)

    def sql(self, text: str, node: ast.expr | None = None, *, by_line: bool = False) -> None:
        """Replay SQL that a call executes; a part that cannot be tokenized is noted and stepped over.

        With `by_line` the lines of the text are those of the file from the node on.
        """

        def broken(first: int, last: int, reason: str) -> None:
            opening = " ".join(text[first:last].split())[:40]
            self.note(f"SQL that cannot be tokenized at `{opening}`: {reason}", node)

        for statement in statements(Script(text), broken):
            self.statements += 1
            self._apply(
                self._facts(statement), self.place(node) if not by_line else self._line(statement, node)
            )

    def _facts(self, statement: Statement) -> list[Fact]:
        changes: list[Fact] = statement_facts(statement, self.operations)
        changes = [self._counted(change) for change in changes]
        if not changes or HOLE not in statement.source:
            return changes
        return [change for fact in changes for change in without_holes(fact, statement.source)]

    def _counted(self, change: Fact) -> Fact:
        return replace(change, checked=True) if self.counts_rows and isinstance(change, Rows) else change
