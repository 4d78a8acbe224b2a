"""RLS005, RLS042 and RLS043: protection that was taken away, came too late, or hides what is there."""

from __future__ import annotations

import pytest

from lint import LintConfig

from .paths import CLEAN, ENABLE, FORCE, POLICY, TABLE, Lint, found, history, messages

DISABLE = "ALTER TABLE invoice DISABLE ROW LEVEL SECURITY;\n"
NO_FORCE = "ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY;\n"
DROP = "DROP POLICY tenant ON invoice;\n"


@pytest.mark.parametrize("taken", [DISABLE, NO_FORCE, DROP, "DROP POLICY IF EXISTS tenant ON invoice;"])
def test_a_protection_taken_away_is_found_where_it_was_taken(lint: Lint, taken: str) -> None:
    assert found(lint(history(CLEAN, "\n" + taken))) == [("RLS005", "0002.sql", 2)]


@pytest.mark.parametrize(
    ("taken", "given_back"),
    [
        (DISABLE, ENABLE),
        (NO_FORCE, FORCE),
        (DROP, POLICY),
        (DROP, "CREATE POLICY other ON invoice USING (tenant_id = app.current_tenant());"),
        (DISABLE, "DROP TABLE invoice;"),
        (DROP, "ALTER TABLE invoice RENAME TO bill;" + POLICY.replace("invoice", "bill")),
    ],
)
def test_what_a_later_statement_gives_back_is_not_lost(lint: Lint, taken: str, given_back: str) -> None:
    assert found(lint(history(CLEAN, taken + given_back))) == []


def test_a_disabled_table_that_is_renamed_is_still_disabled(lint: Lint) -> None:
    report = lint(history(CLEAN, DISABLE, "ALTER TABLE invoice RENAME TO bill;"))
    assert found(report) == [("RLS005", "0002.sql", 1)]
    assert "public.bill is switched off here" in messages(report, "RLS005")[0]


def test_one_cause_is_told_once_and_not_again_by_the_rules_over_the_head(lint: Lint) -> None:
    report = lint(history(CLEAN, DISABLE))
    assert [finding.rule for finding in report.findings if finding.severity != "info"] == ["RLS005"]


def test_a_table_that_never_had_it_has_lost_nothing(lint: Lint) -> None:
    assert found(lint(history(TABLE + NO_FORCE + DISABLE))) == []


def test_a_restrictive_policy_that_goes_is_not_the_last_permissive_one(lint: Lint) -> None:
    restrictive = "CREATE POLICY narrow ON invoice AS RESTRICTIVE USING (tenant_id = app.t());\n"
    assert found(lint(history(CLEAN + restrictive, "DROP POLICY narrow ON invoice;"))) == []


def test_a_table_declared_global_may_lose_row_security(lint: Lint) -> None:
    config = LintConfig(global_tables={"public.invoice": "moved to another service"})
    assert found(lint(history(CLEAN, DISABLE), config)) == []


def test_enable_in_one_file_and_the_policy_in_a_later_one_is_a_window(lint: Lint) -> None:
    report = lint(history(TABLE, ENABLE + FORCE, POLICY))
    assert found(report) == [("RLS042", "0002.sql", 1)]
    assert "0003.sql:1" in messages(report, "RLS042")[0]


def test_a_policy_dropped_in_one_file_and_made_again_in_the_next_is_a_window(lint: Lint) -> None:
    assert found(lint(history(CLEAN, DROP, POLICY))) == [("RLS042", "0002.sql", 1)]


def test_separate_transactions_in_one_file_are_a_window(lint: Lint) -> None:
    split = f"BEGIN;\n{ENABLE}COMMIT;\nBEGIN;\n{POLICY}COMMIT;\n"
    assert found(lint(history(TABLE, split))) == [("RLS042", "0002.sql", 2)]


def test_a_file_that_asks_for_no_transaction_has_a_window_between_its_statements(lint: Lint) -> None:
    asked = "-- migrate:up transaction:false\n" + ENABLE + POLICY
    assert found(lint(history(TABLE, asked))) == [("RLS042", "0002.sql", 2)]


@pytest.mark.parametrize(
    "files",
    [
        (TABLE, ENABLE + FORCE + POLICY),
        (TABLE, POLICY, ENABLE + FORCE),
        (TABLE, f"BEGIN;\n{ENABLE}{POLICY}COMMIT;\n"),
        (TABLE + ENABLE + FORCE, POLICY),
        (CLEAN, DROP + POLICY),
        (CLEAN, "CREATE POLICY more ON invoice USING (tenant_id = app.t());", DROP, POLICY),
    ],
)
def test_a_table_that_nobody_could_find_closed_has_no_window(lint: Lint, files: tuple[str, ...]) -> None:
    assert found(lint(history(*files)), "RLS042") == []


OLD = "CREATE TABLE invoice (id uuid PRIMARY KEY, name text);\n"
ADD = "ALTER TABLE invoice ADD COLUMN tenant_id uuid;\n"


def test_a_tenant_column_never_filled_before_enable_makes_rows_vanish(lint: Lint) -> None:
    report = lint(history(OLD, ADD, ENABLE + FORCE + POLICY))
    assert found(report, "RLS043") == [("RLS043", "0002.sql", 1)]
    assert "0003.sql:1" in messages(report, "RLS043")[0]


@pytest.mark.parametrize(
    "between",
    [
        "UPDATE invoice SET tenant_id = 'c0ffee00-0000-0000-0000-000000000000';\n",
        "UPDATE invoice SET (name, tenant_id) = (name, app.owner_of(id)) WHERE tenant_id IS NULL;\n",
        "ALTER TABLE invoice ALTER COLUMN tenant_id SET NOT NULL;\n",
        "TRUNCATE invoice;\n",
        "DO $$ BEGIN UPDATE invoice SET tenant_id = app.owner_of(id); END $$;\n",
        "WITH w AS (SELECT 1 AS one) UPDATE invoice SET tenant_id = app.owner_of(id) FROM w;\n",
    ],
)
def test_a_tenant_column_that_was_filled_is_no_finding(lint: Lint, between: str) -> None:
    report = lint(history(OLD, ADD, between + ENABLE + FORCE + POLICY))
    assert not any("never filled" in message for message in messages(report, "RLS043"))


def test_rows_that_another_policy_lets_through_do_not_vanish(lint: Lint) -> None:
    shared = POLICY.replace(f"({'tenant_id'}", "(tenant_id IS NULL OR tenant_id")
    report = lint(history(OLD, ADD, ENABLE + FORCE + shared))
    assert not any("never filled" in message for message in messages(report, "RLS043"))
