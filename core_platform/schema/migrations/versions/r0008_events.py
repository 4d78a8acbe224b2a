"""Streams of numbered events."""

from core_platform.schema.migrations.operations import ADDING, CHANGING, op

revision = "0008"
down_revision = "0007"

EVENT_STREAM = """
CREATE TABLE events.event_stream (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    stream text NOT NULL,
    head bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, stream),
    CONSTRAINT event_stream_head_check CHECK (head >= 0)
)
"""

EVENT = """
CREATE TABLE events.event (
    tenant_id uuid NOT NULL,
    stream text NOT NULL,
    position bigint NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, stream, position),
    FOREIGN KEY (tenant_id, stream) REFERENCES events.event_stream (tenant_id, stream),
    CONSTRAINT event_position_check CHECK (position >= 1)
)
"""


def upgrade() -> None:
    """Create each table and protect it in the same transaction."""
    op.execute("CREATE SCHEMA events")
    op.execute("GRANT USAGE ON SCHEMA events TO core_app, core_bypass, core_backup")
    op.execute(EVENT_STREAM)
    op.enable_tenant_rls("events.event_stream", app=CHANGING)
    op.execute(EVENT)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events.event"
        " FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()"
    )
    op.enable_tenant_rls("events.event", app=ADDING, bypass=ADDING)


def downgrade() -> None:
    """Drop the tables, each after its grants."""
    op.disable_tenant_rls("events.event")
    op.execute("DROP TABLE events.event")
    op.disable_tenant_rls("events.event_stream")
    op.execute("DROP TABLE events.event_stream")
    op.execute("DROP SCHEMA events")
