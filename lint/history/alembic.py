"""Alembic revisions, replayed in the order of their graph.

Only `upgrade()` is followed, with what `lint.history.evaluate` can know of it. `op.execute` is read
as SQL, and `op.create_table` and its kin as the SQL they stand for; a project's own operations that
enable row security are named by configuration.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from lint.files import text_of
from lint.history import facts
from lint.history.alembic_operations import SIGNATURES, arguments_of, in_batch, statements_of
from lint.history.ddl import name_of
from lint.history.evaluate import BudgetExceededError, Call, Evaluator
from lint.history.imports import Project
from lint.history.newest_python import parsed
from lint.history.program import Program
from lint.history.revision_graph import Node, in_order
from lint.history.sqlalchemy_values import NotKnownError, query_of
from lint.history.values import HOLE, UNKNOWN, Built, Module, Unknown, Value
from lint.limits import TooSlowError, file_deadline

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lint.files import SourceFile
    from lint.history.alembic_operations import Arguments
    from lint.history.replay import Replay
    from lint.history.statements import Operations

_EXECUTES = frozenset({"execute", "exec_driver_sql", "scalar", "scalars", "execute_if", "executemany"})
_OPERATIONS = ("op.", "alembic.op.", "alembic.operations.")
_BATCH = "batch_alter_table"
_AUTOCOMMIT = "autocommit_block"
#: What SQLAlchemy's query builder returns reads or writes rows, whatever table it was called on.
_BUILT_QUERY = re.compile(r"\.(?:values|where|insert|update|delete|select|returning)\(\)")


def replay_revisions(files: Iterable[SourceFile], replay: Replay, operations: Operations, root: Path) -> int:
    """Replay the revisions of one graph; return how many SQL statements were read."""
    project = Project(root)
    loaded = [_Revision(file, Program(file.path, replay, operations), project) for file in files]
    revisions = {revision.node.path: revision for revision in loaded if revision.module is not None}

    def report_cycle(node: Node) -> None:
        revisions[node.path].program.note(f"revision {node.name} comes after itself: the graph has a cycle")

    for node in in_order([revision.node for revision in revisions.values()], report_cycle):
        replay.begin_file(node.path)
        revisions[node.path].upgrade()
    return sum(revision.program.statements for revision in revisions.values())


class _Revision:
    """One revision file: its identity, what it revises, and its upgrade."""

    def __init__(self, file: SourceFile, program: Program, project: Project) -> None:
        self.program = program
        program.counts_rows = b"rowcount" in file.content
        self.module = _load(file, program, project)
        names = self.module.names if self.module else {}
        name = names.get("revision")
        self.node = Node(
            file.path,
            name if isinstance(name, str) else file.path,
            _identifiers(names.get("down_revision")) + _identifiers(names.get("depends_on")),
            _identifiers(names.get("branch_labels")),
        )

    def upgrade(self) -> None:
        """Follow `upgrade()`, applying what it does to the replay."""
        if self.module is None:
            return
        function = self.module.names.get("upgrade")
        try:
            with file_deadline():
                ended = Evaluator(self.module, self._effect).call_function("upgrade")
        except (BudgetExceededError, RecursionError, TooSlowError) as error:
            self.program.note(f"upgrade() cannot be followed to its end ({error})")
            return
        if not ended and function is not None:
            self.program.note("upgrade() ends in an exception, so what comes after it was not read")

    def _effect(self, call: Call) -> Value:
        if call.name in self.program.operations:
            self._tenant_operation(call)
        elif call.name == _BATCH and call.arguments:
            return Built(_BATCH, tuple(call.arguments), call.keywords)
        elif call.name == _AUTOCOMMIT:
            self.program.sql("COMMIT", call.node)
            return Built(_AUTOCOMMIT)
        elif isinstance(call.owner, Built) and call.owner.name in {_BATCH, _AUTOCOMMIT}:
            self._inside(call.owner, call)
        elif call.name in _EXECUTES:
            self._execute(call)
            return Unknown(call.path).called()
        elif call.path.startswith(_OPERATIONS) and call.name in SIGNATURES:
            self._operation(call.name, arguments_of(call.name, call.arguments, call.keywords), call)
        return UNKNOWN

    def _inside(self, owner: Built, call: Call) -> None:
        if owner.name == _AUTOCOMMIT:
            if call.name == "__exit__":
                self.program.sql("BEGIN", call.node)
        elif call.name in SIGNATURES:
            self._operation(call.name, in_batch(call.name, owner, call.arguments, call.keywords), call)

    def _operation(self, name: str, given: Arguments, call: Call) -> None:
        try:
            written = statements_of(name, given)
        except NotKnownError as error:
            self.program.note(f"op.{name}: {error}", call.node)
            return
        for statement in written:
            self.program.sql(statement, call.node)

    def _tenant_operation(self, call: Call) -> None:
        table = call.arguments[0] if call.arguments else call.keywords.get("table", UNKNOWN)
        if not isinstance(table, str) or HOLE in table:
            self.program.note(f"{call.name} of a table whose name is known only when it runs", call.node)
            return
        name = name_of(table, call.keywords.get("schema"))
        policies = self.program.operations[call.name]
        self.program.apply([facts.TenantSecurity(name, policies)], call.node)

    def _execute(self, call: Call) -> None:
        text = call.arguments[0] if call.arguments else call.keywords.get("sqltext")
        if isinstance(text, str):
            self.program.sql(text, call.node)
            return
        query = query_of(text)
        if query is not None:
            self.program.sql(query, call.node)
        elif call.path.startswith(_OPERATIONS) and _decides_schema(text):
            self.program.note("op.execute of text that is known only when it runs", call.node)


def _decides_schema(value: Value) -> bool:
    """Say whether something executed may be more than a query that SQLAlchemy builds."""
    if isinstance(value, Built):
        first = value
        while first.arguments and isinstance(first.arguments[0], Built):
            first = first.arguments[0]
        return value.name in {"text", "DDL"} or first.name in {"text", "DDL"}
    return isinstance(value, Unknown) and not _BUILT_QUERY.search(value.path)


def _identifiers(value: Value) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, (tuple, list, set)) else ()


def _load(file: SourceFile, program: Program, project: Project) -> Module | None:
    """Evaluate the top level of a revision; None, and a note, when it cannot be parsed."""
    text, unreadable = text_of(file)
    if unreadable:
        program.note(unreadable)
    try:
        tree: ast.Module = parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        program.note(f"it is not Python that can be parsed here: {reason}"[:160])
        return None
    return project.module(file.location, tree)
