"""RLS053 and RLS054: privileges no policy filters, and a serving role that is not bound."""

from __future__ import annotations

import pytest

from lint import LintConfig
from tests.lint.rules.shop import CLEAN, HOSTED, Lint, told, wrong

FOUND = {
    "everything": ("RLS053", "GRANT ALL ON invoice TO app;"),
    "truncate": ("RLS053", "GRANT TRUNCATE ON invoice TO app;"),
    "to everybody": ("RLS053", "GRANT REFERENCES ON invoice TO PUBLIC;"),
    "every new table": ("RLS053", "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO app;"),
    "the owner's rights": (
        "RLS054",
        "CREATE ROLE keeper;ALTER TABLE invoice OWNER TO keeper;GRANT keeper TO app;",
    ),
    "one tenant for everybody": (
        "RLS054",
        "ALTER ROLE app SET app.tenant_id = '11111111-0000-4000-8000-000000000001';",
    ),
    "row security off": ("RLS054", "ALTER DATABASE shop SET row_security = off;"),
    "may make roles": ("RLS054", "ALTER ROLE app CREATEROLE;"),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_right_beside_the_policies_is_found_where_it_was_given(lint: Lint, name: str) -> None:
    code, change = FOUND[name]
    report = lint({"m/1.sql": CLEAN, "m/2.sql": change})
    hits = [finding for finding in report.findings if finding.rule == code]
    assert [finding.severity for finding in hits] == ["error"], told(report)
    assert {finding.path for finding in hits} == {"m/2.sql"}


@pytest.mark.parametrize(
    "change",
    [
        "GRANT ALL ON invoice TO app;REVOKE TRUNCATE, REFERENCES, TRIGGER ON invoice FROM app;",
        "CREATE ROLE nightly_backup;GRANT SELECT ON ALL TABLES IN SCHEMA public TO nightly_backup;",
        "CREATE ROLE app_admin;GRANT ALL ON invoice TO app_admin;",
        "ALTER ROLE app SET statement_timeout = '5s';",
        "ALTER ROLE app SET app.tenant_id = '';ALTER ROLE app RESET app.tenant_id;",
        "CREATE ROLE reader;GRANT reader TO app;",
    ],
)
def test_a_right_that_reaches_no_other_tenant_is_silent(lint: Lint, change: str) -> None:
    assert wrong(lint({"m/1.sql": CLEAN, "m/2.sql": change})) == []


def test_default_privileges_on_rows_are_information(lint: Lint) -> None:
    change = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO app;"
    report = lint({"m/1.sql": CLEAN, "m/2.sql": change})
    assert (wrong(report), told(report, "info")) == ([], ["RLS053"])


def test_what_a_hosted_platform_grants_to_all_its_clients_is_silent(lint: Lint) -> None:
    change = (
        "GRANT ALL ON TABLE invoice TO anon, authenticated, service_role;"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated;"
    )
    assert told(lint({"m/1.sql": HOSTED, "m/2.sql": change})) == []


def test_a_serving_role_that_nothing_binds_is_an_error(lint: Lint) -> None:
    change = "ALTER ROLE app BYPASSRLS;"
    report = lint({"m/1.sql": CLEAN, "m/2.sql": change}, LintConfig(serving_roles=("app",)))
    assert "RLS054" in told(report, "error")


def test_an_administrator_is_not_taken_for_the_role_that_serves(lint: Lint) -> None:
    change = "CREATE ROLE platform_admin;GRANT ALL ON ALL TABLES IN SCHEMA public TO platform_admin;"
    assert told(lint({"m/1.sql": CLEAN, "m/2.sql": change})) == []
    named = LintConfig(serving_roles=("platform_admin",))
    assert "RLS053" in wrong(lint({"m/1.sql": CLEAN, "m/2.sql": change}, named))


def test_who_serves_and_owns_a_table_may_switch_it_off(lint: Lint) -> None:
    assert "RLS054" in wrong(lint({"m/1.sql": CLEAN + "ALTER TABLE invoice OWNER TO app;\n"}))
    other = "CREATE ROLE keeper;\nALTER TABLE invoice OWNER TO keeper;\n"
    assert "RLS054" not in wrong(lint({"m/1.sql": CLEAN + other}))


def test_a_superuser_made_by_a_migration_is_past_every_policy(lint: Lint) -> None:
    made = "CREATE ROLE helper LOGIN {};\n"

    def rules(attribute: str) -> list[str]:
        return [one.rule for one in lint({"m/1.sql": CLEAN + made.format(attribute)}).findings]

    assert "BYP006" in rules("SUPERUSER")
    assert "BYP006" not in rules("NOSUPERUSER")
