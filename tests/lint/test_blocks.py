"""DO blocks and helper functions are followed as far as their text and the catalogue decide them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from lint import Report
from lint.catalogue import Table
from lint.history.read import replay_text
from lint.history.replay import Replay

Lint = Callable[..., Report]
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
        "SELECT schemaname AS s, tablename AS t FROM pg_tables WHERE tablename ~ '^(a+)+$'",
        "SELECT schemaname AS s, tablename AS t FROM pg_tables LIMIT 1",
        "SELECT schemaname AS s, tablename AS t FROM pg_tables WHERE hasindexes",
    ],
)
def test_a_loop_that_only_a_server_can_answer_is_told(query: str) -> None:
    replay = replayed(f"DO $$ DECLARE r record; BEGIN FOR r IN {query} LOOP {ON} END LOOP; END $$;")
    assert enabled(replay) == set()
    (reason,) = reasons(replay)
    assert reason == "`ALTER TABLE ….… ENABLE ROW LEVEL SECURITY` names what is known only when it runs"


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
    assert reasons(dynamic) == [
        "`ALTER TABLE … ENABLE ROW LEVEL SECURITY` names what is known only when it runs"
    ]


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


SHOP = "CREATE TABLE orders (id int PRIMARY KEY, tenant_id int NOT NULL);"
SPLIT = """
    'CREATE POLICY tenant ON %I '  -- the literal goes on in the next line
    'USING (tenant_id = current_setting(''app.tenant'')::int) '
    'WITH CHECK (tenant_id = current_setting(''app.tenant'')::int)'"""


@pytest.mark.parametrize(
    "execute",
    [
        f"EXECUTE format({SPLIT}, t);",
        f"EXECUTE replace({SPLIT}, '%I', t);",
        f"EXECUTE format(E{SPLIT[5:]}, t);",
    ],
    ids=["format", "replace", "with escapes"],
)
def test_literals_over_several_lines_are_one(execute: str) -> None:
    replay = replayed(
        f"DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['a'] LOOP {execute} END LOOP; END $$;"
    )
    using, check = policy(replay.tables["public.a"])
    assert using == check == "tenant_id = current_setting('app.tenant')::int"
    assert reasons(replay) == []


def test_an_escape_holds_in_every_line_of_a_literal() -> None:
    replay = replayed("DO $$ BEGIN EXECUTE E'CREATE TABLE ' 'one\\x5ftwo (id int)'; END $$;")
    assert "public.one_two" in replay.tables


ROWS = "VALUES ('a', 'b', 'id'), ('b', 'a', 'tenant_id')"


@pytest.mark.parametrize(
    ("loop", "names"),
    [
        (f"FOR r IN SELECT * FROM ({ROWS}) AS v (child, parent, key)", "r.child, r.parent, r.key"),
        (f"FOR child, parent, key IN {ROWS}", "child, parent, key"),
    ],
    ids=["a record", "variables"],
)
def test_rows_of_several_columns_fill_a_text_of_several_names(loop: str, names: str) -> None:
    template = "'CREATE POLICY ours ON %1$I ' 'USING (EXISTS (SELECT FROM %2$I p WHERE p.id = %1$I.%3$I))'"
    declared = "DECLARE r record; child text; parent text; key text;"
    body = f"{loop} LOOP EXECUTE format({template}, {names}); END LOOP;"
    tables = replayed(f"DO $$ {declared} BEGIN {body} END $$;").tables
    assert policy(tables["public.a"])[0] == "EXISTS (SELECT FROM b p WHERE p.id = a.id)"
    assert policy(tables["public.b"])[0] == "EXISTS (SELECT FROM a p WHERE p.id = b.tenant_id)"


ENABLED = "ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY;"
LATER = """UPDATE orders SET id = id + 1;
    CREATE TABLE lines (id int PRIMARY KEY, order_id int NOT NULL, tenant_id int NOT NULL);
    ALTER TABLE lines ENABLE ROW LEVEL SECURITY; ALTER TABLE lines FORCE ROW LEVEL SECURITY;
    GRANT SELECT ON orders, lines TO web;
    CREATE POLICY ours ON lines TO web USING (EXISTS (SELECT FROM orders o WHERE o.id = order_id));"""


@pytest.mark.parametrize(
    ("execute", "told"),
    [
        ("EXECUTE (SELECT text FROM wanted);", {"RLS090"}),
        ("EXECUTE format('CREATE POLICY x ON orders USING (%s)', (SELECT c FROM wanted));", {"RLS090"}),
        (
            "EXECUTE format('CREATE ROLE %I NOLOGIN', (SELECT c FROM wanted));",
            {"RLS003", "RLS022", "RLS040", "RLS090"},
        ),
        ("EXECUTE 'COMMENT ON TABLE orders IS ''x''';", {"RLS003", "RLS022", "RLS040"}),
    ],
    ids=["anything", "a policy", "a role", "read wholly"],
)
def test_where_a_policy_may_be_unread_none_is_missed(lint: Lint, execute: str, told: set[str]) -> None:
    """The same block enables row security and runs a text that only a server knows."""
    report = lint(
        {
            "migrations/1.sql": f"CREATE ROLE web; {SHOP}",
            "migrations/2.sql": f"DO $$ BEGIN {ENABLED} {execute} END $$;",
            "migrations/3.sql": LATER,
        }
    )
    about = {"RLS003", "RLS022", "RLS040", "RLS090"}
    assert {finding.rule for finding in report.findings} & about == told


def test_an_unread_text_of_another_block_hides_nothing(lint: Lint) -> None:
    unread = "DO $$ BEGIN EXECUTE (SELECT text FROM wanted); END $$;"
    report = lint({"migrations/1.sql": f"{SHOP} DO $$ BEGIN {ENABLED} END $$; {unread}"})
    assert "RLS003" in {finding.rule for finding in report.findings}


NAMED = "SELECT schemaname s, tablename t FROM"
JOINED = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
ASKED = (
    f"{NAMED} pg_tables LEFT JOIN pg_policies p USING (tablename) WHERE p.policyname IS NULL",
    f"{NAMED} pg_tables WHERE tablename ~ '^a$' GROUP BY schemaname, tablename",
    "SELECT table_schema s, table_name t FROM information_schema.columns GROUP BY 1, 2 LIMIT 100",
    f"SELECT n.nspname s, c.relname t FROM {JOINED} WHERE c.oid = 'public.a'::regclass",
    f"{NAMED} pg_tables WHERE tablename <> ALL (ARRAY['b', 'c'])",
    f"SELECT n.nspname s, c.relname t FROM {JOINED} WHERE c.relnatts > 0 OR c.relname !~ 'b|c'",
)


@pytest.mark.parametrize("query", ASKED)
def test_what_people_ask_the_catalogs_is_answered(query: str) -> None:
    replay = replayed(f"DO $$ DECLARE r record; BEGIN FOR r IN {query} LOOP {ON} END LOOP; END $$;")
    assert "public.a" in enabled(replay)
    assert not reasons(replay)


ENABLES = "ALTER TABLE %I ENABLE ROW LEVEL SECURITY"
PUBLIC = "FROM pg_tables WHERE schemaname = 'public'"
BODIES = {
    "string_agg": "DECLARE q text; BEGIN SELECT string_agg(format('{}', tablename), ';') INTO q {};"
    " EXECUTE q;",
    "array_agg": "DECLARE names text[]; n text; BEGIN SELECT array_agg(tablename ORDER BY 1) INTO names {1};"
    " FOREACH n IN ARRAY names LOOP EXECUTE format('{0}', n); END LOOP;",
    "cursor": "DECLARE c CURSOR FOR SELECT tablename {1}; BEGIN FOR r IN c LOOP"
    " EXECUTE format('{0}', r.tablename); END LOOP;",
    "regclass": "DECLARE t regclass; BEGIN FOR t IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r'"
    " AND relnamespace = 'public'::regnamespace LOOP EXECUTE format('{}', t); END LOOP;",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_text_made_of_many_tables_is_run_for_each(body: str) -> None:
    assert enabled(replayed(f"DO $$ {body.format(ENABLES, PUBLIC)} END $$;")) == {"public.a", "public.b"}


def test_a_partition_made_up_for_a_day_is_a_partition() -> None:
    text = "'CREATE TABLE e_new PARTITION OF e FOR VALUES FROM (%L) TO (%L)'"
    made = replayed(
        "CREATE TABLE e (tenant_id int, at date) PARTITION BY RANGE (at);"
        f"DO $$ DECLARE d date := now()::date; BEGIN EXECUTE format({text}, d, d + 1); END $$;"
    )
    assert made.tables["public.e_new"].parent == "public.e"


POLICED = (
    "CREATE TABLE orders (tenant_id int NOT NULL); ALTER TABLE orders ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY tenant ON orders USING (tenant_id = current_setting('app.tenant')::int);"
)
DROPPED = "EXECUTE format('DROP POLICY IF EXISTS tenant ON %I', t);"
OLD = "EXECUTE format('ALTER TABLE old_%s DISABLE ROW LEVEL SECURITY', t);"
UNKNOWN_TABLES = "DO $$ DECLARE t text; BEGIN FOR t IN SELECT name FROM wanted LOOP {} END LOOP; END $$;"
SAID = ("warning", "info")
SURE = ("info", "warning")


@pytest.mark.parametrize(
    ("executed", "told"),
    [
        (DROPPED, SAID),
        ("EXECUTE 'ALTER TABLE ' || t || ' DISABLE ROW LEVEL SECURITY';", SAID),
        (DROPPED.replace("tenant", "staff"), SURE),
        (OLD, SURE),
        (f"{DROPPED} EXECUTE format('CREATE POLICY tenant ON %I USING (true)', t);", ("info", "info")),
    ],
    ids=["drop", "disable", "of another name", "of other tables", "made again"],
)
def test_what_an_unread_loop_may_have_taken_away_is_unsure_and_said(
    lint: Lint, executed: str, told: tuple[str, str]
) -> None:
    report = lint({"m/1.sql": POLICED, "m/2.sql": UNKNOWN_TABLES.format(executed)})
    found = {(one.rule, one.severity) for one in report.findings if one.rule in {"RLS090", "RLS018"}}
    assert found == {("RLS090", told[0]), ("RLS018", told[1])}


@pytest.mark.parametrize("created", ["CREATE OR REPLACE POLICY tenant", "CREATE POLICY IF NOT EXISTS tenant"])
def test_a_policy_that_postgresql_refuses_is_told_and_not_applied(lint: Lint, created: str) -> None:
    report = lint({"m/1.sql": POLICED, "m/2.sql": f"{created} ON orders USING (true);"})
    found = {(one.rule, one.severity) for one in report.findings if one.rule in {"RLS090", "RLS010"}}
    assert found == {("RLS090", "warning")}
