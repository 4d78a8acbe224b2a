"""Library calls whose result the text decides: builtins, text, paths, and JavaScript's counterparts.

Nothing here touches a file, a clock or the environment. Whatever could grow without bound is refused
by raising ValueError, which the evaluator takes for "not known".
"""

from __future__ import annotations

import itertools
import posixpath
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lint.history.values import (
    HOLE,
    UNKNOWN,
    Class,
    SqlText,
    Unknown,
    Value,
    is_known,
    ordered,
    without_holes,
)

MAX_ITEMS = 100_000
_WIDTH = re.compile(r"\d{4,}")


def _range(*bounds: int) -> list[int]:
    found = range(*bounds)
    if len(found) > MAX_ITEMS:
        raise ValueError("a range too long to follow")
    return list(found)


def _getenv(name: object, default: object = UNKNOWN) -> object:
    """A migration's environment is not known, but the default that it names is what it ships with."""
    del name
    return UNKNOWN if default is None else default


def _flat(items: Iterable[Any]) -> list[Any]:
    return [inner for item in items for inner in (item if isinstance(item, list) else [item])]


def quoted(name: object) -> str:
    """Return a name as a quoted SQL identifier."""
    text = str(without_holes(name))
    return '"' + text.replace('"', '""') + '"'


def literal(value: object) -> str:
    """Return a value as a SQL literal."""
    if isinstance(value, SqlText):
        return str(value)
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + str(without_holes(value)).replace("'", "''") + "'"


#: By the dotted path of what is called; builtins go by their bare name.
PURE: Mapping[str, Callable[..., Any]] = {
    "list": lambda items=(): ordered(items),
    "tuple": lambda items=(): tuple(ordered(items)),
    "set": lambda items=(): set(items),
    "frozenset": lambda items=(): frozenset(items),
    "dict": dict,
    "sorted": lambda items, reverse=False, **_: sorted(ordered(items), key=str, reverse=reverse),
    "reversed": lambda items: list(reversed(items)),
    "enumerate": lambda items, start=0: list(enumerate(ordered(items), start)),
    "zip": lambda *items, **_: list(zip(*items, strict=False)),
    "range": _range,
    "len": len,
    "str": lambda value="": str(value),
    "int": int,
    "bool": bool,
    "repr": repr,
    "any": any,
    "all": all,
    "min": min,
    "max": max,
    "sum": sum,
    "abs": abs,
    "print": lambda *_, **__: None,
    "textwrap.dedent": textwrap.dedent,
    "dedent": textwrap.dedent,
    "inspect.cleandoc": textwrap.dedent,
    "itertools.chain": lambda *items: [one for each in items for one in ordered(each)],
    "itertools.product": lambda *items: list(itertools.islice(itertools.product(*items), MAX_ITEMS)),
    "itertools.chain.from_iterable": lambda items: [one for each in items for one in ordered(each)],
    "types.MappingProxyType": dict,
    "pathlib.Path": PurePosixPath,
    "pathlib.PurePath": PurePosixPath,
    "os.path.join": posixpath.join,
    "os.path.dirname": lambda path: posixpath.dirname(str(path)),
    "os.path.basename": lambda path: posixpath.basename(str(path)),
    "os.path.abspath": lambda path: posixpath.normpath(str(path)),
    "os.path.realpath": lambda path: posixpath.normpath(str(path)),
    "os.path.normpath": lambda path: posixpath.normpath(str(path)),
    "os.getenv": _getenv,
    "os.environ.get": _getenv,
    "psycopg.sql.SQL": SqlText,
    "psycopg.sql.Identifier": lambda *names: SqlText(".".join(map(quoted, names))),
    "psycopg.sql.Literal": lambda value: SqlText(literal(value)),
    "psycopg2.sql.SQL": SqlText,
    "psycopg2.sql.Identifier": lambda *names: SqlText(".".join(map(quoted, names))),
    "psycopg2.sql.Literal": lambda value: SqlText(literal(value)),
    "sqlalchemy.sql.quoted_name": lambda name, **_: str(name),
    "sqlalchemy.sql.elements.quoted_name": lambda name, **_: str(name),
    "alembic.op.f": str,
    "alembic.op.inline_literal": lambda value, **_: value,
    "op.f": str,
    "typing.cast": lambda _, value: value,
    "copy.copy": lambda value: value,
    "copy.deepcopy": lambda value: value,
    "Object.keys": list,
    "Object.values": lambda owner: list(owner.values()),
    "Object.entries": lambda owner: [list(pair) for pair in owner.items()],
    "Object.freeze": lambda value: value,
    "Object.assign": lambda *parts: {key: value for part in parts for key, value in part.items()},
    "Array.from": ordered,
    "String": str,
    "String.raw": str,
    "path.join": posixpath.join,
    "path.resolve": lambda *parts: posixpath.normpath(posixpath.join(*parts)),
    "path.dirname": posixpath.dirname,
    "Promise.all": lambda items: items,
    "process.cwd": lambda: UNKNOWN,
}


def _format(text: str, *arguments: Value, **keywords: Value) -> str:
    if _WIDTH.search(text):
        raise ValueError("a width too large to follow")
    held = [without_holes(argument) for argument in arguments]
    holes = {key: without_holes(value) for key, value in keywords.items()}
    return type(text)(text.format(*held, **holes))


def _join(text: str, items: Iterable[Any]) -> str:
    return text.join(str(without_holes(item)) for item in ordered(items))


def _script_join(items: list[Any], glue: str = ",") -> str:
    return glue.join(str(without_holes(item)) for item in items)


def _replace(text: str, old: object, new: object, count: int = -1) -> str:
    if not isinstance(old, str) or (not old and len(text) > 1000):
        raise ValueError("a replacement that is not one of plain text")
    return text.replace(old, str(without_holes(new)), count)


def _same(value: Value, *_: Value, **__: Value) -> Value:
    return value


_TEXT_METHODS: Mapping[str, Callable[..., Any]] = {
    **{
        name: getattr(str, name)
        for name in (
            *("strip", "lstrip", "rstrip", "upper", "lower", "split", "rsplit", "splitlines", "title"),
            *("removeprefix", "removesuffix", "startswith", "endswith", "partition", "rpartition"),
            *("capitalize", "casefold", "count", "find", "isidentifier", "isalpha", "isdigit", "isalnum"),
            *("isupper", "islower"),
        )
    },
    "format": _format,
    "join": _join,
    "replace": _replace,
    **dict.fromkeys(("bindparams", "execution_options", "columns", "encode", "as_string"), _same),
    "toLowerCase": str.lower,
    "toUpperCase": str.upper,
    "trim": str.strip,
    "trimStart": str.lstrip,
    "trimEnd": str.rstrip,
    "replaceAll": _replace,
    "includes": lambda text, part: part in text,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "concat": lambda text, *parts: text + "".join(str(without_holes(part)) for part in parts),
    "toString": _same,
    "slice": lambda text, start=0, end=None: text[start:end],
    "substring": lambda text, start=0, end=None: text[start:end],
}


def _push(items: list[Any], *more: Value) -> int:
    items.extend(more)
    return len(items)


_LIST_METHODS: Mapping[str, Callable[..., Any]] = {
    "append": lambda items, item: items.append(item),
    "extend": lambda items, more: items.extend(ordered(more)),
    "insert": lambda items, at, item: items.insert(at, item),
    "index": lambda items, item: items.index(item),
    "count": lambda items, item: items.count(item),
    "copy": list,
    "reverse": lambda items: items.reverse() or items,
    "sort": lambda items, *_, **__: items.sort(key=str) or items,
    "pop": lambda items, at=-1: items.pop(at),
    "push": _push,
    "join": _script_join,
    "concat": lambda items, *more: _flat([items, *more]),
    "flat": lambda items, *_: _flat(items),
    "includes": lambda items, item: item in items,
    "indexOf": lambda items, item: items.index(item) if item in items else -1,
    "slice": lambda items, start=0, end=None: items[start:end],
    "entries": lambda items: [[at, item] for at, item in enumerate(items)],
    "keys": lambda items: list(range(len(items))),
    "values": list,
}
_DICT_METHODS: Mapping[str, Callable[..., Any]] = {
    "items": lambda owner: list(owner.items()),
    "keys": list,
    "values": lambda owner: list(owner.values()),
    "get": lambda owner, key, default=None: owner.get(key, default),
    "setdefault": lambda owner, key, default=None: owner.setdefault(key, default),
    "update": lambda owner, other=(), **more: owner.update(other, **more),
    "pop": lambda owner, key, default=None: owner.pop(key, default),
    "copy": dict,
}
_SET_METHODS: Mapping[str, Callable[..., Any]] = {
    "union": lambda owner, *others: owner.union(*others),
    "difference": lambda owner, *others: owner.difference(*others),
    "intersection": lambda owner, *others: owner.intersection(*others),
    "issubset": lambda owner, other: owner.issubset(other),
    "add": lambda owner, item: owner.add(item),
    "update": lambda owner, *others: owner.update(*others),
    "discard": lambda owner, item: owner.discard(item),
}
_PATH_METHODS: Mapping[str, Callable[..., Any]] = {
    "joinpath": lambda path, *parts: path.joinpath(*parts),
    "with_suffix": lambda path, suffix: path.with_suffix(suffix),
    "with_name": lambda path, name: path.with_name(name),
    **dict.fromkeys(("resolve", "absolute", "expanduser"), _same),
}
PATH_ATTRIBUTES = frozenset({"parent", "parents", "name", "stem", "suffix", "parts"})
_METHODS: tuple[tuple[type | tuple[type, ...], Mapping[str, Callable[..., Any]]], ...] = (
    (str, _TEXT_METHODS),
    (list, _LIST_METHODS),
    (tuple, {name: _LIST_METHODS[name] for name in ("index", "count")}),
    (dict, _DICT_METHODS),
    ((set, frozenset), _SET_METHODS),
    (PurePosixPath, _PATH_METHODS),
)
#: Methods that take their arguments as they are, unknown ones included.
HOLDING = frozenset(
    {"append", "push", "extend", "insert", "update", "setdefault", "add", "get", "items", "keys", "values"}
    | {"entries", "copy", "concat", "format", "join", "pop"}
)


def method_of(owner: object, name: str) -> Callable[..., Any] | None:
    """Return a method of a known value that can be followed, None for any other."""
    for kind, methods in _METHODS:
        if isinstance(owner, kind):
            return methods.get(name)
    return None


def piece(value: object) -> str:
    """Return what a value is inside a text; HOLE for what is not known."""
    if value is None or isinstance(value, (str, int, float, PurePosixPath)):
        return str(value)
    if isinstance(value, (list, tuple)) and all(is_known(item) for item in value):
        return str(value)
    return HOLE


def percent(text: str, right: Value) -> str:
    """Return `text % right`; raises as Python does, and for widths too large to follow."""
    if _WIDTH.search(text):
        raise ValueError("a width too large to follow")
    return type(text)(text % without_holes(right))


def repeated(left: Value, right: Value) -> Value:
    """Return `left * right`, raising ValueError when it would grow too long."""
    if isinstance(left, Sequence) and isinstance(right, int) and len(left) * right > MAX_ITEMS:
        raise ValueError("a repetition too long to follow")
    return left * right


def is_iterable(value: object) -> bool:
    """Say whether a loop over a value is known item by item."""
    if isinstance(value, Class):
        return value.enum
    return isinstance(value, (list, tuple, set, frozenset, dict))


def has_unknown(values: Iterable[Any]) -> bool:
    """Say whether any value, or any item of a sequence among them, is not known."""
    return any(isinstance(value, Unknown) for value in values)
