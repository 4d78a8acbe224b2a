"""Connections to providers, and their sealed secrets."""

from core_platform.schema.migrations.operations import op

revision = "0003"
down_revision = "0002"

CONNECTION_TABLE = """
CREATE TABLE integration.connection (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    connection_id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    external_ref text NOT NULL,
    PRIMARY KEY (tenant_id, connection_id),
    UNIQUE (tenant_id, kind, name)
)
"""

SEALED_TABLE = """
CREATE TABLE integration.connection_secret (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    key_version text NOT NULL,
    ciphertext bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, connection_id, key_version),
    FOREIGN KEY (tenant_id, connection_id)
        REFERENCES integration.connection (tenant_id, connection_id)
)
"""


def upgrade() -> None:
    """Create each table and protect it in the same transaction."""
    op.execute("CREATE SCHEMA integration")
    op.execute("GRANT USAGE ON SCHEMA integration TO core_app, core_bypass, core_backup")
    op.execute(CONNECTION_TABLE)
    op.enable_tenant_rls("integration.connection")
    op.execute(SEALED_TABLE)
    op.enable_tenant_rls("integration.connection_secret")


def downgrade() -> None:
    """Drop the tables, each after its grants."""
    op.disable_tenant_rls("integration.connection_secret")
    op.execute("DROP TABLE integration.connection_secret")
    op.disable_tenant_rls("integration.connection")
    op.execute("DROP TABLE integration.connection")
    op.execute("DROP SCHEMA integration")
