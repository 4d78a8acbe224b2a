"""AI spend, the log objects it was read from, and the lines that could not be."""

from core_platform.schema.migrations.operations import op

revision = "0005"
down_revision = "0004"

AI_SPEND_EVENT = """
CREATE TABLE ai.ai_spend_event (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    source_object_hash text NOT NULL,
    line integer NOT NULL,
    request_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    account_id text NOT NULL,
    region text NOT NULL,
    model_id text NOT NULL,
    operation text NOT NULL,
    input_tokens bigint,
    output_tokens bigint,
    prompt_hash text,
    response_hash text,
    role_name text,
    session_hash text,
    overflow boolean NOT NULL DEFAULT false,
    metadata jsonb,
    PRIMARY KEY (tenant_id, source_object_hash, line),
    CONSTRAINT ai_spend_event_line_check CHECK (line >= 0),
    CONSTRAINT ai_spend_event_tokens_check CHECK (input_tokens >= 0 AND output_tokens >= 0)
)
"""

INGESTED_OBJECT = """
CREATE TABLE ai.ingested_object (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    object_hash text NOT NULL,
    records integer NOT NULL,
    quarantined integer NOT NULL,
    completed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, object_hash),
    CONSTRAINT ingested_object_counts_check CHECK (records >= 0 AND quarantined >= 0)
)
"""

QUARANTINED_RECORD = """
CREATE TABLE ai.quarantined_record (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    object_hash text NOT NULL,
    line integer NOT NULL,
    error_class text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, object_hash, line),
    CONSTRAINT quarantined_record_line_check CHECK (line >= 0)
)
"""


def upgrade() -> None:
    """Create each table and protect it in the same transaction."""
    op.execute("CREATE SCHEMA ai")
    op.execute("GRANT USAGE ON SCHEMA ai TO core_app, core_bypass, core_backup")
    op.execute(AI_SPEND_EVENT)
    op.enable_tenant_rls("ai.ai_spend_event")
    op.execute(INGESTED_OBJECT)
    op.enable_tenant_rls("ai.ingested_object")
    op.execute(QUARANTINED_RECORD)
    op.enable_tenant_rls("ai.quarantined_record")


def downgrade() -> None:
    """Drop the tables, each after its grants."""
    op.disable_tenant_rls("ai.quarantined_record")
    op.execute("DROP TABLE ai.quarantined_record")
    op.disable_tenant_rls("ai.ingested_object")
    op.execute("DROP TABLE ai.ingested_object")
    op.disable_tenant_rls("ai.ai_spend_event")
    op.execute("DROP TABLE ai.ai_spend_event")
    op.execute("DROP SCHEMA ai")
