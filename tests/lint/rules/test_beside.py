"""Policies that stay beside their successors, that let whoever is anybody write, or that add nothing."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import BOUND, CLEAN, Lint

LOUD = "tenant_id = current_setting('app.tenant_id')::uuid"
OLD = f"ALTER POLICY tenant ON invoice USING ({LOUD});\n"


def severities(lint: Lint, rule: str, *files: str) -> list[str]:
    report = lint({f"m/{number}.sql": text for number, text in enumerate(files, 1)})
    return [one.severity for one in report.findings if one.rule == rule]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            f"DROP POLICY IF EXISTS ours ON invoice;\nCREATE POLICY ours ON invoice USING ({BOUND});",
            1,
        ),
        (f"DROP POLICY IF EXISTS tenant ON invoice;\nCREATE POLICY by_tenant ON invoice USING ({BOUND});", 0),
        (
            f"DROP POLICY IF EXISTS x ON invoice;\nCREATE POLICY x ON invoice USING ({BOUND} AND id = '1');",
            0,
        ),
    ],
)
def test_a_drop_by_a_wrong_name_leaves_the_old_policy(lint: Lint, change: str, expected: int) -> None:
    assert severities(lint, "RLS044", CLEAN + OLD, change) == ["warning"] * expected


WORDS = (
    "CREATE TABLE word (id uuid PRIMARY KEY, text text);\n"
    "ALTER TABLE word ENABLE ROW LEVEL SECURITY; ALTER TABLE word FORCE ROW LEVEL SECURITY;\n"
    "CREATE POLICY words ON word {};\n"
)
SOMEBODY = "nullif(current_setting('app.tenant_id', true), '') IS NOT NULL"


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (f"USING ({SOMEBODY})", ["warning"]),
        (f"FOR DELETE USING ({SOMEBODY})", ["warning"]),
        (f"FOR SELECT USING ({SOMEBODY})", []),
        (f"USING ({SOMEBODY} AND id = nullif(current_setting('app.word', true), '')::uuid)", []),
    ],
)
def test_a_catalogue_that_whoever_is_bound_may_change(lint: Lint, tail: str, expected: list[str]) -> None:
    assert severities(lint, "RLS010", CLEAN + WORDS.format(tail)) == expected


def test_a_clause_that_lacks_beside_another_policy_is_told_as_what_it_is(lint: Lint) -> None:
    beside = f"CREATE POLICY more ON invoice FOR UPDATE WITH CHECK ({BOUND});\n"
    assert severities(lint, "RLS007", CLEAN + beside) == ["warning"]
    assert severities(lint, "RLS007", CLEAN + "DROP POLICY tenant ON invoice;\n" + beside) == ["error"]


def test_a_check_that_is_never_asked_opens_nothing(lint: Lint) -> None:
    never = "DROP POLICY tenant ON invoice;\nCREATE POLICY more ON invoice FOR UPDATE WITH CHECK (true);\n"
    assert severities(lint, "RLS010", CLEAN + never) == []
    asked = "CREATE POLICY more ON invoice FOR UPDATE WITH CHECK (true);\n"
    assert severities(lint, "RLS010", CLEAN + asked) == ["error"]


def test_a_table_whose_writes_are_open_is_not_enforced(lint: Lint) -> None:
    assert lint({"m/1.sql": CLEAN}).coverage.enforced == 2
    weak = "ALTER POLICY tenant ON invoice WITH CHECK (state <> '');\n"
    assert lint({"m/1.sql": CLEAN + weak}).coverage.enforced == 1


@pytest.mark.parametrize(
    ("columns", "name", "expected"),
    [
        ("id uuid PRIMARY KEY, what text", "change_audit", ["warning"]),
        ("id uuid PRIMARY KEY, agent_id uuid", "run", ["warning"]),
        ("id uuid PRIMARY KEY, label text", "country", []),
    ],
)
def test_what_tells_of_persons_is_not_for_all_to_read(
    lint: Lint, columns: str, name: str, expected: list[str]
) -> None:
    made = f"CREATE TABLE {name} ({columns});\nALTER TABLE {name} ENABLE ROW LEVEL SECURITY;\n"
    made += f"CREATE POLICY reading ON {name} FOR SELECT USING (true);\n"
    assert severities(lint, "RLS010", CLEAN + made) == expected
