"""How a tenant comes, stays and leaves: its states, its holds, what it exported, how long rows are kept.

The change of a state has no foreign key to `identity.tenant`: it outlives the tenant.
"""

import uuid
from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Integer, func
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import APPEND_ONLY, Base, RowSecurity, TenantOwned, of_tenant


class TenantStateChange(TenantOwned, Base):
    """One change of a tenant's state, by whom and under which change reference; never changed."""

    __tablename__ = "tenant_state_change"
    __row_security__: ClassVar[RowSecurity] = APPEND_ONLY
    __table_args__ = (
        CheckConstraint(
            "state IN ('active', 'offboarding_pending', 'offboarding_archive', 'deleted')", name="state"
        ),
        {"schema": "lifecycle"},
    )

    change_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    state: Mapped[str]
    actor: Mapped[str]
    change_ref: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class LegalHold(TenantOwned, Base):
    """While one is open nothing of the tenant is purged. It is released once, and never again."""

    __tablename__ = "legal_hold"
    __row_security__: ClassVar[RowSecurity] = RowSecurity(app=("SELECT", "INSERT", "UPDATE"))
    __table_args__ = (
        of_tenant(),
        CheckConstraint("(released_by IS NULL) = (released_at IS NULL)", name="released"),
        {"schema": "lifecycle"},
    )

    hold_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    reason: Mapped[str]
    placed_by: Mapped[str]
    placed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    released_by: Mapped[str | None]
    released_at: Mapped[datetime | None]


class ExportBundle(TenantOwned, Base):
    """A copy of its own rows that a tenant asked for: how many, under which SHA-256 (hexadecimal)."""

    __tablename__ = "export_bundle"
    __row_security__: ClassVar[RowSecurity] = RowSecurity(app=("SELECT", "INSERT", "UPDATE"))
    __table_args__ = (
        of_tenant(),
        CheckConstraint("state IN ('requested', 'ready', 'failed')", name="state"),
        CheckConstraint("state <> 'ready' OR digest ~ '^[0-9a-f]{64}$' AND row_count >= 0", name="ready"),
        {"schema": "lifecycle"},
    )

    export_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    requested_by: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="requested")
    digest: Mapped[str | None]
    row_count: Mapped[int | None] = mapped_column(BigInteger)
    requested_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class RetentionSetting(TenantOwned, Base):
    """For how many days a tenant keeps one class of its data; no row means the platform's default."""

    __tablename__ = "retention_setting"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("data_class IN ('gpu_samples', 'ai_spend', 'events')", name="data_class"),
        CheckConstraint("days BETWEEN 1 AND 3650", name="days"),
        {"schema": "lifecycle"},
    )

    data_class: Mapped[str] = mapped_column(primary_key=True)
    days: Mapped[int] = mapped_column(Integer)
    set_by: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
