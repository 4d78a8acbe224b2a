"""BYP003 for the service role: rows that a request names, and nobody who asks who sends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lint import Report

Lint = Callable[..., Report]
SCHEMA = """
CREATE TABLE invoice (id uuid PRIMARY KEY, organization_id uuid NOT NULL, total int, share_token text);
CREATE INDEX ON invoice (organization_id);
ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON invoice TO authenticated
  USING (organization_id = (SELECT (auth.jwt() ->> 'organization_id')::uuid));
"""
DENO = "https://esm.sh/@supabase/supabase-js@2.45.1"
EDGE = "supabase/functions/pay/index.ts"
CLIENT = "const db = createClient(Deno.env.get('SUPABASE_URL'), Deno.env.get('SUPABASE_SERVICE_ROLE_KEY'));"


def found(lint: Lint, files: dict[str, str]) -> list[tuple[str, str, int]]:
    report = lint({"supabase/migrations/20250101000000_a.sql": SCHEMA, **files})
    return [(one.severity, one.path, one.line) for one in report.findings if one.rule == "BYP003"]


def edge(body: str, package: str = DENO, more: str = "") -> dict[str, str]:
    serve = f"Deno.serve(async (req) => {{\n  {CLIENT}\n  {body}\n}});\n"
    text = f"import {{ createClient }} from '{package}';\n{more}\n{serve}"
    return {EDGE: text}


BODY = "const { invoice_id, organizationId } = await req.json();\n  "


@pytest.mark.parametrize(
    "body",
    [
        BODY + "return await db.from('invoice').select('*').eq('id', invoice_id).single();",
        BODY + "await db.from('invoice').update({ total: 0 }).eq('organization_id', organizationId);",
        (
            "const url = new URL(req.url);\n  const id = url.searchParams.get('id');\n"
            "  await db.from('invoice').delete().eq('id', id);"
        ),
        (
            "let body;\n  try { body = await req.json(); } catch { return; }\n"
            "  await db.from('invoice').upsert({ id: body.id, organization_id: body.org, total: 1 });"
        ),
        BODY + "for (const id of invoice_id) { await db.from('invoice').select('total').eq('id', id); }",
        BODY + "return await db.rpc('close_invoice', { p_invoice_id: invoice_id });",
        BODY
        + "await db.auth.admin.getUserById(invoice_id);\n"
        + "await db.from('invoice').delete().eq('id', invoice_id);",
    ],
    ids=["select", "update", "url", "upsert", "loop", "rpc", "administers users"],
)
def test_an_edge_function_that_asks_nobody_is_found(lint: Lint, body: str) -> None:
    ((severity, path, _),) = found(lint, edge(body))
    assert (severity, path) == ("error", EDGE)


@pytest.mark.parametrize(
    "package", ["npm:@supabase/supabase-js@2", "jsr:@supabase/supabase-js", "@supabase/supabase-js"]
)
def test_wherever_the_client_is_fetched_from(lint: Lint, package: str) -> None:
    assert found(lint, edge(BODY + "await db.from('invoice').delete().eq('id', invoice_id);", package))


def test_a_form_that_only_adds_rows_is_a_warning(lint: Lint) -> None:
    body = BODY + "await db.from('invoice').insert({ organization_id: organizationId, total: 1 });"
    assert [one[0] for one in found(lint, edge(body))] == ["warning"]


DELETE = "await db.from('invoice').delete().eq('id', invoice_id);"


@pytest.mark.parametrize(
    "body",
    [
        "const { data: { user } } = await db.auth.getUser(req.headers.get('Authorization'));\n  "
        + BODY
        + DELETE,
        "if (req.headers.get('x-signature') === null) return;\n  " + BODY + DELETE,
        "if (req.headers.get('apikey') !== Deno.env.get('CRON_SECRET')) return;\n  " + BODY + DELETE,
        "await requireMember(req);\n  " + BODY + DELETE,
        "const claims = await jwtVerify(req.headers.get('x'), key);\n  " + BODY + DELETE,
        BODY + "await db.from('invoice').delete().eq('id', Deno.env.get('DEMO_INVOICE'));",
        BODY + "const { data } = await db.from('price').select('invoice').single();\n"
        "  await db.from('invoice').delete().eq('id', data.invoice);",
        "const { token } = await req.json();\n  await db.from('invoice').select().eq('share_token', token);",
        BODY + "return await db.from('invoice').select('*').eq('id', invoice_id).eq('is_public', true);",
        BODY + "return await db.from('currency').select('*').eq('id', invoice_id);",
    ],
    ids=[
        "the platform's user",
        "a signature",
        "a secret",
        "a check by its name",
        "a token",
        "no value of the request",
        "an id from the database",
        "a secret that finds the row",
        "public rows",
        "no tenants' table",
    ],
)
def test_who_asks_who_calls_or_reads_what_all_may_is_not(lint: Lint, body: str) -> None:
    assert found(lint, edge(body)) == []


def test_the_callers_own_client_is_held_by_its_policies(lint: Lint) -> None:
    text = edge(BODY + DELETE)[EDGE].replace("SERVICE_ROLE_KEY", "ANON_KEY")
    assert found(lint, {EDGE: text}) == []


def test_a_check_that_is_only_spoken_of_checks_nothing(lint: Lint) -> None:
    said = "// some day: check req.user\n  const cors = { 'Allow-Headers': 'authorization, apikey' };\n  "
    assert found(lint, edge(said + BODY + DELETE))
    assert found(lint, edge("await verifyCaptcha(req);\n  " + BODY + DELETE))


ADMIN = (
    "import { createClient } from '@supabase/supabase-js';\n"
    "export const admin = createClient(process.env.URL, process.env.SUPABASE_SERVICE_ROLE_KEY);\n"
)
ROUTE = "app/api/invoices/[id]/route.ts"


def route(handler: str, more: str = "") -> dict[str, str]:
    return {"lib/admin.ts": ADMIN, ROUTE: f"import {{ admin }} from '@/lib/admin';\n{more}\n{handler}\n"}


HANDLER = (
    "export async function DELETE(request, { params }) {\n"
    "  const { id } = await params;\n  await admin.from('invoice').delete().eq('id', id);\n}"
)


def test_a_route_is_told_where_its_statement_stands(lint: Lint) -> None:
    assert found(lint, route(HANDLER)) == [("error", ROUTE, 5)]


def test_a_wrapper_that_asks_clears_the_handler_that_it_is_given(lint: Lint) -> None:
    inner = HANDLER.replace("export async function DELETE", "async function remove")
    assert found(lint, route(f"{inner}\nexport const DELETE = withAuth(remove);")) == []
    assert (
        found(lint, route(HANDLER.replace("const { id }", "const who = await auth();\n  const { id }"))) == []
    )


def test_a_middleware_that_names_who_asks_makes_it_a_warning(lint: Lint) -> None:
    middleware = (
        "export async function middleware(request) { return await updateSession(await getUser(request)); }\n"
    )
    assert [one[0] for one in found(lint, {**route(HANDLER), "docs/middleware.ts": middleware})] == ["error"]
    assert [one[0] for one in found(lint, {**route(HANDLER), "middleware.ts": middleware})] == ["warning"]


def test_a_helper_that_runs_the_statement_for_a_handler_is_found(lint: Lint) -> None:
    files = {
        "lib/admin.ts": ADMIN,
        "lib/invoices.ts": "import { admin } from './admin';\n"
        "export async function drop(id: string) { await admin.from('invoice').delete().eq('id', id); }\n",
        ROUTE: "import { drop } from '../../../../lib/invoices';\n"
        "export async function POST(request) { const body = await request.json(); await drop(body.id); }\n",
    }
    assert found(lint, files) == [("error", "lib/invoices.ts", 2)]
    files[ROUTE] = files[ROUTE].replace("body.id", "'0b5a3f2e'")
    assert found(lint, files) == []


EXPRESS = (
    "import {{ admin }} from '../lib/admin';\nconst router = express.Router();\n{use}\n"
    "router.delete('/invoices/:id', {guard}async (req, res) => {{\n"
    "  await admin.from('invoice').delete().eq('id', req.params.id);\n}});\nexport default router;\n"
)


@pytest.mark.parametrize(
    ("use", "guard", "told"),
    [
        ("", "", 1),
        ("router.use(requireUser);", "", 0),
        ("", "authenticate, ", 0),
        ("router.use(express.json());", "", 1),
    ],
)
def test_routers_and_what_stands_before_their_routes(lint: Lint, use: str, guard: str, told: int) -> None:
    text = EXPRESS.format(use=use, guard=guard)
    assert len(found(lint, {"lib/admin.ts": ADMIN, "routes/invoices.ts": text})) == told


def test_a_table_that_no_migration_makes_counts_by_its_tenants_column(lint: Lint) -> None:
    org = BODY + "await db.from('booking').delete().eq('organization_id', organizationId);"
    assert found(lint, edge(org))
    assert not found(lint, edge(BODY + "await db.from('booking').delete().eq('id', invoice_id);"))


def test_a_client_of_an_edge_function_is_told_once_and_as_a_warning(lint: Lint) -> None:
    report = lint({"supabase/migrations/20250101000000_a.sql": SCHEMA, **edge("return 1;")})
    assert [one.severity for one in report.findings if one.rule == "BYP006"] == ["warning"]
