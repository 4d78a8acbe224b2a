"""BYP002: whose rows a bypass reaches, and who says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import LintConfig, Report

Lint = Callable[..., Report]
CONFIG = LintConfig(registry="sites.yaml")
SITES = """
- {id: a, path: a.py, function: f, kind: cron, reason: r, owner: o, scope: SCOPE, expires: 2999-12-31}
"""


def found(lint: Lint, text: str, scope: str = "one-tenant", more: dict[str, str] | None = None) -> list[str]:
    files = {"a.py": text, "sites.yaml": SITES.replace("SCOPE", scope), **(more or {})}
    return [finding.message for finding in lint(files, CONFIG).findings if finding.rule == "BYP002"]


def f(line: str, parameters: str = "", imports: str = "") -> str:
    return f"{imports}\ndef f({parameters}):\n    {line}\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (f("run_as_bypass(None, Reason.X, work)"), "always names the tenant None"),
        (f("run_as_bypass('acme', Reason.X, work)"), "always names the tenant acme"),
        (f("run_as_bypass(DEFAULT_TENANT, Reason.X, work)"), "always names the tenant DEFAULT_TENANT"),
        (f("t = None; run_as_bypass(t, Reason.X, work)"), "always names the tenant None"),
        (f("run_as_bypass()"), "names no tenant"),
        (f("run_as_bypass(work)") + "def work(session): ...\n", "names no tenant"),
        (f('run_as_bypass(request.json["tenant_id"], Reason.X, work)', "request"), "request.json"),
        (f("run_as_bypass(payload.tenant_id, Reason.X, work)", "payload"), "payload.tenant_id"),
        (f('run_as_bypass(event["tenantId"], Reason.X, work)', "event, context"), "event"),
        (f('run_as_bypass(UUID(event.get("tenantId")), Reason.X, work)', "event"), "event"),
        (
            f('t = request.headers["X-Tenant"]; run_as_bypass(t, Reason.X, work)', "request"),
            "request.headers",
        ),
        (
            f('run_as_bypass(request.args.get("t"), Reason.X, work)', "", "from flask import request"),
            "request.args",
        ),
        (f("run_as_bypass(scope=body.org, reason=Reason.X, fn=work)", "body"), "body.org"),
    ],
)
def test_a_tenant_that_nobody_verified_is_found(lint: Lint, text: str, part: str) -> None:
    (message,) = found(lint, text)
    assert part in message


@pytest.mark.parametrize(
    "text",
    [
        f("run_as_bypass(tenant, Reason.X, work)", "tenant: TenantId"),
        f("run_as_bypass(tenant, Reason.X, work)", "tenant"),
        f("run_as_bypass(agent.tenant, Reason.X, work)", "agent: VerifiedAgent"),
        f("agent = verify_hmac(request); run_as_bypass(agent.tenant, Reason.X, work)", "request"),
        f("run_as_bypass(verify_hmac(request).tenant, Reason.X, work)", "request"),
        f("run_as_bypass(request.user.tenant_id, Reason.X, work)", "request"),
        f("run_as_bypass(lookup(request.json['key']).tenant, Reason.X, work)", "request"),
        f("[run_as_bypass(t, Reason.X, work) for t in list_tenants()]"),
        f("payload = decode(token); run_as_bypass(payload.tenant, Reason.X, work)", "token"),
        f("t = None\n    if x: t = find(x)\n    run_as_bypass(t, Reason.X, work)", "x").replace(
            "None", "first()"
        ),
    ],
)
def test_a_verified_or_looked_up_tenant_is_right(lint: Lint, text: str) -> None:
    assert found(lint, text) == []


def test_a_tenant_is_followed_to_the_caller_that_takes_it_from_a_request(lint: Lint) -> None:
    text = f("run_as_bypass(tenant, Reason.X, work)", "tenant").replace("def f", "def export_rows")
    view = "from a import export_rows\ndef view(request):\n    export_rows(request.json['tenant'])\n"
    assert found(lint, text) == []
    (message,) = found(lint, text, more={"views.py": view})
    assert "request.json" in message


@pytest.mark.parametrize("every", ["AllTenants()", "ALL_TENANTS", "'*'"])
def test_all_tenants_need_a_site_registered_for_all(lint: Lint, every: str) -> None:
    text = f(f"run_as_bypass({every}, Reason.X, work)")
    assert found(lint, text, "all-tenants") == []
    (message,) = found(lint, text, "one-tenant")
    assert "reaches all tenants" in message
    assert "registered for one" in message


def test_a_type_of_ones_own_may_count_as_verified(lint: Lint) -> None:
    text = f("run_as_bypass(payload.tenant, Reason.X, work)", "payload: SignedJob")
    assert len(found(lint, text)) == 1
    own = LintConfig(verified_types=("SignedJob",))
    assert [one.rule for one in lint({"a.py": text}, own).findings] == ["BYP001"]
