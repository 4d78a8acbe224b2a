"""What stands beside a history and belongs to it: a script that protects its tables, or makes its roles."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import Report

Lint = Callable[..., Report]
TABLES = "".join(
    f"CREATE TABLE {name} (id int PRIMARY KEY, tenant_id int NOT NULL); CREATE INDEX ON {name} (tenant_id);\n"
    for name in ("orders", "parcels")
)
BOUND = "tenant_id = nullif(current_setting('app.tenant', true), '')::int"
PROTECTED = "".join(
    f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;\nCREATE POLICY tenant ON {name} USING ({BOUND});\n"
    for name in ("orders", "parcels")
)
FORCED = "".join(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY;\n" for name in ("orders", "parcels"))
ROLES = "CREATE ROLE web LOGIN;\nALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO web;\n"
REVISION = (
    "from alembic import op\nrevision = '1'\ndown_revision = None\n"
    f'def upgrade():\n    op.execute("""{TABLES}""")\n'
)


def wrong(report: Report) -> list[tuple[str, str]]:
    return [(one.rule, one.path) for one in report.findings if one.severity != "info"]


@pytest.mark.parametrize("script", ["prisma/rls.sql", "scripts/protect.sql", "db/policies/tenant.sql"])
@pytest.mark.parametrize(
    ("name", "text"), [("prisma/migrations/1_a/migration.sql", TABLES), ("alembic/versions/1.py", REVISION)]
)
def test_a_script_that_protects_a_historys_tables_comes_behind_it(
    lint: Lint, script: str, name: str, text: str
) -> None:
    report = lint({name: text, script: PROTECTED + FORCED})
    assert wrong(report) == []
    assert report.coverage.enforced == 2
    assert any("whose tables it protects" in note for note in report.notes)


def test_what_such_a_script_opens_is_found_in_it(lint: Lint) -> None:
    report = lint(
        {"m/1.sql": TABLES, "rls.sql": PROTECTED + FORCED + "CREATE POLICY x ON orders USING (true);"}
    )
    assert wrong(report) == [("RLS010", "rls.sql")]


def test_a_table_that_such_a_script_forgets_stays_open(lint: Lint) -> None:
    forgotten = "CREATE TABLE letters (id int PRIMARY KEY, tenant_id int NOT NULL);"
    report = lint({"m/1.sql": TABLES + forgotten, "rls.sql": PROTECTED + FORCED})
    assert wrong(report) == [("RLS001", "m/1.sql")]


def test_a_script_about_tables_that_nobody_makes_is_a_history_of_its_own(lint: Lint) -> None:
    elsewhere = PROTECTED.replace("orders", "a").replace("parcels", "b")
    assert "RLS001" in {rule for rule, _ in wrong(lint({"m/1.sql": TABLES, "rls.sql": elsewhere}))}


def test_a_containers_first_script_tells_who_serves(lint: Lint) -> None:
    report = lint({"m/1.sql": TABLES + PROTECTED})
    assert {rule for rule, _ in wrong(report)} == {"RLS004"}
    report = lint({"m/1.sql": TABLES + PROTECTED, "docker/init.sql": ROLES})
    assert wrong(report) == []


def test_a_container_with_two_histories_tells_nothing_of_either(lint: Lint) -> None:
    other = TABLES.replace("orders", "c").replace("parcels", "d")
    report = lint({"m/1.sql": TABLES + PROTECTED, "n/1.sql": other, "docker/init.sql": ROLES})
    assert "RLS004" in {rule for rule, _ in wrong(report)}
