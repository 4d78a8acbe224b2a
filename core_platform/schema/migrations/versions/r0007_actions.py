"""Actions and their steps, and the trigger that holds any table to its state machine."""

from core_platform.schema.migrations.operations import ADDING, CHANGING, op

revision = "0007"
down_revision = "0006"

ACTION_REQUEST = """
CREATE TABLE actions.action_request (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    action_id uuid NOT NULL,
    kind text NOT NULL,
    target text NOT NULL,
    state text NOT NULL DEFAULT 'proposed',
    requested_by text NOT NULL,
    decided_by text,
    detail jsonb NOT NULL DEFAULT '{}',
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, action_id),
    CONSTRAINT action_request_state_check CHECK (state IN
        ('proposed', 'approved', 'rejected', 'executing', 'done', 'failed', 'unknown')),
    CONSTRAINT action_request_four_eyes_check CHECK (decided_by <> requested_by),
    CONSTRAINT action_request_decided_check CHECK (state = 'proposed' OR decided_by IS NOT NULL)
)
"""

ACTION_TRANSITION = """
CREATE TABLE actions.action_transition (
    tenant_id uuid NOT NULL,
    action_id uuid NOT NULL,
    position integer NOT NULL,
    state text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, action_id, position),
    FOREIGN KEY (tenant_id, action_id) REFERENCES actions.action_request (tenant_id, action_id),
    CONSTRAINT action_transition_position_check CHECK (position >= 1)
)
"""

# A state machine is data: the trigger's arguments are its steps ("from>to"); the first state is the
# column's default. A row that stays in its state may change otherwise.
REFUSE_STEP = """
CREATE FUNCTION app.refuse_step() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $step$
BEGIN
    IF NEW.state = OLD.state OR OLD.state || '>' || NEW.state = ANY (TG_ARGV) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%.% has no step from % to %', TG_TABLE_SCHEMA, TG_TABLE_NAME, OLD.state, NEW.state
        USING ERRCODE = 'check_violation';
END
$step$;
REVOKE ALL ON FUNCTION app.refuse_step() FROM PUBLIC;
"""

ACTION_STEPS = """
CREATE TRIGGER steps BEFORE UPDATE ON actions.action_request FOR EACH ROW EXECUTE FUNCTION
    app.refuse_step('proposed>approved', 'proposed>rejected', 'approved>executing', 'executing>done',
        'executing>failed', 'executing>unknown', 'unknown>done', 'unknown>failed')
"""


def upgrade() -> None:
    """Create each table and protect it in the same transaction."""
    op.execute("CREATE SCHEMA actions")
    op.execute("GRANT USAGE ON SCHEMA actions TO core_app, core_bypass, core_backup")
    op.execute(ACTION_REQUEST)
    op.enable_tenant_rls("actions.action_request", app=CHANGING)
    op.execute(ACTION_TRANSITION)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON actions.action_transition"
        " FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()"
    )
    op.enable_tenant_rls("actions.action_transition", app=ADDING, bypass=ADDING)
    op.execute(REFUSE_STEP)
    op.execute(ACTION_STEPS)


def downgrade() -> None:
    """Drop the tables, each after its grants."""
    op.execute("DROP TRIGGER steps ON actions.action_request")
    op.execute("DROP FUNCTION app.refuse_step()")
    op.disable_tenant_rls("actions.action_transition")
    op.execute("DROP TABLE actions.action_transition")
    op.disable_tenant_rls("actions.action_request")
    op.execute("DROP TABLE actions.action_request")
    op.execute("DROP SCHEMA actions")
