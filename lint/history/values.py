"""Values of a program that is walked and not run: known ones, and what stands for the rest."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Self, TypeAlias

MAX_TEXT = 1_000_000

#: Stands in a text for a part that is not known; a valid identifier, so that the rest still parses.
HOLE = "__not_known__"


@dataclass(frozen=True, slots=True)
class Unknown:
    """What the text does not decide, and the dotted name it goes by: `alembic.op`, `sqlalchemy.text`."""

    path: str = ""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def member(self, name: str) -> Unknown:
        """Return what stands for an attribute of this."""
        return Unknown(f"{self.path}.{name}") if self.path else self

    def called(self) -> Unknown:
        """Return what stands for the result of calling this."""
        return Unknown(f"{self.path}()") if self.path else self


UNKNOWN = Unknown()

#: A value of the program that is walked: any Python value, Unknown, or one of the classes below.
Value: TypeAlias = Any
Names: TypeAlias = MutableMapping[str, Any]


class SqlText(str):
    """Text marked as SQL by its program, as `sqlalchemy.text` does; other text is a value."""

    __slots__ = ()


class Query(SqlText):
    """SQL that its program runs when it awaits it, as JavaScript's tagged templates are."""

    __slots__ = ("written",)
    #: The template whose lines are those of the text, where there is one.
    written: ast.expr | None

    def __new__(cls, text: str, written: ast.expr | None = None) -> Self:
        """Make it as any text is made, and keep where it was written."""
        made = super().__new__(cls, text)
        made.written = written
        return made


class Dialect(str):
    """The name of PostgreSQL where libraries have several for it: it equals each of them."""

    __slots__ = ()
    _NAMES = frozenset({"postgres", "postgresql", "pg", "pgsql", "pg-native"})

    def __eq__(self, other: object) -> bool:
        return other in self._NAMES

    def __ne__(self, other: object) -> bool:
        return other not in self._NAMES

    def __hash__(self) -> int:
        return hash("postgresql")


POSTGRES = Dialect("postgres")


@dataclass(frozen=True)
class Function:
    """A function of the project: its syntax, the module and the outer names that it sees."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    module: Module
    outer: Names | None = None


@dataclass(frozen=True)
class Class:
    """A class of the project: what its body bound, and the fields that its body declares in order."""

    name: str
    names: Mapping[str, Any]
    fields: tuple[str, ...] = ()
    enum: bool = False

    @property
    def members(self) -> list[Any]:
        """The members of an enumeration, as their values."""
        return [
            value
            for name, value in self.names.items()
            if not name.startswith("_") and not isinstance(value, Function)
        ]


@dataclass(frozen=True)
class Record:
    """An instance of a class of the project."""

    made_by: Class
    names: dict[str, Any]


@dataclass(frozen=True)
class Imported:
    """A name imported from elsewhere (the module itself when `name` is empty), found at its first use."""

    module: str
    name: str
    level: int = 0


@dataclass(frozen=True)
class Built:
    """The value of a call to a library's constructor: its name and what was passed."""

    name: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""


@dataclass
class Module:
    """A module's global names, as far as they are known, and how to reach other files from it."""

    names: dict[str, Any] = field(default_factory=dict)
    load: Callable[[Imported], Any] = lambda wanted: Unknown(f"{wanted.module}.{wanted.name}".strip("."))
    #: Returns the text of a file below the linted root, UNKNOWN of any other.
    read: Callable[[PurePosixPath], Any] = lambda _: UNKNOWN
    #: Returns the files of a folder below the linted root that match a pattern.
    match: Callable[[PurePosixPath, str], list[PurePosixPath]] = lambda _, __: []


def is_known(value: Value) -> bool:
    """Say whether the text decides a value."""
    return not isinstance(value, Unknown)


def ordered(items: Value) -> list[Any]:
    """Return items in a stable order, sets included."""
    if isinstance(items, Class):
        return items.members
    return sorted(items, key=str) if isinstance(items, (set, frozenset)) else list(items)


def bounded(value: Value) -> Value:
    """Return a value, UNKNOWN when it has grown beyond what a migration needs."""
    too_long = isinstance(value, (str, list, tuple)) and len(value) > MAX_TEXT
    too_big = isinstance(value, int) and abs(value) >> 64
    return UNKNOWN if too_long or too_big else value


def without_holes(value: Value) -> Value:
    """Return a value with HOLE wherever it is not known."""
    if isinstance(value, (Unknown, Built, Function)):
        return HOLE
    if isinstance(value, tuple):
        return tuple(without_holes(item) for item in value)
    if isinstance(value, list):
        return [without_holes(item) for item in value]
    if isinstance(value, dict):
        return {key: without_holes(item) for key, item in value.items()}
    return value
