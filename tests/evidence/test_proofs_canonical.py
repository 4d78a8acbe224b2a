"""Canonical JSON: the same bytes as a second implementation, and a parser that refuses doubt."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.proofs.canonical import MAX_INTEGER, canonical_bytes, parse_strict
from evidence.proofs.encoding import base64_bytes, base64_text
from evidence.proofs.errors import CanonicalError, EncodingError

INTEGERS = st.integers(-MAX_INTEGER, MAX_INTEGER)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_the_bytes_are_those_of_the_rfc8785_package(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@settings(max_examples=500)
@given(st.integers(0, 2**64 - 1))
def test_any_double_is_written_as_ecmascript_writes_it(bits: int) -> None:
    (number,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    if math.isfinite(number):
        written = canonical_bytes(number)
        assert written == rfc8785.dumps(number)
        assert float(written) == number


@given(VALUES)
def test_what_is_written_is_read_back_and_written_alike(value: Any) -> None:
    written = canonical_bytes(value)
    assert canonical_bytes(parse_strict(written)) == written


@pytest.mark.parametrize(
    ("number", "text"),
    [
        # RFC 8785 appendix B
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1.0000000000000001e23, "1.0000000000000001e+23"),
        (999999999999999700000.0, "999999999999999700000"),
        (1e21, "1e+21"),
        (0.000001, "0.000001"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (333333333.3333332, "333333333.3333332"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.2, "1424953923781206.2"),
    ],
)
def test_the_numbers_of_the_rfc(number: float, text: str) -> None:
    assert canonical_bytes(number) == text.encode()


def test_the_key_order_of_the_rfc() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = list(json.loads(canonical_bytes(dict.fromkeys(keys))))
    assert ordered == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def _within_itself() -> Any:
    value: list[Any] = []
    value += [value, value]
    return value


def _nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        2**53,
        -(2**53),
        "\ud800",
        {"\udfff": 1},
        {1: 2},
        b"bytes",
        {1, 2},
        object(),
        _nested(129),
        _within_itself(),
        {"a": _nested(128)},
        {"a": {1: 2}},
        [[2**53]],
        [b"bytes"],
    ],
)
def test_what_has_no_one_form_is_refused(value: Any) -> None:
    with pytest.raises(CanonicalError):
        canonical_bytes(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '[{"x":{"b":1,"b":2}}]',
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "9007199254740993",
        "1" * 5000,
        '"\\ud800"',
        '"\\uDC00x"',
        "[" * 129 + "]" * 129,
        "[" * 100_000,
        "",
        "{",
        "1 2",
        "\ufeff{}",
    ],
)
def test_doubtful_json_is_refused(text: str) -> None:
    with pytest.raises(CanonicalError):
        parse_strict(text.encode())


def test_json_that_is_not_utf8_or_too_large_is_refused() -> None:
    with pytest.raises(CanonicalError, match="strict JSON"):
        parse_strict(b'"\xff"')
    with pytest.raises(CanonicalError, match="limit"):
        parse_strict(b'"12345678"', limit=9)
    assert parse_strict(b'"12345678"', limit=10) == "12345678"


def test_surrogate_pairs_and_128_levels_are_fine() -> None:
    assert parse_strict(b'"\\ud83d\\ude00"') == "\U0001f600"
    assert parse_strict(canonical_bytes(_nested(128))) == _nested(128)


@given(st.binary(max_size=80))
def test_base64_has_one_text_for_each_byte_string(content: bytes) -> None:
    assert base64_bytes(base64_text(content)) == content


@pytest.mark.parametrize(
    "text", ["QQ", "QQ=", "QR==", "QUJ=", "QUI", "QUI=\n", " QUI=", "QUI==", "Q-_=", "QÜI="]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        base64_bytes(text)
