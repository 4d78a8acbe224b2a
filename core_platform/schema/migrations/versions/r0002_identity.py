"""Tenants, their people, their agents and the agents' keys."""

from core_platform.schema.migrations.operations import op

revision = "0002"
down_revision = "0001"

TENANT = """
CREATE TABLE identity.tenant (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'active',
    capture_metadata boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT tenant_state_check
        CHECK (state IN ('active', 'offboarding_pending', 'offboarding_archive', 'deleted'))
)
"""

APP_USER = """
CREATE TABLE identity.app_user (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    user_id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL DEFAULT 'member',
    PRIMARY KEY (tenant_id, user_id),
    UNIQUE (tenant_id, email),
    CONSTRAINT app_user_role_check CHECK (role IN ('member', 'admin', 'owner'))
)
"""

AGENT = """
CREATE TABLE identity.agent (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    agent_id uuid NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (tenant_id, agent_id)
)
"""

AGENT_KEY = """
CREATE TABLE identity.agent_key (
    tenant_id uuid NOT NULL REFERENCES identity.tenant (tenant_id),
    key_id text NOT NULL,
    agent_id uuid NOT NULL,
    pepper_version text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES identity.agent (tenant_id, agent_id)
)
"""


def upgrade() -> None:
    """Create each table and protect it in the same transaction."""
    op.execute("CREATE SCHEMA identity")
    op.execute("GRANT USAGE ON SCHEMA identity TO core_app, core_bypass, core_backup")
    op.execute(TENANT)
    op.enable_tenant_rls("identity.tenant", app="SELECT, INSERT")
    op.execute(APP_USER)
    op.enable_tenant_rls("identity.app_user")
    op.execute(AGENT)
    op.enable_tenant_rls("identity.agent")
    op.execute(AGENT_KEY)
    op.enable_tenant_rls("identity.agent_key")


def downgrade() -> None:
    """Drop the tables, each after its grants."""
    op.disable_tenant_rls("identity.agent_key")
    op.execute("DROP TABLE identity.agent_key")
    op.disable_tenant_rls("identity.agent")
    op.execute("DROP TABLE identity.agent")
    op.disable_tenant_rls("identity.app_user")
    op.execute("DROP TABLE identity.app_user")
    op.disable_tenant_rls("identity.tenant")
    op.execute("DROP TABLE identity.tenant")
    op.execute("DROP SCHEMA identity")
