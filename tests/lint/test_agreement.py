"""What the front end reads out of SQL is what PostgreSQL's own parser reads out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lint.oracle import compared, ours, theirs

HERE = Path(__file__).parent
CORPORA = sorted((HERE / "corpus").rglob("*.sql"))
NAMES = st.sampled_from(["a", "b.c", '"Order"', '"x""y"', "public.t", "n" * 70, "Tenant_Id", "ünï"])
COLUMNS = st.sampled_from(["id", "tenant_id", '"Role"', "x1"])
TYPES = st.sampled_from(
    [
        "int",
        "int8",
        "serial",
        "varchar(20)",
        "character varying",
        "timestamptz",
        "timestamp (3) with time zone",
        "double precision",
        "numeric(10, 2)",
        "text[]",
        "int ARRAY",
        "b.mood",
        "char",
        "bit varying(3)",
        "float(3)",
    ]
)
EXPRESSIONS = st.sampled_from(
    [
        "true",
        "tenant_id = current_setting('a;b', true)::uuid",
        "(select auth.uid()) = id",
        "x IN (1, 2)",
        "EXISTS (SELECT 1 FROM m WHERE m.id = id)",
        "a -> 'b' ->> 'c)' = $$)$$",
        "NOT (x AND y) OR z IS NULL",
    ]
)
ROLES = st.sampled_from(["app", "PUBLIC", "CURRENT_USER", '"My Role"', "app, public"])
COMMANDS = st.sampled_from(["", " FOR ALL", " FOR SELECT", " for insert", " FOR UPDATE"])


@st.composite
def policies(draw: st.DrawFn) -> str:
    as_ = draw(st.sampled_from(["", " AS PERMISSIVE", " as restrictive"]))
    to = draw(st.one_of(st.just(""), ROLES.map(" TO {}".format)))
    using = draw(st.one_of(st.just(""), EXPRESSIONS.map(" USING ({})".format)))
    check = draw(st.one_of(st.just(""), EXPRESSIONS.map(" WITH CHECK ({})".format)))
    name, table = draw(COLUMNS), draw(NAMES)
    return f"CREATE POLICY {name} ON {table}{as_}{draw(COMMANDS)}{to}{using}{check}"


@st.composite
def columns(draw: st.DrawFn) -> str:
    constraints = st.sampled_from(
        [
            "NOT NULL",
            "NULL",
            "DEFAULT 1 + 2",
            "DEFAULT 'a''b'",
            "UNIQUE",
            "CHECK (id > 0)",
            "PRIMARY KEY",
            "REFERENCES b.c (id) ON DELETE SET NULL",
            "CONSTRAINT k UNIQUE",
            "REFERENCES t ON UPDATE CASCADE",
        ]
    )
    found = draw(st.lists(constraints, max_size=3, unique_by=lambda one: one.split()[0]))
    return " ".join([draw(COLUMNS), draw(TYPES), *found])


@st.composite
def tables(draw: st.DrawFn) -> str:
    elements = draw(st.lists(columns(), min_size=1, max_size=4, unique_by=lambda one: one.split()[0]))
    more = st.sampled_from(
        [
            "PRIMARY KEY (id, x1)",
            "CONSTRAINT u UNIQUE NULLS NOT DISTINCT (id)",
            "CHECK (x1 <> ',)')",
            "FOREIGN KEY (id, x1) REFERENCES b.c ON DELETE SET DEFAULT (x1)",
            "LIKE t INCLUDING ALL",
        ]
    )
    elements += draw(st.lists(more, max_size=2, unique=True))
    exists = draw(st.sampled_from(["", "IF NOT EXISTS "]))
    behind = draw(
        st.sampled_from(["", " PARTITION BY LIST (id)", " INHERITS (b.c)", " WITH (fillfactor = 70)"])
    )
    return f"CREATE TABLE {exists}{draw(NAMES)} ({', '.join(elements)}){behind}"


@st.composite
def grants(draw: st.DrawFn) -> str:
    privileges = draw(st.sampled_from(["ALL", "SELECT, INSERT", "SELECT (id, x1), UPDATE", "ALL PRIVILEGES"]))
    objects = draw(st.sampled_from(["TABLE a, b.c", '"Order"', "ALL TABLES IN SCHEMA public, b", "t"]))
    option = draw(st.sampled_from(["", " WITH GRANT OPTION"]))
    return f"GRANT {privileges} ON {objects} TO {draw(ROLES)}{option}"


STATEMENTS = st.one_of(policies(), tables(), grants())


@pytest.mark.parametrize("path", CORPORA, ids=lambda path: str(path.relative_to(HERE)))
def test_our_own_corpora_are_read_as_postgresql_reads_them(path: Path) -> None:
    agreed, missed, extra = compared(path.read_text())
    assert (missed, extra) == ([], [])
    assert agreed != []


@given(st.lists(STATEMENTS, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_built_statements_are_read_as_postgresql_reads_them(statements: list[str]) -> None:
    text = ";\n-- it's a comment;\n".join(statements)
    mine, other = (sorted(repr(fact) for _, fact in found) for found in (ours(text), theirs(text)))
    assert mine == other


def test_a_fact_that_is_read_wrongly_is_a_disagreement() -> None:
    agreed, missed, extra = compared("CREATE TABLE a (b int); CREATE TABLE ONLY (;")
    assert [fact[0] for _, fact in agreed] == ["table"]
    assert (missed, extra) == ([], [])
    theirs_only = list(theirs("CREATE POLICY p ON a USING (true)"))
    ours_only = list(ours("CREATE POLICY p ON a USING (false)"))
    assert theirs_only != ours_only
