"""A table under FORCE row security in as few words as it takes, and findings as a test compares them."""

from __future__ import annotations

from collections.abc import Callable

from lint import Report
from lint.rules.path_rules import PATH_RULES

Lint = Callable[..., Report]

BOUND = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
TABLE = "CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, name text, customer_id uuid);\n"
ENABLE = "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
FORCE = "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
POLICY = f"CREATE POLICY tenant ON invoice USING ({BOUND});\n"
CLEAN = TABLE + ENABLE + FORCE + POLICY
TIMEOUT = "SET lock_timeout = '3s';\n"

_CODES = {rule.code for rule in PATH_RULES} - {"RLS045"}


def history(*files: str) -> dict[str, str]:
    """Return the files of a history, in order."""
    return {f"migrations/{number:04}.sql": text for number, text in enumerate(files, start=1)}


def found(report: Report, *codes: str) -> list[tuple[str, str, int]]:
    """Return (rule, file, line) of the findings over the path, those on locks only when asked for."""
    wanted = set(codes) or _CODES
    return [
        (finding.rule, finding.path.removeprefix("migrations/"), finding.line)
        for finding in report.findings
        if finding.rule in wanted
    ]


def messages(report: Report, code: str) -> list[str]:
    """Return what the findings of a rule say."""
    return [finding.message for finding in report.findings if finding.rule == code]
