"""The rules that a running database shows, beside those that its migrations show too.

Each was seen on a real server; what PostgreSQL does in each case is in its manual (5.9, CREATE
POLICY, CREATE VIEW, CREATE FUNCTION) and in the release notes that RLS055 names.
"""

from __future__ import annotations

from lint.rules.rule import Rule

RLS006 = Rule(
    "RLS006",
    "error",
    "a command is granted that no policy lets through",
    "A role may hold a privilege on a table while no permissive policy for that command is for it.\n"
    "INSERT then fails with 42501, and UPDATE, DELETE and SELECT … FOR UPDATE touch 0 rows in silence.\n"
    "Without a SELECT policy an UPDATE without WHERE still changes every row of the tenant.",
    "CREATE POLICY tenant ON invoice FOR SELECT TO app USING (tenant_id = app.current_tenant());\n"
    "GRANT SELECT, INSERT, UPDATE, DELETE ON invoice TO app;",
    "CREATE POLICY tenant ON invoice TO app USING (tenant_id = app.current_tenant());\n"
    "GRANT SELECT, INSERT, UPDATE, DELETE ON invoice TO app;",
    "never: revoke the privilege that is not to be used.",
)
RLS007 = Rule(
    "RLS007",
    "error",
    "a policy lacks the clause that its command needs",
    "A policy without USING lets no row be read, changed or deleted, and an INSERT policy without\n"
    "WITH CHECK lets no row in: PostgreSQL denies, it does not allow.",
    "CREATE POLICY change ON invoice FOR UPDATE WITH CHECK (tenant_id = app.current_tenant());",
    "CREATE POLICY change ON invoice FOR UPDATE USING (tenant_id = app.current_tenant());",
    "the policy is a placeholder that is meant to deny; better drop it.",
)
RLS008 = Rule(
    "RLS008",
    "error",
    "no policy is for the role that serves tenants",
    "Policies bind the roles named after TO, and their members that inherit. A table whose policies\n"
    "are all for other roles gives the application 0 rows, in silence.",
    "CREATE POLICY tenant ON invoice TO reporting USING (tenant_id = app.current_tenant());\n"
    "GRANT SELECT ON invoice TO app;",
    "CREATE POLICY tenant ON invoice TO app USING (tenant_id = app.current_tenant());\n"
    "GRANT SELECT ON invoice TO app;",
    "never: revoke the grant if the role is not to see the table.",
)
RLS011 = Rule(
    "RLS011",
    "error",
    "a permissive policy lets rows through without asking for the tenant",
    "Permissive policies are combined with OR. One that tests something else (a flag, a state, a date)\n"
    "adds its rows to every tenant's, whatever the policy beside it says; so does an OR inside one.",
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());\n"
    "CREATE POLICY sent ON invoice USING (state = 'sent');",
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant());\n"
    "CREATE POLICY sent ON invoice AS RESTRICTIVE USING (state = 'sent');",
    "the rows are shared between tenants by design: say so in the policy's name, and here why.",
)
RLS012 = Rule(
    "RLS012",
    "error",
    "what may be written is not what may be read",
    "WITH CHECK decides what an INSERT or UPDATE may leave behind. Weaker than USING, or over another\n"
    "column or setting, it lets a tenant write rows into another tenant, or refuses its own.",
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant())\n  WITH CHECK (amount >= 0);",
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.current_tenant())\n"
    "  WITH CHECK (tenant_id = app.current_tenant() AND amount >= 0);",
    "the table is an inbox that tenants write to each other, and a person has reviewed it.",
)
RLS013 = Rule(
    "RLS013",
    "warning",
    "a policy named like a restriction is permissive",
    "A policy called only_…, ensure_… or deny_… reads like a condition, but permissive policies are\n"
    "combined with OR: beside another policy it adds access and restricts nothing.",
    "CREATE POLICY only_open ON invoice USING (tenant_id = app.current_tenant() AND state = 'open');",
    "CREATE POLICY only_open ON invoice AS RESTRICTIVE USING (state = 'open');",
    "the policy is meant to add access; better rename it.",
)
RLS014 = Rule(
    "RLS014",
    "warning",
    "the tenant is compared in a way that can miss",
    "A tenant written into the policy is that tenant's for everybody. LIKE takes % from the setting as\n"
    "every tenant. NOT IN over a column with NULL is never true. A cast of the column compares its text,\n"
    "so that another spelling of the same id sees 0 rows, and no index is used.",
    "CREATE POLICY tenant ON invoice USING (tenant_id::text = current_setting('app.tenant_id', true));",
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));",
    "the spelling is fixed by the only code that sets it, and the table is small.",
)
RLS015 = Rule(
    "RLS015",
    "warning",
    "a setting that any session can make opens the table",
    "A custom setting is no privilege: every session may set it, even inside one SELECT by\n"
    "set_config(), and REVOKE SET ON PARAMETER does not stop it. One injected statement reads every\n"
    "tenant.",
    "CREATE POLICY bypass ON invoice USING (current_setting('app.bypass_rls', true) = 'on');",
    "CREATE POLICY bypass ON invoice TO app_bypass USING (app.bypass_scope() IN ('*', tenant_id::text));",
    "the only setter is an audited bypass, and no tenant's input reaches SQL.",
)
RLS016 = Rule(
    "RLS016",
    "error",
    "row security opens when no tenant is set",
    "A policy that is true for an unset or empty setting shows every tenant to each connection that\n"
    "forgot to bind one, such as a migration, a job or a pooled connection after RESET.",
    "CREATE POLICY tenant ON invoice USING (current_setting('app.tenant_id', true) IS NULL\n"
    "  OR tenant_id = current_setting('app.tenant_id', true)::uuid);",
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));",
    "never: give jobs a role and a policy of their own.",
)
RLS017 = Rule(
    "RLS017",
    "warning",
    "an empty setting is cast, or compared, as it is",
    "After SET LOCAL and COMMIT a custom setting is '' and not NULL, for the rest of the connection.\n"
    "''::uuid fails with 22P02, so a query on a pooled connection fails that worked on a fresh one; and\n"
    "a text column is compared with ''.",
    "CREATE POLICY tenant ON invoice USING (tenant_id = current_setting('app.tenant_id', true)::uuid);",
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));",
    "an error is wanted whenever no tenant is bound; better raise one with words, in a function.",
)
RLS018 = Rule(
    "RLS018",
    "warning",
    "an unset setting raises an error in the policy",
    "current_setting(name) without its second argument fails with 42704 where the setting was never\n"
    "made: not only queries, EXPLAIN too, and policies that would have let the row through beside it.",
    "CREATE POLICY tenant ON invoice USING (tenant_id = current_setting('app.tenant_id')::uuid);",
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));",
    "the error is wanted: loud where no tenant is bound, and no other policy stands beside it.",
)
RLS019 = Rule(
    "RLS019",
    "error",
    "a policy reads the tenant from another setting than the rest",
    "The application sets one setting. A policy that reads a misspelled or older one compares the\n"
    "tenant with NULL: the table shows 0 rows and takes no row, in silence. PostgreSQL cannot know,\n"
    "since every custom setting exists as soon as it is read with missing_ok.",
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT nullif(current_setting('app.tenantid', true), '')::uuid));",
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));",
    "the table is served by another application, which sets that setting.",
)
RLS020 = Rule(
    "RLS020",
    "warning",
    "a policy calls a function whose volatility is wrong for it",
    "VOLATILE is what CREATE FUNCTION makes when nothing is said: it runs for every row and no index is\n"
    "used. IMMUTABLE is worse where the function reads a setting: a cached plan keeps the first tenant.",
    "CREATE FUNCTION app.tenant() RETURNS uuid IMMUTABLE LANGUAGE sql\n"
    "  AS $$ SELECT current_setting('app.tenant_id', true)::uuid $$;",
    "CREATE FUNCTION app.tenant() RETURNS uuid STABLE LANGUAGE sql\n"
    "  AS $$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;",
    "a VOLATILE function must count its calls; never for IMMUTABLE.",
)
RLS021 = Rule(
    "RLS021",
    "warning",
    "no index begins with the tenant column",
    "The policy's condition on the tenant is part of every query. Without an index that begins with the\n"
    "column each of them reads the whole table, of all tenants.",
    "CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);",
    "CREATE TABLE invoice (id uuid, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, id));",
    "the table will stay small.",
)
RLS022 = Rule(
    "RLS022",
    "error",
    "a policy reads a table that answers with an error or with nothing",
    "A sub-select in a policy runs as the querying role, and under the other table's row security: on\n"
    "the same table, or in a circle, it fails with 42P17; without a privilege with 42501; without a\n"
    "policy it finds no row.",
    "CREATE POLICY team ON member USING (team_id IN (SELECT team_id FROM member WHERE user_id = app.me()));",
    "CREATE POLICY team ON member USING (team_id IN (SELECT app.my_teams()));",
    "never for a circle; a table that is to answer with nothing needs no sub-select.",
)
RLS030 = Rule(
    "RLS030",
    "error",
    "a view reads tenant rows with its owner's rights",
    "A view without security_invoker is checked as its owner. A superuser, a role with BYPASSRLS, or\n"
    "the owner of a table without FORCE sees every tenant's rows, and so does whoever may read the view;\n"
    "a view that can be updated changes them too. CREATE OR REPLACE VIEW drops the option.",
    "CREATE VIEW open_invoice AS SELECT * FROM invoice WHERE state = 'open';",
    "CREATE VIEW open_invoice WITH (security_invoker = true) AS SELECT * FROM invoice WHERE state = 'open';",
    "the view is the reviewed way across tenants, such as a sum without names.",
)
RLS031 = Rule(
    "RLS031",
    "error",
    "a materialized view or foreign table holds tenant rows",
    "Row security cannot be switched on for a materialized view: it stores what its owner saw, of all\n"
    "tenants, and every role that may read it reads that. Refreshed by an owner that FORCE binds, it is\n"
    "empty.",
    "CREATE MATERIALIZED VIEW monthly AS SELECT tenant_id, sum(amount) FROM invoice GROUP BY 1;\n"
    "GRANT SELECT ON monthly TO app;",
    "CREATE TABLE monthly (tenant_id uuid, amount numeric, PRIMARY KEY (tenant_id));\n"
    "-- with row security, filled by a job",
    "only roles that may see every tenant can read it.",
)
RLS032 = Rule(
    "RLS032",
    "error",
    "a SECURITY DEFINER function steps round row security",
    "It runs with its owner's rights: an owner that row security does not bind reads every tenant.\n"
    "Without a search_path of its own, whoever calls it decides which tables and operators its names\n"
    "mean, by a temporary table for example.",
    "CREATE FUNCTION find(i uuid) RETURNS invoice SECURITY DEFINER LANGUAGE sql\n"
    "  AS $$ SELECT * FROM invoice WHERE id = i $$;",
    "CREATE FUNCTION find(i uuid) RETURNS invoice SECURITY INVOKER LANGUAGE sql\n"
    "  AS $$ SELECT * FROM invoice WHERE id = i $$;",
    "the function is the reviewed way across tenants, and its search_path is its own.",
)
RLS033 = Rule(
    "RLS033",
    "error",
    "a partition or child table can be read past its parent's row security",
    "Policies of a partitioned or inherited table hold for queries that name it. A partition or child\n"
    "that is named itself answers by its own row security, and a new one has none.",
    "ALTER TABLE event ENABLE ROW LEVEL SECURITY;\n"
    "CREATE TABLE event_2027 PARTITION OF event FOR VALUES IN (2027);\n"
    "GRANT SELECT ON event_2027 TO app;",
    "REVOKE ALL ON event_2027 FROM app;\nALTER TABLE event_2027 ENABLE ROW LEVEL SECURITY;",
    "never: revoke the privilege, the parent needs none on its partitions.",
)
RLS034 = Rule(
    "RLS034",
    "warning",
    "a trigger or rule copies tenant rows into an unprotected table",
    "The copy has no tenant's protection: whoever may read the log reads every tenant's rows in it.",
    "CREATE TABLE invoice_log (at timestamptz, old jsonb);\nGRANT SELECT, INSERT ON invoice_log TO app;",
    "CREATE TABLE invoice_log (tenant_id uuid NOT NULL, at timestamptz, old jsonb);\n-- with row security",
    "the copy holds nothing of the row but its time and kind.",
)
RLS035 = Rule(
    "RLS035",
    "warning",
    "a function that tenants may call sets the tenant",
    "Where an API lets a client call functions, one that sets the tenant's setting to its argument lets\n"
    "the client become any tenant.",
    "CREATE FUNCTION set_tenant(t text) RETURNS text LANGUAGE sql\n"
    "  AS $$ SELECT set_config('app.tenant_id', t, true) $$;",
    "REVOKE EXECUTE ON FUNCTION set_tenant(text) FROM PUBLIC; -- or check the caller inside it",
    "only the application's own code reaches the database, never a client's choice of function.",
)
RLS043 = Rule(
    "RLS043",
    "warning",
    "rows can be stored without a tenant, or under a constant one",
    "A row whose tenant is NULL is invisible to every tenant, and a composite foreign key with NULL in\n"
    "it is not checked. A constant default files rows under a tenant nobody chose.",
    "ALTER TABLE invoice ADD COLUMN tenant_id uuid;",
    "ALTER TABLE invoice ALTER COLUMN tenant_id SET NOT NULL;",
    "rows without a tenant are the shared ones, and a policy says so.",
)
RLS050 = Rule(
    "RLS050",
    "warning",
    "a unique constraint reaches across tenants",
    "A tenant that inserts a value another tenant has is told 23505: it learns that the value exists, and\n"
    "cannot use it. ON CONFLICT DO NOTHING loses the row in silence.",
    "CREATE TABLE member (tenant_id uuid, email text UNIQUE);",
    "CREATE TABLE member (tenant_id uuid, email text, UNIQUE (tenant_id, email));",
    "the value is unique in the world, such as a domain name that was verified.",
)
RLS051 = Rule(
    "RLS051",
    "warning",
    "a foreign key between tenant tables does not hold the tenant",
    "Foreign keys are checked without row security: a tenant can point at another tenant's row, and\n"
    "learns from 23503 whether it exists. With ON DELETE CASCADE, deleting its own row deletes the rows\n"
    "of others that point at it.",
    "FOREIGN KEY (invoice_id) REFERENCES invoice (id) ON DELETE CASCADE",
    "FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoice (tenant_id, id) ON DELETE CASCADE",
    "ids are random and never leave the server, and nothing cascades.",
)
RLS052 = Rule(
    "RLS052",
    "error",
    "a foreign key's action overwrites the tenant",
    "ON DELETE SET NULL over (tenant_id, x) sets both: the row loses its tenant and disappears, or the\n"
    "DELETE fails with 23502. PostgreSQL 15 takes the columns to set.",
    "FOREIGN KEY (tenant_id, project_id) REFERENCES project (tenant_id, id) ON DELETE SET NULL",
    "FOREIGN KEY (tenant_id, project_id) REFERENCES project (tenant_id, id) ON DELETE SET NULL (project_id)",
    "never.",
)
RLS053 = Rule(
    "RLS053",
    "error",
    "a privilege that row security does not filter is granted",
    "TRUNCATE empties the table of every tenant, REFERENCES makes a foreign key that asks for any\n"
    "tenant's rows, and TRIGGER puts code of the role's own under every tenant's writes. Default\n"
    "privileges give a new table away before anybody can protect it.",
    "GRANT ALL ON invoice TO app;",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON invoice TO app;",
    "never for the role that serves tenants.",
)
RLS054 = Rule(
    "RLS054",
    "error",
    "the serving role can step out of row security",
    "Membership in the owner, in a superuser or in a BYPASSRLS role is one SET ROLE away from every\n"
    "tenant, and an owner may switch row security off. A tenant or row_security = off that ALTER ROLE or\n"
    "ALTER DATABASE sets holds for every connection.",
    "GRANT app_owner TO app;",
    "REVOKE app_owner FROM app;",
    "never for the role that serves tenants.",
)
RLS055 = Rule(
    "RLS055",
    "error",
    "the server has known holes in row security",
    "Minor versions fix faults that let a role read rows its policies refuse. No catalog can show\n"
    "whether one was used.",
    "SELECT version(); -- PostgreSQL 15.3",
    "SELECT version(); -- the newest minor version of a supported major one",
    "the provider has patched the fault under the same version number, and says so in writing.",
)

COV001 = Rule(
    "COV001",
    "error",
    "the rollout plan and the schema disagree",
    "A plan that says a table is enforced is read by people who never look at pg_class. A table whose\n"
    "wave has come without ENABLE, FORCE and a permissive policy is open while everybody counts it as\n"
    "closed; one that stands in no wave can fall back without anybody noticing.",
    "# posture.yaml\nlint:\n  current_wave: 2\n  waves: {invoice: 1}   # and invoice is not FORCEd",
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));",
    "never: change the plan, it is a reviewed file.",
)

DATABASE_RULES = (
    RLS006,
    RLS007,
    RLS008,
    RLS011,
    RLS012,
    RLS013,
    RLS014,
    RLS015,
    RLS016,
    RLS017,
    RLS018,
    RLS019,
    RLS020,
    RLS021,
    RLS022,
    RLS030,
    RLS031,
    RLS032,
    RLS033,
    RLS034,
    RLS035,
    RLS043,
    RLS050,
    RLS051,
    RLS052,
    RLS053,
    RLS054,
    RLS055,
    COV001,
)
