"""Tables whose rows belong to a tenant by a key alone, and tables whose policies are open doors."""

from __future__ import annotations

from pathlib import Path

from lint import Finding, LintConfig, replay_paths
from lint.rules.viewpoint import viewpoint_of
from tests.lint.rules.shop import CLEAN, Lint, granted, protected, wrong

KEY = "FOREIGN KEY (invoice_tenant, invoice_id) REFERENCES invoice (tenant_id, id)"


def line(name: str, null: str = " NOT NULL", key: str = KEY) -> str:
    return (
        f"CREATE TABLE {name} (id uuid PRIMARY KEY, invoice_tenant uuid{null}, invoice_id uuid{null},\n"
        f"  {key});\n"
    )


def told(lint: Lint, *statements: str) -> list[Finding]:
    report = lint({"migrations/1.sql": CLEAN + "".join(statements)})
    return [one for one in report.findings if one.rule == "RLS001" and "holds rows of" in one.message]


def test_a_child_of_a_protected_table_is_told(lint: Lint) -> None:
    (found,) = told(lint, line("attempt"), granted("attempt"))
    assert (found.severity, found.table) == ("warning", "public.attempt")
    assert "public.invoice" in found.message


def test_a_child_whose_sibling_is_protected_was_forgotten(lint: Lint) -> None:
    through = "EXISTS (SELECT 1 FROM invoice i WHERE i.id = invoice_id)"
    sibling = line("reminder") + protected("reminder", through) + granted("reminder")
    (found,) = told(lint, sibling, line("attempt"), granted("attempt"))
    assert found.severity == "error"
    assert "public.reminder" in found.message


def test_rows_that_need_not_belong_to_anybody_are_not_told(lint: Lint) -> None:
    assert told(lint, line("attempt", null=""), granted("attempt")) == []


def test_a_child_that_the_role_may_not_read_is_not_told(lint: Lint) -> None:
    assert told(lint, line("attempt"), granted("attempt", role="jobs_admin")) == []


def test_a_child_that_is_protected_itself_is_not_told(lint: Lint) -> None:
    through = "EXISTS (SELECT 1 FROM invoice i WHERE i.id = invoice_id)"
    assert told(lint, line("attempt"), protected("attempt", through), granted("attempt")) == []


def test_a_table_that_everybody_reads_is_not_enforced(lint: Lint) -> None:
    report = lint({"migrations/1.sql": CLEAN + "CREATE POLICY more ON payment USING (true);\n"})
    enforced = {row.name: row.enforced for row in report.coverage.tables}
    assert (enforced["public.invoice"], enforced["public.payment"]) == (True, False)


def test_a_door_that_is_no_error_leaves_the_table_enforced(lint: Lint) -> None:
    report = lint(
        {"migrations/1.sql": CLEAN + "CREATE POLICY more ON payment FOR INSERT WITH CHECK (false);\n"}
    )
    assert wrong(report) == []
    assert all(row.enforced for row in report.coverage.tables)


def test_the_live_side_counts_an_open_table_alike(tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_text(CLEAN + "CREATE POLICY more ON payment USING (true);\n")
    (catalogue,) = replay_paths([tmp_path])
    rows = viewpoint_of(catalogue, "app", LintConfig()).coverage().tables
    assert {row.name: row.enforced for row in rows} == {"public.invoice": True, "public.payment": False}
