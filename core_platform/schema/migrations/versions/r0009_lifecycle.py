"""A tenant's states, holds, exports and retention, and the steps between states."""

from core_platform.schema.migrations.operations import ADDING, CHANGING, op

revision = "0009"
down_revision = "0008"

TENANT_STATE_CHANGE = """
CREATE TABLE lifecycle.tenant_state_change (
    tenant_id uuid NOT NULL,
    change_id uuid NOT NULL,
    state text NOT NULL,
    actor text NOT NULL,
    change_ref text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, change_id),
    CONSTRAINT tenant_state_change_state_check
        CHECK (state IN ('active', 'offboarding_pending', 'offboarding_archive', 'deleted'))
)
"""

LEGAL_HOLD = """
CREATE TABLE lifecycle.legal_hold (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    hold_id uuid NOT NULL,
    reason text NOT NULL,
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_by text,
    released_at timestamptz,
    PRIMARY KEY (tenant_id, hold_id),
    CONSTRAINT legal_hold_released_check CHECK ((released_by IS NULL) = (released_at IS NULL))
)
"""

EXPORT_BUNDLE = """
CREATE TABLE lifecycle.export_bundle (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    export_id uuid NOT NULL,
    requested_by text NOT NULL,
    state text NOT NULL DEFAULT 'requested',
    digest text,
    row_count bigint,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, export_id),
    CONSTRAINT export_bundle_state_check CHECK (state IN ('requested', 'ready', 'failed')),
    CONSTRAINT export_bundle_ready_check
        CHECK (state <> 'ready' OR digest ~ '^[0-9a-f]{64}$' AND row_count >= 0)
)
"""

RETENTION_SETTING = """
CREATE TABLE lifecycle.retention_setting (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    data_class text NOT NULL,
    days integer NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, data_class),
    CONSTRAINT retention_setting_data_class_check
        CHECK (data_class IN ('gpu_samples', 'ai_spend', 'events')),
    CONSTRAINT retention_setting_days_check CHECK (days BETWEEN 1 AND 3650)
)
"""

TENANT_STEPS = """
CREATE TRIGGER steps BEFORE UPDATE ON identity.tenant FOR EACH ROW EXECUTE FUNCTION
    app.refuse_step('active>offboarding_pending', 'offboarding_pending>active',
        'offboarding_pending>offboarding_archive', 'offboarding_archive>deleted')
"""

EXPORT_STEPS = """
CREATE TRIGGER steps BEFORE UPDATE ON lifecycle.export_bundle FOR EACH ROW EXECUTE FUNCTION
    app.refuse_step('requested>ready', 'requested>failed')
"""

# A hold that was released is history: another one is placed instead.
RELEASED_ONCE = """
CREATE FUNCTION lifecycle.refuse_second_release() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $hold$
BEGIN
    IF OLD.released_at IS NULL THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a released hold does not change' USING ERRCODE = 'check_violation';
END
$hold$;
REVOKE ALL ON FUNCTION lifecycle.refuse_second_release() FROM PUBLIC;
CREATE TRIGGER released_once
    BEFORE UPDATE OF reason, placed_by, placed_at, released_by, released_at ON lifecycle.legal_hold
    FOR EACH ROW EXECUTE FUNCTION lifecycle.refuse_second_release();
"""


def upgrade() -> None:
    """Create each table and protect it in the same transaction."""
    op.execute("CREATE SCHEMA lifecycle")
    op.execute("GRANT USAGE ON SCHEMA lifecycle TO core_app, core_bypass, core_backup")
    op.execute(TENANT_STATE_CHANGE)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON lifecycle.tenant_state_change"
        " FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()"
    )
    op.enable_tenant_rls("lifecycle.tenant_state_change", app=ADDING, bypass=ADDING)
    op.execute(LEGAL_HOLD)
    op.enable_tenant_rls("lifecycle.legal_hold", app=CHANGING)
    op.execute(EXPORT_BUNDLE)
    op.enable_tenant_rls("lifecycle.export_bundle", app=CHANGING)
    op.execute(RETENTION_SETTING)
    op.enable_tenant_rls("lifecycle.retention_setting")
    op.execute(TENANT_STEPS)
    op.execute(EXPORT_STEPS)
    op.execute(RELEASED_ONCE)


def downgrade() -> None:
    """Drop the tables, each after its grants."""
    op.execute("DROP TRIGGER steps ON identity.tenant")
    op.execute("DROP TRIGGER steps ON lifecycle.export_bundle")
    op.execute("DROP TRIGGER released_once ON lifecycle.legal_hold")
    op.execute("DROP FUNCTION lifecycle.refuse_second_release()")
    op.disable_tenant_rls("lifecycle.retention_setting")
    op.execute("DROP TABLE lifecycle.retention_setting")
    op.disable_tenant_rls("lifecycle.export_bundle")
    op.execute("DROP TABLE lifecycle.export_bundle")
    op.disable_tenant_rls("lifecycle.legal_hold")
    op.execute("DROP TABLE lifecycle.legal_hold")
    op.disable_tenant_rls("lifecycle.tenant_state_change")
    op.execute("DROP TABLE lifecycle.tenant_state_change")
    op.execute("DROP SCHEMA lifecycle")
