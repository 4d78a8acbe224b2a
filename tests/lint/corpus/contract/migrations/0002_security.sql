ALTER TABLE invoice ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invoice
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

ALTER TABLE payment ENABLE ROW LEVEL SECURITY;
CREATE POLICY everyone ON payment USING (true);

DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT name FROM protected_tables LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    END LOOP;
END $$;
