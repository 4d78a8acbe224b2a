"""GPU samples, partitioned by month, and how far each agent's stream is stored."""

from core_platform.schema.migrations.operations import NO_COMMAND, op

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
    PRIMARY KEY (tenant_id, agent_id, epoch, seq, gpu_index, sampled_at),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES identity.agent (tenant_id, agent_id),
    CONSTRAINT gpu_sample_utilization_pct_check CHECK (utilization_pct BETWEEN 0 AND 100),
    CONSTRAINT gpu_sample_seq_check CHECK (seq >= 1),
    CONSTRAINT gpu_sample_nonnegative_check CHECK (memory_used_mib >= 0 AND power_w >= 0)
) PARTITION BY RANGE (sampled_at)
"""

# An agent's clock may be anywhere: what no month takes, this one does.
DEFAULT_PARTITION = "CREATE TABLE gpu.gpu_sample_default PARTITION OF gpu.gpu_sample DEFAULT"

# A partition does not inherit row security (manual, section 5.9), so it is protected in the transaction
# that makes it, and granted to nobody. Rows of the month that lie in the default partition already keep
# it from being made: they stay where they are, and the answer is false.
ENSURE_PARTITION = """
CREATE FUNCTION gpu.ensure_sample_partition(month date) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $month$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'gpu_sample_' || to_char(first, 'YYYY_MM');
    app text := 'tenant_id = (SELECT app.current_tenant())';
    bypass text := $$(SELECT app.bypass_scope()) IN ('*', tenant_id::text)$$;
BEGIN
    IF to_regclass('gpu.' || name) IS NOT NULL THEN
        RETURN true;
    END IF;
    EXECUTE format('CREATE TABLE gpu.%I PARTITION OF gpu.gpu_sample FOR VALUES FROM (%L) TO (%L)',
        name, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
    EXECUTE format('ALTER TABLE gpu.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE gpu.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY tenant_isolation ON gpu.%I AS PERMISSIVE FOR ALL TO core_app '
        'USING (%s) WITH CHECK (%s)', name, app, app);
    EXECUTE format('CREATE POLICY bypass_grant ON gpu.%I AS PERMISSIVE FOR ALL TO core_bypass '
        'USING (%s) WITH CHECK (%s)', name, bypass, bypass);
    EXECUTE format('REVOKE ALL ON gpu.%I FROM PUBLIC', name);
    EXECUTE format('GRANT SELECT ON gpu.%I TO core_backup', name);
    EXECUTE format('COMMENT ON TABLE gpu.%I IS %L', name,
        'tenant: each row belongs to the tenant that it names');
    RETURN true;
EXCEPTION WHEN check_violation THEN
    RETURN false;
END
$month$;
REVOKE ALL ON FUNCTION gpu.ensure_sample_partition(date) FROM PUBLIC;
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
    op.execute(DEFAULT_PARTITION)
    op.enable_tenant_rls("gpu.gpu_sample_default", app=NO_COMMAND, bypass=NO_COMMAND)
    op.execute(ENSURE_PARTITION)
    op.execute(AGENT_STREAM)
    op.enable_tenant_rls("gpu.agent_stream")


def downgrade() -> None:
    """Drop the tables, each after its grants; partitions go with theirs."""
    op.disable_tenant_rls("gpu.agent_stream")
    op.execute("DROP TABLE gpu.agent_stream")
    op.disable_tenant_rls("gpu.gpu_sample")
    op.execute("DROP FUNCTION gpu.ensure_sample_partition(date)")
    op.execute("DROP TABLE gpu.gpu_sample")
    op.execute("DROP SCHEMA gpu")
