"""Canonical JSON: one byte string for each value (RFC 8785, JCS), and a parser that refuses doubt.

Signatures are made over these bytes, and verification reads the bytes that were signed, so nothing
is canonicalised twice. Numbers are limited to what I-JSON (RFC 7493) carries between languages.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

from evidence.proofs.errors import CanonicalError

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that an IEEE 754 double, and so JavaScript, represents without doubt."""

MAX_DEPTH: Final = 128
"""Objects and arrays within each other; evidence is flat, deeper text is an attack on the reader."""

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
"""Default limit of `parse_strict`; entries of the log are far smaller."""

_PLAIN_DIGITS: Final = 21
"""ECMAScript writes numbers below 10^21 without an exponent."""


def canonical_bytes(value: object) -> bytes:
    """The RFC 8785 form of a value made of dict, list, tuple, str, int, float, bool and None, in UTF-8.

    Raises:
        CanonicalError: for NaN, infinities, integers beyond 2^53 - 1, lone surrogates, keys that
            are not text, more than 128 levels, and types that JSON does not have.
    """
    try:
        return _text(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalError("text holds a lone surrogate, which UTF-8 cannot carry") from error


def canonical_texts(texts: Iterable[str]) -> str:
    """The RFC 8785 form of an array of texts, as text; they hold no lone surrogates."""
    return f"[{','.join(map(_string, texts))}]"


def parse_strict(content: bytes, *, limit: int = MAX_DOCUMENT_BYTES) -> Any:  # noqa: ANN401 - JSON
    """Parse JSON that means the same to every reader.

    Raises:
        CanonicalError: over `limit` bytes, not UTF-8, not JSON, duplicate keys, NaN or infinities,
            integers beyond 2^53 - 1, lone surrogates or more than 128 levels.
    """
    if len(content) > limit:
        raise CanonicalError(f"JSON of {len(content)} bytes; the limit here is {limit}")
    try:
        text = content.decode("utf-8")
        value = _parsed(text)
    except CanonicalError:
        raise
    except (ValueError, RecursionError) as error:
        raise CanonicalError(f"not strict JSON: {error}") from error
    _refuse_depth_and_surrogates(value, text)
    return value


_SIMPLE: Final = frozenset({str, bool, type(None)})
"""What has one form wherever it stands."""

_CONTAINERS: Final = frozenset({dict, list, tuple})

_plain_text: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode
"""RFC 8785 for plain values, at the speed of Python's own encoder."""


def _text(value: object) -> str:
    if type(value) is str:
        return _string(value)
    return _plain_text(value) if _is_plain(value) else "".join(_chunks(value, MAX_DEPTH))


def _is_plain(value: object) -> bool:
    """Whether Python's encoder writes a value as RFC 8785 does: no float, no large integer, ASCII keys."""
    keys: list[Any] = []
    # Not by recursion: most values are small, and a call for each part would cost more than to look at it.
    waiting: list[tuple[Iterable[Any], int]] = [((value,), MAX_DEPTH)]
    while waiting:
        members, levels = waiting.pop()
        for item in members:
            kind = type(item)
            if kind in _SIMPLE or (kind is int and -MAX_INTEGER <= item <= MAX_INTEGER):
                continue
            if kind not in _CONTAINERS or levels == 0:
                return False
            if kind is dict:
                keys += item
            waiting.append((item.values() if kind is dict else item, levels - 1))
    return _are_ascii(keys)


def _are_ascii(keys: Iterable[Any]) -> bool:
    try:
        return "".join(keys).isascii()
    except TypeError:  # a key that is not text
        return False


def _chunks(value: object, levels: int) -> Iterable[str]:
    if isinstance(value, str):
        return (_string(value),)
    if value is None or isinstance(value, bool):
        return ("null" if value is None else "true" if value else "false",)
    if isinstance(value, int):
        return (_integer(value),)
    if isinstance(value, float):
        return (_number(value),)
    if levels == 0:
        raise CanonicalError(f"more than {MAX_DEPTH} levels of objects and arrays")
    if isinstance(value, dict):
        return _object(value, levels - 1)
    if isinstance(value, list | tuple):
        return _array(value, levels - 1)
    raise CanonicalError(f"{type(value).__name__} has no JSON form")


def _object(value: dict[Any, Any], levels: int) -> Iterable[str]:
    separator = "{"
    for key in sorted(value, key=_utf16):
        yield separator
        yield _string(key)
        yield ":"
        yield from _chunks(value[key], levels)
        separator = ","
    yield "{}" if separator == "{" else "}"


def _array(value: list[Any] | tuple[Any, ...], levels: int) -> Iterable[str]:
    separator = "["
    for item in value:
        yield separator
        yield from _chunks(item, levels)
        separator = ","
    yield "[]" if separator == "[" else "]"


def _utf16(key: object) -> bytes:
    """RFC 8785 section 3.2.3 sorts keys by UTF-16 code units, which differs from Python's order."""
    if not isinstance(key, str):
        raise CanonicalError(f"object key {key!r} is {type(key).__name__}, expected text")
    return key.encode("utf-16-be")


_string: Final = encode_basestring
"""RFC 8785 section 3.2.2.2 escapes what Python's encoder escapes, in the same letters."""


def _integer(value: int) -> str:
    if abs(value) > MAX_INTEGER:
        raise CanonicalError(f"integer {str(value)[:40]} is beyond 2^53 - 1; write it as text")
    return int.__repr__(value)


def _number(value: float) -> str:
    """ECMAScript's Number::toString; Python's repr finds the same shortest digits, in another layout."""
    if not math.isfinite(value):
        raise CanonicalError(f"{value} is not a JSON number")
    if value == 0:
        return "0"
    sign, digit_tuple, exponent = Decimal(float.__repr__(value)).as_tuple()
    written = "".join(map(str, digit_tuple))
    digits = written.rstrip("0")
    point = len(written) + int(exponent)
    return ("-" if sign else "") + _layout(digits, point)


def _layout(digits: str, point: int) -> str:
    """Place the decimal point after `point` digits, as ECMA-262 section 6.1.6.1.20 does."""
    if len(digits) <= point <= _PLAIN_DIGITS:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _PLAIN_DIGITS:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(pairs)
    if len(parsed) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise CanonicalError(f"duplicate key {twice[:60]!r}")
    return parsed


def _safe_integer(text: str) -> int | float:
    """An integer within I-JSON's range, or a double that RFC 8785 writes without a fraction (1e20)."""
    if len(text) <= _PLAIN_DIGITS + 1:
        value = int(text)
        if abs(value) <= MAX_INTEGER:
            return value
        if _number(float(value)) == text:
            return float(value)
    raise CanonicalError(f"integer {text[:40]} is beyond 2^53 - 1 and no double's own form")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise CanonicalError(f"number {text[:40]} does not fit a double")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise CanonicalError(f"{text} is not JSON")


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_int=_safe_integer,
    parse_float=_finite_float,
    parse_constant=_refuse_constant,
)


def _parsed(text: str) -> object:
    try:
        value, end = _STRICT.raw_decode(text)
    except json.JSONDecodeError:
        return _STRICT.decode(text)
    # White space around the value is rare; the whole decoder allows it, and words the other refusals.
    return value if end == len(text) else _STRICT.decode(text)


def _refuse_depth_and_surrogates(value: object, text: str) -> None:
    """Walk the value only where the text makes one of the two possible; most documents are not walked."""
    surrogates = "\\u" in text and "\\ud" in text.lower()
    if surrogates or text.count("[") + text.count("{") > MAX_DEPTH:
        canonical_bytes(value)
