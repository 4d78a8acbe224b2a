"""The audit log: rows can be added and read; the grants and a trigger refuse everything else."""

from core_platform.schema.migrations.operations import op

revision = "0006"
down_revision = "0005"

AUDIT_LOG = """
CREATE TABLE audit.audit_log (
    tenant_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    origin text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, entry_id)
)
"""

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()
"""


def upgrade() -> None:
    """Create the table and protect it in the same transaction."""
    op.execute("CREATE SCHEMA audit")
    op.execute("GRANT USAGE ON SCHEMA audit TO core_app, core_bypass, core_backup")
    op.execute(AUDIT_LOG)
    op.execute(APPEND_ONLY)
    op.enable_tenant_rls("audit.audit_log", app="SELECT, INSERT", bypass="SELECT, INSERT")


def downgrade() -> None:
    """Drop the table after its grants."""
    op.disable_tenant_rls("audit.audit_log")
    op.execute("DROP TABLE audit.audit_log")
    op.execute("DROP SCHEMA audit")
