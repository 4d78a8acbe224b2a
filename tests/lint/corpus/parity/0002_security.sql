DO $do$
DECLARE
    t text;
    rest CONSTANT text := ' USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)';
BEGIN
    FOREACH t IN ARRAY ARRAY['invoice', 'event'] LOOP
        EXECUTE format('ALTER TABLE core.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE core.%I FORCE ROW LEVEL SECURITY', t);
        EXECUTE 'CREATE POLICY ' || quote_ident('tenant_' || t) || ' ON core.' || t || rest;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_policies WHERE policyname = 'mine') THEN
        CREATE POLICY mine ON member FOR SELECT TO parity_app USING (user_id = current_user::text::uuid);
    END IF;
END
$do$;
ALTER TABLE member ENABLE ROW LEVEL SECURITY;
CREATE POLICY captured ON core.invoice FOR SELECT USING (EXISTS (
    SELECT 1 FROM member m WHERE m.user_id IS NOT NULL AND tenant_id = m.tenant_id));
CREATE POLICY narrow ON core.invoice AS RESTRICTIVE FOR DELETE USING (amount = 0);
CREATE POLICY short_lived ON draft USING (true);
DROP POLICY short_lived ON draft;
CREATE POLICY waiting ON draft USING (tenant_id IS NOT NULL);
ALTER TABLE draft RENAME TO outline;
ALTER TABLE outline RENAME COLUMN "Role" TO role;
ALTER TABLE orphan ADD COLUMN tenant_id uuid, DROP COLUMN org_id;
ALTER TABLE orphan FORCE ROW LEVEL SECURITY;
ALTER POLICY mine ON member USING (true);
GRANT SELECT, INSERT ON core.invoice TO parity_app;
REVOKE INSERT ON core.invoice FROM parity_app;
CREATE VIEW core.paid WITH (security_invoker = true) AS SELECT * FROM core.invoice WHERE amount > 0;
CREATE OR REPLACE VIEW core.paid AS SELECT * FROM core.invoice WHERE amount > 0;
ALTER TABLE core.invoice SET SCHEMA public;
