"""Who serves tenants beside a platform's own roles, and what is not said of the others."""

from __future__ import annotations

from tests.lint.rules.shop import CLEAN, HOSTED, INVOICE, TENANT, Lint, granted

ROLES = (
    "CREATE ROLE seller;\n"
    + TENANT
    + INVOICE
    + "GRANT ALL ON ALL TABLES IN SCHEMA public TO authenticated;\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY own ON invoice TO authenticated\n"
    "  USING (tenant_id = (SELECT (auth.jwt() ->> 'org')::uuid));\n"
)
STATE = "CREATE POLICY {} ON invoice FOR SELECT TO seller USING (state = 'sent');\n"


def codes(lint: Lint, text: str) -> list[str]:
    return sorted({one.rule for one in lint({"m/1.sql": text}).findings if one.severity != "info"})


def test_a_role_of_the_projects_own_is_judged_beside_the_platforms(lint: Lint) -> None:
    assert "RLS011" in codes(lint, ROLES + granted("invoice", role="seller") + STATE.format("sent"))


def test_a_platforms_role_that_no_policy_names_any_more_serves_nobody(lint: Lint) -> None:
    moved = "ALTER POLICY own ON invoice TO seller;\n" + granted("invoice", role="seller")
    assert codes(lint, ROLES + moved) == []
    assert "RLS011" in codes(lint, ROLES + moved + STATE.format("sent"))


def test_a_table_that_another_serving_role_is_for_is_information_to_the_rest(lint: Lint) -> None:
    text = (
        "CREATE ROLE buyer;\nCREATE ROLE seller;\n"
        + TENANT
        + INVOICE
        + granted("invoice", role="seller")
        + granted("invoice", role="buyer")
        + "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
        "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\nCREATE POLICY own ON invoice TO seller USING "
        "(tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));\n"
    )
    assert "RLS008" not in codes(lint, text)
    told = [one.severity for one in lint({"m/1.sql": text}).findings if one.rule == "RLS008"]
    assert told == ["info"]


def test_a_service_schema_that_clients_have_no_right_to_needs_no_row_security(lint: Lint) -> None:
    job = (
        "CREATE TABLE {0}.job (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\nGRANT ALL ON {0}.job TO {1};\n"
    )
    made = ROLES + "CREATE SCHEMA api;\n"
    assert "RLS001" not in codes(lint, made + job.format("api", "service_role"))
    assert "RLS001" in codes(
        lint, made + "GRANT USAGE ON SCHEMA api TO authenticated;\n" + job.format("api", "authenticated")
    )


def test_a_table_that_only_denies_is_closed_on_purpose(lint: Lint) -> None:
    made = "CREATE TABLE ledger (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\n"
    made += "ALTER TABLE ledger ENABLE ROW LEVEL SECURITY;\n"
    deny = "CREATE POLICY shut ON ledger AS RESTRICTIVE TO authenticated USING ({});\n"
    assert "RLS003" not in codes(lint, ROLES + made + deny.format("false"))
    assert "RLS003" in codes(lint, ROLES + made + deny.format("tenant_id IS NOT NULL"))


BOX = "CREATE TABLE outbox (id uuid PRIMARY KEY, payload jsonb);\n"


def test_a_table_that_the_platform_serves_needs_row_security_whoever_owns_its_rows(lint: Lint) -> None:
    assert "RLS001" in codes(lint, HOSTED + BOX)
    assert "RLS001" not in codes(lint, HOSTED + BOX + "ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;\n")
    assert "RLS001" not in codes(lint, HOSTED + BOX + "REVOKE ALL ON outbox FROM anon, authenticated;\n")
    assert "RLS001" not in codes(lint, CLEAN + BOX)
