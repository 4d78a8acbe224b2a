"""Tenant columns that no setting is compared with: policies look the membership up, or read a claim."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import Lint

SEAT = (
    "CREATE TABLE club (id uuid PRIMARY KEY);\n"
    "CREATE TABLE seat (user_id uuid NOT NULL, club_id uuid NOT NULL REFERENCES club,\n"
    "  PRIMARY KEY (user_id, club_id));\n"
    "ALTER TABLE seat ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY own ON seat FOR SELECT USING (user_id = (SELECT auth.uid()));\n"
)
MY_CLUB = (
    "CREATE FUNCTION my_club() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''\n"
    "  AS $$ SELECT club_id FROM public.seat WHERE user_id = auth.uid() LIMIT 1 $$;\n"
)
SITS_IN = (
    "CREATE FUNCTION sits_in(club uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER\n"
    "  SET search_path = '' AS $$ SELECT EXISTS (SELECT 1 FROM public.seat\n"
    "    WHERE club_id = club AND user_id = auth.uid()) $$;\n"
)
ASKED = (
    "club_id = (SELECT my_club())",
    "sits_in(club_id)",
    "club_id IN (SELECT s.club_id FROM seat s WHERE s.user_id = auth.uid())",
    "EXISTS (SELECT 1 FROM seat s WHERE s.club_id = {table}.club_id AND s.user_id = auth.uid())",
    "club_id = (auth.jwt() -> 'app_metadata' ->> 'club')::uuid",
)


def closed(table: str, using: str, column: str = "club_id") -> str:
    return (
        f"CREATE TABLE {table} (id uuid PRIMARY KEY, {column} uuid NOT NULL, author_id uuid);\n"
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n"
        f"CREATE POLICY members ON {table} TO authenticated USING ({using.format(table=table)});\n"
    )


def project(using: str, *tables: str) -> str:
    return SEAT + MY_CLUB + SITS_IN + "".join(closed(table, using) for table in tables)


@pytest.mark.parametrize("using", ASKED)
def test_the_column_that_is_looked_up_in_two_tables_is_the_tenants(lint: Lint, using: str) -> None:
    forgotten = "CREATE TABLE fee (id uuid PRIMARY KEY, club_id uuid NOT NULL);\n"
    report = lint({"m/1.sql": project(using, "match", "letter") + forgotten})
    assert "tenant column: club_id" in report.tenancy
    assert "public.fee" in {one.table for one in report.findings if one.rule == "RLS001"}


@pytest.mark.parametrize(
    "using",
    [
        "author_id = (SELECT auth.uid())",
        "author_id IN (SELECT s.user_id FROM seat s WHERE s.user_id = auth.uid())",
        "id = (auth.jwt() ->> 'sub')::uuid",
    ],
)
def test_who_wrote_a_row_is_no_tenant(lint: Lint, using: str) -> None:
    report = lint({"m/1.sql": SEAT + closed("match", using) + closed("letter", using)})
    assert "no tenant column found" in report.tenancy


def test_one_table_alone_proves_nothing(lint: Lint) -> None:
    assert "no tenant column found" in lint({"m/1.sql": project(ASKED[1], "match")}).tenancy


def test_users_are_the_tenants_where_a_setting_of_the_project_names_them(lint: Lint) -> None:
    me = "user_id = nullif(current_setting('app.user', true), '')::uuid"
    text = closed("diary", me, "user_id") + closed("photo", me, "user_id")
    forgotten = "CREATE TABLE login (id uuid PRIMARY KEY, user_id uuid NOT NULL);\n"
    report = lint({"m/1.sql": text.replace(" TO authenticated", "") + forgotten})
    assert "public.login" in {one.table for one in report.findings if one.rule == "RLS001"}
