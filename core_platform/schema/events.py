"""What happened to a tenant, in order: streams of numbered events that others can follow."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import APPEND_ONLY, Base, RowSecurity, TenantOwned, of_tenant, within_tenant


class EventStream(TenantOwned, Base):
    """A named stream and the number of its newest event; its row is the stream's lock."""

    __tablename__ = "event_stream"
    __row_security__: ClassVar[RowSecurity] = RowSecurity(app=("SELECT", "INSERT", "UPDATE"))
    __table_args__ = (
        of_tenant(),
        CheckConstraint("head >= 0", name="head"),
        {"schema": "events"},
    )

    stream: Mapped[str] = mapped_column(primary_key=True)
    head: Mapped[int] = mapped_column(BigInteger, server_default="0")
    moved_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Event(TenantOwned, Base):
    """One event, numbered from 1 within its stream without gaps; never changed."""

    __tablename__ = "event"
    __row_security__: ClassVar[RowSecurity] = APPEND_ONLY
    __table_args__ = (
        within_tenant("stream", "events.event_stream.stream"),
        CheckConstraint("position >= 1", name="position"),
        {"schema": "events"},
    )

    stream: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
