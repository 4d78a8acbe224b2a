"""Append to a stream and follow it: positions without gaps, one writer of a stream at a time.

The stream's row is its lock until commit, so a reader that saw position n has seen everything before
it: a lower number never commits late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core_platform.schema.events import Event, EventStream

if TYPE_CHECKING:
    from core_platform.tenancy import TenantSession

_MOST_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and its place in its stream."""

    position: int
    kind: str
    payload: dict[str, object]


def append_event(session: TenantSession, stream: str, kind: str, payload: dict[str, object]) -> int:
    """Add one event to a stream, made if need be; returns its position, 1 for the first."""
    tenant = session.context.tenant.uuid
    row = upsert(EventStream).values(tenant_id=tenant, stream=stream, head=1)
    moved = row.on_conflict_do_update(
        index_elements=["tenant_id", "stream"],
        set_={"head": EventStream.head + 1, "moved_at": func.clock_timestamp()},
    )
    position: int = session.execute(moved.returning(EventStream.head)).scalar_one()
    session.add(Event(tenant_id=tenant, stream=stream, position=position, kind=kind, payload=payload))
    session.flush()
    return position


def events_after(
    session: TenantSession, stream: str, position: int = 0, limit: int = _MOST_AT_ONCE
) -> list[StoredEvent]:
    """The events of a stream after a position, in order, at most `limit`."""
    after = select(Event.position, Event.kind, Event.payload).where(
        Event.stream == stream, Event.position > position
    )
    rows = session.execute(after.order_by(Event.position).limit(limit))
    return [StoredEvent(*row) for row in rows]


def heads(session: TenantSession) -> dict[str, int]:
    """Each stream of the tenant with the position of its newest event."""
    rows = session.execute(select(EventStream.stream, EventStream.head).order_by(EventStream.stream))
    return {row.stream: row.head for row in rows}
