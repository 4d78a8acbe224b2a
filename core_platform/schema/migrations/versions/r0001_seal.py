"""Tickets and grants: the functions that every policy calls, and the two tables behind them."""

from core_platform.schema.migrations.operations import op

revision = "0001"
down_revision = None

SEAL_KEY = """
CREATE TABLE app.seal_key (
    kid text PRIMARY KEY,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_at timestamptz,
    CONSTRAINT seal_key_pads_check
        CHECK (octet_length(inner_pad) = 64 AND octet_length(outer_pad) = 64)
);
REVOKE ALL ON app.seal_key FROM PUBLIC;
COMMENT ON TABLE app.seal_key IS 'infrastructure: verifies tenant tickets';
"""

# The length is checked before anything is hashed: the setting may hold megabytes. Nothing of a ticket
# is read before its MAC is right, and both MACs are hashed once more before they are compared, so that
# the time of the comparison says nothing of them. The odd bytea is 'core-platform/tenant-ticket/v1\0'.
CURRENT_TENANT = r"""
CREATE FUNCTION app.current_tenant() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $seal$
DECLARE
    ticket text := current_setting('app.tenant_ticket', true);
    sealing record;
    mac text;
    refusal text := 'the tenant ticket is malformed';
BEGIN
    IF octet_length(ticket) BETWEEN 1 AND 200 THEN
        SELECT k.inner_pad, k.outer_pad INTO sealing FROM app.seal_key k
         WHERE k.kid = split_part(ticket, '.', 1)
           AND (k.retired_at IS NULL OR k.retired_at > clock_timestamp());
        IF FOUND THEN
            mac := encode(sha256(sealing.outer_pad || sha256(sealing.inner_pad
                || '\x636f72652d706c6174666f726d2f74656e616e742d7469636b65742f763100'::bytea
                || convert_to(left(ticket, -65), 'UTF8'))), 'hex');
            IF sha256(convert_to(mac, 'UTF8')) = sha256(convert_to(right(ticket, 64), 'UTF8')) THEN
                IF split_part(ticket, '.', 3)::bigint > extract(epoch FROM clock_timestamp()) THEN
                    RETURN split_part(ticket, '.', 2)::uuid;
                END IF;
                refusal := 'the tenant ticket has expired';
            ELSE
                refusal := 'the tenant ticket is forged';
            END IF;
        ELSIF ticket ~ '^[\w-]{1,32}\.[0-9a-f-]{36}\.\d{1,11}\.[0-9a-f]{64}$' THEN
            refusal := 'the tenant ticket names an unknown key';
        END IF;
    ELSIF ticket IS NULL OR octet_length(ticket) = 0 THEN
        refusal := 'no tenant ticket is bound to this transaction';
    END IF;
    RAISE EXCEPTION '%', refusal USING ERRCODE = 'insufficient_privilege',
        HINT = 'Open a tenant session; it binds a ticket to its transaction.';
END
$seal$;
REVOKE ALL ON FUNCTION app.current_tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.current_tenant() TO core_app;
"""

BYPASS_LOG = """
CREATE TABLE app.bypass_log (
    entry_id uuid PRIMARY KEY,
    phase text NOT NULL,
    begin_id uuid,
    scope text NOT NULL,
    reason text NOT NULL,
    change_ref text NOT NULL,
    transaction_id bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT bypass_log_begin_id_fkey FOREIGN KEY (begin_id) REFERENCES app.bypass_log (entry_id),
    CONSTRAINT bypass_log_phase_check
        CHECK (phase = 'begin' AND begin_id IS NULL OR phase = 'grant' AND begin_id IS NOT NULL),
    CONSTRAINT bypass_log_reason_check CHECK (reason IN ('anomaly_sweep', 'recommender_sweep',
        'ingest_reconcile', 'offboard_purge', 'agent_key_lookup', 'xservice_join')),
    CONSTRAINT bypass_log_change_ref_check CHECK (length(change_ref) BETWEEN 1 AND 200)
);
REVOKE ALL ON app.bypass_log FROM PUBLIC;
COMMENT ON TABLE app.bypass_log IS 'infrastructure: records and opens each bypass';
GRANT SELECT ON app.bypass_log TO core_bypass, core_audit, core_backup;
GRANT INSERT (entry_id, phase, begin_id, scope, reason, change_ref)
    ON app.bypass_log TO core_bypass;
"""

# A grant counts only in the transaction that wrote it, and only behind a begin record that another
# transaction committed: so a rolled-back bypass is on the record too.
BYPASS_SCOPE = """
CREATE FUNCTION app.bypass_scope() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $grant$
DECLARE
    opened text := current_setting('app.bypass_grant', true);
    granted text;
BEGIN
    IF octet_length(opened) = 36 AND opened ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        SELECT g.scope INTO granted FROM app.bypass_log g
          JOIN app.bypass_log b ON b.entry_id = g.begin_id
         WHERE g.entry_id = opened::uuid AND g.phase = 'grant' AND b.phase = 'begin'
           AND g.transaction_id = pg_current_xact_id_if_assigned()::text::bigint
           AND b.transaction_id <> g.transaction_id
           AND (b.scope, b.reason, b.change_ref) = (g.scope, g.reason, g.change_ref);
    END IF;
    IF granted IS NULL THEN
        RAISE EXCEPTION 'no bypass grant was written in this transaction'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Use run_as_bypass.';
    END IF;
    RETURN granted;
END
$grant$;
REVOKE ALL ON FUNCTION app.bypass_scope() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.bypass_scope() TO core_bypass;
"""

# The belt to the missing grants: it binds owners and superusers too.
REFUSE_CHANGE = """
CREATE FUNCTION app.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $append$
BEGIN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$append$;
REVOKE ALL ON FUNCTION app.refuse_change() FROM PUBLIC;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON app.bypass_log
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
"""

# Alembic's own table has no model; it is classified here, where it has just been made.
REVISIONS = "COMMENT ON TABLE app.alembic_version IS 'infrastructure: names the revision of the schema'"


def upgrade() -> None:
    """Create the seal as `core_seal`, everything else as `core_owner`."""
    op.execute(REVISIONS)
    op.execute("GRANT USAGE, CREATE ON SCHEMA app TO core_seal")
    op.execute("SET LOCAL ROLE core_seal")
    op.execute(SEAL_KEY)
    op.execute(CURRENT_TENANT)
    op.execute("SET LOCAL ROLE core_owner")
    op.execute("REVOKE CREATE ON SCHEMA app FROM core_seal")
    op.execute("GRANT USAGE ON SCHEMA app TO core_app, core_bypass, core_audit, core_backup")
    op.execute(BYPASS_LOG)
    op.execute(BYPASS_SCOPE)
    op.execute(REFUSE_CHANGE)


def downgrade() -> None:
    """Remove both tables and the functions; the bootstrap's schema and roles stay."""
    op.execute("DROP FUNCTION app.bypass_scope()")
    op.execute("DROP TABLE app.bypass_log")
    op.execute("DROP FUNCTION app.refuse_change()")
    op.execute("SET LOCAL ROLE core_seal")
    op.execute("DROP FUNCTION app.current_tenant()")
    op.execute("DROP TABLE app.seal_key")
    op.execute("SET LOCAL ROLE core_owner")
    op.execute("REVOKE USAGE ON SCHEMA app FROM core_app, core_bypass, core_seal, core_audit, core_backup")
