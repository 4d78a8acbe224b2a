CREATE TABLE core.desk (tenant_id uuid, owner_name text, kind core.mood, room int);
CREATE POLICY by_tenant ON core.desk USING (tenant_id = core.tenant());
CREATE POLICY by_room ON core.desk USING (room > 1);
CREATE POLICY through ON core.later USING (EXISTS (SELECT 1 FROM core.desk WHERE desk.tenant_id = later.tenant_id));
CREATE VIEW core.rooms AS SELECT room FROM core.desk;
CREATE VIEW core.rooms_of_rooms AS SELECT room FROM core.rooms;
ALTER TABLE core.desk RENAME COLUMN tenant_id TO org_id;
ALTER TABLE core.desk DROP COLUMN room CASCADE;
DROP TYPE core.mood CASCADE;
CREATE FUNCTION core.allowed(uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE POLICY by_function ON core.desk USING (core.allowed(org_id));
DROP FUNCTION core.allowed(uuid) CASCADE;
ALTER TABLE core.desk RENAME TO bureau;
CREATE SCHEMA spare AUTHORIZATION parity_owner CREATE TABLE chair (id int);
CREATE TABLE spare.table_of_spare (id int REFERENCES core.fast);
ALTER SCHEMA spare RENAME TO stock;
CREATE SCHEMA passing;
CREATE TABLE passing.by (id serial);
CREATE VIEW core.passed AS SELECT id FROM passing.by;
DROP SCHEMA passing CASCADE;
DO $do$
DECLARE
    r record;
    pair text[];
    names constant text[] := string_to_array('bureau,later', ',');
BEGIN
    FOR r IN SELECT t.tablename FROM pg_tables t WHERE t.schemaname = 'core' AND t.tablename LIKE 'shelf\_%'
             AND EXISTS (SELECT 1 FROM information_schema.columns c WHERE c.table_schema = t.schemaname
                         AND c.table_name = t.tablename AND c.column_name = 'tenant_id') LOOP
        EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', 'core', r.tablename);
        EXECUTE format($f$CREATE POLICY %1$s_read ON core.%1$I FOR SELECT USING (tenant_id = core.tenant())$f$, r.tablename);
    END LOOP;
    FOR r IN SELECT * FROM (VALUES ('bureau', 'org_id'), ('later', 'tenant_id')) AS v (name, col) LOOP
        EXECUTE 'CREATE POLICY own ON core.' || quote_ident(r.name) || ' USING (' || r.col || ' IS NOT NULL)';
    END LOOP;
    FOR i IN 1 .. array_length(names, 1) LOOP
        EXECUTE format('ALTER TABLE core.%I FORCE ROW LEVEL SECURITY', names[i]);
    END LOOP;
    FOREACH pair SLICE 1 IN ARRAY ARRAY[['bureau', 'b1', 'org_id'], ['later', 'l1', 'tenant_id']] LOOP
        EXECUTE format('CREATE INDEX %I ON core.%I (%s)', pair[2], pair[1],
                       pair[3]);
    END LOOP;
    FOR r IN SELECT c.relname, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'core' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
             AND c.relname = ANY (ARRAY['bureau', 'later']) LOOP
        EXECUTE 'ALTER TABLE ' || quote_ident(r.nspname) || '.' || quote_ident(r.relname) || ' ENABLE ROW LEVEL SECURITY';
    END LOOP;
END
$do$;
CREATE FUNCTION core.protect(name text, col text DEFAULT 'tenant_id') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE core.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY protected ON core.%I USING (%I = core.tenant())', name, col);
END $$;
SELECT core.protect('book', 'tenant_id');
DO $$ DECLARE t text := 'shelf'; BEGIN PERFORM core.protect(t, 'tenant_id'); END $$;
