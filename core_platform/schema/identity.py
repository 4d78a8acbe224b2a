"""Who is on the platform: tenants, their people, their GPU agents and the agents' keys."""

import uuid
from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import Base, RowSecurity, TenantOwned, of_tenant, within_tenant


class Tenant(TenantOwned, Base):
    """A customer organisation. `state` gates what its agents may do; no secret is kept here.

    The application may create and read its own row; only a bypass with a grant may change it.
    """

    __tablename__ = "tenant"
    __row_security__: ClassVar[RowSecurity] = RowSecurity(app=("SELECT", "INSERT"))
    __table_args__ = (
        CheckConstraint(
            "state IN ('active', 'offboarding_pending', 'offboarding_archive', 'deleted')",
            name="state",
        ),
        {"schema": "identity"},
    )

    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="active")
    capture_metadata: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class AppUser(TenantOwned, Base):
    """A person who signs in. The same e-mail may exist in two tenants; neither can tell."""

    __tablename__ = "app_user"
    __table_args__ = (
        of_tenant(),
        UniqueConstraint("tenant_id", "email"),
        CheckConstraint("role IN ('member', 'admin', 'owner')", name="role"),
        {"schema": "identity"},
    )

    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str] = mapped_column(server_default="member")


class Agent(TenantOwned, Base):
    """A GPU agent on a customer's machine."""

    __tablename__ = "agent"
    __table_args__ = (of_tenant(), {"schema": "identity"})

    agent_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]


class AgentKey(TenantOwned, Base):
    """A key id of an agent: which pepper version derives it, and whether it was revoked."""

    __tablename__ = "agent_key"
    __table_args__ = (
        of_tenant(),
        within_tenant("agent_id", "identity.agent.agent_id"),
        {"schema": "identity"},
    )

    key_id: Mapped[str] = mapped_column(primary_key=True)
    agent_id: Mapped[uuid.UUID]
    pepper_version: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    revoked_at: Mapped[datetime | None]
