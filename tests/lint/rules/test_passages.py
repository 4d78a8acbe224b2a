"""RLS030 to RLS035: views, functions, partitions, triggers and rules that go past a policy."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import CLEAN, HOSTED, Lint, granted, of_the_head, protected, told, wrong

UNFORCED = "ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY;\n"
PARTS = (
    "CREATE TABLE event (tenant_id uuid NOT NULL, at date, PRIMARY KEY (tenant_id, at))\n"
    "  PARTITION BY RANGE (at);\n"
    "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');\n"
)
LOG = "CREATE TABLE invoice_log (at timestamptz, old jsonb);\n"
TRIGGER = (
    "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
    "  INSERT INTO invoice_log VALUES (now(), to_jsonb(OLD)); RETURN NEW; END $$;\n"
    "CREATE TRIGGER keep AFTER UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION keep();\n"
)


def function(
    body: str, head: str = "SECURITY DEFINER SET search_path = public, pg_temp", name: str = "find(i uuid)"
) -> str:
    return f"CREATE FUNCTION {name} RETURNS SETOF invoice LANGUAGE sql {head} AS $$ {body} $$;\n"


FOUND = {
    "a view of an unforced table": (
        "RLS030",
        UNFORCED + "CREATE VIEW open_invoice AS SELECT * FROM invoice;" + granted("open_invoice", "SELECT"),
    ),
    "a view that lost its option": (
        "RLS030",
        UNFORCED + "CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM invoice;"
        "CREATE OR REPLACE VIEW v AS SELECT * FROM invoice;" + granted("v", "SELECT"),
    ),
    "a view of a forced table": (
        "RLS030",
        "CREATE VIEW v AS SELECT * FROM invoice;" + granted("v", "SELECT"),
    ),
    "a materialized view": (
        "RLS031",
        "CREATE MATERIALIZED VIEW monthly AS SELECT tenant_id, count(*) FROM invoice GROUP BY 1;"
        + granted("monthly", "SELECT"),
    ),
    "a definer without search_path": (
        "RLS032",
        function("SELECT * FROM invoice WHERE id = i", "SECURITY DEFINER"),
    ),
    "a definer with an empty path and bare names": (
        "RLS032",
        function("SELECT * FROM invoice WHERE id = i", "SECURITY DEFINER SET search_path = ''"),
    ),
    "a definer that reads as an exempt owner": (
        "RLS032",
        UNFORCED
        + function("SELECT * FROM public.invoice WHERE id = i", "SECURITY DEFINER SET search_path = ''"),
    ),
    "a partition": ("RLS033", PARTS + protected("event") + granted("event") + granted("event_1", "SELECT")),
    "an attached partition": (
        "RLS033",
        PARTS + protected("event") + granted("event") + "CREATE TABLE event_2 (LIKE event);"
        "ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');"
        + granted("event_2", "SELECT"),
    ),
    "a trigger's copy": ("RLS034", LOG + granted("invoice_log") + TRIGGER),
    "a rule's copy": (
        "RLS034",
        LOG + granted("invoice_log") + "CREATE RULE keep AS ON UPDATE TO invoice DO ALSO "
        "INSERT INTO invoice_log VALUES (now(), NULL);",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_way_past_the_policies_is_found_where_it_was_made(lint: Lint, name: str) -> None:
    code, change = FOUND[name]
    report = lint({"m/1.sql": CLEAN, "m/2.sql": change})
    hits = [f for f in report.findings if f.rule == code and f.severity != "info"]
    assert hits, told(report)
    assert {finding.path for finding in hits} == {"m/2.sql"}
    assert "None" not in hits[0].message


SILENT = {
    "an invoker view": "CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM invoice;"
    + granted("v", "SELECT"),
    "an option set later": "CREATE VIEW v AS SELECT * FROM invoice;ALTER VIEW v SET (security_invoker = on);"
    + granted("v", "SELECT"),
    "a view nobody is granted": UNFORCED + "CREATE VIEW v AS SELECT * FROM invoice;",
    "a view of a shared table": "CREATE TABLE country (code text);CREATE VIEW v AS SELECT * FROM country;"
    + granted("v", "SELECT"),
    "a materialized view nobody is granted": "CREATE MATERIALIZED VIEW m AS SELECT * FROM invoice;",
    "an invoker function": function("SELECT * FROM invoice WHERE id = i", ""),
    "a definer that policies bind": function("SELECT * FROM invoice WHERE id = i")
    + "CREATE ROLE clerk; ALTER FUNCTION find(uuid) OWNER TO clerk;",
    "a definer that asks who calls": UNFORCED
    + function(
        "SELECT * FROM invoice WHERE id = i AND tenant_id::text = current_setting('app.tenant_id', true)"
    ),
    "a definer that only the owner may call": UNFORCED
    + function("SELECT * FROM invoice WHERE id = i")
    + "REVOKE EXECUTE ON FUNCTION find(uuid) FROM PUBLIC;",
    "a table expression of a table's name": function(
        "WITH payment AS (SELECT 1) SELECT i.* FROM public.invoice i, payment "
        "WHERE i.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid",
        "SECURITY DEFINER SET search_path = ''",
    ),
    "a partition with its own": PARTS
    + protected("event")
    + granted("event")
    + protected("event_1")
    + granted("event_1", "SELECT"),
    "a partition nobody is granted": PARTS + protected("event") + granted("event"),
    "a copy nobody reads": LOG + TRIGGER,
    "a copy that is protected": "CREATE TABLE invoice_log (at date, tenant_id uuid NOT NULL, old jsonb);"
    "CREATE INDEX ON invoice_log (tenant_id);" + protected("invoice_log") + granted("invoice_log") + TRIGGER,
    "the application's own setter": "CREATE FUNCTION bind(t text) RETURNS text LANGUAGE sql AS "
    "$$ SELECT set_config('app.tenant_id', t, true) $$;",
}


@pytest.mark.parametrize("name", SILENT)
def test_a_way_that_the_policies_bind_is_silent(lint: Lint, name: str) -> None:
    change = SILENT[name]
    report = lint({"m/1.sql": CLEAN, "m/2.sql": change})
    assert [(f.rule, f.message) for f in of_the_head(report) if f.severity != "info"] == []


class TestHosted:
    """A client of a hosted platform chooses which function of its API it calls."""

    SETTING = (
        "CREATE TABLE plan (tenant_id uuid PRIMARY KEY);ALTER TABLE plan ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON plan TO authenticated USING (tenant_id = "
        "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));"
    )
    SETTER = (
        "CREATE FUNCTION bind(t text) RETURNS text LANGUAGE sql AS "
        "$$ SELECT set_config('app.tenant_id', t, false) $$;"
    )

    def test_a_setter_of_the_tenant_is_an_error_until_clients_may_not_call_it(self, lint: Lint) -> None:
        found = lint({"m/1.sql": HOSTED + self.SETTING, "m/2.sql": self.SETTER})
        assert told(found, "error") == ["RLS035"]
        revoked = self.SETTER + "REVOKE EXECUTE ON FUNCTION bind(text) FROM PUBLIC, anon, authenticated;"
        assert told(lint({"m/1.sql": HOSTED + self.SETTING, "m/2.sql": revoked}), "error") == []

    def test_a_definer_that_asks_for_the_user_through_another_function_is_silent(self, lint: Lint) -> None:
        ask = (
            "CREATE FUNCTION is_member(t uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER "
            "SET search_path = public AS $$ SELECT EXISTS (SELECT 1 FROM member "
            "WHERE tenant_id = t AND user_id = auth.uid()) $$;"
        )
        body = "SELECT * FROM invoice WHERE id = i AND {0}"
        asking = function(body.format("is_member(tenant_id)"), "SECURITY DEFINER SET search_path = public")
        open_to_all = function(body.format("true"), "SECURITY DEFINER SET search_path = public")
        assert wrong(lint({"m/1.sql": HOSTED, "m/2.sql": ask + asking})) == []
        assert wrong(lint({"m/1.sql": HOSTED, "m/2.sql": ask + open_to_all})) == ["RLS032"]

    def test_a_view_in_the_served_schema_is_an_error_and_elsewhere_silent(self, lint: Lint) -> None:
        view = "CREATE VIEW {0} AS SELECT * FROM public.invoice;"
        assert wrong(lint({"m/1.sql": HOSTED, "m/2.sql": view.format("v")})) == ["RLS030"]
        private = "CREATE SCHEMA private;" + view.format("private.v")
        assert wrong(lint({"m/1.sql": HOSTED, "m/2.sql": private})) == []

    def test_a_missing_search_path_is_one_habit_and_a_warning(self, lint: Lint) -> None:
        trigger = (
            "CREATE FUNCTION {0}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
            "$$ BEGIN RETURN NEW; END $$;"
        )
        on = "CREATE TRIGGER {0} BEFORE INSERT ON invoice FOR EACH ROW EXECUTE FUNCTION {0}();"
        change = "".join(trigger.format(n) + on.format(n) for n in ("one", "two"))
        report = lint({"m/1.sql": HOSTED, "m/2.sql": change})
        assert [(f.rule, f.severity, f.cause) for f in report.findings] == [
            ("RLS032", "warning", "SECURITY DEFINER without a search_path")
        ] * 2


def test_a_setter_that_reads_a_key_for_everyone_is_no_check(lint: Lint) -> None:
    body = (
        "DECLARE seal text; BEGIN SELECT one.seal INTO seal FROM seals one{chosen};\n"
        "PERFORM set_config('app.tenant_id', whose, true); END"
    )

    def setter(chosen: str) -> str:
        return (
            "CREATE TABLE seals (seal text, login text);\n"
            "CREATE FUNCTION bind(whose text, word text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER\n"
            f"SET search_path = public, pg_temp AS $$ {body.format(chosen=chosen)} $$;\n"
        )

    assert "RLS035" in wrong(lint({"m/1.sql": CLEAN + setter("")}))
    assert "RLS035" not in wrong(lint({"m/1.sql": CLEAN + setter(" WHERE one.login = word")}))


def test_a_view_over_a_view_shows_what_the_inner_one_reads(lint: Lint) -> None:
    inner = "CREATE VIEW inner_one{options} AS SELECT * FROM invoice;\n"
    outer = "CREATE VIEW outer_one AS SELECT * FROM inner_one;\nGRANT SELECT ON outer_one TO app;\n"
    (found,) = [
        one
        for one in of_the_head(lint({"m/1.sql": CLEAN + inner.format(options="") + outer}))
        if one.rule == "RLS030"
    ]
    assert (found.table, found.line) == ("public.inner_one", (CLEAN + inner).count("\n"))
    assert "through public.outer_one" in found.message
    asks = inner.format(options=" WITH (security_invoker = true)")
    assert wrong(lint({"m/1.sql": CLEAN + asks + outer})) == []


def test_a_materialized_view_stores_what_the_views_below_it_read(lint: Lint) -> None:
    views = (
        "CREATE VIEW some WITH (security_invoker = true) AS SELECT * FROM invoice;\n"
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM some;\n"
    )
    assert "RLS031" not in wrong(lint({"m/1.sql": CLEAN + views}))
    assert "RLS031" in wrong(lint({"m/1.sql": CLEAN + views + "GRANT SELECT ON kept TO app;\n"}))


def definer(returns: str, body: str, arguments: str = "one uuid") -> str:
    return (
        f"CREATE FUNCTION act({arguments}) RETURNS {returns} LANGUAGE sql SECURITY DEFINER\n"
        f"SET search_path = public, pg_temp AS $$ {body} $$;\n"
    )


@pytest.mark.parametrize(
    "body", ["DELETE FROM invoice WHERE id = one", "UPDATE public.invoice SET state = 'x' WHERE id = one"]
)
def test_a_definer_that_changes_any_row_by_its_id_is_told(lint: Lint, body: str) -> None:
    (found,) = [
        one for one in lint({"m/1.sql": HOSTED + definer("void", body)}).findings if one.rule == "RLS032"
    ]
    assert found.severity == "warning"
    assert "may change every tenant's rows" in found.message


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ("one uuid", "DELETE FROM invoice WHERE id = one AND tenant_id = (auth.jwt() ->> 'tenant')::uuid"),
        ("one uuid, token text", "DELETE FROM invoice WHERE id = one AND number = token"),
        ("", "DELETE FROM invoice WHERE state = 'old'"),
        ("one uuid", "INSERT INTO note_of_calls SELECT one"),
    ],
)
def test_a_definer_that_asks_or_chooses_no_row_is_right(lint: Lint, arguments: str, body: str) -> None:
    assert "RLS032" not in wrong(lint({"m/1.sql": HOSTED + definer("void", body, arguments)}))


def test_a_definer_reads_a_table_through_a_view_too(lint: Lint) -> None:
    some = "CREATE VIEW some WITH (security_invoker = true) AS SELECT * FROM invoice;\n"
    body = "SELECT json_agg(s) FROM some s WHERE s.id = one"
    assert "RLS032" in wrong(lint({"m/1.sql": HOSTED + some + definer("json", body)}))
