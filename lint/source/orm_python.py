"""Which table a Python name stands for: SQLAlchemy's declarative classes, SQLModel's, `Table(…)`.

A class is a model when it names its table (`__tablename__`), or is a SQLModel with `table=True`. Its
schema is in `__table_args__`, its own or a base's; bases are followed by name within the project.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import tree_sitter_python
from tree_sitter import Language, Node, Parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: A file without any of these holds no model.
MODEL_WORDS = re.compile(rb"__tablename__|\btable\s*=\s*True\b|\bTable\s*\(")
_BASES_FOLLOWED = 6
#: `Table(name, metadata, …)`: without metadata it is another thing of that name.
_LEAST_ARGUMENTS = 2


@dataclass(frozen=True, slots=True)
class Model:
    """A class or variable that stands for a table: its name, and "schema.name" or the bare name."""

    name: str
    table: str
    path: str
    line: int = 1


@dataclass(slots=True)
class _Class:
    """A class as written, before its bases are followed."""

    name: str
    path: str
    line: int
    bases: tuple[str, ...]
    table: str | None = None
    schema: str | None = None
    sqlmodel: bool = False


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_python.language()))


def python_models(files: Iterable[tuple[str, bytes]]) -> tuple[Model, ...]:
    """Return the models of Python files given as (path, content), bases followed across them."""
    classes: dict[str, _Class] = {}
    tables: list[Model] = []
    for path, content in files:
        for node in _nodes(_parser().parse(content).root_node):
            if node.type == "class_definition":
                read = _class(node, path)
                classes.setdefault(read.name, read)
            elif node.type == "assignment":
                tables.extend(_core_table(node, path))
    found = (_model(one, classes) for one in classes.values())
    return (*(model for model in found if model is not None), *tables)


def _nodes(root: Node) -> Iterator[Node]:
    """Yield classes and assignments, those inside functions left out."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if node.type not in {"function_definition", "call", "string"}:
            stack.extend(reversed(node.named_children))


def _class(node: Node, path: str) -> _Class:
    given = node.child_by_field_name("superclasses")
    arguments = given.named_children if given is not None else []
    bases = tuple(
        _text(one).rpartition(".")[2] for one in arguments if one.type in {"identifier", "attribute"}
    )
    sqlmodel = any(_text(one).replace(" ", "") == "table=True" for one in arguments)
    read = _Class(
        _text(node.child_by_field_name("name")), path, node.start_point[0] + 1, bases, sqlmodel=sqlmodel
    )
    body = node.child_by_field_name("body")
    for statement in body.named_children if body is not None else ():
        assignment = statement.named_children[0] if statement.type == "expression_statement" else statement
        if assignment.type == "assignment":
            _attribute(read, assignment)
    return read


def _attribute(read: _Class, assignment: Node) -> None:
    name = _text(assignment.child_by_field_name("left"))
    value = assignment.child_by_field_name("right")
    if value is None:
        return
    if name == "__tablename__" and value.type == "string":
        read.table = _string(value)
    elif name == "__table_args__":
        read.schema = _schema(value)


def _schema(value: Node) -> str | None:
    """Return the schema in `{"schema": "x"}`, alone or last in a tuple."""
    if value.type == "tuple" and value.named_children:
        value = value.named_children[-1]
    if value.type != "dictionary":
        return None
    for pair in value.named_children:
        key, given = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        if key is None or given is None or not key.type == given.type == "string":
            continue
        if _string(key) == "schema":
            return _string(given)
    return None


def _model(read: _Class, classes: Mapping[str, _Class]) -> Model | None:
    table = read.table or (read.name.lower() if read.sqlmodel else None)
    if table is None:
        return None
    schema = next((one.schema for one in _lineage(read, classes) if one.schema), None)
    return Model(read.name, f"{schema}.{table}" if schema else table, read.path, read.line)


def _lineage(read: _Class, classes: Mapping[str, _Class]) -> Iterator[_Class]:
    waiting, seen = [read], {read.name}
    while waiting and len(seen) <= _BASES_FOLLOWED:
        one = waiting.pop(0)
        yield one
        for base in one.bases:
            if base in classes and base not in seen:
                seen.add(base)
                waiting.append(classes[base])


def _core_table(node: Node, path: str) -> Iterator[Model]:
    """Yield the model of `users = Table("users", metadata, …, schema="app")`."""
    target, value = node.child_by_field_name("left"), node.child_by_field_name("right")
    if target is None or value is None or value.type != "call" or target.type != "identifier":
        return
    if _text(value.child_by_field_name("function")).rpartition(".")[2] != "Table":
        return
    arguments = value.child_by_field_name("arguments")
    given = arguments.named_children if arguments is not None else []
    if len(given) < _LEAST_ARGUMENTS or given[0].type != "string":
        return
    schema = next((s for one in given if (s := _keyword(one, "schema"))), None)
    name = _string(given[0])
    yield Model(_text(target), f"{schema}.{name}" if schema else name, path, node.start_point[0] + 1)


def _keyword(node: Node, name: str) -> str | None:
    if node.type != "keyword_argument" or _text(node.child_by_field_name("name")) != name:
        return None
    value = node.child_by_field_name("value")
    return _string(value) if value is not None and value.type == "string" else None


def _text(node: Node | None) -> str:
    return node.text.decode("utf-8", "replace") if node is not None and node.text is not None else ""


def _string(node: Node) -> str:
    return "".join(_text(part) for part in node.named_children if part.type == "string_content")
