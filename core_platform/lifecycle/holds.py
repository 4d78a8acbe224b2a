"""Legal holds: while one is open, nothing of the tenant may be purged."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from core_platform.errors import InvalidValue, PlatformError
from core_platform.schema.lifecycle import LegalHold

if TYPE_CHECKING:
    from core_platform.tenancy import TenantSession


class HeldTenant(PlatformError):
    """A legal hold forbids what was asked for."""


def place_hold(session: TenantSession, reason: str) -> uuid.UUID:
    """Place a hold as the session's actor; returns its id."""
    hold_id = uuid.uuid4()
    session.add(
        LegalHold(
            tenant_id=session.context.tenant.uuid,
            hold_id=hold_id,
            reason=reason,
            placed_by=session.context.actor,
        )
    )
    session.flush()
    return hold_id


def release_hold(session: TenantSession, hold_id: uuid.UUID) -> None:
    """Release a hold as the session's actor; a released hold never changes again.

    Raises:
        InvalidValue: it was released before, or is not this tenant's.
    """
    released = update(LegalHold).where(LegalHold.hold_id == hold_id)
    values = {"released_by": session.context.actor, "released_at": func.clock_timestamp()}
    if session.execute(released.values(values)).rowcount != 1:
        raise InvalidValue(f"this tenant has no hold {hold_id}")


def open_holds(session: TenantSession) -> list[uuid.UUID]:
    """The tenant's open holds, oldest first."""
    still_open = select(LegalHold.hold_id).where(LegalHold.released_at.is_(None))
    return list(session.scalars(still_open.order_by(LegalHold.placed_at)))
