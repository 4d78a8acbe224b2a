"""A tenant's way out and back, one step at a time, each under a change reference.

The application may not change a tenant's state: a bypass over that one tenant does, and the step and
its record commit together. Which steps there are is a trigger on `identity.tenant`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from core_platform.errors import InvalidValue
from core_platform.lifecycle.holds import HeldTenant
from core_platform.schema.identity import Tenant
from core_platform.schema.lifecycle import LegalHold, TenantStateChange
from core_platform.tenancy.context import BypassReason

if TYPE_CHECKING:
    from core_platform.tenancy import BypassSession, PlatformDatabase, TenantId, TenantSession

PENDING = "offboarding_pending"
ACTIVE = "active"


def begin_offboarding(database: PlatformDatabase, tenant: TenantId, *, actor: str, change_ref: str) -> None:
    """Close the tenant's doors: its agents are refused from their next hello.

    Raises:
        HeldTenant: a legal hold is open.
        InvalidValue: the tenant is not active, or there is none.
    """

    def move(session: BypassSession) -> None:
        refuse_held(session)
        record_state(session, tenant, PENDING, actor=actor, change_ref=change_ref)

    database.run_as_bypass(tenant, BypassReason.OFFBOARD_PURGE, move, change_ref=change_ref)


def cancel_offboarding(database: PlatformDatabase, tenant: TenantId, *, actor: str, change_ref: str) -> None:
    """Open the tenant's doors again, while its offboarding is still pending.

    Raises:
        InvalidValue: the tenant is not in that state.
    """

    def move(session: BypassSession) -> None:
        record_state(session, tenant, ACTIVE, actor=actor, change_ref=change_ref)

    database.run_as_bypass(tenant, BypassReason.OFFBOARD_PURGE, move, change_ref=change_ref)


def state_history(session: TenantSession) -> list[tuple[str, str]]:
    """The tenant's states in order, each with who brought it there."""
    changes = select(TenantStateChange.state, TenantStateChange.actor).order_by(TenantStateChange.at)
    return [(row.state, row.actor) for row in session.execute(changes)]


def record_state(
    session: BypassSession, tenant: TenantId, state: str, *, actor: str, change_ref: str
) -> None:
    """Move a tenant to `state` and write down who did so."""
    moved = update(Tenant).where(Tenant.tenant_id == tenant.uuid, Tenant.state != state).values(state=state)
    if session.execute(moved).rowcount != 1:
        raise InvalidValue(f"tenant {tenant} is {state} already, or does not exist")
    session.add(TenantStateChange(tenant_id=tenant.uuid, state=state, actor=actor, change_ref=change_ref))


def refuse_held(session: BypassSession) -> None:
    """Raise `HeldTenant` while a hold is open in the session's scope."""
    held = session.scalar(select(LegalHold.reason).where(LegalHold.released_at.is_(None)).limit(1))
    if held is not None:
        raise HeldTenant("a legal hold is open: release it before this tenant is offboarded")
