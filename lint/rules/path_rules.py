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
    "the table holds no tenant's rows any more; prefer lint.global_tables with a\nreason.",
    fix=(
        "ENABLE, FORCE or write the policy again in a new migration. For a backfill put\n"
        "NO FORCE, the statement and FORCE into one transaction: tenants never see the table open, but\n"
        "it is locked until COMMIT, so keep the backfill short or bind each tenant instead."
    ),
    source=(
        "PostgreSQL 15 manual, ALTER TABLE (DISABLE and NO FORCE ROW LEVEL SECURITY) and DROP\n"
        "POLICY. Observed on 15.18: after DISABLE tenant A reads 3 of 3 rows while pg_policies is\n"
        "unchanged; after the last DROP POLICY it reads 0."
    ),
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
    fix=(
        "Put NO FORCE, the statement and FORCE into one transaction: only the owner is\n"
        "exempt, and the table is locked until COMMIT. For a long backfill loop over the tenants and\n"
        "bind each. SET row_security = off makes the statement fail instead of touching nothing."
    ),
    source=(
        "PostgreSQL 15 manual, ALTER TABLE (FORCE ROW LEVEL SECURITY) and 20.11 Client\n"
        "Connection Defaults (row_security). Observed on 15.18: as an owner under FORCE UPDATE 0,\n"
        "DELETE 0, CREATE TABLE AS 0 rows, COPY FROM 0A000, and 42501 once row_security is off. In one\n"
        "public project a migration that encrypts personal data changes nothing."
    ),
)
RLS041 = Rule(
    "RLS041",
    "error",
    "a foreign key is checked against rows that row security hides",
    "ADD FOREIGN KEY and VALIDATE CONSTRAINT check the rows there are with a query of the owner, and\n"
    "FORCE hides rows from that query. Rows hidden in the referencing table are never checked: the\n"
    "constraint is marked valid while orphans exist. Rows hidden in the referenced table make every\n"
    "reference look broken: 23503 although all is well.",
    "-- invoice and customer are under FORCE\n"
    "ALTER TABLE invoice ADD FOREIGN KEY (tenant_id, customer_id) REFERENCES customer (tenant_id, id);",
    "ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY;\n"
    "ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice ADD FOREIGN KEY (tenant_id, customer_id) REFERENCES customer (tenant_id, id);\n"
    "ALTER TABLE customer FORCE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;",
    "migrations run as a role with BYPASSRLS or as a superuser, everywhere.",
    fix=(
        "Put NO FORCE, the constraint and FORCE into one transaction, for both tables;\n"
        "they are locked until COMMIT, so set lock_timeout. For a constraint that was added under FORCE\n"
        "look for orphans as a role that sees every row: it is marked valid, and PostgreSQL does not\n"
        "check again."
    ),
    source=(
        "PostgreSQL 15 manual, ALTER TABLE (ADD FOREIGN KEY, VALIDATE CONSTRAINT). Observed on\n"
        "15.18 as an owner under FORCE: with the referencing table forced the constraint was marked\n"
        "valid over orphans, with the referenced one forced it failed with 23503 over good rows."
    ),
)
RLS042 = Rule(
    "RLS042",
    "warning",
    "a table is closed in one transaction and opened by a policy in a later one",
    "Between ENABLE (or DROP POLICY) and CREATE POLICY the table denies by default: every reader whom\n"
    "row security binds sees 0 rows and every UPDATE touches 0 rows, in silence, for as long as the\n"
    "deploy takes or hangs. In one transaction nobody sees the state between.",
    "-- 0004.sql\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
    "-- 0005.sql\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));",
    "-- 0004.sql\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;",
    "both migrations were deployed long ago, or the table was not read yet.",
    fix=(
        "Move CREATE POLICY into the migration that enables or drops, before the switch.\n"
        "Migrations that were deployed already need no change."
    ),
    source=(
        "PostgreSQL 15 manual, 5.8 Row Security Policies (the default is to deny). Observed on\n"
        "15.18: in the window between the two transactions readers get 0 rows and no error."
    ),
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
    "  CREATE POLICY tenant ON invoice  -- corrected\n"
    "    USING (tenant_id = (SELECT app.current_tenant()));\n"
    "EXCEPTION WHEN duplicate_object THEN NULL; END $$;",
    "DROP POLICY IF EXISTS tenant ON invoice;\n"
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT app.current_tenant()));",
    "the policy was meant to go with what it named.",
    fix=(
        "DROP POLICY IF EXISTS and CREATE POLICY in one transaction, or ALTER POLICY.\n"
        "Instead of CASCADE drop the policies by name, and write the ones that shall stay anew in the\n"
        "same transaction."
    ),
    source=(
        "PostgreSQL 15 manual, 5.14 Dependency Tracking and 43.6 Control Structures (Trapping\n"
        "Errors). Observed on 15.18: DROP COLUMN and DROP FUNCTION with CASCADE removed the policies\n"
        "without an error; under the handler the old policy stayed as it was."
    ),
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
    fix=(
        "SET lock_timeout at the head of the migration, or for the role that runs\n"
        "migrations, and let the deploy try again when it fails."
    ),
    source=(
        "PostgreSQL 15 manual, 13.3 Explicit Locking and 20.11 Client Connection Defaults\n"
        "(lock_timeout). Observed on 15.18: behind an open reader ENABLE and CREATE POLICY wait, and\n"
        "fail with 55P03 once lock_timeout is set."
    ),
)
RLS046 = Rule(
    "RLS046",
    "warning",
    "row security is written for a table of another name than the one created",
    'PostgreSQL folds unquoted names, so `invoice` and "Invoice" are two tables, and a bare name means\n'
    "the first schema of search_path that has it. With IF EXISTS the statement passes and does nothing;\n"
    "where both tables exist, the wrong one is protected.",
    'CREATE TABLE "Invoice" (id uuid, tenant_id uuid NOT NULL);\n'
    "ALTER TABLE IF EXISTS invoice ENABLE ROW LEVEL SECURITY;",
    'CREATE TABLE "Invoice" (id uuid, tenant_id uuid NOT NULL);\n'
    'ALTER TABLE "Invoice" ENABLE ROW LEVEL SECURITY;\n'
    'ALTER TABLE "Invoice" FORCE ROW LEVEL SECURITY;\n'
    'CREATE POLICY tenant ON "Invoice" USING (tenant_id = (SELECT app.current_tenant()));',
    "the other table exists and is created outside these files.",
    fix=(
        "Write the name as CREATE TABLE has it, with its quotes and its schema, and\n"
        "leave IF EXISTS out, so that a wrong name fails."
    ),
    source=(
        "PostgreSQL 15 manual, 4.1 Lexical Structure (unquoted names are folded to lower case)\n"
        "and 5.9 Schemas (search path). Observed on 15.18: ENABLE reached the table of the same name in\n"
        "the other schema, or of the other case, and left the one with the rows open."
    ),
)
WRAP007 = Rule(
    "WRAP007",
    "warning",
    "a backfill under row security does not look at how many rows it touched",
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
    fix=(
        "Add up the rows (GET DIAGNOSTICS … ROW_COUNT, or the driver's row count) and\n"
        "fail when none was touched. Compare with a count made as a role that sees every row where the\n"
        "number matters."
    ),
    source=(
        "PostgreSQL 15 manual, 43.5 Basic Statements (Obtaining the Result Status). Observed on\n"
        "15.18: an UPDATE under FORCE with no tenant, or a wrong one, reports UPDATE 0 and no error."
    ),
    language="sql",
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
