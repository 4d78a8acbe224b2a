"""Migrations are replayed as history: what counts is what stands after the last file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lint import LintConfig, Report, replay_paths
from lint.catalogue import Catalogue

Lint = Callable[..., Report]
TABLE = "CREATE TABLE a (id int PRIMARY KEY, tenant_id int NOT NULL);"
ON = "ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
POLICY = "CREATE POLICY p ON a USING (tenant_id = app.t());"


def replayed(folder: Path, files: dict[str, str]) -> Catalogue:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (catalogue,) = replay_paths([folder], root=folder)
    return catalogue


def found(report: Report) -> list[tuple[str, str, int]]:
    return [(finding.rule, finding.path, finding.line) for finding in report.findings]


def test_enable_in_one_file_and_policy_in_another_are_one_state(lint: Lint) -> None:
    assert found(lint({"m/1.sql": TABLE + ON, "m/2.sql": POLICY})) == [("RLS045", "m/2.sql", 1)]


def test_a_policy_created_then_dropped_is_gone(lint: Lint) -> None:
    report = lint({"m/1.sql": TABLE + ON + POLICY, "m/2.sql": "\nDROP POLICY IF EXISTS p ON a;"})
    assert found(report) == [("RLS005", "m/2.sql", 2), ("RLS045", "m/2.sql", 2)]


def test_a_renamed_table_keeps_its_protection(lint: Lint) -> None:
    report = lint({"m/1.sql": TABLE + ON + POLICY, "m/2.sql": "ALTER TABLE a RENAME TO b;"})
    assert found(report) == []
    assert [table.name for table in report.coverage.tables] == ["public.b"]


def test_a_table_dropped_and_made_again_is_unprotected(lint: Lint) -> None:
    report = lint({"m/1.sql": TABLE + ON + POLICY, "m/2.sql": "DROP TABLE a;\n" + TABLE})
    assert found(report) == [("RLS001", "m/2.sql", 2)]


def test_files_run_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    catalogue = replayed(
        tmp_path, {"V2__a.sql": TABLE, "V10__b.sql": "ALTER TABLE a RENAME TO z;", "V3__c.sql": ON}
    )
    assert catalogue.tables["public.z"].forced


@pytest.mark.parametrize("name", ["2_off.down.sql", "2.undo.sql", "down/2.sql", "U2__off.sql"])
def test_the_way_down_is_not_replayed(tmp_path: Path, name: str) -> None:
    off = "ALTER TABLE a DISABLE ROW LEVEL SECURITY;"
    assert replayed(tmp_path, {"1.sql": TABLE + ON, name: off}).tables["public.a"].enabled


@pytest.mark.parametrize(
    ("up", "down"), [("-- migrate:up", "-- migrate:down"), ("-- +goose Up", "-- +goose Down")]
)
def test_the_down_section_of_a_file_is_not_replayed(tmp_path: Path, up: str, down: str) -> None:
    text = f"{up}\n{TABLE}{ON}\n{down}\nDROP TABLE a;\n"
    assert replayed(tmp_path, {"1.sql": text}).tables["public.a"].forced


def test_prisma_folders_are_one_history(tmp_path: Path) -> None:
    files = {"migrations/2_b/migration.sql": ON, "migrations/1_a/migration.sql": TABLE}
    catalogue = replayed(tmp_path, files)
    assert (catalogue.source, catalogue.tables["public.a"].forced) == ("migrations", True)


def test_two_migration_folders_are_two_databases(tmp_path: Path, lint: Lint) -> None:
    files = {"x/migrations/1.sql": TABLE, "y/migrations/1.sql": TABLE + ON + POLICY}
    report = lint(files)
    assert found(report) == [("RLS001", "x/migrations/1.sql", 1)]
    assert report.coverage.enforced == 0, "a table told twice counts as its weaker telling"


def test_names_are_cut_where_postgres_cuts_them(tmp_path: Path) -> None:
    long = "p" * 80
    sql = f"{TABLE}{ON}CREATE POLICY {long} ON a USING (true);DROP POLICY {long[:63]} ON a;"
    assert replayed(tmp_path, {"1.sql": sql}).tables["public.a"].policies == ()


def test_quoted_names_keep_their_case_and_others_are_folded(tmp_path: Path) -> None:
    tables = replayed(tmp_path, {"1.sql": 'CREATE TABLE "Order" (a int); CREATE TABLE ORDERS (b int);'})
    assert set(tables.tables) == {"public.Order", "public.orders"}


def test_the_search_path_of_the_moment_decides_a_bare_name(tmp_path: Path) -> None:
    sql = f"SET search_path = core, public; {TABLE} SET search_path TO public; CREATE TABLE b (i int);"
    assert set(replayed(tmp_path, {"1.sql": sql}).tables) == {"core.a", "public.b"}


def test_parameters_without_a_space_and_psql_lines_are_no_obstacle(tmp_path: Path) -> None:
    sql = f"\\set x 1\nPREPARE s AS INSERT INTO a VALUES ($1,$2);\n{TABLE}\n\\echo it's\n{ON}"
    assert replayed(tmp_path, {"1.sql": sql}).tables["public.a"].forced


def test_rows_of_copy_are_not_statements(tmp_path: Path) -> None:
    sql = f"COPY x (a) FROM stdin;\nit's; DROP TABLE a;\n\\.\n{TABLE}{ON}"
    assert replayed(tmp_path, {"1.sql": sql}).tables["public.a"].forced


def test_a_body_with_semicolons_stays_one_statement(tmp_path: Path) -> None:
    body = "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; DROP TABLE a; END;"
    rule = "CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2);"
    assert "public.a" in replayed(tmp_path, {"1.sql": TABLE + body + rule + ON}).tables


def test_a_loop_over_a_literal_array_is_unrolled(tmp_path: Path) -> None:
    sql = """CREATE TABLE a (tenant_id int); CREATE TABLE b (tenant_id int);
    DO $$ DECLARE t text; names text[] := ARRAY['a', 'b']; BEGIN
      FOREACH t IN ARRAY names LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE 'CREATE POLICY p_' || t || ' ON ' || quote_ident(t) || ' USING (tenant_id = 1)';
      END LOOP;
      FOR t IN SELECT unnest(ARRAY['a']) LOOP EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
      END LOOP;
    EXCEPTION WHEN duplicate_object THEN DROP TABLE a;
    END $$;"""
    tables = replayed(tmp_path, {"1.sql": sql}).tables
    assert [tables[name].row_security for name in ("public.a", "public.b")] == ["forced", "enabled"]
    assert tables["public.b"].policies[0].name == "p_b"


def test_sql_known_only_when_it_runs_is_told_not_passed_over(lint: Lint) -> None:
    block = "DO $$ BEGIN EXECUTE (SELECT string_agg(x, ';') FROM y); END $$;"
    report = lint({"m/1.sql": f"\n{block}"})
    assert found(report) == [("RLS090", "m/1.sql", 2)]
    assert report.stats.not_analysed == 1


def test_a_projects_own_operation_counts_when_it_is_named(lint: Lint) -> None:
    sql = TABLE + "SELECT app.protect('public.a');"
    assert found(lint({"m/1.sql": sql}, LintConfig(rls_operations={"protect": ("p",)}))) == []
    assert found(lint({"m/1.sql": sql})) == [("RLS001", "m/1.sql", 1)]


def test_a_projects_own_operation_is_seen_in_a_loop_too(lint: Lint) -> None:
    loop = "FOREACH t IN ARRAY ARRAY['a'] LOOP PERFORM app.protect('public.a'); END LOOP;"
    sql = f"{TABLE}DO $$ BEGIN {loop} END $$; SELECT app."
    assert found(lint({"m/1.sql": sql}, LintConfig(rls_operations={"protect": ("p",)}))) == []
