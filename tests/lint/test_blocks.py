"""DO blocks and helper functions are followed as far as their text and the catalogue decide them."""

from __future__ import annotations

import time

import pytest

from lint.catalogue import Table
from lint.history.read import replay_text
from lint.history.replay import Replay

TABLES = (
    "CREATE TABLE a (tenant_id int); CREATE TABLE b (id int); CREATE SCHEMA s;"
    " CREATE TABLE s.c (tenant_id int);"
)
ON = "EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', r.s, r.t);"


def replayed(sql: str) -> Replay:
    replay = Replay("x")
    replay_text(TABLES + sql, "1.sql", replay, {})
    return replay


def enabled(replay: Replay) -> set[str]:
    return {name for name, table in replay.tables.items() if table.enabled}


def reasons(replay: Replay) -> list[str]:
    return [reason for _, reason in replay.not_analysed]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT schemaname AS s, tablename AS t FROM pg_tables", {"public.a", "public.b", "s.c"}),
        ("SELECT schemaname s, tablename t FROM pg_tables WHERE schemaname = 's'", {"s.c"}),
        ("SELECT schemaname s, tablename t FROM pg_tables WHERE tablename NOT IN ('a', 'c')", {"public.b"}),
        (
            (
                "SELECT table_schema AS s, table_name AS t FROM information_schema.columns "
                "WHERE column_name = 'tenant_id' AND table_schema <> 's'"
            ),
            {"public.a"},
        ),
        (
            (
                "SELECT n.nspname AS s, c.relname AS t FROM pg_class c JOIN pg_namespace n "
                "ON n.oid = c.relnamespace JOIN pg_attribute x ON x.attrelid = c.oid "
                "WHERE x.attname = 'id' AND NOT x.attisdropped"
            ),
            {"public.b"},
        ),
        ("SELECT * FROM (VALUES ('public', 'a'), ('s', 'c')) AS v (s, t)", {"public.a", "s.c"}),
        ("SELECT 'public' AS s, x AS t FROM unnest(ARRAY['a', 'b']) AS x", {"public.a", "public.b"}),
    ],
)
def test_a_loop_over_a_query_of_the_catalogs_is_answered(query: str, expected: set[str]) -> None:
    replay = replayed(f"DO $$ DECLARE r record; BEGIN FOR r IN {query} LOOP {ON} END LOOP; END $$;")
    assert enabled(replay) == expected
    assert reasons(replay) == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT s, t FROM my_tables",
        "SELECT schemaname AS s, tablename AS t FROM pg_tables WHERE tablename ~ '^a'",
        "SELECT schemaname AS s, tablename AS t FROM pg_tables LIMIT 1",
        "SELECT schemaname AS s, tablename AS t FROM pg_tables WHERE hasindexes",
    ],
)
def test_a_loop_that_only_a_server_can_answer_is_told(query: str) -> None:
    replay = replayed(f"DO $$ DECLARE r record; BEGIN FOR r IN {query} LOOP {ON} END LOOP; END $$;")
    assert enabled(replay) == set()
    assert reasons(replay) == ["EXECUTE of text that is known only when it runs"]


def test_a_loop_sees_what_the_same_block_made_before() -> None:
    block = "CREATE TABLE fresh (tenant_id int); FOR r IN SELECT 'public' AS s, tablename AS t FROM pg_tables"
    replay = replayed(f"DO $$ BEGIN {block} WHERE tablename LIKE 'fr%' LOOP {ON} END LOOP; END $$;")
    assert enabled(replay) == {"public.fresh"}


def test_a_helper_of_the_same_history_is_followed_with_its_arguments() -> None:
    helper = """CREATE FUNCTION s.protect(name text, VARIADIC rest text[]) RETURNS void
      LANGUAGE plpgsql AS $f$ BEGIN
      EXECUTE 'ALTER TABLE ' || name || ' ENABLE ROW LEVEL SECURITY'; END $f$;"""
    assert enabled(replayed(helper + "SELECT s.protect('a', 'x');")) == {"public.a"}
    procedure = helper.replace("FUNCTION", "PROCEDURE").replace("RETURNS void", "")
    assert enabled(replayed(procedure + "CALL s.protect('s.c', 'x');")) == {"s.c"}
    dynamic = replayed(helper + "SELECT s.protect(name, 'x') FROM wanted;")
    assert reasons(dynamic) == ["EXECUTE of text that is known only when it runs"]


def test_a_function_that_calls_itself_ends() -> None:
    loop = "CREATE FUNCTION f(x text) RETURNS void LANGUAGE plpgsql AS $f$ BEGIN PERFORM f(x); END $f$;"
    started = time.process_time()
    replayed(loop + "SELECT f('a');")
    assert time.process_time() - started < 5


def test_a_branch_that_variables_refuse_is_not_taken() -> None:
    block = """DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['a', 'b'] LOOP
      IF t = 'a' THEN EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
      ELSIF t = 'z' THEN EXECUTE 'DROP TABLE a'; ELSE NULL; END IF; END LOOP; END $$;"""
    assert enabled(replayed(block)) == {"public.a"}


def test_a_guard_about_what_may_have_been_before_is_taken() -> None:
    guard = "IF EXISTS (SELECT FROM pg_policies WHERE policyname = 'older') THEN DROP TABLE b; END IF;"
    assert "public.b" not in replayed(f"DO $$ BEGIN {guard} END $$;").tables


def test_select_into_in_a_block_fills_a_variable_and_makes_no_table() -> None:
    block = "DO $$ DECLARE t text; BEGIN SELECT tablename INTO t FROM pg_tables WHERE schemaname = 's'; "
    replay = replayed(block + "EXECUTE 'ALTER TABLE s.' || t || ' ENABLE ROW LEVEL SECURITY'; END $$;")
    assert enabled(replay) == {"s.c"}
    assert "public.t" not in replay.tables


def test_dml_made_up_at_run_time_is_no_gap() -> None:
    block = "DO $$ BEGIN EXECUTE 'UPDATE ' || (SELECT x FROM y) || ' SET a = 1'; END $$;"
    assert reasons(replayed(block)) == []


def policy(table: Table) -> tuple[str | None, str | None]:
    return table.policies[0].using, table.policies[0].check


def test_a_renamed_column_is_followed_in_policies_but_not_where_another_table_captures_it() -> None:
    sql = """CREATE TABLE m (tenant_id int, who text); CREATE TABLE n (who text);
      CREATE POLICY p ON a USING (tenant_id = 1 AND EXISTS (SELECT 1 FROM m WHERE m.tenant_id = a.tenant_id
        AND tenant_id = 2)) WITH CHECK (EXISTS (SELECT 1 FROM n WHERE tenant_id = 3));
      ALTER TABLE a RENAME COLUMN tenant_id TO org;"""
    using, check = policy(replayed(sql).tables["public.a"])
    assert " ".join((using or "").split()) == (
        "org = 1 AND EXISTS (SELECT 1 FROM m WHERE m.tenant_id = a.org AND tenant_id = 2)"
    )
    assert check == "EXISTS (SELECT 1 FROM n WHERE org = 3)"


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("ALTER TABLE a DROP COLUMN tenant_id CASCADE;", []),
        ("DROP FUNCTION f() CASCADE;", ["by_column"]),
        ("ALTER TABLE a DROP COLUMN other;", ["by_column", "by_function"]),
    ],
)
def test_cascade_takes_the_policies_that_name_what_is_gone(statement: str, left: list[str]) -> None:
    sql = """CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER TABLE a ADD COLUMN other int;
      CREATE POLICY by_column ON a USING (tenant_id = 1);
      CREATE POLICY by_function ON a USING (f() = tenant_id);"""
    table = replayed(sql + statement).tables["public.a"]
    assert [one.name for one in table.policies] == left


def test_one_broken_statement_loses_itself_and_not_its_file() -> None:
    sql = "\nINSERT INTO b VALUES ('it's');\n\nALTER TABLE a ENABLE ROW LEVEL SECURITY;\n"
    replay = replayed(sql + "CREATE TABLE d (x int;\nALTER TABLE b ENABLE ROW LEVEL SECURITY;\n")
    assert enabled(replay) == {"public.a", "public.b"}
    (first, reason), (second, _) = replay.not_analysed
    assert (first.line, reason) == (2, "it cannot be tokenized up to line 2: a quote that is never closed")
    assert second.line == 5


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 20_000,
        "CREATE TABLE t (" + "a int, " * 50_000 + "b int);",
        "CREATE VIEW v AS SELECT " + "(SELECT " * 5_000 + "1" + ")" * 5_000 + ";",
        "'" * 100_001,
        "INSERT INTO a VALUES " + "('x'), " * 100_000 + "('y');",
        "DO $$ BEGIN FOR r IN SELECT * FROM pg_class a, pg_class b, pg_class c LOOP END LOOP; END $$;",
        "$a$ " * 30_000,
    ],
    ids=["open", "wide", "deep", "quotes", "rows", "joins", "dollars"],
)
def test_no_input_hangs(sql: str) -> None:
    started = time.process_time()
    replayed(sql)
    assert time.process_time() - started < 20
