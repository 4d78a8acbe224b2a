"""Where an agent's samples go: into the rows of the tenant that its hello proved.

Called by the server for each batch. Rows and the stream's high-water mark move in one transaction,
so an acknowledged batch is durable and a repeated one changes nothing; nothing in a payload can
choose a tenant.
"""

import math
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core_platform.ingress.hello import ID_BYTES
from core_platform.ingress.limits import MAX_SAMPLES_PER_BATCH
from core_platform.ingress.proto import agent_pb2
from core_platform.ingress.refusals import Refusal, StreamRefused
from core_platform.ingress.verification import Position, VerifiedAgent
from core_platform.schema.audit import AuditLog
from core_platform.schema.gpu import AgentStream
from core_platform.tenancy import Origin, PlatformDatabase, TenantSession

_MAX_GPU_INDEX = 32_767
_MAX_MEMORY_MIB = 2**40
#: The year 9999, past which a timestamp has no date.
_MAX_TS_MS = 253_370_764_800_000


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
    """Moves the streams of agents. Blocking: call it from a thread."""

    database: PlatformDatabase

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


def newest_position(session: TenantSession, agent_id: UUID) -> Position | None:
    """The newest epoch of an agent and how far it is stored; None before its first batch."""
    row = session.execute(
        select(AgentStream.epoch, AgentStream.high_water_mark)
        .where(AgentStream.agent_id == agent_id)
        .order_by(AgentStream.updated_at.desc())
        .limit(1)
    ).first()
    return Position(row.epoch, row.high_water_mark) if row else None


def _write_next(session: TenantSession, agent: VerifiedAgent, batch: Batch) -> Position:
    stored = _lock_stream(session, agent, batch.epoch)
    if batch.seq <= stored:
        return Position(batch.epoch, stored)
    if batch.seq != stored + 1:
        raise StreamRefused(Refusal.OUT_OF_SEQUENCE, f"expected batch {stored + 1}")
    session.execute(_INSERT_READINGS, _columns(agent, batch))
    session.execute(
        update(AgentStream)
        .where(AgentStream.agent_id == agent.agent_id, AgentStream.epoch == batch.epoch)
        .values(high_water_mark=batch.seq, updated_at=func.clock_timestamp())
    )
    return Position(batch.epoch, batch.seq)


def _lock_stream(session: TenantSession, agent: VerifiedAgent, epoch: UUID) -> int:
    """The stream's high-water mark, its row made if need be and held until commit."""
    row = upsert(AgentStream).values(tenant_id=agent.tenant.uuid, agent_id=agent.agent_id, epoch=epoch)
    # Setting the key to itself changes nothing, but takes the row's lock and returns it.
    locked = row.on_conflict_do_update(
        index_elements=["tenant_id", "agent_id", "epoch"], set_={"epoch": row.excluded.epoch}
    )
    stored: int = session.execute(locked.returning(AgentStream.high_water_mark)).scalar_one()
    return stored


#: One statement for a batch: an INSERT of many rows costs three times as much from here.
_INSERT_READINGS = text(
    """
    INSERT INTO gpu.gpu_sample (tenant_id, agent_id, epoch, seq,
                                gpu_index, sampled_at, utilization_pct, memory_used_mib, power_w)
    SELECT :tenant_id, :agent_id, :epoch, :seq, reading.*
      FROM unnest(CAST(:gpu_index AS smallint[]), CAST(:sampled_at AS timestamptz[]),
                  CAST(:utilization_pct AS float8[]), CAST(:memory_used_mib AS bigint[]),
                  CAST(:power_w AS float8[])) AS reading
    ON CONFLICT DO NOTHING
    """
)


def _columns(agent: VerifiedAgent, batch: Batch) -> dict[str, object]:
    """The parameters of `_INSERT_READINGS`: the hello's tenant, and one array for each column."""
    columns = {one.name: [getattr(row, one.name) for row in batch.readings] for one in fields(Reading)}
    place = {"agent_id": agent.agent_id, "epoch": batch.epoch, "seq": batch.seq}
    return {**columns, **place, "tenant_id": agent.tenant.uuid}


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
