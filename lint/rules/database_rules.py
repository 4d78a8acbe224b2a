"""The rules that a running database shows, beside those that its migrations show too.

Each was seen on a real server; its `source` says what the manual has on it and what was observed.
"""

from __future__ import annotations

from lint.rules.rule import Rule

RLS006 = Rule(
    "RLS006",
    "error",
    "a command is granted that no policy lets through",
    "A role may hold a privilege on a table while no permissive policy for that command is for it.\n"
    "INSERT then fails with 42501, and UPDATE, DELETE and SELECT … FOR UPDATE touch 0 rows in silence.\n"
    "Without a SELECT policy an UPDATE without WHERE still changes every row of the tenant.\n"
    "It is information where it may be meant: a missing write policy in migrations, and any gap on a\n"
    "hosted platform, which grants everything to its clients' roles.",
    "CREATE POLICY tenant ON invoice FOR SELECT TO app\n"
    "  USING (tenant_id = (SELECT app.current_tenant()));\n"
    "GRANT SELECT, INSERT, UPDATE, DELETE ON invoice TO app;",
    "CREATE POLICY tenant ON invoice TO app\n"
    "  USING (tenant_id = (SELECT app.current_tenant()));\n"
    "GRANT SELECT, INSERT, UPDATE, DELETE ON invoice TO app;",
    "never: revoke the privilege that is not to be used.",
    fix=(
        "Make the policy FOR ALL, or add one for each command that is granted; or revoke\n"
        "the privilege that nobody uses. A new policy only adds, so it can go out before the code that\n"
        "needs it."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY, the table of policies applied by command type.\n"
        "Observed on 15.18: with only a SELECT policy INSERT fails with 42501, UPDATE, DELETE and\n"
        "SELECT FOR UPDATE give 0 rows; with only a write policy UPDATE without WHERE changes every row\n"
        "of the tenant."
    ),
)
RLS007 = Rule(
    "RLS007",
    "error",
    "a policy lacks the clause that its command needs",
    "A policy without USING lets no row be read, changed or deleted, and an INSERT policy without\n"
    "WITH CHECK lets no row in: PostgreSQL denies, it does not allow. (USING without WITH CHECK is\n"
    "right for ALL and UPDATE: it is then used for both.)",
    "CREATE POLICY reading ON invoice FOR SELECT USING (tenant_id = (SELECT app.current_tenant()));\n"
    "CREATE POLICY change ON invoice FOR UPDATE WITH CHECK (tenant_id = (SELECT app.current_tenant()));",
    "CREATE POLICY reading ON invoice FOR SELECT USING (tenant_id = (SELECT app.current_tenant()));\n"
    "CREATE POLICY change ON invoice FOR UPDATE USING (tenant_id = (SELECT app.current_tenant()));",
    "the policy is a placeholder that is meant to deny; better drop it.",
    fix=(
        "Add the clause: USING for rows that are there, WITH CHECK for rows that are\n"
        "written. ALTER POLICY adds it in place."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY (USING, WITH CHECK). Observed on 15.18: an UPDATE\n"
        "policy with WITH CHECK alone gives UPDATE 0; a policy with neither clause gives 0 rows and\n"
        "42501 on INSERT."
    ),
)
RLS008 = Rule(
    "RLS008",
    "error",
    "no policy is for the role that serves tenants",
    "Policies bind the roles named after TO, and their members that inherit. A table whose policies\n"
    "are all for other roles gives the application 0 rows, in silence.",
    "CREATE POLICY tenant ON invoice TO reporting\n"
    "  USING (tenant_id = (SELECT app.current_tenant()));\n"
    "GRANT SELECT ON invoice TO app;",
    "CREATE POLICY tenant ON invoice TO app\n"
    "  USING (tenant_id = (SELECT app.current_tenant()));\n"
    "GRANT SELECT ON invoice TO app;",
    "never: revoke the grant if the role is not to see the table.",
    fix=(
        "ALTER POLICY … TO the role that serves tenants, or a group that it is a member\n"
        "of and inherits from. Check it with SET ROLE and row_security_active() before it goes out."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY (TO) and 22.3 Role Membership. Observed on 15.18:\n"
        "a role that no policy is for reads 0 rows, and so does a member with NOINHERIT of a role that\n"
        "one is for."
    ),
)
RLS011 = Rule(
    "RLS011",
    "error",
    "a permissive policy lets rows through without asking for the tenant",
    "Permissive policies are combined with OR. One that tests something else (a flag, a state, a date)\n"
    "adds its rows to every tenant's, whatever the policy beside it says; so does an OR inside one. A\n"
    "member of any tenant, asked for without the row's own, is such a test (a warning), and so is a\n"
    "comparison that only leaves some tenants out (`<>`, NOT IN).",
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));\n"
    "CREATE POLICY sent ON invoice USING (state = 'sent');",
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));\n"
    "CREATE POLICY sent ON invoice AS RESTRICTIVE USING (state = 'sent');",
    "the rows are shared between tenants by design: say so in the policy's name,\nand here why.",
    fix=(
        "Make the policy RESTRICTIVE if it was meant as a condition, or add the tenant\n"
        "to it with AND. Whether a policy is restrictive cannot be altered: drop it and create it in\n"
        "one transaction."
    ),
    source=(
        "PostgreSQL 15 manual, 5.8 Row Security Policies and CREATE POLICY (PERMISSIVE,\n"
        "RESTRICTIVE). Observed on 15.18: a second permissive policy raises what tenant A reads from 2\n"
        "rows to 3; made restrictive, it lowers it to 1."
    ),
)
RLS012 = Rule(
    "RLS012",
    "error",
    "what may be written is not what may be read",
    "WITH CHECK decides what an INSERT or UPDATE may leave behind. Weaker than USING, or over another\n"
    "column or setting, it lets a tenant write rows into another tenant, or refuses its own.",
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()))\n"
    "  WITH CHECK (amount >= 0);",
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()))\n"
    "  WITH CHECK (tenant_id = (SELECT app.current_tenant()) AND amount >= 0);",
    "the table is an inbox that tenants write to each other, and a person has\nreviewed it.",
    fix=(
        "Repeat the tenant condition in WITH CHECK, or leave WITH CHECK out: USING is\n"
        "then used for both. Look for rows that were written under the wrong tenant before."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY (WITH CHECK). Observed on 15.18: with WITH CHECK\n"
        "(true) tenant A inserts a row of tenant B, and UPDATE invoice SET tenant_id = B moves its own\n"
        "there; with two different settings its own UPDATE fails with 42501."
    ),
)
RLS013 = Rule(
    "RLS013",
    "warning",
    "a policy named like a restriction is permissive",
    "A policy called only_…, ensure_… or deny_… reads like a condition, but permissive policies are\n"
    "combined with OR: beside another policy it adds access and restricts nothing.",
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));\n"
    "CREATE POLICY only_open ON invoice\n"
    "  USING (tenant_id = (SELECT app.current_tenant()) AND state = 'open');",
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));\n"
    "CREATE POLICY only_open ON invoice AS RESTRICTIVE USING (state = 'open');",
    "the policy is meant to add access; better rename it.",
    fix=(
        "Drop the policy and create it AS RESTRICTIVE in one transaction, or rename it\n"
        "to say what it adds. The restriction hides rows that were visible, so tell the application's\n"
        "owners."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY (PERMISSIVE is the default). Observed on 15.18:\n"
        "policies combined with OR add rows, whatever their names say."
    ),
)
RLS014 = Rule(
    "RLS014",
    "warning",
    "the tenant is compared in a way that can miss",
    "A tenant written into the policy is that tenant's for everybody. LIKE takes a setting of % for\n"
    "every tenant. NOT IN over a column with NULL is never true. A cast of the column compares its text,\n"
    "so that another spelling of the same id sees 0 rows, and an index on the column is not used.",
    "CREATE POLICY tenant ON invoice USING (tenant_id::text = current_setting('app.tenant_id', true));",
    "CREATE POLICY tenant ON invoice\n"
    "  USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));",
    "the spelling is fixed by the only code that sets it, and the table is small.",
    fix=(
        "Cast the setting and not the column, and compare with = or IN. Check that what\n"
        "the application sets can be cast before the policy goes out: a value that cannot fails with\n"
        "22P02."
    ),
    source=(
        "PostgreSQL 15 manual, 9.7 Pattern Matching, 9.23 Subquery Expressions (NOT IN) and\n"
        "8.12 UUID Type. Observed on 15.18: the tenant's id in upper case sees 0 rows, a setting of %\n"
        "with LIKE sees all, NOT IN with a NULL sees 0; over 300,000 rows the cast takes 53 ms where\n"
        "the index takes 0.1."
    ),
)
RLS015 = Rule(
    "RLS015",
    "warning",
    "a setting that any session can make opens the table",
    "A custom setting is no privilege: every session may set it, even inside one SELECT by\n"
    "set_config(), and REVOKE SET ON PARAMETER does not stop it. One injected statement reads every\n"
    "tenant. On a hosted platform the client needs not even that (an error): it sends the headers of\n"
    "its requests, and each user writes the user_metadata in his own token.",
    "CREATE POLICY bypass ON invoice USING (current_setting('app.bypass_rls', true) = 'on');",
    "CREATE POLICY bypass ON invoice TO app_bypass USING (true);  -- a role of its own, granted to few",
    "the only setter is an audited bypass, and no tenant's input reaches SQL.",
    fix=(
        "Give the exception to a role, with TO and a grant, since a role is checked and\n"
        "a setting is not. Move the jobs that set the switch to that role first, then drop the policy."
    ),
    source=(
        "PostgreSQL 15 manual, 20.16 Customized Options and 9.27 System Administration\n"
        "Functions (set_config). Observed on 15.18: any session sets it, even within one SELECT, and\n"
        "then reads 3 of 3 rows; REVOKE SET ON PARAMETER changes nothing for a custom setting."
    ),
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
    fix=(
        "Compare with nullif(current_setting(…, true), '') and nothing beside it: no\n"
        "tenant is then no row. Jobs that relied on the open door get a role and a policy of their own\n"
        "first, or they see 0 rows."
    ),
    source=(
        "PostgreSQL 15 manual, 9.27 System Administration Functions (current_setting). Observed\n"
        "on 15.18: with IS NULL OR …, and with coalesce(setting, tenant_id), a connection that never\n"
        "bound a tenant reads 3 of 3 rows."
    ),
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
    "an error is wanted whenever no tenant is bound; better raise one with words,\nin a function.",
    fix=(
        "Wrap the setting in nullif(…, '') before the cast. The answer for a bound\n"
        "tenant stays the same, so ALTER POLICY is safe at any time."
    ),
    source=(
        "PostgreSQL 15 manual, SET (SET LOCAL) and 20.16 Customized Options. Observed on 15.18:\n"
        "after COMMIT the setting is '' and neither RESET nor DISCARD ALL brings NULL back; ''::uuid\n"
        "fails with 22P02, ''::json too, and a text column matches rows whose tenant is ''."
    ),
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
    "the error is wanted: loud where no tenant is bound, and no other policy\nstands beside it.",
    fix=(
        "Pass true as the second argument and wrap the result in nullif(…, ''). Where an\n"
        "error is wanted, raise it with words in a function that the policy calls."
    ),
    source=(
        "PostgreSQL 15 manual, 9.27 System Administration Functions (current_setting,\n"
        "missing_ok). Observed on 15.18: 42704 on SELECT and on plain EXPLAIN, also where another\n"
        "permissive policy is true: the planner calls the function to estimate."
    ),
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
    fix=(
        "Correct the name in the policy with ALTER POLICY. Where both names are in use\n"
        "for a while, let the application set both, change the policies, then stop setting the old one."
    ),
    source=(
        "PostgreSQL 15 manual, 20.16 Customized Options. Observed on 15.18: a policy that reads\n"
        "another name than the one that is set gives 0 rows and no error; names of settings are not\n"
        "case-sensitive."
    ),
)
RLS020 = Rule(
    "RLS020",
    "warning",
    "a policy calls a function whose volatility is wrong for it",
    "VOLATILE is what CREATE FUNCTION makes when nothing is said: it runs for every row and no index is\n"
    "used for the comparison. IMMUTABLE is worse where the function reads a setting: a cached plan keeps\n"
    "the first tenant.",
    "CREATE FUNCTION app.tenant() RETURNS uuid IMMUTABLE LANGUAGE sql\n"
    "  AS $$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.tenant());",
    "CREATE FUNCTION app.tenant() RETURNS uuid STABLE LANGUAGE sql\n"
    "  AS $$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = app.tenant());",
    "a VOLATILE function that has to run for every row; an IMMUTABLE one that\n"
    "reads a setting is always wrong.",
    fix=(
        "ALTER FUNCTION … STABLE: it needs no change of the policies. Connections may\n"
        "keep plans that were made before, so let them reconnect after correcting IMMUTABLE."
    ),
    source=(
        "PostgreSQL 15 manual, 38.7 Function Volatility Categories. Observed on 15.18: under a\n"
        "generic plan an IMMUTABLE function gave tenant B the rows of tenant A, a STABLE one did not;\n"
        "over 300,000 rows VOLATILE took 153 ms where an index takes 0.1."
    ),
)
RLS021 = Rule(
    "RLS021",
    "warning",
    "no index begins with the tenant column",
    "The policy's condition on the tenant is part of every query. Without an index that begins with the\n"
    "column each of them reads the whole table, of all tenants.\n"
    "Migrations do not say how large a table is, so from them it is information; in a running database\n"
    "it is a warning.",
    "CREATE TABLE invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);",
    "CREATE TABLE invoice (id uuid, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, id));",
    "the table will stay small.",
    fix=(
        "CREATE INDEX CONCURRENTLY on the tenant column, or put the column first in a\n"
        "key there is. It blocks no writes, and runs outside a transaction."
    ),
    source=(
        "PostgreSQL 15 manual, 11.3 Multicolumn Indexes (conditions on the leading columns\n"
        "limit what is scanned). Observed on 15.18 with 300,000 rows: 10 to 75 ms without such an\n"
        "index, 0.1 ms with it."
    ),
)
RLS022 = Rule(
    "RLS022",
    "error",
    "a policy reads a table that answers with an error or with nothing",
    "A sub-select in a policy runs as the querying role, and under the other table's row security: on\n"
    "the same table, or in a circle, it fails with 42P17; without a privilege with 42501; without a\n"
    "policy it finds no row.",
    "CREATE POLICY team ON member USING (\n"
    "  team_id IN (SELECT m.team_id FROM member m WHERE m.user_id = app.current_user_id()));",
    "-- app.my_teams() is SECURITY DEFINER and owned by a role with BYPASSRLS\n"
    "CREATE POLICY team ON member USING (team_id IN (SELECT app.my_teams()));",
    "never: it is an error of the schema, not a matter of taste.",
    fix=(
        "Read the other table in a SECURITY DEFINER function with a search_path of its\n"
        "own, owned by a role that row security does not bind; or grant SELECT and write the policy\n"
        "that is missing on the table read."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY (its expressions run with the rights of the\n"
        "querying user) and 5.8 Row Security Policies. Observed on 15.18: 42P17 for a table that reads\n"
        "itself and for two that read each other, 42501 without a grant, 0 rows where the table read\n"
        "shows none."
    ),
)
RLS030 = Rule(
    "RLS030",
    "error",
    "a view reads tenant rows with its owner's rights",
    "A view without security_invoker is checked as its owner. A superuser, a role with BYPASSRLS, or\n"
    "the owner of a table without FORCE sees every tenant's rows, and so does whoever may read the view;\n"
    "a view that can be updated changes them too. CREATE OR REPLACE VIEW without the option drops it.\n"
    "Migrations do not show who runs them: where only a superuser would leak, they give a warning.",
    "CREATE VIEW open_invoice AS SELECT * FROM invoice WHERE state = 'open';\n"
    "GRANT SELECT ON open_invoice TO app;",
    "CREATE VIEW open_invoice WITH (security_invoker = true) AS\n"
    "  SELECT * FROM invoice WHERE state = 'open';\n"
    "GRANT SELECT ON open_invoice TO app;",
    "the view is the reviewed way across tenants, such as a sum without names.",
    fix=(
        "ALTER VIEW … SET (security_invoker = true), PostgreSQL 15 or later. Grant\n"
        "readers SELECT on the tables below first, or the view fails with 42501; before 15, have it\n"
        "owned by a role that policies bind."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE VIEW (security_invoker) and 41.5 Rules and Privileges.\n"
        "Observed on 15.18: tenant A reads 3 of 3 rows through a view of an exempt owner, and UPDATE\n"
        "through it changes them; a superuser's view leaks under FORCE too; CREATE OR REPLACE VIEW\n"
        "emptied the view's options."
    ),
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
    "CREATE TABLE monthly (tenant_id uuid PRIMARY KEY, amount numeric);\n"
    "ALTER TABLE monthly ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE monthly FORCE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON monthly USING (tenant_id = (SELECT app.current_tenant()));\n"
    "GRANT SELECT ON monthly TO app;  -- filled by a job",
    "only roles that may see every tenant can read it.",
    fix=(
        "Revoke the privilege at once. Then give readers a security_barrier view over it\n"
        "that names the tenant, or a table with row security that a job fills, and move the readers\n"
        "there."
    ),
    source=(
        "PostgreSQL 15 manual, 41.3 Materialized Views and ALTER TABLE. Observed on 15.18:\n"
        "ENABLE ROW LEVEL SECURITY on a materialized view fails with 42809, tenant A reads every\n"
        "tenant's rows in it, and REFRESH by an owner under FORCE fills it with 0 rows."
    ),
)
RLS032 = Rule(
    "RLS032",
    "error",
    "a SECURITY DEFINER function steps round row security",
    "It runs with its owner's rights: an owner that row security does not bind reads every tenant.\n"
    "Without a search_path of its own, whoever calls it decides which tables and operators its names\n"
    "mean, by a temporary table for example. One that changes rows by ids of its caller's choice changes\n"
    "those of every tenant.",
    "CREATE FUNCTION find(i uuid) RETURNS SETOF invoice SECURITY DEFINER LANGUAGE sql\n"
    "  AS $$ SELECT * FROM invoice WHERE id = i $$;",
    "CREATE FUNCTION find(i uuid) RETURNS SETOF invoice SECURITY INVOKER LANGUAGE sql\n"
    "  AS $$ SELECT * FROM invoice WHERE id = i $$;",
    "the function is the reviewed way across tenants, and its search_path is its\nown.",
    fix=(
        "ALTER FUNCTION … SECURITY INVOKER where callers may read the tables themselves.\n"
        "Otherwise ALTER FUNCTION … SET search_path = pg_catalog, app, pg_temp, and let the body ask\n"
        "for the tenant or user of the caller."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE FUNCTION (Writing SECURITY DEFINER Functions Safely) and\n"
        "22.6 Function Security. Observed on 15.18: such a function of an exempt owner returns 3 of 3\n"
        "rows; a temporary table of the same name changed the tenant that one without search_path read."
    ),
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
    "ALTER TABLE event ENABLE ROW LEVEL SECURITY;\n"
    "CREATE TABLE event_2027 PARTITION OF event FOR VALUES IN (2027);\n"
    "ALTER TABLE event_2027 ENABLE ROW LEVEL SECURITY;  -- and no grant: tenants name event alone",
    "never: revoke the privilege, the parent needs none on its partitions.",
    fix=(
        "REVOKE the privileges on the partition or child: queries that name the parent\n"
        "need none there. Where it must be named, give it ENABLE, FORCE and the parent's policies, in\n"
        "the migration that makes it."
    ),
    source=(
        "PostgreSQL 15 manual, 5.10 Inheritance and 5.11 Table Partitioning. Observed on 15.18:\n"
        "a new, attached or detached partition has row security off, and tenant A reads another\n"
        "tenant's row in it; policies of a child are not used through its parent."
    ),
)
RLS034 = Rule(
    "RLS034",
    "warning",
    "a trigger or rule copies tenant rows into an unprotected table",
    "The copy has no tenant's protection: whoever may read the log reads every tenant's rows in it.",
    "CREATE TABLE invoice_log (at timestamptz, old jsonb);\n"
    "GRANT SELECT, INSERT ON invoice_log TO app;\n"
    "CREATE FUNCTION log_invoice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
    "  INSERT INTO invoice_log VALUES (now(), to_jsonb(OLD)); RETURN NULL; END $$;\n"
    "CREATE TRIGGER log AFTER UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION log_invoice();",
    "CREATE TABLE invoice_log (tenant_id uuid NOT NULL, at timestamptz, old jsonb);\n"
    "CREATE INDEX ON invoice_log (tenant_id);\n"
    "ALTER TABLE invoice_log ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice_log FORCE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice_log USING (tenant_id = (SELECT app.current_tenant()));\n"
    "GRANT SELECT, INSERT ON invoice_log TO app;\n"
    "CREATE FUNCTION log_invoice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
    "  INSERT INTO invoice_log VALUES (OLD.tenant_id, now(), to_jsonb(OLD)); RETURN NULL; END $$;\n"
    "CREATE TRIGGER log AFTER UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION log_invoice();",
    "the copy holds nothing of the row but its time and kind.",
    fix=(
        "Revoke SELECT on the copy first. Then give it the tenant column, fill it from\n"
        "the rows there are, and enable row security as for any other table."
    ),
    source=(
        "PostgreSQL 15 manual, 39.1 Overview of Trigger Behavior and 41.5 Rules and Privileges.\n"
        "Observed on 15.18: tenant A reads tenant B's secret in the log that a trigger, and in another\n"
        "case a rule, had filled."
    ),
)
RLS035 = Rule(
    "RLS035",
    "warning",
    "a function that tenants may call sets the tenant",
    "Where an API lets a client call functions, one that sets the tenant's setting to its argument lets\n"
    "the client become any tenant.",
    "CREATE FUNCTION set_tenant(t text) RETURNS text LANGUAGE sql\n"
    "  AS $$ SELECT set_config('app.tenant_id', t, true) $$;",
    "CREATE FUNCTION set_tenant(t text) RETURNS text LANGUAGE sql\n"
    "  AS $$ SELECT set_config('app.tenant_id', t, true) $$;\n"
    "REVOKE EXECUTE ON FUNCTION set_tenant(text) FROM PUBLIC, anon, authenticated;",
    "only the application's own code reaches the database, never a client's\nchoice of function.",
    fix=(
        "REVOKE EXECUTE from PUBLIC and from the roles of clients, who otherwise may\n"
        "call every new function. Where clients must choose a tenant, let the function check their\n"
        "membership in it before it sets anything."
    ),
    source=(
        "PostgreSQL 15 manual, 5.7 Privileges (EXECUTE is granted to PUBLIC by default) and\n"
        "9.27 System Administration Functions (set_config). Observed on 15.18: a client that may call\n"
        "such a function reads any tenant's rows."
    ),
)
RLS043 = Rule(
    "RLS043",
    "warning",
    "rows can be stored without a tenant, or under a constant one",
    "A row whose tenant is NULL is invisible to every tenant, and a composite foreign key with NULL in\n"
    "it is not checked. A constant default files rows under a tenant nobody chose.\n"
    "A column that merely may be NULL is information when it is read from migrations.",
    "ALTER TABLE invoice ADD COLUMN tenant_id uuid;",
    "ALTER TABLE invoice ADD COLUMN tenant_id uuid;\n"
    "UPDATE invoice SET tenant_id = c.tenant_id FROM customer c WHERE c.id = invoice.customer_id;\n"
    "ALTER TABLE invoice ALTER COLUMN tenant_id SET NOT NULL;",
    "rows without a tenant are the shared ones, and a policy says so.",
    fix=(
        "Fill the column before row security is enabled, then SET NOT NULL and drop a\n"
        "constant default. On a large table add CHECK (tenant_id IS NOT NULL) NOT VALID, validate it,\n"
        "and SET NOT NULL then does not scan."
    ),
    source=(
        "PostgreSQL 15 manual, 5.4 Constraints (a foreign key with a NULL in it is satisfied\n"
        "under MATCH SIMPLE) and 5.2 Default Values. Observed on 15.18: rows without a tenant vanish\n"
        "for everybody, a composite foreign key with a NULL tenant accepts what does not exist, and a\n"
        "constant default is accepted and then invisible."
    ),
)
RLS050 = Rule(
    "RLS050",
    "warning",
    "a unique constraint reaches across tenants",
    "A tenant that inserts a value another tenant has is told 23505: it learns that the value exists, and\n"
    "cannot use it. ON CONFLICT DO NOTHING loses the row in silence.",
    "CREATE TABLE member (tenant_id uuid NOT NULL, nickname text UNIQUE);",
    "CREATE TABLE member (tenant_id uuid NOT NULL, nickname text, UNIQUE (tenant_id, nickname));",
    "the value is unique in the world, such as a domain name that was verified.",
    fix=(
        "Create the unique index over (tenant_id, …) concurrently, then drop the old\n"
        "constraint. ON CONFLICT clauses that name the old columns have to name the new ones in the\n"
        "same release."
    ),
    source=(
        "PostgreSQL 15 manual, CREATE POLICY (Notes: a unique constraint shows that a value\n"
        "exists). Observed on 15.18: INSERT of a value that another tenant has fails with 23505, ON\n"
        "CONFLICT DO NOTHING returns nothing, and DO UPDATE fails with 42501."
    ),
)
RLS051 = Rule(
    "RLS051",
    "warning",
    "a foreign key between tenant tables does not hold the tenant",
    "Foreign keys are checked without row security: a tenant can point at another tenant's row, and\n"
    "learns from 23503 whether it exists. With ON DELETE CASCADE, deleting its own row deletes the rows\n"
    "of others that point at it.\n"
    "From migrations it is information, in a running database a warning.",
    "CREATE TABLE payment (\n"
    "  id uuid PRIMARY KEY, tenant_id uuid NOT NULL, invoice_id uuid,\n"
    "  FOREIGN KEY (invoice_id) REFERENCES invoice (id) ON DELETE CASCADE);",
    "CREATE TABLE payment (\n"
    "  id uuid PRIMARY KEY, tenant_id uuid NOT NULL, invoice_id uuid,\n"
    "  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoice (tenant_id, id) ON DELETE CASCADE);",
    "ids are random and never leave the server, and nothing cascades.",
    fix=(
        "Add UNIQUE (tenant_id, id) to the table that is referenced, then the composite\n"
        "foreign key NOT VALID, validate it with nothing hidden from the check (see RLS041), and drop\n"
        "the old one."
    ),
    source=(
        "PostgreSQL 15 manual, 5.8 Row Security Policies (referential integrity checks bypass\n"
        "row security). Observed on 15.18: a reference to a hidden row is accepted and one to no row\n"
        "fails with 23503; ON DELETE CASCADE deleted another tenant's rows."
    ),
)
RLS052 = Rule(
    "RLS052",
    "error",
    "a foreign key's action overwrites the tenant",
    "ON DELETE SET NULL over (tenant_id, x) sets both: the row loses its tenant and disappears, or the\n"
    "DELETE fails with 23502. Since PostgreSQL 15 the columns to set can be named.",
    "CREATE TABLE payment (\n"
    "  id uuid PRIMARY KEY, tenant_id uuid NOT NULL, invoice_id uuid,\n"
    "  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoice (tenant_id, id) ON DELETE SET NULL);",
    "CREATE TABLE payment (\n"
    "  id uuid PRIMARY KEY, tenant_id uuid NOT NULL, invoice_id uuid,\n"
    "  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoice (tenant_id, id)\n"
    "    ON DELETE SET NULL (invoice_id));",
    "never.",
    fix=(
        "Name the columns to set, PostgreSQL 15 or later: add the new constraint NOT\n"
        "VALID, validate it, drop the old one. Before 15 use NO ACTION and let the application clear\n"
        "the reference."
    ),
    source=(
        "PostgreSQL 15 manual, 5.4 Constraints and CREATE TABLE (ON DELETE SET NULL with a\n"
        "column list). Observed on 15.18: the tenant is overwritten with NULL and the row is invisible\n"
        "to everybody; with NOT NULL the DELETE fails with 23502."
    ),
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
    fix=(
        "REVOKE TRUNCATE, REFERENCES, TRIGGER ON the table FROM the role: no query of an\n"
        "application needs them. Correct ALTER DEFAULT PRIVILEGES too, or the next table has them\n"
        "again."
    ),
    source=(
        "PostgreSQL 15 manual, 5.7 Privileges and 5.8 Row Security Policies (TRUNCATE and\n"
        "REFERENCES are not subject to row security). Observed on 15.18: tenant A empties the whole\n"
        "table, learns another tenant's keys by a foreign key of its own, and reads its rows by a\n"
        "trigger."
    ),
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
    fix=(
        "REVOKE the membership, or ALTER ROLE … NOBYPASSRLS, and RESET the setting. Find\n"
        "out first what the application does with the right (migrations, mostly) and give that a login\n"
        "of its own; reconnect afterwards."
    ),
    source=(
        "PostgreSQL 15 manual, 22.2 Role Attributes and 22.3 Role Membership. Observed on\n"
        "15.18: a member of the owner reads 3 of 3 rows without FORCE, any member of a role with\n"
        "BYPASSRLS does after SET ROLE, and a tenant set by ALTER ROLE holds for every connection."
    ),
)
RLS055 = Rule(
    "RLS055",
    "error",
    "the server runs a version with known holes in row security",
    "Minor versions fix faults that let a role read rows its policies refuse. No catalog can show\n"
    "whether one was used. This rule judges a running server only; migrations do not say which it is.",
    "SHOW server_version;  -- 15.18: a plan cached before a role lost its rights still returns all rows",
    "SHOW server_version;  -- 15.19 or later, the newest minor version of a supported major one",
    "the provider has patched the fault under the same version number, and says\nso in writing.",
    fix=(
        "Install the newest minor version: binaries are replaced and the server\n"
        "restarts, no dump is needed. Read the release notes for steps after the update."
    ),
    source=(
        "PostgreSQL release notes: CVE-2026-14666 (fixed in 15.19), CVE-2025-8713 (15.14),\n"
        "CVE-2024-10976 (15.9), CVE-2023-39418 (15.4), CVE-2023-2455 (15.3), and the releases of other\n"
        "major versions of the same days. Observed on 15.18: after REVOKE and NOBYPASSRLS a cached plan\n"
        "returned all rows."
    ),
)
RLS056 = Rule(
    "RLS056",
    "error",
    "a privilege on a column is revoked that the whole table still gives",
    "A privilege on the table stands above what is said of its columns: REVOKE UPDATE (role) takes\n"
    "nothing from a role that has UPDATE on the table. Whoever may update his own row goes on to write\n"
    "the column that was to be kept from him, mostly his role or his tenant.",
    "GRANT SELECT, UPDATE ON invoice TO app;\nREVOKE UPDATE (state) ON invoice FROM app;",
    "GRANT SELECT ON invoice TO app;\nGRANT UPDATE (number) ON invoice TO app;",
    "the column may be written by whoever may write the row.",
    fix=(
        "REVOKE the privilege on the whole table, and GRANT it on the columns that the role\n"
        "may write. On a hosted platform its own roles have every privilege on each new table, so that\n"
        "the REVOKE on the table is needed there too; a trigger that keeps the old value does as well."
    ),
    source=(
        'PostgreSQL 15 manual, GRANT, Notes: "Granting the privilege at the table level and then\n'
        "revoking it for one column will not do what one might wish: the table-level grant is unaffected\n"
        'by a column-level operation".'
    ),
)

COV001 = Rule(
    "COV001",
    "error",
    "the rollout plan and the schema disagree",
    "A plan that says a table is protected is read by people who never look at pg_class. A table whose\n"
    "wave has come without ENABLE, FORCE and a permissive policy is open while everybody counts it as\n"
    "closed; one that is protected and stands in no wave can fall back without anybody noticing.",
    "-- posture.yaml says: lint: {current_wave: 2, waves: {invoice: 1}}\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));",
    "-- posture.yaml says: lint: {current_wave: 2, waves: {invoice: 1}}\n"
    "ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;\n"
    "ALTER TABLE invoice FORCE ROW LEVEL SECURITY;\n"
    "CREATE POLICY tenant ON invoice USING (tenant_id = (SELECT app.current_tenant()));",
    "never: change the plan, it is a reviewed file.",
    fix=(
        "Finish the table's protection in a new migration, or move the table to a later\n"
        "wave in the plan, where a reviewer sees it."
    ),
    source=(
        "PostgreSQL 15 manual, 53.11 pg_class (relrowsecurity, relforcerowsecurity) and 54.14\n"
        "pg_policies. Observed in a public project: of 26 tables with a tenant column 10 were\n"
        "protected."
    ),
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
    RLS056,
    COV001,
)
