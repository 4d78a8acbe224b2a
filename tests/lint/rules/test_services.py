"""Small services as strangers write them, each with its faults marked where they stand, and clean ones.

`tests/lint/services.txt` holds them: a line that ends in EXPECT names the rules that it breaks, and every
other line breaks none, so that a finding too many fails as a finding too few does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lint import Report

Lint = Callable[..., Report]
_HEADER = re.compile(r"^=== (\w+): (\S+)\n", re.MULTILINE)
_EXPECT = re.compile(r"EXPECT ((?:[A-Z]+\d+ ?)+)")


def services() -> dict[str, dict[str, str]]:
    text = (Path(__file__).parent.parent / "services.txt").read_text()
    _, *parts = _HEADER.split(text)
    found: dict[str, dict[str, str]] = {}
    for name, path, content in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        found.setdefault(name, {})[path] = content
    return found


SERVICES = services()


def expected(files: dict[str, str]) -> set[tuple[str, int, str]]:
    return {
        (path, number, rule)
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        for match in _EXPECT.finditer(line)
        for rule in match[1].split()
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_told_its_faults_and_nothing_else(lint: Lint, name: str) -> None:
    files = SERVICES[name]
    told = {
        (one.path, one.line, one.rule)
        for one in lint(files).findings
        if one.severity != "info" and one.rule.startswith(("BYP", "WRAP"))
    }
    assert told == expected(files)


def test_the_services_break_many_rules_in_more_than_one_spelling() -> None:
    broken = [rule for files in SERVICES.values() for _, _, rule in expected(files)]
    for rule in ("BYP003", "BYP006", "BYP007", "WRAP001", "WRAP002", "WRAP003", "WRAP004", "WRAP005"):
        assert broken.count(rule) > 1, rule
