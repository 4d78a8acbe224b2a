"""The rollout of row security as rows: which wave a table is in, and what was seen when it got there."""

from core_platform.schema.migrations.operations import op

revision = "0011"
down_revision = "0010"

RLS_WAVE = """
CREATE TABLE app.rls_wave (
    table_name text NOT NULL,
    position integer NOT NULL,
    wave text NOT NULL,
    evidence jsonb NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, position),
    CONSTRAINT rls_wave_wave_check
        CHECK (wave IN ('columns', 'wrap', 'observe', 'verify', 'enforce', 'canary')),
    CONSTRAINT rls_wave_position_check CHECK (position >= 1)
);
REVOKE ALL ON app.rls_wave FROM PUBLIC;
COMMENT ON TABLE app.rls_wave IS 'infrastructure: records steps towards row security';
GRANT SELECT ON app.rls_wave TO core_audit, core_backup;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON app.rls_wave
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
"""

# Forward one wave at a time, or back to an earlier one; a table that is made enforced starts there. From
# `enforce` there is no way back: taking protection away is a migration that somebody reviews.
REFUSE_WAVE = """
CREATE FUNCTION app.refuse_wave() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $wave$
DECLARE
    waves text[] := ARRAY['columns', 'wrap', 'observe', 'verify', 'enforce', 'canary'];
    newest app.rls_wave;
    next integer := array_position(waves, NEW.wave);
BEGIN
    SELECT w.* INTO newest FROM app.rls_wave w
     WHERE w.table_name = NEW.table_name ORDER BY w.position DESC LIMIT 1;
    IF newest.position IS NULL AND NEW.position = 1 AND NEW.wave IN ('columns', 'enforce')
       OR NEW.position = newest.position + 1 AND next <= array_position(waves, newest.wave) + 1
          AND (newest.wave NOT IN ('enforce', 'canary') OR NEW.wave IN ('enforce', 'canary')) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% cannot go from wave % to %', NEW.table_name, coalesce(newest.wave, 'none'), NEW.wave
        USING ERRCODE = 'check_violation';
END
$wave$;
REVOKE ALL ON FUNCTION app.refuse_wave() FROM PUBLIC;
CREATE TRIGGER one_wave_at_a_time BEFORE INSERT ON app.rls_wave
    FOR EACH ROW EXECUTE FUNCTION app.refuse_wave();
"""

UNWRAPPED = """
CREATE TABLE app.unwrapped_statement (
    seen_id uuid PRIMARY KEY,
    table_name text NOT NULL,
    login text NOT NULL,
    application text NOT NULL,
    statement_digest text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE ALL ON app.unwrapped_statement FROM PUBLIC;
COMMENT ON TABLE app.unwrapped_statement IS 'infrastructure: statements seen without a tenant';
GRANT SELECT ON app.unwrapped_statement TO core_audit, core_backup;
"""

# It never refuses and never filters: without a ticket it writes one line to the server's log and, where
# the transaction may write, one row. The statement is named by its digest: its text can hold values.
OBSERVE = """
CREATE FUNCTION app.observe_tenant(observed text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $observe$
DECLARE
    digest text := encode(sha256(convert_to(coalesce(current_query(), ''), 'UTF8')), 'hex');
BEGIN
    IF coalesce(current_setting('app.tenant_ticket', true), '') <> '' THEN
        RETURN true;
    END IF;
    RAISE LOG 'statement % of % reached % without a tenant', digest, session_user, observed;
    IF current_setting('transaction_read_only') = 'off' THEN
        INSERT INTO app.unwrapped_statement (seen_id, table_name, login, application, statement_digest)
        VALUES (gen_random_uuid(), observed, session_user,
                coalesce(current_setting('application_name', true), ''), digest);
    END IF;
    RETURN true;
EXCEPTION WHEN OTHERS THEN
    RETURN true;
END
$observe$;
REVOKE ALL ON FUNCTION app.observe_tenant(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.observe_tenant(text) TO core_app, core_bypass, core_backup;
"""

# Tables of this schema are enforced by the migration that makes them.
ENFORCED_FROM_BIRTH = """
INSERT INTO app.rls_wave (table_name, position, wave, evidence, actor)
SELECT n.nspname || '.' || c.relname, 1, 'enforce', '{"enforced": "by the migration that made it"}', 'r0011'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relrowsecurity AND c.relforcerowsecurity AND NOT c.relispartition
   AND c.relowner = (SELECT r.oid FROM pg_roles r WHERE r.rolname = 'core_owner')
"""


def upgrade() -> None:
    """Create both tables and the two functions, and write down what is enforced already."""
    op.execute(RLS_WAVE)
    op.execute(REFUSE_WAVE)
    op.execute(UNWRAPPED)
    op.execute(OBSERVE)
    op.execute(ENFORCED_FROM_BIRTH)


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP FUNCTION app.observe_tenant(text)")
    op.execute("DROP TABLE app.unwrapped_statement")
    op.execute("DROP TABLE app.rls_wave")
    op.execute("DROP FUNCTION app.refuse_wave()")
