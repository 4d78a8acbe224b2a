"""SECURITY DEFINER functions: over forced tables, writing by an id, and with EXECUTE taken away."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import BOUND, CLEAN, HOSTED, Lint

HEAD = "LANGUAGE {} SECURITY DEFINER SET search_path = pg_catalog, public AS $$ {} $$;\n"


def definer(name: str, returns: str, body: str, language: str = "sql") -> str:
    return f"CREATE FUNCTION {name} RETURNS {returns} " + HEAD.format(language, body)


def told(lint: Lint, text: str, rule: str = "RLS032") -> list[str]:
    return [
        one.message for one in lint({"m/1.sql": text}).findings if one.rule == rule and one.severity != "info"
    ]


def test_reading_a_forced_table_as_nobody_knows_whom_is_told(lint: Lint) -> None:
    found = told(lint, CLEAN + definer("find(i uuid)", "text", "SELECT number FROM invoice WHERE id = i"))
    assert len(found) == 1
    assert "only a superuser or BYPASSRLS" in found[0]
    asks = f"SELECT number FROM invoice WHERE id = i AND {BOUND}"
    assert told(lint, CLEAN + definer("find(i uuid)", "text", asks)) == []


WRITES = (
    "UPDATE invoice SET state = 'paid' WHERE id = ANY (ids)",
    "UPDATE invoice SET state = 'x', number = new_hash WHERE id = ANY (ids)",
    "DELETE FROM invoice WHERE id = ANY (ids)",
)


@pytest.mark.parametrize("body", WRITES)
def test_rows_that_a_caller_chooses_are_written_by_an_owner(lint: Lint, body: str) -> None:
    assert len(told(lint, HOSTED + definer("mark(ids uuid[], new_hash text)", "void", body))) == 1


def test_who_must_know_a_secret_or_is_asked_for_may(lint: Lint) -> None:
    secret = "UPDATE invoice SET state = 'paid' WHERE id = ANY (ids) AND token = given"
    asks = (
        "UPDATE invoice SET state = 'paid' WHERE id = ANY (ids) AND tenant_id = (auth.jwt() ->> 'org')::uuid"
    )
    assert told(lint, HOSTED + definer("mark(ids uuid[], given text)", "void", secret)) == []
    assert told(lint, HOSTED + definer("mark(ids uuid[])", "void", asks)) == []


def test_an_error_code_is_no_secret(lint: Lint) -> None:
    body = (
        "BEGIN UPDATE invoice SET state = 'paid' WHERE id = i; IF NOT FOUND THEN "
        "RAISE EXCEPTION 'none' USING ERRCODE = '02000'; END IF; END"
    )
    assert len(told(lint, HOSTED + definer("mark(i uuid)", "void", body, "plpgsql"))) == 1


def test_adding_a_row_tells_nobody_another(lint: Lint) -> None:
    plain = "INSERT INTO invoice (number) VALUES (what) RETURNING number"
    named = "INSERT INTO invoice (tenant_id, number) VALUES (tenant_id, what) RETURNING number"
    assert told(lint, HOSTED + definer("note(what text)", "text", plain)) == []
    found = told(lint, HOSTED + definer("note(tenant_id uuid, what text)", "text", named))
    assert len(found) == 1
    assert "add rows of any id" in found[0]


PICK = (
    "CREATE FUNCTION mine() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''\n"
    "  AS $$ SELECT m.tenant_id FROM public.member m WHERE m.user_id = auth.uid() $$;\n"
    "CREATE POLICY mine ON invoice FOR SELECT TO authenticated USING (tenant_id IN (SELECT mine()));\n"
)


@pytest.mark.parametrize(
    ("revoked", "expected"),
    [
        ("REVOKE EXECUTE ON FUNCTION mine() FROM PUBLIC, anon, authenticated;\n", 1),
        ("REVOKE EXECUTE ON FUNCTION mine() FROM PUBLIC;\n", 0),  # the platform's own grant remains
        ("REVOKE EXECUTE ON FUNCTION mine() FROM PUBLIC, anon;\n", 0),
    ],
)
def test_a_policy_calls_what_its_role_may_not_execute(lint: Lint, revoked: str, expected: int) -> None:
    assert len(told(lint, HOSTED + PICK + revoked, "RLS022")) == expected


MAKER = (
    "CREATE TABLE event (tenant_id uuid NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);\n"
    "ALTER TABLE event ENABLE ROW LEVEL SECURITY; ALTER TABLE event FORCE ROW LEVEL SECURITY;\n"
    f"CREATE POLICY tenant ON event USING ({BOUND});\nGRANT SELECT ON event TO app;\n"
    "CREATE FUNCTION next_part(name text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n"
    "  EXECUTE format('CREATE TABLE IF NOT EXISTS public.%I PARTITION OF event FOR VALUES IN (1)', name);\n"
    "  {} END $$;\n"
)
GIVEN = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app;\n"


@pytest.mark.parametrize(
    ("more", "given", "expected"),
    [
        ("", GIVEN, 1),
        ("", "", 0),
        ("EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);", GIVEN, 0),
    ],
)
def test_partitions_that_a_function_makes(lint: Lint, more: str, given: str, expected: int) -> None:
    assert len(told(lint, CLEAN + given + MAKER.replace("{}", more), "RLS033")) == expected


JOIN = (
    "CREATE FUNCTION join_in(whom uuid{more}) RETURNS void LANGUAGE plpgsql SECURITY DEFINER\n"
    "SET search_path = '' AS $$ BEGIN {before} INSERT INTO public.member (tenant_id, user_id)\n"
    "VALUES ({tenant}, auth.uid()); END $$;\n"
)


def joins(lint: Lint, tenant: str = "whom", before: str = "", more: str = "") -> bool:
    text = JOIN.format(tenant=tenant, before=before, more=more)
    found = lint({"migrations/1.sql": HOSTED + text}).findings
    return any("joins any tenant" in one.message for one in found if one.rule == "RLS032")


def test_who_names_the_tenant_that_he_joins_joins_any(lint: Lint) -> None:
    assert joins(lint)
    assert joins(lint, "$1")


@pytest.mark.parametrize(
    ("before", "more"),
    [
        ("PERFORM 1 FROM public.invitation i WHERE i.tenant_id = whom;", ""),
        ("IF secret <> 'x' THEN RAISE EXCEPTION 'no'; END IF;", ", secret text"),
    ],
)
def test_who_is_asked_for_an_invitation_does_not(lint: Lint, before: str, more: str) -> None:
    assert not joins(lint, before=before, more=more)


def test_who_makes_the_tenant_is_its_first_member(lint: Lint) -> None:
    assert not joins(lint, "gen_random_uuid()")
