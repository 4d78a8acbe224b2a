"""What the GPU agents measured, and how far each agent's stream has been stored."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import Base, TenantOwned, within_tenant


class GpuSample(TenantOwned, Base):
    """One reading of one GPU: utilisation in percent, memory in MiB, power in watts.

    The key is the stream's own sequence, so a batch stored twice is one batch. The table is partitioned
    by month (`gpu.ensure_sample_partition`); a partition key belongs to every unique key (PostgreSQL
    manual, section 5.11). Partitions are granted to nobody and repeat the table's policies.
    """

    __tablename__ = "gpu_sample"
    __table_args__ = (
        within_tenant("agent_id", "identity.agent.agent_id"),
        CheckConstraint("utilization_pct BETWEEN 0 AND 100", name="utilization_pct"),
        CheckConstraint("seq >= 1", name="seq"),
        CheckConstraint("memory_used_mib >= 0 AND power_w >= 0", name="nonnegative"),
        {"schema": "gpu", "postgresql_partition_by": "RANGE (sampled_at)"},
    )

    agent_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    epoch: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    gpu_index: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    sampled_at: Mapped[datetime] = mapped_column(primary_key=True)
    utilization_pct: Mapped[float]
    memory_used_mib: Mapped[int] = mapped_column(BigInteger)
    power_w: Mapped[float]


class AgentStream(TenantOwned, Base):
    """How far one epoch of an agent's stream is stored: moved in the batch's own transaction."""

    __tablename__ = "agent_stream"
    __table_args__ = (
        within_tenant("agent_id", "identity.agent.agent_id"),
        CheckConstraint("high_water_mark >= 0", name="high_water_mark"),
        {"schema": "gpu"},
    )

    agent_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    epoch: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    high_water_mark: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
