"""The background sweep that looks for GPUs that cost money and do nothing.

It shows the two verbs of background work apart: the bypass reads which tenants there are, and nothing
else; each tenant's samples are read and its finding written as that tenant, under row security.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from core_platform.schema.audit import AuditLog
from core_platform.schema.gpu import GpuSample
from core_platform.schema.identity import Tenant
from core_platform.tenancy.context import ALL_TENANTS, BypassReason, Origin, TenantId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core_platform.tenancy.database import PlatformDatabase
    from core_platform.tenancy.sessions import BypassSession, TenantSession

ACTION: Final = "gpu.idle_sweep"
ACTOR: Final = "sweep.idle_gpus"
IDLE_BELOW_PCT: Final = 5.0
LEAST_SAMPLES: Final = 10
WINDOW: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class IdleGpu:
    """A GPU whose mean utilisation over the window stayed below `IDLE_BELOW_PCT`."""

    agent_id: str
    gpu_index: int
    mean_utilization_pct: float
    samples: int

    def as_detail(self) -> dict[str, Any]:
        """The finding as the audit log holds it."""
        return {
            "agent_id": self.agent_id,
            "gpu_index": self.gpu_index,
            "mean_utilization_pct": self.mean_utilization_pct,
            "samples": self.samples,
        }


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How many tenants one sweep visited and how many idle GPUs it wrote down."""

    tenants: int
    idle_gpus: int


def sweep_idle_gpus(database: PlatformDatabase, *, change_ref: str) -> SweepReport:
    """Visit every active tenant once, one transaction each, and record its idle GPUs.

    Every visit leaves one audit row, with no findings too: a sweep that saw nothing is not silence.
    """
    tenants = database.run_as_bypass(
        ALL_TENANTS, BypassReason.ANOMALY_SWEEP, list_active_tenants, change_ref=change_ref
    )
    found = [
        database.run_as_tenant(tenant, Origin.SWEEP, record_idle_gpus, actor=ACTOR) for tenant in tenants
    ]
    return SweepReport(tenants=len(tenants), idle_gpus=sum(len(idle) for idle in found))


def list_active_tenants(session: BypassSession) -> list[TenantId]:
    """The active tenants: ids only, in a stable order."""
    active = select(Tenant.tenant_id).where(Tenant.state == "active").order_by(Tenant.tenant_id)
    return [TenantId.parse(tenant_id) for tenant_id in session.scalars(active)]


def record_idle_gpus(session: TenantSession) -> Sequence[IdleGpu]:
    """Find the idle GPUs of the session's tenant and write one audit row about them."""
    idle = find_idle_gpus(session)
    session.add(
        AuditLog(
            tenant_id=session.context.tenant.uuid,
            origin=session.context.origin.value,
            actor=session.context.actor,
            action=ACTION,
            detail={"idle_gpus": [gpu.as_detail() for gpu in idle]},
        )
    )
    return idle


def find_idle_gpus(session: TenantSession) -> list[IdleGpu]:
    """GPUs with at least `LEAST_SAMPLES` samples in the window and a mean below the threshold."""
    mean, samples = func.avg(GpuSample.utilization_pct), func.count()
    statement = (
        select(GpuSample.agent_id, GpuSample.gpu_index, mean, samples)
        .where(GpuSample.sampled_at > func.now() - WINDOW)
        .group_by(GpuSample.agent_id, GpuSample.gpu_index)
        .having(samples >= LEAST_SAMPLES, mean < IDLE_BELOW_PCT)
        .order_by(GpuSample.agent_id, GpuSample.gpu_index)
    )
    return [
        IdleGpu(str(agent), index, round(float(average), 3), count)
        for agent, index, average, count in session.execute(statement)
    ]
