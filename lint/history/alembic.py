"""Alembic revisions, replayed in the order of `down_revision`.

Only `upgrade()` is followed, with what `lint.history.evaluate` can know of it. `op.execute` is read
as SQL; `op.create_table` and its kin as far as columns and keys; a project's own operations that
enable row security are named by configuration.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lint.catalogue import Column, ForeignKey, Key, Place
from lint.errors import SqlUnreadableError
from lint.files import text_of
from lint.history import facts
from lint.history.evaluate import BudgetExceededError, Evaluator
from lint.history.sql import Script, statements
from lint.history.statements import statement_facts
from lint.history.values import HOLE, UNKNOWN, Built, Imported, Module, Value
from lint.history.work import Act, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lint.files import SourceFile
    from lint.history.facts import Fact, Name
    from lint.history.replay import Replay
    from lint.history.statements import Operations

_EXECUTES = frozenset({"execute", "exec_driver_sql", "scalar", "scalars"})
#: Methods of SQLAlchemy's query builder: what they build reads or writes rows, not the schema.
_BUILT_QUERY = frozenset({"values", "where", "insert", "update", "delete", "select", "table"})
_IMPORT_DEPTH = 4


def replay_revisions(files: Iterable[SourceFile], replay: Replay, operations: Operations, root: Path) -> int:
    """Replay the revisions of one folder; return how many SQL statements were read."""
    revisions: list[_Revision] = []
    for file in files:
        revision = _Revision(file, replay, operations, root)
        if revision.parsed:
            revisions.append(revision)
    for revision in _in_order(revisions):
        replay.begin_file(revision.file.path)
        revision.upgrade()
    return sum(revision.statements for revision in revisions)


class _Revision:
    """One revision file: its identity, what it revises, and its upgrade."""

    def __init__(self, file: SourceFile, replay: Replay, operations: Operations, root: Path) -> None:
        self.file = file
        self.replay = replay
        self.operations = operations
        self.root = root
        self.statements = 0
        #: True when the revision looks at how many rows a statement touched.
        self.counts = b"rowcount" in file.content
        self.module = _load(file, self._note)
        self.parsed = self.module is not None
        if self.module is not None:
            self.module.load = _Importer(file.location, root).load

    @property
    def name(self) -> str:
        """The revision's identifier."""
        found = self.module.names.get("revision") if self.module else None
        return found if isinstance(found, str) else self.file.path

    @property
    def revises(self) -> tuple[str, ...]:
        """The revisions that come before this one; several for a merge."""
        found = self.module.names.get("down_revision") if self.module else None
        if isinstance(found, str):
            return (found,)
        return tuple(str(item) for item in found) if isinstance(found, (tuple, list)) else ()

    def upgrade(self) -> None:
        """Follow `upgrade()`, applying what it does to the replay."""
        if self.module is None:
            return
        try:
            Evaluator(self.module, self._effect).call_function("upgrade")
        except (BudgetExceededError, RecursionError) as error:
            self._note(f"upgrade() cannot be followed to its end ({error})")

    def _note(self, reason: str, node: ast.expr | None = None) -> None:
        self.replay.apply([facts.NotAnalysed(reason)], self._place(node))

    def _place(self, node: ast.expr | None) -> Place:
        if node is None:
            return Place(self.file.path)
        return Place(self.file.path, node.lineno, node.col_offset + 1, node.end_lineno or node.lineno)

    def _effect(
        self,
        receiver: str,
        method: str,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        node: ast.Call,
    ) -> Value:
        if method in self.operations:
            self._tenant_operation(method, arguments, keywords, node)
        elif method in _EXECUTES:
            self._execute(receiver, arguments, keywords, node)
        elif method == "batch_alter_table" and arguments:
            return Built("batch", tuple(arguments), dict(keywords))
        elif arguments and isinstance(arguments[0], Built) and arguments[0].name == "batch":
            self._batch(arguments[0], method, arguments[1:], keywords, node)
        elif receiver.split(".")[-1] == "op":
            self._operation(method, arguments, keywords, node)
        return UNKNOWN

    def _tenant_operation(
        self, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any], node: ast.Call
    ) -> None:
        table = arguments[0] if arguments else keywords.get("table", UNKNOWN)
        if not isinstance(table, str) or HOLE in table:
            self._note(f"{method} of a table whose name is known only when it runs", node)
            return
        name = _name(table, keywords)
        self.replay.apply([facts.TenantSecurity(name, self.operations[method])], self._place(node))

    def _execute(
        self,
        receiver: str,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        node: ast.Call,
    ) -> None:
        text = arguments[0] if arguments else keywords.get("sqltext", UNKNOWN)
        if isinstance(text, str):
            self._sql(text, node)
        elif receiver.split(".")[-1] == "op" and not _is_built_query(node):
            self._note("op.execute of text that is known only when it runs", node)

    def _sql(self, text: str, node: ast.Call) -> None:
        place = self._place(node)
        try:
            for statement in statements(Script(text)):
                self.statements += 1
                changes: list[Fact] = statement_facts(statement, self.operations)
                if HOLE in statement.source and not all(isinstance(c, Act) for c in changes):
                    opening = " ".join(statement.source[:60].split()).replace(HOLE, "…")
                    changes = [facts.NotAnalysed(f"`{opening}` names what is known only when it runs")]
                self.replay.apply([self._counted(change) for change in changes], place)
        except SqlUnreadableError as error:
            self._note(f"SQL that cannot be tokenized: {error}", node)

    def _counted(self, change: Fact) -> Fact:
        return replace(change, checked=self.counts) if isinstance(change, Rows) else change

    def _batch(
        self,
        batch: Built,
        method: str,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        node: ast.Call,
    ) -> None:
        if method in {"create_unique_constraint", "create_index", "create_foreign_key"}:
            return
        schema = {"schema": batch.keywords["schema"]} if "schema" in batch.keywords else {}
        self._operation(method, [batch.arguments[0], *arguments], {**keywords, **schema}, node)

    def _operation(
        self, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any], node: ast.Call
    ) -> None:
        read = _OPERATIONS.get(method)
        if read is None:
            return
        if not arguments or not all(isinstance(item, (str, Built)) for item in arguments[:2]):
            self._note(f"op.{method} of what is known only when it runs", node)
            return
        self.replay.apply(read(arguments, keywords), self._place(node))


def _is_built_query(node: ast.Call) -> bool:
    argument = node.args[0] if node.args else None
    return isinstance(argument, ast.Call) and any(
        isinstance(part, ast.Attribute) and part.attr in _BUILT_QUERY for part in ast.walk(argument)
    )


def _load(file: SourceFile, note: Callable[[str], None]) -> Module | None:
    """Evaluate the top level of a module; None, and a note, when it cannot be parsed."""
    text, unreadable = text_of(file)
    if unreadable:
        note(unreadable)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        note(f"it is not Python that can be parsed here: {reason}"[:160])
        return None
    return _evaluated(tree)


def _evaluated(tree: ast.Module) -> Module:
    module = Module()
    evaluator = Evaluator(module, lambda *_: UNKNOWN)
    try:
        evaluator.run(tree.body, module.names)
    except (BudgetExceededError, RecursionError):
        return module
    return module


class _Importer:
    """Finds names that a revision imports from the project's own files."""

    def __init__(self, location: Path, root: Path, depth: int = 0) -> None:
        self.location = location.resolve()
        self.root = root.resolve()
        self.depth = depth
        self.loaded: dict[Path, Module] = {}

    def load(self, wanted: Imported) -> Value:
        """Return the value of an imported name, UNKNOWN for what is not the project's."""
        path = self._find(wanted) if self.depth < _IMPORT_DEPTH else None
        if path is None:
            return UNKNOWN
        if path not in self.loaded:
            self.loaded[path] = self._module(path)
        value = self.loaded[path].names.get(wanted.name, UNKNOWN)
        return self.loaded[path].load(value) if isinstance(value, Imported) else value

    def _module(self, path: Path) -> Module:
        try:
            module = _evaluated(ast.parse(path.read_bytes()))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return Module()
        module.load = _Importer(path, self.root, self.depth + 1).load
        return module

    def _find(self, wanted: Imported) -> Path | None:
        parts = [part for part in wanted.module.split(".") if part]
        if wanted.level:
            folders = [self.location.parents[wanted.level - 1]]
        else:
            folders = [p for p in self.location.parents if p == self.root or self.root in p.parents]
        for folder in folders:
            for base in (folder, folder / "src"):
                found = base.joinpath(*parts)
                for candidate in (found.with_suffix(".py"), found / "__init__.py"):
                    if parts and candidate.is_file() and candidate != self.location:
                        return candidate
        return None


def _in_order(revisions: list[_Revision]) -> list[_Revision]:
    """Order revisions so that each comes after those it revises; a cycle keeps file order."""
    waiting = sorted(revisions, key=lambda revision: revision.file.path)
    by_name = {revision.name: revision for revision in waiting}
    ordered: list[_Revision] = []
    done: set[str] = set()
    stack = [(revision, False) for revision in reversed(waiting)]
    entered: set[str] = set()
    while stack:
        revision, expanded = stack.pop()
        if revision.name in done:
            continue
        if expanded or revision.name in entered:
            done.add(revision.name)
            ordered.append(revision)
            continue
        entered.add(revision.name)
        stack.append((revision, True))
        before = [by_name[name] for name in revision.revises if name in by_name]
        stack.extend((earlier, False) for earlier in before if earlier.name not in entered)
    return ordered


def _name(table: str, keywords: Mapping[str, Any]) -> Name:
    schema = keywords.get("schema")
    if isinstance(schema, str):
        return (schema, table)
    return tuple(re.sub(r'"', "", table).split("."))


def _columns(arguments: Iterable[Any]) -> tuple[tuple[Column, ...], tuple[Key, ...], tuple[ForeignKey, ...]]:
    columns: list[Column] = []
    keys: list[Key] = []
    foreign: list[ForeignKey] = []
    for built in arguments:
        if not isinstance(built, Built):
            continue
        names = tuple(item for item in built.arguments if isinstance(item, str))
        if built.name == "Column" and names:
            column, key, references = _column(built, names[0])
            columns.append(column)
            keys.extend(key)
            foreign.extend(references)
        elif built.name == "PrimaryKeyConstraint":
            keys.append(Key(names, "primary"))
        elif built.name == "UniqueConstraint":
            keys.append(Key(names, "unique"))
        elif built.name == "ForeignKeyConstraint":
            foreign.extend(_foreign_key(built))
    return tuple(columns), tuple(keys), tuple(foreign)


def _column(built: Built, name: str) -> tuple[Column, list[Key], list[ForeignKey]]:
    primary = built.keywords.get("primary_key") is True
    nullable = built.keywords.get("nullable") is not False and not primary
    keys = [Key((name,), "primary")] if primary else []
    if built.keywords.get("unique") is True:
        keys.append(Key((name,), "unique"))
    foreign = [
        _target((name,), [str(item.arguments[0])], item.keywords)
        for item in built.arguments
        if isinstance(item, Built) and item.name == "ForeignKey" and item.arguments
    ]
    return Column(name, "", nullable), keys, foreign


def _foreign_key(built: Built) -> list[ForeignKey]:
    lists = [item for item in built.arguments if isinstance(item, (list, tuple))]
    if len(lists) < 2 or not lists[1]:
        return []
    return [_target(tuple(map(str, lists[0])), [str(item) for item in lists[1]], built.keywords)]


def _target(columns: tuple[str, ...], targets: Sequence[str], keywords: Mapping[str, Any]) -> ForeignKey:
    on_delete = keywords.get("ondelete")
    return ForeignKey(
        columns,
        targets[0].rpartition(".")[0],
        tuple(target.rpartition(".")[2] for target in targets),
        on_delete.upper() if isinstance(on_delete, str) else "",
    )


def _create_table(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Fact]:
    columns, keys, foreign = _columns(arguments[1:])
    primary = {name for key in keys if key.kind == "primary" for name in key.columns}
    known = tuple(Column(c.name, c.type, nullable=c.nullable and c.name not in primary) for c in columns)
    name = _name(arguments[0], keywords)
    exists = keywords.get("if_not_exists") is True
    return [facts.CreateTable(name, known, keys, foreign, if_not_exists=exists)]


def _drop_table(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Fact]:
    return [facts.DropTable(_name(arguments[0], keywords))]


def _add_column(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Fact]:
    columns, keys, foreign = _columns(arguments[1:])
    name = _name(arguments[0], keywords)
    return [facts.AddColumn(name, column, keys, foreign) for column in columns]


def _drop_column(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Fact]:
    return [facts.DropColumn(_name(arguments[0], keywords), str(arguments[1]))]


def _alter_column(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Fact]:
    name, column = _name(arguments[0], keywords), str(arguments[1])
    found: list[Fact] = []
    if isinstance(keywords.get("nullable"), bool):
        found.append(facts.SetNullable(name, column, keywords["nullable"]))
    if isinstance(keywords.get("new_column_name"), str):
        found.append(facts.RenameColumn(name, column, keywords["new_column_name"]))
    return found


def _rename_table(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Fact]:
    return [facts.RenameTable(_name(arguments[0], keywords), str(arguments[1]))]


_OPERATIONS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], list[Fact]]] = {
    "create_table": _create_table,
    "drop_table": _drop_table,
    "add_column": _add_column,
    "drop_column": _drop_column,
    "alter_column": _alter_column,
    "rename_table": _rename_table,
}
