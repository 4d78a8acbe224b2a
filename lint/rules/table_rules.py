"""The rules over the switches of one table, and the note on what could not be read."""

from __future__ import annotations

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

TABLE_RULES = (RLS001, RLS002, RLS003, RLS004, RLS010, RLS090)
