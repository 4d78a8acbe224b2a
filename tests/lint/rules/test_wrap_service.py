"""WRAP001 for Supabase's service role, and BYP006 where its client is made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import LintConfig, Report

Lint = Callable[..., Report]
SCHEMA = """
CREATE TABLE invoice (id uuid PRIMARY KEY, organization_id uuid NOT NULL, total int);
CREATE INDEX ON invoice (organization_id);
ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON invoice TO authenticated
  USING (organization_id = (SELECT (auth.jwt() ->> 'organization_id')::uuid));
"""
ADMIN = (
    "import { createClient } from '@supabase/supabase-js';\n"
    "export const admin = createClient(process.env.URL, process.env.SUPABASE_SERVICE_ROLE_KEY);\n"
    "export function adminClient() {\n"
    "  return createClient(process.env.URL, process.env.SUPABASE_SERVICE_ROLE_KEY);\n}\n"
    "export const anon = createClient(process.env.URL, process.env.SUPABASE_ANON_KEY);\n"
)
ROUTE = "app/api/invoices/route.ts"


def found(lint: Lint, body: str, path: str = ROUTE, function: str = "GET") -> list[str]:
    text = (
        "import { admin, adminClient, anon } from '@/lib/admin';\n"
        f"export async function {function}(request) {{\n  {body}\n}}\n"
    )
    files = {"migrations/001.sql": SCHEMA, "lib/admin.ts": ADMIN, path: text}
    return [one.message for one in lint(files).findings if one.rule == "WRAP001" and one.path == path]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (
            "const { data } = await admin.from('invoice').select('*'); return data;",
            "reads every tenant's rows",
        ),
        (
            "const db = adminClient();\n  return await db.from('invoice').select('*').limit(50);",
            "reads",
        ),
        (
            "await admin.from('invoice').update({ total: 0 }).select();",
            "reads every tenant's rows|changes every",
        ),
        ("return await admin.from('invoice').select('*').order('total').limit(1);", "reads every"),
        ("await admin.from('invoice').delete();", "deletes every tenant's rows"),
    ],
)
def test_a_handler_that_asks_the_service_role_for_everything_is_found(
    lint: Lint, body: str, what: str
) -> None:
    (message,) = found(lint, body)
    assert any(one in message for one in what.split("|"))
    assert "public.invoice" in message


@pytest.mark.parametrize(
    "body",
    [
        "return await admin.from('invoice').select('*').eq('organization_id', org);",
        "return await admin.from('invoice').select('*').match({ organization_id: org });",
        "let q = admin.from('invoice').select('*');\n  q = q.eq('organization_id', org);\n  return await q;",
        "return await anon.from('invoice').select('*');",
        "await admin.from('invoice').insert({ organization_id: org }).select();",
        "return await admin.from('price_list').select('*');",
        "return Array.from('invoice').select();",
        "const { error } = await admin.from('invoice').select('id').limit(1); return !error;",
    ],
)
def test_a_filtered_statement_or_the_callers_own_client_is_none(lint: Lint, body: str) -> None:
    assert found(lint, body) == []


ALL = "return await admin.from('invoice').select('*');"


@pytest.mark.parametrize(
    "path", ["app/api/cron/sweep/route.ts", "app/api/webhooks/pay/route.ts", "lib/report.ts"]
)
def test_what_no_tenant_asks_for_is_not_judged(lint: Lint, path: str) -> None:
    assert found(lint, ALL, path) == []


def test_a_function_that_a_handler_calls_is_judged_as_the_handler_is(lint: Lint) -> None:
    files = {
        "migrations/001.sql": SCHEMA,
        "lib/admin.ts": ADMIN,
        "lib/invoices.ts": "import { admin } from './admin';\n"
        f"export async function everyInvoice() {{ {ALL} }}\n",
        ROUTE: "import { everyInvoice } from '../../../lib/invoices';\n"
        "export async function GET() { return everyInvoice(); }\n",
    }
    assert [one.path for one in lint(files).findings if one.rule == "WRAP001"] == ["lib/invoices.ts"]


def severities(lint: Lint, text: str, path: str, config: LintConfig | None = None) -> list[str]:
    return [
        one.severity
        for one in lint({path: text}, config).findings
        if one.rule == "BYP006" and one.path == path
    ]


MADE = "import { createClient } from '@supabase/supabase-js';\n"
CLIENT = "createClient(process.env.URL, process.env.SUPABASE_SERVICE_ROLE_KEY)"


def test_a_script_run_by_hand_is_only_told(lint: Lint) -> None:
    by_hand = f"{MADE}const db = {CLIENT};\nawait db.from('invoice').select();\n"
    assert severities(lint, by_hand, "check-invoices.mjs") == ["info"]
    assert severities(lint, f"{MADE}export async function seed() {{ {CLIENT}; }}", "db/seed/users.ts") == [
        "info"
    ]


def test_a_server_without_exports_is_no_script(lint: Lint) -> None:
    server = f"{MADE}async function answer() {{ const db = {CLIENT}; return db.from('invoice').select(); }}\n"
    assert severities(lint, f"{server}http.createServer(answer).listen(80);\n", "server.mjs") == ["error"]


def test_where_a_project_keeps_account_a_script_is_an_error_too(lint: Lint) -> None:
    config = LintConfig(bypass_packages=("@acme/db",))
    assert severities(lint, f"{MADE}const db = {CLIENT};\n", "check.mjs", config) == ["error"]
