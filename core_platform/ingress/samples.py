"""Where an agent's samples go: into the rows of the tenant that its hello proved.

Called by the server for each batch. Rows and the stream's high-water mark move in one transaction,
so an acknowledged batch is durable and a repeated one changes nothing; nothing in a payload can
choose a tenant.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core_platform.ingress.hello import ID_BYTES
from core_platform.ingress.limits import MAX_SAMPLES_PER_BATCH
from core_platform.ingress.proto import agent_pb2
from core_platform.ingress.refusals import Refusal, StreamRefused
from core_platform.ingress.verification import VerifiedAgent
from core_platform.schema.audit import AuditLog
from core_platform.schema.gpu import AgentStream, GpuSample
from core_platform.tenancy import Origin, PlatformDatabase, TenantSession

_MAX_GPU_INDEX = 32_767
_MAX_MEMORY_MIB = 2**40
#: The year 9999, past which a timestamp has no date.
_MAX_TS_MS = 253_370_764_800_000


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream is stored: every batch of ``epoch`` up to ``high_water_mark``."""

    epoch: UUID
    high_water_mark: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample, checked: percent, MiB, watts."""

    gpu_index: int
    sampled_at: datetime
    utilization_pct: float
    memory_used_mib: int
    power_w: float


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of a stream, checked."""

    epoch: UUID
    seq: int
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class SampleStore:
    """Reads and moves the streams of agents. Blocking: call it from a thread."""

    database: PlatformDatabase

    def position(self, agent: VerifiedAgent) -> Position | None:
        """The newest epoch of the agent and how far it is stored; None before its first batch."""

        def newest(session: TenantSession) -> Position | None:
            row = session.execute(
                select(AgentStream.epoch, AgentStream.high_water_mark)
                .where(AgentStream.agent_id == agent.agent_id)
                .order_by(AgentStream.updated_at.desc())
                .limit(1)
            ).first()
            return Position(row.epoch, row.high_water_mark) if row else None

        return self.database.run_as_tenant(agent.tenant, Origin.AGENT_STREAM, newest)

    def store(self, agent: VerifiedAgent, batch: Batch) -> Position:
        """Make a batch durable and say how far its epoch now is.

        Raises:
            StreamRefused: the batch leaves a gap.
        """

        def write(session: TenantSession) -> Position:
            return _write_next(session, agent, batch)

        return self.database.run_as_tenant(agent.tenant, Origin.AGENT_STREAM, write)

    def note_foreign_tenant(self, agent: VerifiedAgent) -> None:
        """Audit that an agent's payload named a tenant other than its own."""

        def note(session: TenantSession) -> None:
            session.add(
                AuditLog(
                    tenant_id=agent.tenant.uuid,
                    origin=Origin.AGENT_STREAM.value,
                    actor=f"agent:{agent.agent_id}",
                    action="ingress.foreign_tenant_claimed",
                    detail={"key_id": agent.key_id},
                )
            )

        self.database.run_as_tenant(agent.tenant, Origin.AGENT_STREAM, note)


def _write_next(session: TenantSession, agent: VerifiedAgent, batch: Batch) -> Position:
    stored = _lock_stream(session, agent, batch.epoch)
    if batch.seq <= stored:
        return Position(batch.epoch, stored)
    if batch.seq != stored + 1:
        raise StreamRefused(Refusal.OUT_OF_SEQUENCE, f"expected batch {stored + 1}")
    session.execute(insert(GpuSample), [_row(agent, batch, one) for one in batch.readings])
    session.execute(
        update(AgentStream)
        .where(AgentStream.agent_id == agent.agent_id, AgentStream.epoch == batch.epoch)
        .values(high_water_mark=batch.seq, updated_at=func.clock_timestamp())
    )
    return Position(batch.epoch, batch.seq)


def _lock_stream(session: TenantSession, agent: VerifiedAgent, epoch: UUID) -> int:
    """The stream's high-water mark, its row made if need be and held until commit."""
    session.execute(
        upsert(AgentStream)
        .values(tenant_id=agent.tenant.uuid, agent_id=agent.agent_id, epoch=epoch)
        .on_conflict_do_nothing()
    )
    stored = session.scalar(
        select(AgentStream.high_water_mark)
        .where(AgentStream.agent_id == agent.agent_id, AgentStream.epoch == epoch)
        .with_for_update()
    )
    return stored or 0


def _row(agent: VerifiedAgent, batch: Batch, reading: Reading) -> dict[str, object]:
    return {
        "tenant_id": agent.tenant.uuid,
        "agent_id": agent.agent_id,
        "epoch": batch.epoch,
        "seq": batch.seq,
        "gpu_index": reading.gpu_index,
        "sampled_at": reading.sampled_at,
        "utilization_pct": reading.utilization_pct,
        "memory_used_mib": reading.memory_used_mib,
        "power_w": reading.power_w,
    }


def claims_foreign_tenant(wire: agent_pb2.SampleBatch, agent: VerifiedAgent) -> bool:
    """Whether a payload names a tenant, and not the one of the stream."""
    return wire.claimed_tenant not in (b"", agent.tenant.uuid.bytes)


def parse_batch(wire: agent_pb2.SampleBatch) -> Batch:
    """A batch from the wire, every value within what its column takes.

    Raises:
        StreamRefused: `Refusal.MALFORMED`, naming the field.
    """
    _require(len(wire.epoch) == ID_BYTES, "epoch")
    _require(0 < wire.seq < 2**63, "seq")
    _require(0 < len(wire.samples) <= MAX_SAMPLES_PER_BATCH, "samples")
    readings = tuple(_parse_reading(one) for one in wire.samples)
    _require(len({one.gpu_index for one in readings}) == len(readings), "gpu_index")
    return Batch(epoch=UUID(bytes=wire.epoch), seq=wire.seq, readings=readings)


def _parse_reading(wire: agent_pb2.GpuSample) -> Reading:
    _require(wire.gpu_index <= _MAX_GPU_INDEX, "gpu_index")
    _require(wire.ts_ms <= _MAX_TS_MS, "ts_ms")
    _require(0 <= wire.utilization_percent <= 100, "utilization_percent")
    _require(wire.memory_used_mib <= _MAX_MEMORY_MIB, "memory_used_mib")
    _require(math.isfinite(wire.power_watts) and wire.power_watts >= 0, "power_watts")
    return Reading(
        gpu_index=wire.gpu_index,
        sampled_at=datetime.fromtimestamp(wire.ts_ms / 1000, UTC),
        utilization_pct=wire.utilization_percent,
        memory_used_mib=wire.memory_used_mib,
        power_w=wire.power_watts,
    )


def _require(condition: bool, field: str) -> None:
    if not condition:
        raise StreamRefused(Refusal.MALFORMED, f"{field}: not a value of a sample batch")
