"""Copies of records with some fields changed, for a replay that makes thousands of them.

`dataclasses.replace` asks a record for each field by name and passes them all to `__init__`, where a
frozen record sets each through `object.__setattr__`. Here the fields of a class are looked up once.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_Layout = tuple["Callable[[Any], tuple[Any, ...]]", dict[str, int], tuple["Callable[[Any, Any], None]", ...]]
_LAYOUTS: dict[type, _Layout] = {}


def replace(record: T, **changes: object) -> T:
    """Return a record (a dataclass with slots and no `__post_init__`) with the fields given changed.

    Raises KeyError for a field that the class does not have.
    """
    kind = record.__class__
    read, positions, setters = _LAYOUTS.get(kind) or _layout(kind)
    values = [*read(record)]
    for name, value in changes.items():
        values[positions[name]] = value
    copy = object.__new__(kind)
    for write, value in zip(setters, values, strict=True):
        write(copy, value)
    return copy


def _layout(kind: type) -> _Layout:
    names = [field.name for field in fields(kind)]
    positions = {name: at for at, name in enumerate(names)}
    setters = tuple(getattr(kind, name).__set__ for name in names)
    _LAYOUTS[kind] = found = (attrgetter(*names), positions, setters)
    return found
