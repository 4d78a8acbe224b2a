"""Values of a Python program that is walked and not run: known ones, and what stands for the rest."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

MAX_TEXT = 1_000_000

#: Stands in a text for a part that is not known; a valid identifier, so that the rest still parses.
HOLE = "__not_known__"


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()

#: A value of the program that is walked: any Python value, UNKNOWN, or one of the classes below.
Value: TypeAlias = Any


@dataclass(frozen=True)
class Function:
    """A function of the project: its syntax and the module whose names it sees."""

    node: ast.FunctionDef | ast.Lambda
    module: Module


@dataclass(frozen=True)
class Imported:
    """A name imported from elsewhere, looked up when it is first used."""

    module: str
    name: str
    level: int


@dataclass(frozen=True)
class Built:
    """The value of a call to a library constructor: its name and what was passed."""

    name: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


@dataclass
class Module:
    """A module's global names, as far as they are known."""

    names: dict[str, Any] = field(default_factory=dict)
    load: Callable[[Imported], Any] = lambda _: UNKNOWN


def dotted(node: ast.expr) -> str:
    """Return the written name of a callee's owner, `?` for what has none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{dotted(node.func)}()"
    return "?"


def ordered(items: Value) -> list[Any]:
    """Return items in a stable order, sets included."""
    return sorted(items, key=str) if isinstance(items, (set, frozenset)) else list(items)


def bounded(value: Value) -> Value:
    """Return a value, UNKNOWN when it has grown beyond what a migration needs."""
    too_long = isinstance(value, (str, list, tuple)) and len(value) > MAX_TEXT
    return UNKNOWN if too_long else value


def without_holes(value: Value) -> Value:
    """Return a value with HOLE wherever it is not known."""
    if value is UNKNOWN:
        return HOLE
    if isinstance(value, tuple):
        return tuple(without_holes(item) for item in value)
    if isinstance(value, dict):
        return {key: without_holes(item) for key, item in value.items()}
    return value
