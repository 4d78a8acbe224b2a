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
    "the table is shared by all tenants by design: list it under\nlint.global_tables with a reason.",
    fix=(
        "Write the policy first, then ENABLE and FORCE in the same transaction: the\n"
        "table is never open to all nor closed to all. Before, make the application bind the tenant, or\n"
        "every query returns 0 rows from that moment on."
    ),
    source=(
        "PostgreSQL 15 manual, 5.8 Row Security Policies. Observed on 15.18: without row\n"
        "security tenant A reads 3 of 3 rows, two of its own and one of tenant B's."
    ),
)
RLS002 = Rule(
    "RLS002",
    "error",
    "a table has policies but row security is not enabled",
    "The policies are in pg_policies and look like protection, and PostgreSQL ignores them until\n"
    "ENABLE ROW LEVEL SECURITY: all rows are visible.",
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));",
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;",
    "row security is enabled outside these files, as hosted platforms do for\ntheir own tables.",
    fix=(
        "ENABLE row security. The policies take effect at once, so test them first as\n"
        "the role that serves tenants, in a transaction that is rolled back."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY: row security must be enabled on the table for its\n"
        "policies to be applied. Observed on 15.18: the policy is in pg_policies, and tenant A reads 3\n"
        "of 3 rows."
    ),
)
RLS003 = Rule(
    "RLS003",
    "error",
    "row security is enabled but no permissive policy can let a row through",
    "Without a permissive policy PostgreSQL denies by default: reads return 0 rows, UPDATE and\n"
    "DELETE touch 0 rows without an error. Restrictive policies only take away, so they alone\n"
    "open nothing.",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice AS RESTRICTIVE\n"
    "  USING (tenant_id = (SELECT app.current_tenant()));",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT app.current_tenant()));",
    "the table is meant to be read only by roles that bypass row security.",
    fix=(
        "Add one permissive policy that names the tenant, in the transaction that\n"
        "enables row security. Restrictive policies stay beside it."
    ),
    source=(
        "PostgreSQL 15 manual, 5.8 Row Security Policies (the default is to deny) and CREATE\n"
        "POLICY (AS RESTRICTIVE). Observed on 15.18: with no policy SELECT returns 0 rows, UPDATE and\n"
        "DELETE touch 0, INSERT fails with 42501; with only a restrictive one SELECT returns 0 rows."
    ),
)
RLS004 = Rule(
    "RLS004",
    "warning",
    "row security is not forced, so the table's owner is exempt",
    "Policies do not apply to the owner of a table. Where the application, a job or a migration\n"
    "connects as the owner, every tenant's rows are visible. FORCE without ENABLE protects\n"
    "nothing at all and is an error.",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));",
    "nothing that serves tenants ever connects as the owner.",
    fix=(
        "FORCE row security. Before, look through what connects as the owner\n"
        "(migrations, backfills, REFRESH MATERIALIZED VIEW): from then on it sees 0 rows unless it\n"
        "binds a tenant or its role has BYPASSRLS."
    ),
    source=(
        "PostgreSQL 15 manual, 5.8 Row Security Policies and ALTER TABLE (FORCE ROW LEVEL\n"
        "SECURITY). Observed on 15.18: the owner reads 3 of 3 rows, and 2 after FORCE; with FORCE and\n"
        "without ENABLE it reads 3 again."
    ),
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
    "  SELECT 1 FROM member m\n"
    "  WHERE m.user_id = app.current_user_id() AND tenant_id = m.tenant_id));",
    "CREATE POLICY member ON invoice USING (EXISTS (\n"
    "  SELECT 1 FROM member m\n"
    "  WHERE m.user_id = app.current_user_id() AND m.tenant_id = invoice.tenant_id));",
    "the table is shared by design; prefer lint.global_tables with a reason.",
    fix=(
        "Write the tenant condition into the policy, and give the outer column its\n"
        "table's name (invoice.tenant_id). Make the new policy before dropping the old one, in one\n"
        "transaction."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY and 9.23 Subquery Expressions (EXISTS). A column\n"
        "name without a table belongs to the innermost query that has it. Observed on 15.18: PostgreSQL\n"
        "stores the sub-select as m.tenant_id = m.tenant_id, and tenant A reads every row."
    ),
)
RLS090 = Rule(
    "RLS090",
    "info",
    "something was not analysed",
    "SQL that is built while it runs, a file that cannot be read, or a folder of migrations in a\n"
    "form that is not known, may change row security without the lint seeing it. It is listed and\n"
    "counted, and --strict makes it exit 3: silence would read as a pass. Rules that would blame a\n"
    "table for what was not read (no policy on it, 0 rows through it) are silent about that table.",
    "DO $$ DECLARE name text; BEGIN\n"
    "  FOR name IN SELECT table_name FROM rollout WHERE due <= now() LOOP\n"
    "    EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', name);\n"
    "  END LOOP; END $$;",
    "DO $$ DECLARE name text; BEGIN\n"
    "  FOREACH name IN ARRAY ARRAY['invoice', 'payment'] LOOP\n"
    "    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);\n"
    "  END LOOP; END $$;",
    "a person has read the statement and it does not touch tables, policies or\ngrants.",
    fix=(
        "Write the statement out, or loop over a list that stands in the file. A file\n"
        "that is none of the migrations belongs into lint.exclude."
    ),
    source=(
        "PostgreSQL 15 manual, 43.5 Basic Statements (Executing Dynamic Commands). Observed in\n"
        "public projects: 23 policies of one exist only in loops that build their statements."
    ),
)

TABLE_RULES = (RLS001, RLS002, RLS003, RLS004, RLS010, RLS090)
