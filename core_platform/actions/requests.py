"""An action's way from proposal to outcome, for the tenant of the session.

The database holds the state machine, the rule of four eyes and the numbering of steps; a call that
breaks one of them raises `InvalidValue` or `Conflict` and changes nothing.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from core_platform.errors import InvalidValue
from core_platform.schema.actions import ActionRequest, ActionTransition

if TYPE_CHECKING:
    from core_platform.tenancy import TenantSession

_OPEN = ("proposed", "approved", "executing", "unknown")


@dataclass(frozen=True, slots=True)
class ActionView:
    """An action that is not finished."""

    action_id: uuid.UUID
    kind: str
    target: str
    state: str


@dataclass(frozen=True, slots=True)
class ActionStep:
    """One step an action made, and who made it."""

    position: int
    state: str
    actor: str


def propose(session: TenantSession, *, kind: str, target: str, detail: dict[str, object]) -> uuid.UUID:
    """Ask for an action as the session's actor; returns its id."""
    tenant, actor, action_id = session.context.tenant.uuid, session.context.actor, uuid.uuid4()
    session.add(
        ActionRequest(
            tenant_id=tenant, action_id=action_id, kind=kind, target=target, requested_by=actor, detail=detail
        )
    )
    session.flush()
    _record(session, action_id, "proposed")
    return action_id


def decide(session: TenantSession, action_id: uuid.UUID, *, approve: bool) -> None:
    """Approve or reject as the session's actor, who must not be the one that asked.

    Raises:
        InvalidValue: the actor asked for it, it was decided before, or it is not this tenant's.
    """
    _move(session, action_id, "approved" if approve else "rejected", decided_by=session.context.actor)


def step(session: TenantSession, action_id: uuid.UUID, state: str) -> None:
    """Move a decided action on: to `executing`, `done`, `failed` or `unknown`.

    Raises:
        InvalidValue: there is no such step from where it is, or the action is not this tenant's.
    """
    _move(session, action_id, state)


def open_actions(session: TenantSession) -> list[ActionView]:
    """The tenant's unfinished actions, oldest first."""
    unfinished = (
        select(ActionRequest.action_id, ActionRequest.kind, ActionRequest.target, ActionRequest.state)
        .where(ActionRequest.state.in_(_OPEN))
        .order_by(ActionRequest.requested_at, ActionRequest.action_id)
    )
    return [ActionView(*row) for row in session.execute(unfinished)]


def history(session: TenantSession, action_id: uuid.UUID) -> list[ActionStep]:
    """The steps of one action, in order."""
    steps = select(ActionTransition.position, ActionTransition.state, ActionTransition.actor).where(
        ActionTransition.action_id == action_id
    )
    return [ActionStep(*row) for row in session.execute(steps.order_by(ActionTransition.position))]


def _move(session: TenantSession, action_id: uuid.UUID, state: str, **changes: str) -> None:
    moved = update(ActionRequest).where(ActionRequest.action_id == action_id).values(state=state, **changes)
    if session.execute(moved).rowcount != 1:
        raise InvalidValue(f"this tenant has no action {action_id}")
    _record(session, action_id, state)


def _record(session: TenantSession, action_id: uuid.UUID, state: str) -> None:
    taken = select(func.count()).select_from(ActionTransition).where(ActionTransition.action_id == action_id)
    session.add(
        ActionTransition(
            tenant_id=session.context.tenant.uuid,
            action_id=action_id,
            position=session.execute(taken).scalar_one() + 1,
            state=state,
            actor=session.context.actor,
        )
    )
    session.flush()
