"""RLS040, RLS041 and WRAP007: statements of a migration that row security leaves without rows."""

from __future__ import annotations

import pytest

from .paths import CLEAN, FORCE, POLICY, TABLE, Lint, found, history, messages

NO_FORCE = "ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY;\n"
UPDATE = "UPDATE invoice SET name = 'x' WHERE name IS NULL;\n"
BIND = "SELECT set_config('app.tenant_id', 'c0ffee00-0000-0000-0000-000000000000', true);\n"
OTHER = "CREATE TABLE archive (id uuid, name text);\n"


@pytest.mark.parametrize(
    "statement",
    [
        UPDATE,
        "DELETE FROM invoice WHERE name = '';",
        "INSERT INTO archive SELECT id, name FROM invoice;",
        "INSERT INTO archive (id) SELECT i.id FROM archive a JOIN public.invoice AS i ON i.id = a.id;",
        "MERGE INTO invoice i USING archive a ON a.id = i.id WHEN MATCHED THEN UPDATE SET name = a.name;",
        "CREATE TABLE copy AS SELECT * FROM invoice;",
        "SELECT * INTO copy FROM invoice;",
        "WITH gone AS (DELETE FROM invoice RETURNING id) SELECT count(*) FROM gone;",
        "WITH o AS (SELECT id FROM invoice) UPDATE archive SET name = '' FROM o WHERE o.id = archive.id;",
        "UPDATE archive SET name = (SELECT name FROM invoice WHERE invoice.id = archive.id);",
        "DO $$ BEGIN UPDATE invoice SET name = 'x'; END $$;",
        "DO $$ BEGIN EXECUTE 'UPDATE ' || quote_ident('invoice') || ' SET name = 1'; END $$;",
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM invoice LOOP NULL; END LOOP; END $$;",
        "CREATE MATERIALIZED VIEW names AS SELECT name FROM invoice;",
        "SET LOCAL app.tenant_id = '';\n" + UPDATE,
        BIND + "RESET app.tenant_id;\n" + UPDATE,
        "SET app.user_id = '1';\n" + UPDATE,
        f"BEGIN;\n{BIND}COMMIT;\n{UPDATE}",
    ],
)
def test_a_statement_on_a_forced_table_with_no_tenant_bound_is_silent(lint: Lint, statement: str) -> None:
    report = lint(history(CLEAN + OTHER, statement))
    assert [(rule, file) for rule, file, _ in found(report, "RLS040")] == [("RLS040", "0002.sql")]
    assert "in silence" in messages(report, "RLS040")[0]
    assert report.failed


@pytest.mark.parametrize(
    "statement",
    [
        BIND + UPDATE,
        "SET LOCAL app.tenant_id = '1';\n" + UPDATE,
        "SET app.tenant_id TO '1';\n" + UPDATE,
        "SELECT app.set_tenant('1');\n" + UPDATE,
        "SET row_security = off;\n" + UPDATE,
        "SELECT set_config('row_security', 'off', false);\n" + UPDATE,
        "SET ROLE somebody_else;\n" + UPDATE,
        NO_FORCE + UPDATE + FORCE,
        "ALTER TABLE invoice DISABLE ROW LEVEL SECURITY;\n"
        + UPDATE
        + "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;",
        "UPDATE archive SET name = 'x';",
        "INSERT INTO archive VALUES (1);",
        "TRUNCATE invoice;",
        "SELECT count(*) FROM invoice;",
        "CREATE TABLE copy AS SELECT * FROM invoice WITH NO DATA;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ UPDATE invoice SET name = 'x' $$;",
        "DO $$ DECLARE n int; BEGIN SELECT count(*) INTO n FROM invoice; END $$;",
        "DO $$ BEGIN PERFORM set_config('app.tenant_id', '1', true); UPDATE invoice SET name = 'x'; END $$;",
        "UPDATE archive SET name = 'x' WHERE name IS DISTINCT FROM invoice;",
    ],
)
def test_a_statement_that_meets_its_rows_is_no_finding(lint: Lint, statement: str) -> None:
    assert found(lint(history(CLEAN + OTHER, statement)), "RLS040") == []


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ((CLEAN.replace(FORCE, ""), UPDATE), "the owner is exempt"),
        ((CLEAN + "CREATE POLICY all_rows ON invoice USING (true);", UPDATE), "every row passes"),
        ((CLEAN + "CREATE POLICY m ON invoice TO migrator USING (true);", UPDATE), "it migrates as that"),
        ((CLEAN + "CREATE POLICY s ON invoice USING (name = 'shared');", UPDATE), "some rows pass"),
        ((TABLE + POLICY + UPDATE + "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;" + FORCE,), "not yet"),
        (("CREATE ROLE migrator BYPASSRLS;" + CLEAN, UPDATE), "a role for migrations is exempt"),
        ((CLEAN + "GRANT SELECT ON invoice TO authenticated;", UPDATE), "a hosted platform's owner bypasses"),
        ((CLEAN, "CREATE ROLE b BYPASSRLS; SET ROLE b;" + UPDATE), "it became one that bypasses"),
    ],
)
def test_a_role_that_is_not_bound_meets_its_rows(lint: Lint, files: tuple[str, ...], why: str) -> None:
    assert found(lint(history(*files)), "RLS040") == [], why


def test_becoming_a_role_that_is_bound_changes_nothing(lint: Lint) -> None:
    report = lint(history(CLEAN, "CREATE ROLE app LOGIN; SET ROLE app;\n" + UPDATE))
    assert found(report, "RLS040") == [("RLS040", "0002.sql", 2)]


def test_a_setting_bound_in_an_earlier_file_is_not_counted_on(lint: Lint) -> None:
    report = lint(history(CLEAN, "SET app.tenant_id = '1';", UPDATE))
    assert found(report, "RLS040") == [("RLS040", "0003.sql", 1)]


def test_an_insert_of_values_fails_loudly_so_it_is_a_warning(lint: Lint) -> None:
    report = lint(history(CLEAN, "INSERT INTO invoice VALUES ('1', '2', 'x');"))
    (finding,) = [finding for finding in report.findings if finding.rule == "RLS040"]
    assert finding.severity == "warning"
    assert "42501" in finding.message


def test_copy_from_is_refused_whatever_is_bound(lint: Lint) -> None:
    report = lint(history(CLEAN, BIND + "COPY invoice (id) FROM stdin;\n1\n\\.\n"))
    assert ["0A000" in message for message in messages(report, "RLS040")] == [True]


def test_a_policy_that_asks_for_a_setting_without_missing_ok_fails_loudly(lint: Lint) -> None:
    report = lint(history(CLEAN.replace(", true)", ")"), UPDATE))
    (finding,) = [finding for finding in report.findings if finding.rule == "RLS040"]
    assert (finding.severity, "42704" in finding.message) == ("warning", True)


def test_a_refresh_fills_the_view_with_nothing(lint: Lint) -> None:
    before = TABLE + "CREATE MATERIALIZED VIEW names AS SELECT name FROM invoice;\n"
    after = CLEAN.replace(TABLE, "")
    report = lint(history(before, after, "REFRESH MATERIALIZED VIEW CONCURRENTLY names;"))
    assert found(report, "RLS040") == [("RLS040", "0003.sql", 1)]


def test_each_statement_is_a_place_of_one_cause(lint: Lint) -> None:
    report = lint(history(CLEAN, UPDATE * 5))
    assert [line for _, _, line in found(report, "RLS040")] == [1, 2, 3, 4, 5]
    assert len({finding.cause for finding in report.findings if finding.rule == "RLS040"}) == 1


def test_of_inserts_that_fail_the_first_of_a_file_is_told(lint: Lint) -> None:
    assert (
        len(found(lint(history(CLEAN, "INSERT INTO invoice VALUES ('1', '2', 'x');\n" * 5)), "RLS040")) == 1
    )


QUESTIONS = {
    "a count": "SELECT count(*) INTO n FROM invoice; IF n > 0 THEN RAISE EXCEPTION 'x'; END IF;",
    "a count below": "SELECT count(*) INTO n FROM (SELECT id FROM invoice) d; IF n > 0 THEN NULL; END IF;",
    "an IF": "IF EXISTS (SELECT 1 FROM invoice GROUP BY name) THEN RAISE EXCEPTION 'x'; END IF;",
    "an assignment": "n := (SELECT max(id) FROM invoice); UPDATE archive SET name = n;",
    "FOUND": "PERFORM 1 FROM invoice; IF FOUND THEN RAISE EXCEPTION 'x'; END IF;",
}
NO_QUESTIONS = {
    "only told": "SELECT count(*) INTO n FROM invoice; RAISE NOTICE 'there are %', n;",
    "another table": "SELECT count(*) INTO n FROM archive; IF n > 0 THEN RAISE EXCEPTION 'x'; END IF;",
    "the catalog": "IF EXISTS (SELECT 1 FROM pg_tables WHERE tablename = 'invoice') THEN RAISE 'x'; END IF;",
    "bound": BIND.replace("SELECT", "PERFORM") + "IF EXISTS (SELECT 1 FROM invoice) THEN RAISE 'x'; END IF;",
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_over_hidden_rows_that_decides_something_is_told(lint: Lint, question: str) -> None:
    report = lint(history(CLEAN + OTHER, f"DO $$ DECLARE n int; BEGIN {question} END $$;"))
    assert found(report, "RLS040") == [("RLS040", "0002.sql", 1)]
    assert messages(report, "RLS040")[0].startswith("what is done next is decided by 0 rows, in silence")


@pytest.mark.parametrize("question", NO_QUESTIONS.values(), ids=NO_QUESTIONS)
def test_a_question_that_decides_nothing_or_meets_its_rows_is_none(lint: Lint, question: str) -> None:
    report = lint(history(CLEAN + OTHER, f"DO $$ DECLARE n int; BEGIN {question} END $$;"))
    assert found(report, "RLS040") == []


def test_dynamic_sql_that_binds_each_tenant_in_turn_is_a_binding(lint: Lint) -> None:
    block = (
        "DO $$ DECLARE t record; BEGIN FOR t IN SELECT id FROM archive LOOP\n"
        "EXECUTE format('SET LOCAL app.tenant_id = %L', t.id); UPDATE invoice SET name = 'x';\n"
        "END LOOP; END $$;"
    )
    report = lint(history(CLEAN + OTHER, block))
    assert found(report, "RLS040") == []
    assert [one.severity for one in report.findings if one.rule == "WRAP007"] == ["info"]


LOOP = (
    "DO $$ DECLARE t record; n int; BEGIN FOR t IN SELECT id FROM archive LOOP\n"
    "PERFORM set_config('app.tenant_id', t.id::text, true); UPDATE invoice SET name = 'x'; {check}\n"
    "END LOOP; END $$;"
)


def test_a_backfill_in_a_loop_over_tenants_looks_at_its_count(lint: Lint) -> None:
    unchecked = lint(history(CLEAN + OTHER, LOOP.format(check="")))
    assert found(unchecked, "WRAP007", "RLS040") == [("WRAP007", "0002.sql", 1)]


def test_a_backfill_that_looks_at_its_count_is_no_finding(lint: Lint) -> None:
    checked = lint(history(CLEAN + OTHER, LOOP.format(check="GET DIAGNOSTICS n = ROW_COUNT;")))
    assert found(checked, "WRAP007", "RLS040") == []


REVISION = (
    "from alembic import op\nimport sqlalchemy as sa\nrevision = '{0}'\ndown_revision = {1}\n"
    "def upgrade():\n    conn = op.get_bind()\n{2}"
)


def alembic(*bodies: str) -> dict[str, str]:
    return {
        f"versions/{n}.py": REVISION.format(n, repr(str(n - 1)) if n > 1 else None, body)
        for n, body in enumerate(bodies, start=1)
    }


def executed(sql: str) -> str:
    return f'    conn.execute(sa.text("""{sql}"""))\n'


def test_a_revision_that_updates_a_forced_table_is_found_at_its_call(lint: Lint) -> None:
    report = lint(alembic(executed(CLEAN), "    value = read()\n" + executed(UPDATE)))
    assert [(f.path, f.line) for f in report.findings if f.rule == "RLS040"] == [("versions/2.py", 8)]


def test_a_revision_that_binds_each_tenant_and_counts_is_no_finding(lint: Lint) -> None:
    bind = executed("SELECT set_config('app.tenant_id', :tenant, true)")
    counted = f'    touched = conn.execute(sa.text("""{UPDATE}""")).rowcount\n'
    clean = lint(alembic(executed(CLEAN), bind + counted))
    assert found(clean, "RLS040", "WRAP007") == []
    careless = lint(alembic(executed(CLEAN), bind + executed(UPDATE)))
    assert [f.rule for f in careless.findings if f.rule in {"RLS040", "WRAP007"}] == ["WRAP007"]


CUSTOMER = "CREATE TABLE customer (id uuid PRIMARY KEY);\n"
KEY = "ALTER TABLE invoice ADD CONSTRAINT to_customer FOREIGN KEY (customer_id) REFERENCES customer (id)"
ITEM = "CREATE TABLE item (id uuid, invoice_id uuid);\n"
ITEM_KEY = "ALTER TABLE item ADD FOREIGN KEY (invoice_id) REFERENCES invoice (id);"


def test_a_key_on_a_forced_table_is_checked_against_no_row(lint: Lint) -> None:
    report = lint(history(CLEAN + CUSTOMER, KEY + ";"))
    assert found(report, "RLS041") == [("RLS041", "0002.sql", 1)]
    assert "marked valid while orphans may exist" in messages(report, "RLS041")[0]


def test_a_key_to_a_forced_table_fails_although_its_rows_are_sound(lint: Lint) -> None:
    report = lint(history(CLEAN + ITEM, ITEM_KEY))
    assert ["23503" in message for message in messages(report, "RLS041")] == [True]


def test_a_key_that_the_table_has_already_is_added_by_no_guard(lint: Lint) -> None:
    """`IF NOT EXISTS (…) THEN ADD` is looked at, since the history may have begun before; here it did not."""
    held = ITEM.replace("invoice_id uuid", "invoice_id uuid CONSTRAINT held REFERENCES invoice (id)")
    assert found(lint(history(CLEAN + held, ITEM_KEY)), "RLS041") == []
    again = f"ALTER TABLE item DROP CONSTRAINT held; {ITEM_KEY}"
    assert found(lint(history(CLEAN + held, again)), "RLS041") == [("RLS041", "0002.sql", 1)]


def test_binding_a_tenant_does_not_help_the_check_of_a_key(lint: Lint) -> None:
    assert found(lint(history(CLEAN + CUSTOMER, BIND + KEY + ";")), "RLS041") == [("RLS041", "0002.sql", 2)]


@pytest.mark.parametrize(
    "change",
    [
        KEY + " NOT VALID;",
        NO_FORCE + KEY + ";" + FORCE,
        "SET row_security = off;" + KEY + ";",
        ITEM + ITEM_KEY,
        "ALTER TABLE invoice ADD COLUMN payer_id uuid;" + KEY.replace("(customer_id)", "(payer_id)") + ";",
        "TRUNCATE invoice;" + KEY + ";",
    ],
)
def test_a_key_that_no_hidden_row_can_break_is_no_finding(lint: Lint, change: str) -> None:
    assert found(lint(history(CLEAN + CUSTOMER, change)), "RLS041") == []


def test_validating_a_key_later_is_found_then(lint: Lint) -> None:
    validate = "ALTER TABLE invoice VALIDATE CONSTRAINT to_customer;"
    report = lint(history(CLEAN + CUSTOMER, KEY + " NOT VALID;", validate))
    assert found(report, "RLS041") == [("RLS041", "0003.sql", 1)]


def test_validating_a_check_reads_the_table_itself(lint: Lint) -> None:
    check = "ALTER TABLE invoice ADD CONSTRAINT named CHECK (name <> '') NOT VALID;"
    validate = "ALTER TABLE invoice VALIDATE CONSTRAINT named;"
    assert found(lint(history(CLEAN, check, validate)), "RLS041") == []
