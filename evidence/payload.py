"""Payload types and their strict JSON form, split into three audience subtrees.

A payload is what one collector saw of one subject: a frozen dataclass of the standard library
whose fields say who may read them (`Public`, `Nda`, `Auditor`; an unmarked field is for auditors).
Numbers are integers in a unit that the field's name carries, so that canonical JSON (RFC 8785)
never meets a float. Decoding is strict: a missing, unknown or mistyped field is an error.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from evidence.errors import MalformedEvidence

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

T = TypeVar("T")


class Audience(StrEnum):
    """Who may read a field. Each audience also reads what the ones before it read."""

    PUBLIC = "public"
    NDA = "nda"
    AUDITOR = "auditor"


Public = Annotated[T, Audience.PUBLIC]
Nda = Annotated[T, Audience.NDA]
Auditor = Annotated[T, Audience.AUDITOR]


class Payload:
    """Base of every payload type: a frozen dataclass with a versioned `kind`.

    A subclass names its kind (``kind = "postgres.row_security/v1"``) and is found by it in `KINDS`.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401 - Python's own protocol
        super().__init_subclass__(**options)
        known = KINDS.setdefault(cls.kind, cls)
        if known.__qualname__ != cls.__qualname__:
            raise TypeError(f"kind {cls.kind!r} is claimed by {known.__qualname__} and {cls.__qualname__}")
        KINDS[cls.kind] = cls


KINDS: dict[str, type[Payload]] = {}
"""Every payload type by its kind; filled as the modules of `evidence.kinds` are imported."""

_HINTS: dict[type[Any], tuple[tuple[str, Any], ...]] = {}
"""Resolved type hints of each dataclass: resolving them anew costs more than decoding."""


def subtrees(payload: Payload) -> dict[Audience, dict[str, Json]]:
    """The payload's fields as JSON, sorted into one object for each audience (all three, maybe empty)."""
    split: dict[Audience, dict[str, Json]] = {audience: {} for audience in Audience}
    for name, audience in _audiences(type(payload)):
        split[audience][name] = encode(getattr(payload, name))
    return split


def payload_from(kind: str, split: Mapping[Audience, Mapping[str, Json]]) -> Payload:
    """Rebuild a payload from its subtrees.

    Raises:
        MalformedEvidence: the kind is unknown, or a field is missing, unknown, mistyped or
            stands in another audience's subtree than its type says.
    """
    payload_type = KINDS.get(kind)
    if payload_type is None:
        raise MalformedEvidence(f"unknown payload kind {kind!r}; known are {', '.join(sorted(KINDS))}")
    expected = dict(_audiences(payload_type))
    merged: dict[str, Json] = {}
    for audience, fields in split.items():
        for name, value in fields.items():
            if expected.get(name) is not audience:
                raise MalformedEvidence(f"{kind}: field {name!r} does not belong to the {audience} subtree")
            merged[name] = value
    return typing.cast("Payload", decode(payload_type, merged, where=kind))


def encode(value: object) -> Json:
    """The JSON form of a dataclass, tuple, mapping, enum, time or plain value; floats are refused."""
    if isinstance(value, Enum):
        return encode(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise MalformedEvidence(
        f"{type(value).__name__} has no JSON form here; use integers with a unit, or text"
    )


def decode(expected: Any, value: Json, *, where: str) -> Any:  # noqa: ANN401 - the type is a value here
    """Read JSON as `expected` (a dataclass, tuple, mapping, enum, time, union or plain type), strictly.

    Raises:
        MalformedEvidence: naming the path (`where`), what was got and what was expected.
    """
    expected = _bare(expected)
    origin = typing.get_origin(expected)
    if origin is types.UnionType or origin is typing.Union:
        return _decode_union(typing.get_args(expected), value, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(expected)[0], value, where)
    if origin is not None and issubclass(origin, Mapping):
        return _decode_mapping(typing.get_args(expected)[1], value, where)
    if dataclasses.is_dataclass(expected):
        return _decode_dataclass(typing.cast("type[Any]", expected), value, where)
    return _decode_plain(expected, value, where)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as in ``2026-11-23T15:04:05.000Z``."""
    if moment.tzinfo is None:
        raise MalformedEvidence(f"{moment.isoformat()} has no time zone; evidence times are UTC")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_timestamp(text: str, *, where: str = "time") -> datetime:
    """Read what `timestamp` writes; anything else is `MalformedEvidence`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedEvidence(f"{where}: {text!r} is not an RFC 3339 time") from error
    if moment.tzinfo is None or timestamp(moment) != text:
        raise MalformedEvidence(f"{where}: {text!r} is not in the form 2026-11-23T15:04:05.000Z")
    return moment.astimezone(UTC)


def _audiences(payload_type: type[Payload]) -> tuple[tuple[str, Audience], ...]:
    return tuple((name, _audience(hint)) for name, hint in _hints(payload_type))


def _audience(hint: Any) -> Audience:  # noqa: ANN401 - the type is a value here
    marks = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Audience)]
    return marks[0] if marks else Audience.AUDITOR


def _hints(dataclass_type: type[Any]) -> tuple[tuple[str, Any], ...]:
    if dataclass_type not in _HINTS:
        hints = typing.get_type_hints(dataclass_type, include_extras=True)
        fields = dataclasses.fields(dataclass_type)
        _HINTS[dataclass_type] = tuple((field.name, hints[field.name]) for field in fields)
    return _HINTS[dataclass_type]


def _bare(hint: Any) -> Any:  # noqa: ANN401 - the type is a value here
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _decode_dataclass(expected: type[Any], value: Json, where: str) -> object:
    if not isinstance(value, dict):
        raise _mistyped(value, "an object", where)
    hints = dict(_hints(expected))
    if unknown := sorted(value.keys() - hints.keys()):
        raise MalformedEvidence(f"{where}: unknown field {unknown[0]!r} for {expected.__name__}")
    if missing := sorted(hints.keys() - value.keys()):
        raise MalformedEvidence(f"{where}: field {missing[0]!r} of {expected.__name__} is missing")
    return expected(
        **{name: decode(hint, value[name], where=f"{where}.{name}") for name, hint in hints.items()}
    )


def _decode_tuple(item_type: object, value: Json, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise _mistyped(value, "a list", where)
    return tuple(decode(item_type, item, where=f"{where}[{n}]") for n, item in enumerate(value))


def _decode_mapping(item_type: object, value: Json, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _mistyped(value, "an object", where)
    return {key: decode(item_type, item, where=f"{where}.{key}") for key, item in value.items()}


def _decode_union(options: tuple[Any, ...], value: Json, where: str) -> object:
    for option in _ordered(options):
        try:
            return decode(option, value, where=where)
        except MalformedEvidence:
            continue
    names = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise _mistyped(value, names, where)


def _ordered(options: tuple[Any, ...]) -> Iterator[Any]:
    """Text last: a time or an enum is text too, and must win."""
    yield from (option for option in options if option is not str)
    yield from (option for option in options if option is str)


def _decode_plain(expected: Any, value: Json, where: str) -> object:  # noqa: ANN401 - as above
    if expected is types.NoneType or expected is None:
        if value is None:
            return None
        raise _mistyped(value, "null", where)
    if expected is datetime and isinstance(value, str):
        return parse_timestamp(value, where=where)
    if isinstance(expected, type) and issubclass(expected, Enum):
        return _decode_enum(expected, value, where)
    if expected in (bool, int, str) and type(value) is expected:
        return value
    raise _mistyped(value, getattr(expected, "__name__", str(expected)), where)


def _decode_enum(expected: type[Enum], value: Json, where: str) -> Enum:
    try:
        return expected(value)
    except ValueError as error:
        raise _mistyped(value, " | ".join(str(item.value) for item in expected), where) from error


def _mistyped(value: Json, expected: str, where: str) -> MalformedEvidence:
    return MalformedEvidence(f"{where}: got {type(value).__name__} {str(value)[:40]!r}, expected {expected}")
