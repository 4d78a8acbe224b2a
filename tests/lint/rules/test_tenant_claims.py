"""BYP002 and BYP003 of bindings: a tenant that a default stands in for, or that only a header states."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import Report

Lint = Callable[..., Report]

SCHEMA = """
CREATE TABLE parcel (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON parcel (tenant_id);
ALTER TABLE parcel ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON parcel
  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
"""
BIND_TS = """import type { Client } from 'pg';
export async function bindTenant(tx: Client, id: string) {
  await tx.query("SELECT set_config('app.tenant_id', $1, true)", [id]);
}
"""
BIND_PY = """def bind_tenant(session, tenant):
    session.execute("SELECT set_config('app.tenant_id', %s, true)", [tenant])
"""


HANDLE = """from app.bind import bind_tenant
def handle({parameters}):
    {line}
    bind_tenant(session, tenant)
"""


def told(lint: Lint, code: str, text: str, path: str) -> list[int]:
    files = {"migrations/1.sql": SCHEMA, "src/bind.ts": BIND_TS, "app/bind.py": BIND_PY, path: text}
    return [one.line for one in lint(files).findings if one.rule == code and one.path == path]


HOOK = """import { bindTenant } from './bind';
export function register(server) {
  server.addHook('preHandler', async (request) => {
    %s
    await bindTenant(request.tx, tenant);
  });
}
"""


@pytest.mark.parametrize(
    "line",
    [
        "const tenant = request.headers['x-tenant-id'];",
        "const given = request.headers['x-org']; const tenant = Array.isArray(given) ? given[0] : given;",
        "const tenant = request.headers.get('X-Workspace');",
        "const tenant = tenantOf(request);",
    ],
)
def test_a_tenant_that_only_a_header_states_is_found(lint: Lint, line: str) -> None:
    helper = "function tenantOf(request) { const value = request.headers[NAME]; return value; }\n"
    assert told(lint, "BYP003", HOOK % line + helper, "src/hook.ts") == [5]


@pytest.mark.parametrize(
    "line",
    [
        "const tenant = request.user.tenantId;",
        "const tenant = request.headers['x-tenant-id']; if (tenant !== request.user.tenantId) throw wrong();",
        "const claims = verify(request.headers.authorization); const tenant = claims.tenant;",
        "const tenant = request.headers['x-tenant-id']; await assertMembership(request, tenant);",
        "const tenant = await ownTenant(request.params.parcel);",
    ],
)
def test_a_tenant_that_is_compared_with_who_asks_is_not(lint: Lint, line: str) -> None:
    assert told(lint, "BYP003", HOOK % line, "src/hook.ts") == []


def test_a_middleware_that_keeps_the_headers_tenant_in_the_request_is_found(lint: Lint) -> None:
    middleware = """import { bindTenant } from './bind';
export class TenantMiddleware {
  use(req, res, next) {
    const header = req.headers['x-tenant-id'];
    req.tenantId = header;
    req.traceId = req.headers['x-trace-id'];
    next();
  }
}
"""
    assert told(lint, "BYP003", middleware, "src/middleware.ts") == [5]


def test_a_fastapi_header_is_one_too(lint: Lint) -> None:
    source = """from fastapi import Header
from app.bind import bind_tenant
def session_of(session, x_tenant_id: str = Header(...)):
    bind_tenant(session, x_tenant_id)
def traced(session, x_trace_id: str = Header(...)):
    bind_tenant(session, lookup(x_trace_id))
"""
    assert told(lint, "BYP003", source, "app/deps.py") == [4]


@pytest.mark.parametrize(
    "line",
    [
        "tenant = getattr(request.state, 'tenant', None) or settings.default_tenant_id",
        "tenant = request.state.tenant or DEFAULT_TENANT",
        "tenant = settings.default_org_id",
    ],
)
def test_a_default_that_stands_in_for_the_tenant_of_a_request_is_found(lint: Lint, line: str) -> None:
    source = HANDLE.format(parameters="session, request", line=line)
    assert told(lint, "BYP002", source, "app/deps.py") == [4]


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ("session, request", "tenant = request.state.tenant"),
        ("session, request", "tenant = settings.default_language or request.state.tenant"),
        ("session", "tenant = settings.default_tenant_id"),
    ],
)
def test_other_defaults_and_jobs_that_serve_nobody_are_not(lint: Lint, parameters: str, line: str) -> None:
    source = HANDLE.format(parameters=parameters, line=line)
    assert told(lint, "BYP002", source, "app/deps.py") == []


def test_a_default_of_a_typescript_handler_is_found(lint: Lint) -> None:
    text = HOOK % "const tenant = request.tenant ?? DEFAULT_TENANT_ID;"
    assert told(lint, "BYP002", text, "src/hook.ts") == [5]
