"""What projects that no rule was written for do: grants made elsewhere, clients' roles, WITH in a DO."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import BOUND, CLEAN, HOSTED, INVOICE, PAYMENT, TENANT, Lint, granted, protected

FORCED = TENANT + INVOICE + PAYMENT + protected("invoice") + protected("payment")
ANYONE = (
    "auth.role() = 'authenticated'",
    "auth.role() = ANY (ARRAY['service_role'::text, 'authenticated'::text, 'anon'::text])",
    "(SELECT auth.role()) IN ('anon', 'authenticated')",
    "(auth.jwt() ->> 'role') = 'authenticated'",
    "current_setting('request.jwt.claim.role', true) = 'authenticated'",
    "auth.uid() IS NOT NULL",
    "(SELECT auth.uid()) IS NOT NULL",
)
SOMEBODY = (
    "auth.role() = 'service_role'",
    "auth.uid() IS NOT NULL AND is_staff()",
    "auth.role() = 'authenticated' AND tenant_id = (SELECT (auth.jwt() ->> 'tenant_id')::uuid)",
    "(auth.jwt() ->> 'plan') = 'authenticated'",
)


def codes(lint: Lint, *migrations: str) -> list[str]:
    """The rules of the errors and warnings in a history, by its files in order."""
    report = lint({f"m/{number}.sql": text for number, text in enumerate(migrations, 1)})
    return sorted({one.rule for one in report.findings if one.severity != "info"})


@pytest.mark.parametrize("using", ANYONE)
def test_a_test_that_every_client_passes_is_no_question_for_the_tenant(lint: Lint, using: str) -> None:
    policy = f"CREATE POLICY clients ON invoice TO authenticated USING ({using});\n"
    assert "RLS011" in codes(lint, HOSTED + policy)


@pytest.mark.parametrize("using", SOMEBODY)
def test_a_test_that_only_some_pass_is_left_to_its_author(lint: Lint, using: str) -> None:
    policy = f"CREATE POLICY some ON invoice TO authenticated USING ({using});\n"
    assert "RLS011" not in codes(lint, HOSTED + policy)


def subscribed(*tables: str) -> str:
    """SQL of more tables, whose policies look the tenant up through invoice."""
    made = ""
    through = "EXISTS (SELECT 1 FROM invoice i WHERE i.id = invoice_id)"
    for table in tables:
        columns = "tenant_id uuid NOT NULL, invoice_id uuid, PRIMARY KEY (tenant_id, invoice_id)"
        made += f"CREATE TABLE {table} ({columns});\n" + protected(table, f"{BOUND} AND {through}")
    return made


def test_a_history_that_grants_next_to_nothing_is_not_all_that_was_granted(lint: Lint) -> None:
    tables = subscribed("mail", "letter", "parcel") + granted("mail")
    assert codes(lint, "CREATE ROLE app LOGIN;\n" + FORCED + tables) == []


def test_a_history_that_grants_the_tables_tells_what_it_forgot(lint: Lint) -> None:
    tables = subscribed("mail", "letter", "parcel")
    rest = granted("payment") + granted("mail") + granted("letter") + granted("parcel")
    assert codes(lint, "CREATE ROLE app LOGIN;\n" + FORCED + tables + rest) == ["RLS022"]


SEARCH = (
    "CREATE ROLE searcher NOLOGIN;\nGRANT SELECT ON invoice TO searcher;\n"
    "CREATE POLICY search ON invoice FOR SELECT TO searcher USING (true);\n"
    "CREATE FUNCTION found(word text) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER\n"
    "  SET search_path = pg_catalog, pg_temp AS $$ SELECT number FROM public.invoice WHERE state = word $$;\n"
)


def test_who_only_owns_a_definer_function_serves_no_tenant(lint: Lint) -> None:
    owned = SEARCH + "ALTER FUNCTION found(text) OWNER TO searcher;\n"
    assert "RLS010" not in codes(lint, CLEAN + owned)
    assert "RLS010" in codes(lint, CLEAN + SEARCH)


def test_a_leakproof_function_without_arguments_is_handed_no_row(lint: Lint) -> None:
    body = "LANGUAGE sql STABLE LEAKPROOF AS $$ SELECT true $$;\n"
    assert codes(lint, CLEAN + f"CREATE FUNCTION ready() RETURNS boolean {body}") == []
    assert codes(lint, CLEAN + f"CREATE FUNCTION ready(t text) RETURNS boolean {body}") == ["RLS032"]


def test_to_be_a_member_of_the_first_superuser_is_to_step_out(lint: Lint) -> None:
    assert codes(lint, CLEAN + "GRANT postgres TO app;\n") == ["RLS054"]
    assert codes(lint, "CREATE ROLE postgres NOSUPERUSER;\n" + CLEAN + "GRANT postgres TO app;\n") == []


COUNTED = "WITH done AS (UPDATE invoice SET state = 'x' RETURNING 1) SELECT count(*) INTO n FROM done;"
COPIED = "WITH old AS (SELECT * FROM invoice) INSERT INTO archive SELECT id FROM old;"
MERGED = (
    "WITH old AS (SELECT * FROM invoice) MERGE INTO archive a USING old ON a.id = old.id "
    "WHEN MATCHED THEN DELETE;"
)
ARCHIVE = "CREATE TABLE archive (id uuid);\n"
BIND = "SELECT set_config('app.tenant_id', 'c0ffee00-0000-0000-0000-000000000000', true) INTO bound;"


def block(*lines: str) -> str:
    return f"DO $$ DECLARE n int; bound text; BEGIN {' '.join(lines)} END $$;"


@pytest.mark.parametrize("statement", [COUNTED, COPIED, MERGED])
def test_a_with_query_in_a_block_meets_the_rows_it_writes_and_reads(lint: Lint, statement: str) -> None:
    assert codes(lint, CLEAN + ARCHIVE, block(statement)) == ["RLS040"]
    assert "RLS040" not in codes(lint, CLEAN + ARCHIVE, block(BIND, statement))


def test_a_count_into_a_variable_writes_nothing(lint: Lint) -> None:
    assert codes(lint, CLEAN, block("WITH a AS (SELECT 1) SELECT count(*) INTO n FROM a;")) == []


def test_an_insert_that_reads_what_it_may_see_is_refused_for_what_it_writes(lint: Lint) -> None:
    shared = "CREATE POLICY shared ON invoice FOR SELECT USING (state = 'template');\n"
    seed = (
        "INSERT INTO invoice SELECT t.id, t.id, 'seed' FROM tenant t "
        "WHERE NOT EXISTS (SELECT 1 FROM invoice i WHERE i.state = 'template');"
    )
    report = lint({"m/1.sql": CLEAN + shared, "m/2.sql": seed})
    found = [(one.severity, one.message) for one in report.findings if one.rule == "RLS040"]
    assert [severity for severity, _ in found] == ["warning"]
    assert "42501" in found[0][1]
    assert "RLS040" not in codes(lint, CLEAN + shared, BIND.replace(" INTO bound", "") + seed)
