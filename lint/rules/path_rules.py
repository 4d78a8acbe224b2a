"""The rules that only a history shows: what happens on the way to the head."""

from __future__ import annotations

from lint.rules.rule import Rule

RLS005 = Rule(
    "RLS005",
    "error",
    "a protection that a table had was taken away and not given back",
    "DISABLE makes every row visible to every role with SELECT, and the policies stay in pg_policies,\n"
    "so the table still looks protected. NO FORCE exempts the owner again. After DROP POLICY of the\n"
    "last permissive one PostgreSQL denies by default: reads return 0 rows and UPDATE and DELETE touch\n"
    "0 rows, without an error. What a later migration repairs is no finding.",
    "-- 0007.sql\n"
    "ALTER TABLE invoice DISABLE ROW LEVEL SECURITY;\n"
    "UPDATE invoice SET currency = 'EUR' WHERE currency IS NULL;",
    "-- 0007.sql\n"
    "ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY;  -- the owner alone is exempt meanwhile\n"
    "UPDATE invoice SET currency = 'EUR' WHERE currency IS NULL;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;",
    "the table holds no tenant's rows any more; prefer lint.global_tables with a reason.",
)
RLS040 = Rule(
    "RLS040",
    "error",
    "a migration reads or writes rows of a forced table with no tenant bound",
    "FORCE ROW LEVEL SECURITY binds the owner too, and migrations run as the owner. With no tenant set\n"
    "the policies let no row through: UPDATE 0, DELETE 0, INSERT … SELECT 0, an empty CREATE TABLE AS\n"
    "and an empty materialized view, and the migration is green. INSERT … VALUES fails with 42501 and\n"
    "COPY FROM with 0A000, so those are warnings. A superuser or a role with BYPASSRLS is not bound,\n"
    "which is why it worked on a developer's machine.",
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
    "-- a later file: touches 0 rows\n"
    "UPDATE invoice SET currency = 'EUR' WHERE currency IS NULL;",
    "ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY;\n"
    "UPDATE invoice SET currency = 'EUR' WHERE currency IS NULL;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
    "-- or SET row_security = off; first, so that it fails (42501) and is not silent",
    "migrations run as a role with BYPASSRLS or as a superuser, everywhere.",
)
RLS041 = Rule(
    "RLS041",
    "error",
    "a foreign key is checked against rows that row security hides",
    "ADD FOREIGN KEY and VALIDATE CONSTRAINT check the rows there are with a query of the owner, and\n"
    "FORCE hides rows from that query. Rows hidden in the referencing table are never checked: the\n"
    "constraint is marked valid while orphans exist. Rows hidden in the referenced table make every\n"
    "reference look broken: 23503 although all is well.",
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice ADD FOREIGN KEY (customer_id) REFERENCES customer (id);",
    "ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice ADD FOREIGN KEY (customer_id) REFERENCES customer (id);\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;",
    "migrations run as a role with BYPASSRLS or as a superuser, everywhere.",
)
RLS042 = Rule(
    "RLS042",
    "warning",
    "a table is closed in one transaction and opened by a policy in a later one",
    "Between ENABLE (or DROP POLICY) and CREATE POLICY the table denies by default: every reader sees 0\n"
    "rows and every UPDATE touches 0 rows, in silence, for as long as the deploy takes or hangs. In one\n"
    "transaction nobody sees the state between.",
    "-- 0004.sql\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "-- 0005.sql\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());",
    "-- 0004.sql\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;",
    "both migrations were deployed long ago, or the table was not read yet.",
)
RLS044 = Rule(
    "RLS044",
    "warning",
    "policies are gone, or a new one was never made, and no statement says so",
    "DROP … CASCADE of a column, function, type or table takes along every policy that names it, with no\n"
    "more than a NOTICE: a permissive policy gone means 0 rows, a restrictive one gone means more rows.\n"
    "`EXCEPTION WHEN duplicate_object THEN NULL` around CREATE POLICY, or an IF NOT EXISTS before it,\n"
    "skips the statement when a policy of that name exists, so that a corrected text never arrives.",
    "DO $$ BEGIN\n"
    "  CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());  -- corrected\n"
    "EXCEPTION WHEN duplicate_object THEN NULL; END $$;",
    "DROP POLICY IF EXISTS tenant ON invoice;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());",
    "the policy was meant to go with what it named.",
)
RLS045 = Rule(
    "RLS045",
    "warning",
    "row security of a table in use is changed without a lock timeout",
    "ENABLE, FORCE and CREATE, ALTER or DROP POLICY take ACCESS EXCLUSIVE. Behind one long reader the\n"
    "statement waits, and every query that comes after it waits behind the statement: the table stands\n"
    "still. With lock_timeout it gives up (55P03), and the deploy can try again. It is a warning where\n"
    "the project sets lock_timeout in other migrations, and information where it never does.",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;",
    "SET lock_timeout = '3s';\nALTER TABLE invoice ENABLE ROW LEVEL SECURITY;",
    "the role or the tool that runs migrations sets lock_timeout.",
)
RLS046 = Rule(
    "RLS046",
    "warning",
    "row security is written for a table of another name than the one that was created",
    'PostgreSQL folds unquoted names, so `invoice` and "Invoice" are two tables, and a bare name means\n'
    "the first schema of search_path that has it. With IF EXISTS the statement passes and does nothing;\n"
    "where both tables exist, the wrong one is protected.",
    'CREATE TABLE "Invoice" (id uuid, tenant_id uuid);\n'
    "ALTER TABLE IF EXISTS invoice ENABLE ROW LEVEL SECURITY;",
    'CREATE TABLE "Invoice" (id uuid, tenant_id uuid);\nALTER TABLE "Invoice" ENABLE ROW LEVEL SECURITY;',
    "the other table exists and is created outside these files.",
)
WRAP007 = Rule(
    "WRAP007",
    "warning",
    "a backfill on an enforced table does not look at how many rows it touched",
    "The tenant that the statement is bound to is known only when it runs. One that is empty, misspelt\n"
    "or not there touches 0 rows without an error, and the migration is recorded as done.",
    "DO $$ DECLARE t record; BEGIN\n"
    "  FOR t IN SELECT id FROM tenant LOOP\n"
    "    PERFORM set_config('app.tenant_id', t.id::text, true);\n"
    "    UPDATE invoice SET currency = 'EUR';\n"
    "  END LOOP; END $$;",
    "DO $$ DECLARE t record; n bigint; done bigint := 0; BEGIN\n"
    "  FOR t IN SELECT id FROM tenant LOOP\n"
    "    PERFORM set_config('app.tenant_id', t.id::text, true);\n"
    "    UPDATE invoice SET currency = 'EUR';\n"
    "    GET DIAGNOSTICS n = ROW_COUNT; done := done + n;\n"
    "  END LOOP;\n"
    "  ASSERT done > 0, 'no invoice was touched'; END $$;",
    "no row may be there to touch, and that is fine.",
)

PATH_RULES: tuple[Rule, ...] = (
    RLS005,
    RLS040,
    RLS041,
    RLS042,
    RLS044,
    RLS045,
    RLS046,
    WRAP007,
)
