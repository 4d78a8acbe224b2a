"""Python source: who bypasses, who opens connections, who binds the tenant to a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lint import LintConfig, LintConfigError, Report

Lint = Callable[..., Report]

REGISTRY = """
sites:
  - id: sweep
    path: jobs/sweep.py
    function: Sweeper.run
    kind: cron
    reason: deletes expired rows of all tenants
    owner: platform
    scope: all-tenants
    expires: 2999-12-31
"""
CALL = """
from db import run_as_bypass
class Sweeper:
    def run(self):
        return run_as_bypass(ALL, {reason}, {callback}, change_ref=X)
"""


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def swept(lint: Lint, reason: str = '"sweep"', callback: str = "clean", registry: str = REGISTRY) -> Report:
    source = CALL.format(reason=reason, callback=callback)
    files = {"jobs/sweep.py": source, "sites.yaml": registry}
    return lint(files, LintConfig(registry="sites.yaml"))


@pytest.mark.parametrize("reason", ['"sweep"', "BypassReason.SWEEP"])
def test_a_registered_site_with_a_literal_reason_is_allowed(lint: Lint, reason: str) -> None:
    assert rules(swept(lint, reason)) == []


def test_an_unregistered_site_is_found_with_what_to_register(lint: Lint) -> None:
    (finding,) = swept(lint, registry="[]").findings
    assert (finding.rule, finding.line) == ("BYP001", 5)
    assert "function: Sweeper.run" in finding.fix


def test_another_function_of_a_registered_file_is_not_registered(lint: Lint) -> None:
    assert rules(swept(lint, registry=REGISTRY.replace("Sweeper.run", "Sweeper.go"))) == ["BYP001", "BYP004"]


@pytest.mark.parametrize(
    ("reason", "callback"), [("why", "clean"), ('"sweep"', "lambda s: s.all()"), ("f()", "clean")]
)
def test_a_lambda_or_a_computed_reason_is_found(lint: Lint, reason: str, callback: str) -> None:
    assert rules(swept(lint, reason, callback)) == ["BYP001"]


def test_an_alias_does_not_hide_a_bypass(lint: Lint) -> None:
    source = "from db import run_as_bypass as go\ndef f():\n    go(t, work)\n"
    assert rules(lint({"a.py": source})) == ["BYP001"]


def test_handing_the_bypass_on_as_a_value_is_found(lint: Lint) -> None:
    source = "from functools import partial\nimport db\njob = partial(db.run_as_bypass, tenant)\n"
    (finding,) = lint({"a.py": source}).findings
    assert finding.rule == "BYP001"
    assert "as a value" in finding.message


def test_defining_or_importing_the_bypass_is_no_call(lint: Lint) -> None:
    source = "from db import run_as_bypass\n__all__ = ['run_as_bypass']\ndef runAsBypass(a, b): ...\n"
    assert rules(lint({"a.py": source})) == []


def test_the_newest_syntax_is_read_on_any_interpreter(lint: Lint) -> None:
    source = "type A[T] = list[T]\ndef f[T](x: T):\n    print(f'{f\"{x}\"}')\n    run_as_bypass(x, g)\n"
    assert rules(lint({"a.py": source})) == ["BYP001"]


@pytest.mark.parametrize("name", ["id", "path", "function", "kind", "reason", "owner"])
def test_a_registry_that_leaves_something_out_stops_the_run(lint: Lint, name: str) -> None:
    lines = [line.replace("- id:", "- noid:") if name == "id" else line for line in REGISTRY.splitlines()]
    broken = "\n".join(line for line in lines if not line.strip().startswith(f"{name}:"))
    with pytest.raises(LintConfigError, match=rf"site 0 has no {name}"):
        swept(lint, registry=broken)


def test_a_registry_of_another_kind_of_site_stops_the_run(lint: Lint) -> None:
    with pytest.raises(LintConfigError, match="kind 'debugging'"):
        swept(lint, registry=REGISTRY.replace("kind: cron", "kind: debugging"))


def test_a_missing_registry_stops_the_run(lint: Lint) -> None:
    with pytest.raises(LintConfigError, match=r"nowhere\.yaml cannot be read"):
        lint({"a.py": "run_as_bypass(a, b)"}, LintConfig(registry="nowhere.yaml"))


@pytest.mark.parametrize(
    "line",
    [
        'c.execute("SET ROLE app_bypass")',
        'c.execute(text("SET LOCAL ROLE app_bypass"))',
        'c.execute(f"set role {role}")',
        'SQL("SET ROLE {}").format(role)',
        'c.execute("SET SESSION AUTHORIZATION postgres")',
        'c.execute("SET LOCAL row_security = off")',
        'c.execute("SET row_security TO off; SELECT 1")',
        "c.execute(\"SELECT set_config('app.bypass_rls', 'on', true)\")",
        "c.execute(\"SELECT set_config('role', 'x', true), 1\")",
        'c.execute("ALTER ROLE app BYPASSRLS")',
        "c.execute(\"SET LOCAL app.rls_bypass = 'on'\")",
        'STATEMENT = "SET ROLE app_bypass"',
    ],
)
def test_a_bypass_by_hand_is_found_outside_the_verified_package(lint: Lint, line: str) -> None:
    assert rules(lint({"app/a.py": line + "\n"})) == ["BYP006"]
    assert rules(lint({"app/a.py": "", "tenancy/a.py": line + "\n"})) == []


@pytest.mark.parametrize(
    "line",
    [
        'parser.add_argument("--role", help="Set role of the user, row_security stays on")',
        '"""SET ROLE app_bypass is what this module never does."""',
        'c.execute("RESET ROLE")',
        'c.execute("SET ROLE NONE")',
        'c.execute("SET row_security = on")',
        'c.execute("ALTER ROLE app NOBYPASSRLS")',
        'c.execute("UPDATE member SET role = %s")',
        'print("SET ROLE is refused here")',
        'why = "SET ROLE, row_security = off and a BYPASSRLS role reach across tenants."',
    ],
)
def test_prose_and_harmless_statements_are_not_a_bypass(lint: Lint, line: str) -> None:
    assert rules(lint({"a.py": line + "\n"})) == []


def test_a_file_with_a_broken_line_is_still_read(lint: Lint, tmp_path: Path) -> None:
    assert rules(lint({"a.py": "def broken(:\n\nrun_as_bypass(a, b)\n"})) == ["BYP001"]
