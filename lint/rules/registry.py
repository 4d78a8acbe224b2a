"""The table of rules: code, severity, title and the explanation that `--explain` prints.

A rule is a generator from what it reads to findings; documentation is generated from this table,
so an explanation always holds an example that fails and its fix.
"""

from __future__ import annotations

from lint.rules.database_rules import DATABASE_RULES
from lint.rules.rule import Rule

RLS001 = Rule(
    "RLS001",
    "error",
    "a table with a tenant column has no row security",
    "Every role with SELECT on the table reads every tenant's rows, whatever WHERE the application\n"
    "usually adds: one forgotten filter shows tenant A the rows of tenant B.",
    "CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);",
    "CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));",
    "the table is shared by all tenants by design: list it under lint.global_tables with a reason.",
)
RLS002 = Rule(
    "RLS002",
    "error",
    "a table has policies but row security is not enabled",
    "The policies are in pg_policies and look like protection, and PostgreSQL ignores them until\n"
    "ENABLE ROW LEVEL SECURITY: all rows are visible.",
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());",
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;",
    "row security is enabled outside these files, as hosted platforms do for their own tables.",
)
RLS003 = Rule(
    "RLS003",
    "error",
    "row security is enabled but no permissive policy can let a row through",
    "Without a permissive policy PostgreSQL denies by default: reads return 0 rows, UPDATE and\n"
    "DELETE touch 0 rows without an error. Restrictive policies only take away, so they alone\n"
    "open nothing.",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice AS RESTRICTIVE USING (tenant_id = app.current_tenant());",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());",
    "the table is meant to be read only by roles that bypass row security.",
)
RLS004 = Rule(
    "RLS004",
    "warning",
    "row security is not forced, so the table's owner is exempt",
    "Policies do not apply to the owner of a table. Where the application, a job or a migration\n"
    "connects as the owner, every tenant's rows are visible. FORCE without ENABLE protects\n"
    "nothing at all and is an error.",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\nALTER TABLE invoice FORCE ROW LEVEL SECURITY;",
    "nothing that serves tenants ever connects as the owner.",
)
RLS010 = Rule(
    "RLS010",
    "error",
    "a permissive policy is true for every row",
    "Permissive policies are combined with OR, so one that is always true opens the table to every\n"
    "tenant beside any other policy. `true` and `1 = 1` are the plain forms. The hidden one is a\n"
    "name in a sub-select that means the inner table's column: `tenant_id = m.tenant_id` compares\n"
    "the member row with itself.",
    "CREATE POLICY member ON invoice USING (EXISTS (\n"
    "  SELECT 1 FROM member m WHERE m.user_id = app.current_user_id() AND tenant_id = m.tenant_id));",
    "CREATE POLICY member ON invoice USING (EXISTS (\n"
    "  SELECT 1 FROM member m\n"
    "  WHERE m.user_id = app.current_user_id() AND m.tenant_id = invoice.tenant_id));",
    "the table is shared by design; prefer lint.global_tables with a reason.",
)
RLS090 = Rule(
    "RLS090",
    "info",
    "something was not analysed",
    "SQL that is built while it runs, or a file that cannot be read, may change row security\n"
    "without the lint seeing it. It is listed and counted, and --strict makes it exit 3: silence\n"
    "would read as a pass.",
    "DO $$ DECLARE t text; BEGIN\n"
    "  FOR t IN SELECT tablename FROM pg_tables LOOP\n"
    "    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);\n"
    "  END LOOP; END $$;",
    "DO $$ DECLARE t text; BEGIN\n"
    "  FOREACH t IN ARRAY ARRAY['invoice', 'payment'] LOOP\n"
    "    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);\n"
    "  END LOOP; END $$;",
    "a person has read the statement and it does not touch tables, policies or grants.",
)
BYP001 = Rule(
    "BYP001",
    "error",
    "row security is bypassed at a site that is not registered",
    "A bypass reads across tenants. It is right in a few kinds of places (a gRPC handler after its\n"
    "HMAC is verified, a cron sweep, a join across services), so each site is registered with its\n"
    "owner and reason, and nothing else may call it. The callback is a named function, so that a\n"
    "reviewer can find what runs unprotected, and the reason is a literal, so that it can be read.",
    "run_as_bypass(ALL, reason, lambda session: session.execute(SWEEP))",
    "run_as_bypass(ALL, BypassReason.RETENTION_SWEEP, sweep_expired, change_ref=CHANGE)\n"
    "# bypass_sites.yaml\n"
    "# - {id: retention, path: jobs/retention.py, function: run, kind: cron,\n"
    "#    reason: deletes expired rows of all tenants, owner: data-platform}",
    "never for product code: register the site. A test of the bypass itself may be suppressed.",
)
BYP006 = Rule(
    "BYP006",
    "error",
    "row security is bypassed by hand, outside the verified package",
    "SET ROLE, row_security = off, a bypass setting or a BYPASSRLS role reach across tenants without\n"
    "a grant, a reason or a record. Only the verified package may do it; everything else calls it.",
    'connection.execute(text("SET LOCAL ROLE app_bypass"))',
    "run_as_bypass(tenant, BypassReason.SUPPORT, read_ticket, change_ref=CHANGE)",
    "operations code that becomes another role to have fewer rights, such as a prober.",
)
WRAP001 = Rule(
    "WRAP001",
    "error",
    "a database connection is opened outside the configured entry points",
    "A connection that did not come from the tenant-scoped session has no tenant bound: on an\n"
    "enforced table it sees 0 rows or raises, on any other it sees everyone's. Connections are made\n"
    "in a few reviewed places (lint.entry_points), and all else receives a session.",
    'engine = create_engine(os.environ["DATABASE_URL"])\nwith engine.begin() as connection: ...',
    "run_as_tenant(tenant, read_invoices)",
    "scripts that never touch tenant data; better add their folder to lint.entry_points.",
)
WRAP003 = Rule(
    "WRAP003",
    "error",
    "the tenant is bound to the session instead of the transaction",
    "A session-level SET or set_config(…, false) outlives the transaction. A pool hands the\n"
    "connection to the next request, which then reads as the previous tenant; with a transaction\n"
    "pooler such as pgbouncer another client does.",
    "cursor.execute(\"SELECT set_config('app.tenant_id', %s, false)\", [tenant])",
    "cursor.execute(\"SELECT set_config('app.tenant_id', %s, true)\", [tenant])",
    "a connection that is opened for one tenant and closed, never pooled.",
)

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        RLS001,
        RLS002,
        RLS003,
        RLS004,
        RLS010,
        *DATABASE_RULES,
        RLS090,
        BYP001,
        BYP006,
        WRAP001,
        WRAP003,
    )
}
