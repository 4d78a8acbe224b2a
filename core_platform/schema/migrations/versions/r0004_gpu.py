"""GPU samples, and how far each agent's stream is stored."""

from core_platform.schema.migrations.operations import op

revision = "0004"
down_revision = "0003"

GPU_SAMPLE = """
CREATE TABLE gpu.gpu_sample (
    tenant_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    epoch uuid NOT NULL,
    seq bigint NOT NULL,
    gpu_index smallint NOT NULL,
    sampled_at timestamptz NOT NULL,
    utilization_pct double precision NOT NULL,
    memory_used_mib bigint NOT NULL,
    power_w double precision NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, epoch, seq, gpu_index),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES identity.agent (tenant_id, agent_id),
    CONSTRAINT gpu_sample_utilization_pct_check CHECK (utilization_pct BETWEEN 0 AND 100),
    CONSTRAINT gpu_sample_seq_check CHECK (seq >= 1),
    CONSTRAINT gpu_sample_nonnegative_check CHECK (memory_used_mib >= 0 AND power_w >= 0)
)
"""

AGENT_STREAM = """
CREATE TABLE gpu.agent_stream (
    tenant_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    epoch uuid NOT NULL,
    high_water_mark bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, agent_id, epoch),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES identity.agent (tenant_id, agent_id),
    CONSTRAINT agent_stream_high_water_mark_check CHECK (high_water_mark >= 0)
)
"""


def upgrade() -> None:
    """Create each table and protect it in the same transaction."""
    op.execute("CREATE SCHEMA gpu")
    op.execute("GRANT USAGE ON SCHEMA gpu TO core_app, core_bypass, core_backup")
    op.execute(GPU_SAMPLE)
    op.enable_tenant_rls("gpu.gpu_sample")
    op.execute(AGENT_STREAM)
    op.enable_tenant_rls("gpu.agent_stream")


def downgrade() -> None:
    """Drop the tables, each after its grants."""
    op.disable_tenant_rls("gpu.agent_stream")
    op.execute("DROP TABLE gpu.agent_stream")
    op.disable_tenant_rls("gpu.gpu_sample")
    op.execute("DROP TABLE gpu.gpu_sample")
    op.execute("DROP SCHEMA gpu")
