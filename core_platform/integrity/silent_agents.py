"""Agents that a tenant has registered and that no longer send: missing telemetry is a finding too.

Registrations belong to the identity service and stream positions to the GPU service; the join spans
both and every tenant, so it runs under the audited bypass and carries the tenant on both sides. What
was found is written as each tenant, under row security.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import and_, func, or_, select

from core_platform.schema.audit import AuditLog
from core_platform.schema.gpu import AgentStream
from core_platform.schema.identity import Agent
from core_platform.tenancy.context import ALL_TENANTS, BypassReason, Origin, TenantId

if TYPE_CHECKING:
    from core_platform.tenancy import BypassSession, PlatformDatabase, TenantSession

ACTION: Final = "agent.silent"
ACTOR: Final = "sweep.silent_agents"
SILENT_AFTER: Final = timedelta(hours=6)

#: A tenant and one of its agents.
SilentAgent = tuple[TenantId, UUID]


def record_silent_agents(database: PlatformDatabase, *, change_ref: str) -> int:
    """Write one audit row for each tenant that has silent agents; return how many agents there are."""
    silent = database.run_as_bypass(
        ALL_TENANTS, BypassReason.XSERVICE_JOIN, find_silent_agents, change_ref=change_ref
    )
    for tenant, agents in groupby(silent, key=lambda found: found[0]):
        noted = [str(agent) for _, agent in agents]

        def note(session: TenantSession, noted: list[str] = noted) -> None:
            write_silence(session, noted)

        database.run_as_tenant(tenant, Origin.SWEEP, note, actor=ACTOR)
    return len(silent)


def find_silent_agents(session: BypassSession) -> list[SilentAgent]:
    """Agents whose newest batch is older than `SILENT_AFTER`, and those that never sent, by tenant."""
    newest = func.max(AgentStream.updated_at)
    same_agent = and_(Agent.tenant_id == AgentStream.tenant_id, Agent.agent_id == AgentStream.agent_id)
    statement = (
        select(Agent.tenant_id, Agent.agent_id)
        .outerjoin(AgentStream, same_agent)
        .group_by(Agent.tenant_id, Agent.agent_id)
        .having(or_(newest.is_(None), newest < func.now() - SILENT_AFTER))
        .order_by(Agent.tenant_id, Agent.agent_id)
    )
    return [(TenantId.parse(tenant), agent) for tenant, agent in session.execute(statement)]


def write_silence(session: TenantSession, agents: list[str]) -> None:
    """Write the session's tenant one audit row that names its silent agents."""
    session.add(
        AuditLog(
            tenant_id=session.context.tenant.uuid,
            origin=session.context.origin.value,
            actor=session.context.actor,
            action=ACTION,
            detail={"silent_agents": agents},
        )
    )
