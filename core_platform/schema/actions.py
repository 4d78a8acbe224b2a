"""What the platform proposes to do on a customer's account, who decided, and how each step went."""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Integer, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import APPEND_ONLY, Base, RowSecurity, TenantOwned, of_tenant, within_tenant


class ActionRequest(TenantOwned, Base):
    """A change somebody asked for. A trigger refuses steps that are not in its state machine.

    Whoever asked cannot decide: the database compares the two names.
    """

    __tablename__ = "action_request"
    __row_security__: ClassVar[RowSecurity] = RowSecurity(app=("SELECT", "INSERT", "UPDATE"))
    __table_args__ = (
        of_tenant(),
        CheckConstraint(
            "state IN ('proposed', 'approved', 'rejected', 'executing', 'done', 'failed', 'unknown')",
            name="state",
        ),
        CheckConstraint("decided_by <> requested_by", name="four_eyes"),
        CheckConstraint("state = 'proposed' OR decided_by IS NOT NULL", name="decided"),
        {"schema": "actions"},
    )

    action_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[str]
    target: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="proposed")
    requested_by: Mapped[str]
    decided_by: Mapped[str | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    requested_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class ActionTransition(TenantOwned, Base):
    """One step of an action, numbered from 1: rows can be added and read, never changed."""

    __tablename__ = "action_transition"
    __row_security__: ClassVar[RowSecurity] = APPEND_ONLY
    __table_args__ = (
        within_tenant("action_id", "actions.action_request.action_id"),
        CheckConstraint("position >= 1", name="position"),
        {"schema": "actions"},
    )

    action_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
