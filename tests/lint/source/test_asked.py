"""A condition that asks whether something was given is known by that name, in both languages."""

from __future__ import annotations

import pytest

from lint.source.holders import steps_of
from lint.source.python import read_python
from lint.source.sites import Choice, Source
from lint.source.typescript import read_typescript


def asked(source: Source) -> list[tuple[str, int]]:
    steps = steps_of(source.functions["f"].body)
    return [(step.asked, step.missing) for step in steps if isinstance(step, Choice)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("x is None", ("x", 0)),
        ("not x", ("x", 0)),
        ("x is not None", ("x", 1)),
        ("x", ("x", 1)),
        ("x == 1", ("", 0)),
        ("x is None or y", ("", 0)),
        ("not x.y", ("", 0)),
    ],
)
def test_python_asks_for_a_name(condition: str, expected: tuple[str, int]) -> None:
    text = f"def f(x, y):\n    if {condition}:\n        g()\n    else:\n        h()\n"
    assert asked(read_python(text.encode(), "a.py"))[-1:] == [expected]


def test_a_chain_of_conditions_asks_for_nothing() -> None:
    text = b"def f(x, y):\n    if x is None:\n        g()\n    elif y:\n        h()\n"
    assert asked(read_python(text, "a.py"))[0] == ("", 0)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("!x", ("x", 0)),
        ("x == null", ("x", 0)),
        ("x === undefined", ("x", 0)),
        ("x !== null", ("x", 1)),
        ("x", ("x", 1)),
        ("x > 1", ("", 0)),
        ("!x || y", ("", 0)),
    ],
)
def test_a_script_asks_for_a_name(condition: str, expected: tuple[str, int]) -> None:
    text = f"function f(x, y) {{ if ({condition}) {{ g(); }} else {{ h(); }} }}"
    assert asked(read_typescript(text.encode(), "a.ts"))[-1:] == [expected]
