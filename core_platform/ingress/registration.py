"""Which agents a tenant has registered: the last word on a hello whose MAC was right.

A key can be derived for any key id, so a valid MAC alone does not say that the key was ever issued,
or that it is still good. The rows are read under the row security of the tenant that the hello names.
"""

from uuid import UUID

from sqlalchemy import select

from core_platform.ingress.hello import Hello, pepper_version
from core_platform.ingress.samples import newest_position
from core_platform.ingress.verification import Registration
from core_platform.schema.identity import AgentKey, Tenant
from core_platform.tenancy import Origin, PlatformDatabase, TenantId, TenantSession


def find_registered(database: PlatformDatabase, hello: Hello) -> Registration | None:
    """The registration of a hello's agent, or None: unknown, revoked, or its tenant not active."""

    def look_up(session: TenantSession) -> Registration | None:
        if not is_active(session, hello.key_id, hello.agent_id, pepper_version(hello.key_id)):
            return None
        return Registration(newest_position(session, hello.agent_id))

    return database.run_as_tenant(TenantId.parse(hello.tenant), Origin.AGENT_STREAM, look_up)


def is_active(session: TenantSession, key_id: str, agent_id: UUID, version: str) -> bool:
    """Whether key id and agent belong together, unrevoked, in an active tenant."""
    found = session.scalar(
        select(AgentKey.key_id)
        .join(Tenant, Tenant.tenant_id == AgentKey.tenant_id)
        .where(
            AgentKey.key_id == key_id,
            AgentKey.agent_id == agent_id,
            AgentKey.pepper_version == version,
            AgentKey.revoked_at.is_(None),
            Tenant.state == "active",
        )
    )
    return found is not None
