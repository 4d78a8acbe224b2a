"""What is said of what: who may call a setter, whose rows a function gives, what a NULL tenant becomes."""

from __future__ import annotations

import pytest

from lint import Finding, LintConfig, Report
from tests.lint.rules.shop import (
    BOUND,
    CLEAN,
    HOSTED,
    INVOICE,
    PAYMENT,
    TENANT,
    Lint,
    granted,
    protected,
    wrong,
)

FORCED = TENANT + INVOICE + PAYMENT + protected("invoice") + protected("payment")


def of(report: Report, code: str) -> list[Finding]:
    """The findings of one rule."""
    return [finding for finding in report.findings if finding.rule == code]


def severities(report: Report, code: str) -> list[str]:
    """How grave the findings of one rule are."""
    return [finding.severity for finding in of(report, code)]


class TestSetters:
    """RLS035 where an application's own login serves tenants, and not a hosted platform."""

    SETTER = (
        "CREATE FUNCTION enter(t text, password text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER\n"
        "  SET search_path = pg_catalog, pg_temp AS $$ BEGIN {body} END $$;\n"
    )
    SETS = "PERFORM set_config('app.tenant_id', t, true);"

    def judged(self, lint: Lint, change: str) -> list[str]:
        return severities(lint({"m/1.sql": CLEAN, "m/2.sql": change}), "RLS035")

    def test_a_definer_setter_that_asks_nothing_is_told_until_public_may_not_call_it(
        self, lint: Lint
    ) -> None:
        setter = self.SETTER.format(body=self.SETS)
        assert self.judged(lint, setter) == ["warning"]
        revoked = "REVOKE ALL ON FUNCTION enter(text, text) FROM PUBLIC;\n"
        assert self.judged(lint, setter + revoked) == []

    @pytest.mark.parametrize(
        "question",
        [
            "IF NOT (secret_of(t) = password) THEN RAISE 'no'; END IF; ",
            "IF NOT EXISTS (SELECT 1 FROM gate WHERE name = session_user) THEN RAISE 'no'; END IF; ",
            "IF session_user <> 'app' THEN RAISE 'no'; END IF; ",
        ],
    )
    def test_a_setter_that_asks_first_is_silent(self, lint: Lint, question: str) -> None:
        assert self.judged(lint, self.SETTER.format(body=question + self.SETS)) == []

    def test_a_setter_with_its_callers_rights_is_no_more_than_set(self, lint: Lint) -> None:
        plain = self.SETTER.replace("SECURITY DEFINER", "").format(body=self.SETS)
        assert self.judged(lint, plain) == []


class TestTextOfAFunction:
    """RLS014 where the tenant comes from a function of the database that returns text."""

    TELLS = (
        "CREATE FUNCTION current_shop() RETURNS {kind} STABLE LANGUAGE plpgsql AS $$ DECLARE s text; BEGIN\n"
        "  s := current_setting('app.tenant_id', true); RETURN nullif(s, '')::{kind}; END $$;\n"
    )

    def judged(self, lint: Lint, kind: str, using: str) -> list[str]:
        made = "CREATE ROLE app LOGIN;\n" + TENANT + self.TELLS.format(kind=kind) + INVOICE
        return severities(
            lint({"m/1.sql": made + protected("invoice", using) + granted("invoice")}), "RLS014"
        )

    def test_the_column_cast_to_text_misses_another_spelling(self, lint: Lint) -> None:
        assert self.judged(lint, "text", "tenant_id::text = current_shop()") == ["warning"]
        assert self.judged(lint, "text", "(SELECT current_shop()) = tenant_id::text") == ["warning"]

    def test_the_function_cast_to_the_column_is_right(self, lint: Lint) -> None:
        assert self.judged(lint, "text", "tenant_id = (SELECT current_shop())::uuid") == []
        assert self.judged(lint, "uuid", "tenant_id = (SELECT current_shop())") == []


class TestClosedTables:
    """RLS003 on a hosted platform, where a table without a policy is closed to clients."""

    CLOSED = (
        "CREATE TABLE {0} (id uuid PRIMARY KEY, body jsonb);\nALTER TABLE {0} ENABLE ROW LEVEL SECURITY;\n"
    )

    def test_tables_without_any_policy_are_one_information(self, lint: Lint) -> None:
        found = of(
            lint({"m/1.sql": HOSTED + self.CLOSED.format("job") + self.CLOSED.format("mail")}), "RLS003"
        )
        assert [(one.severity, one.table) for one in found] == [
            ("info", "public.job"),
            ("info", "public.mail"),
        ]
        assert len({one.cause for one in found}) == 1

    def test_a_table_out_of_the_clients_reach_is_silent(self, lint: Lint) -> None:
        private = "CREATE SCHEMA internal;\n" + self.CLOSED.format("internal.job")
        assert of(lint({"m/1.sql": HOSTED + private}), "RLS003") == []

    def test_elsewhere_a_table_nobody_was_promised_is_silent(self, lint: Lint) -> None:
        assert of(lint({"m/1.sql": CLEAN + self.CLOSED.format("job")}), "RLS003") == []


class TestAnswers:
    """RLS032 for functions that answer yes or no about rows of an id that the caller chooses."""

    VALID = (
        "CREATE FUNCTION is_open(i uuid) RETURNS boolean LANGUAGE sql SECURITY DEFINER\n"
        "  SET search_path = pg_catalog, pg_temp AS\n"
        "  $$ SELECT EXISTS (SELECT 1 FROM public.invoice WHERE id = i{0}) $$;\n"
    )

    def judged(self, lint: Lint, change: str) -> list[str]:
        return severities(lint({"m/1.sql": CLEAN, "m/2.sql": change}), "RLS032")

    def test_an_answer_to_everybody_is_information(self, lint: Lint) -> None:
        assert self.judged(lint, self.VALID.format("")) == ["info"]

    @pytest.mark.parametrize(
        "change",
        [
            VALID.format("") + "REVOKE EXECUTE ON FUNCTION is_open(uuid) FROM PUBLIC;\n",
            VALID.format(" AND tenant_id::text = current_setting('app.tenant_id', true)"),
            VALID.format("") + "ALTER FUNCTION is_open(uuid) SECURITY INVOKER;\n",
            VALID.replace("i uuid", "at date").format("").replace("id = i", "at IS NOT NULL"),
        ],
    )
    def test_one_that_not_all_may_call_or_that_asks_is_silent(self, lint: Lint, change: str) -> None:
        assert self.judged(lint, change) == []

    def test_what_a_policy_calls_has_to_be_callable(self, lint: Lint) -> None:
        policy = f"CREATE POLICY opened ON payment AS RESTRICTIVE USING ({BOUND} AND is_open(invoice_id));\n"
        assert self.judged(lint, self.VALID.format("") + policy) == []


class TestWhoseRows:
    """RLS032 in a project that has no tenants."""

    TABLES = (
        "CREATE TABLE ledger (id uuid PRIMARY KEY, amount numeric, open boolean);\n"
        "ALTER TABLE ledger ENABLE ROW LEVEL SECURITY;\n"
        "CREATE POLICY staff ON ledger TO authenticated, anon USING ({0});\n"
        "CREATE FUNCTION total(i uuid) RETURNS numeric LANGUAGE sql SECURITY DEFINER\n"
        "  SET search_path = pg_catalog, pg_temp AS $$ SELECT amount FROM public.ledger WHERE id = i $$;\n"
    )

    @pytest.mark.parametrize("using", ["auth.uid() IS NOT NULL", "auth.role() IN ('anon', 'authenticated')"])
    def test_what_every_client_reads_anyway_is_no_secret(self, lint: Lint, using: str) -> None:
        assert of(lint({"m/1.sql": self.TABLES.format(using)}), "RLS032") == []

    def test_rows_of_a_table_without_tenants_are_not_called_theirs(self, lint: Lint) -> None:
        found = of(lint({"m/1.sql": self.TABLES.format("open AND auth.uid() = id")}), "RLS032")
        assert [one.severity for one in found] == ["warning"]
        assert "reaches every row through it" in found[0].message
        assert "tenant" not in found[0].message


class TestLeakproof:
    """RLS032 for LEAKPROOF."""

    MADE = "CREATE FUNCTION may(t uuid) RETURNS boolean STABLE LEAKPROOF LANGUAGE sql AS $$ SELECT {0} $$;\n"
    BODY = MADE.format("t::text = current_setting('app.tenant_id', true)")

    def test_the_policys_own_helper_is_information_and_any_other_a_warning(self, lint: Lint) -> None:
        own = self.BODY + "CREATE POLICY helped ON payment AS RESTRICTIVE USING (may(tenant_id));\n"
        assert severities(lint({"m/1.sql": CLEAN, "m/2.sql": own}), "RLS032") == ["info"]
        assert severities(lint({"m/1.sql": CLEAN, "m/2.sql": self.BODY}), "RLS032") == ["warning"]


class TestWithoutTenant:
    """RLS043 and RLS052: what becomes of a row whose tenant is NULL."""

    NOTE = (
        "CREATE TABLE note (id uuid PRIMARY KEY, tenant_id uuid REFERENCES tenant ON DELETE SET NULL,\n"
        "  partner_id uuid);\nCREATE INDEX ON note (tenant_id);\n"
    )
    PARTNER = "partner_id = (SELECT nullif(current_setting('app.partner_id', true), '')::uuid)"

    def judged(self, lint: Lint, using: str) -> tuple[list[str], str]:
        change = self.NOTE + protected("note", using) + granted("note")
        report = lint({"m/1.sql": CLEAN, "m/2.sql": change})
        return severities(report, "RLS043"), of(report, "RLS052")[0].message

    def test_a_row_that_only_its_tenant_sees_disappears(self, lint: Lint) -> None:
        null, lost = self.judged(lint, BOUND)
        assert null == ["info"]
        assert lost.endswith("the row loses its tenant and disappears")

    def test_a_row_that_another_column_lets_through_is_seen(self, lint: Lint) -> None:
        null, lost = self.judged(lint, f"{BOUND} OR {self.PARTNER}")
        assert null == []
        assert lost.endswith("only who is let in by another column sees it")

    def test_a_row_that_is_everybodys_is_told_by_the_rule_for_that(self, lint: Lint) -> None:
        null, lost = self.judged(lint, f"tenant_id IS NULL OR {BOUND}")
        assert null == []
        assert lost.endswith("every tenant sees it")

    def test_a_condition_beside_the_tenant_opens_nothing(self, lint: Lint) -> None:
        assert self.judged(lint, f"{BOUND} AND {self.PARTNER}")[0] == ["info"]


class TestDrawnByChance:
    """RLS050 for values that nobody can guess."""

    def judged(self, lint: Lint, column: str) -> list[str]:
        made = f"CREATE TABLE link (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, {column} text UNIQUE);\n"
        index = "CREATE INDEX ON link (tenant_id);\n"
        change = made + index + protected("link") + granted("link")
        return severities(lint({"m/1.sql": CLEAN, "m/2.sql": change}), "RLS050")

    @pytest.mark.parametrize(
        "column", ["state", "short_code", "content_checksum", "resume_token", "invite_code"]
    )
    def test_that_one_exists_tells_nothing(self, lint: Lint, column: str) -> None:
        assert self.judged(lint, column) == []

    @pytest.mark.parametrize("column", ["number", "code", "sku", "discount_code", "state_code"])
    def test_what_people_choose_is_told(self, lint: Lint, column: str) -> None:
        assert self.judged(lint, column) != []


class TestAdminClient:
    """BYP006 for a client with the service role's key."""

    HEAD = "import { createClient } from '@supabase/supabase-js';\n"
    MADE = "createClient(url, process.env.SUPABASE_SERVICE_ROLE_KEY!)"
    ONE = (
        (
            f"export const admin = {MADE};\n"
            "export async function all() { return await admin.from('a').select(); }"
        ),
        f"export function make() {{ return {MADE}; }}",
        f"export const make = () => {MADE};",
        f"export function make() {{ const c = {MADE}; return c; }}",
    )
    USED = (
        f"export async function POST(r) {{ const c = {MADE}; return await c.from('a').select(); }}",
        f"export async function GET(r) {{ return await {MADE}.from('a').select(); }}",
        f"export async function PUT(r) {{ const c = {MADE}; await store(c, r); }}",
    )

    def judged(self, lint: Lint, text: str, config: LintConfig | None = None) -> list[str]:
        report = lint({"src/a.ts": self.HEAD + text, "sites.yaml": "[]\n"}, config)
        return [one.severity for one in of(report, "BYP006") if "service role" in one.message]

    @pytest.mark.parametrize("text", ONE)
    def test_where_it_is_made_is_a_warning_until_a_registry_says_otherwise(
        self, lint: Lint, text: str
    ) -> None:
        assert self.judged(lint, text) == ["warning"]
        assert self.judged(lint, text, LintConfig(registry="sites.yaml")) == ["error"]
        assert self.judged(lint, text, LintConfig(bypass_packages=("@shop/db",))) == ["error"]

    @pytest.mark.parametrize("text", USED)
    def test_one_made_and_used_inside_a_function_is_an_error(self, lint: Lint, text: str) -> None:
        assert self.judged(lint, text) == ["error"]


class TestCauses:
    """What a reader is shown as the cause of an entry, and what is one entry."""

    def test_a_line_that_is_not_analysed_is_told_once(self, lint: Lint) -> None:
        loop = (
            "DO $$ DECLARE n text; BEGIN FOR n IN SELECT t FROM rollout LOOP\n"
            "  EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', n); EXECUTE n; EXECUTE n || 'x';\n"
            "END LOOP; END $$;\nDO $$ DECLARE n text; BEGIN\n  EXECUTE n; END $$;\n"
        )
        report = lint({"m/1.sql": CLEAN + "CREATE TABLE rollout (t text);\n", "m/2.sql": loop})
        places = [(one.path, one.line) for one in of(report, "RLS090")]
        assert len(places) == len(set(places)) >= 2

    def test_two_effects_of_a_key_under_force_are_two_causes(self, lint: Lint) -> None:
        columns = "ALTER TABLE {0} ADD CONSTRAINT {1} FOREIGN KEY (invoice_id) REFERENCES {2} (id);\n"
        invoices = FORCED.replace("id uuid NOT NULL, number", "id uuid NOT NULL UNIQUE, number")
        plain = "CREATE TABLE mail (id uuid PRIMARY KEY, invoice_id uuid);\n"
        keys = columns.format("mail", "m", "invoice") + columns.format("payment", "p", "mail")
        found = of(lint({"m/1.sql": invoices + plain, "m/2.sql": keys}), "RLS041")
        assert len({one.cause for one in found}) == 2
        assert {"23503" in one.message: "23503" in one.cause for one in found} == {True: True, False: False}

    def test_causes_are_said_in_words(self, lint: Lint) -> None:
        backfill = "UPDATE invoice SET state = 'new';\nINSERT INTO payment (tenant_id) VALUES (NULL);\n"
        report = lint({"m/1.sql": FORCED, "m/2.sql": backfill})
        causes = {one.cause for one in report.findings if one.cause}
        assert causes
        assert all(" " in cause for cause in causes)


def test_a_project_that_sets_its_own_tenant_connects_by_itself_too(lint: Lint) -> None:
    table = "CREATE TABLE room (tenant_id uuid NOT NULL, id uuid, PRIMARY KEY (tenant_id, id));\n"
    enabled = "ALTER TABLE room ENABLE ROW LEVEL SECURITY;\n"
    claim = "nullif(auth.jwt() ->> 'tenant_id', '')::uuid"
    own = "nullif(current_setting('app.tenant_id', true), '')::uuid"

    def told(value: str, roles: str = "") -> list[str]:
        policy = f"CREATE POLICY some ON room {roles} USING (tenant_id = (SELECT {value}));\n"
        return wrong(lint({"m/1.sql": table + enabled + policy}))

    assert told(f"coalesce({claim}, {own})") == ["RLS004"]
    assert told(claim) == []
    assert told(f"coalesce({claim}, {own})", "TO authenticated") == []
