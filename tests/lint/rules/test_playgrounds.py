"""Migrations of a playground beside the project's own are nobody's rows."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import CLEAN, Lint

OPEN = "CREATE TABLE note (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\n"


@pytest.mark.parametrize(
    ("folder", "expected"), [("playground/shop/drizzle", []), ("services/sandboxed/drizzle", ["RLS001"])]
)
def test_what_a_playground_holds_is_left_out(lint: Lint, folder: str, expected: list[str]) -> None:
    report = lint({"migrations/0001.sql": CLEAN, f"{folder}/0001.sql": OPEN})
    assert [one.rule for one in report.findings if one.severity == "error"] == expected
