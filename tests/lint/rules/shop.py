"""A small schema that is right, and how the tests of the rules speak of what is found in a change of it."""

from __future__ import annotations

from collections.abc import Callable

from lint import Finding, Report
from lint.rules.path_rules import PATH_RULES

Lint = Callable[..., Report]

BOUND = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"


def protected(table: str, using: str = BOUND, tail: str = "") -> str:
    """SQL that enables, forces and binds a table."""
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\nALTER TABLE {table} FORCE ROW LEVEL SECURITY;\n"
        f"CREATE POLICY tenant ON {table} USING ({using}) {tail};\n"
    )


def granted(table: str, privileges: str = "SELECT, INSERT, UPDATE, DELETE", role: str = "app") -> str:
    return f"GRANT {privileges} ON {table} TO {role};\n"


TENANT = "CREATE TABLE tenant (id uuid PRIMARY KEY, name text);\n"
INVOICE = (
    "CREATE TABLE invoice (tenant_id uuid NOT NULL REFERENCES tenant, id uuid NOT NULL, number text,\n"
    "  state text, PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, number));\n"
)
PAYMENT = (
    "CREATE TABLE payment (tenant_id uuid NOT NULL, id uuid NOT NULL, invoice_id uuid,\n"
    "  PRIMARY KEY (tenant_id, id),\n"
    "  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoice (tenant_id, id) ON DELETE CASCADE);\n"
)
#: What every test changes: tables of tenants, protected, and the role that serves them.
CLEAN = (
    "CREATE ROLE app LOGIN;\n"
    + TENANT
    + INVOICE
    + PAYMENT
    + protected("invoice")
    + protected("payment")
    + granted("invoice")
    + granted("payment")
)
#: The same on a hosted platform, where clients come as its roles.
HOSTED = (
    TENANT
    + "ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;\n"
    + "CREATE POLICY names ON tenant FOR SELECT TO authenticated USING (true);\n"
    + INVOICE
    + "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    + "CREATE TABLE member (user_id uuid, tenant_id uuid NOT NULL, PRIMARY KEY (user_id, tenant_id));\n"
    + "ALTER TABLE member ENABLE ROW LEVEL SECURITY;\n"
    + "CREATE POLICY own ON member FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));\n"
    + "CREATE POLICY team ON invoice TO authenticated USING (\n"
    + "  tenant_id IN (SELECT m.tenant_id FROM member m WHERE m.user_id = (SELECT auth.uid())));\n"
)


def told(report: Report, *severities: str) -> list[str]:
    """The codes of the state rules that were found, of these severities (any when none is named)."""
    return [
        finding.rule
        for finding in of_the_head(report)
        if finding.rule.startswith(("RLS", "COV")) and (not severities or finding.severity in severities)
    ]


def of_the_head(report: Report) -> list[Finding]:
    """What is found in the state that a history ends with, not on the way there."""
    on_the_way = {rule.code for rule in PATH_RULES}
    return [finding for finding in report.findings if finding.rule not in on_the_way]


def wrong(report: Report) -> list[str]:
    """The codes beyond information."""
    return told(report, "error", "warning")
