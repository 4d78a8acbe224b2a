"""What AI use cost, projected from Bedrock invocation logs so that no prompt is ever a column."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Integer, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import Base, TenantOwned, of_tenant


class AiSpendEvent(TenantOwned, Base):
    """One model invocation: who paid for how many tokens of what. Bodies appear as keyed hashes.

    `metadata_values` is written only for tenants whose `capture_metadata` is on, and only for
    allow-listed keys; the column is called `metadata`.
    """

    __tablename__ = "ai_spend_event"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("line >= 0", name="line"),
        CheckConstraint("input_tokens >= 0 AND output_tokens >= 0", name="tokens"),
        {"schema": "ai"},
    )

    source_object_hash: Mapped[str] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    request_id: Mapped[str]
    occurred_at: Mapped[datetime]
    account_id: Mapped[str]
    region: Mapped[str]
    model_id: Mapped[str]
    operation: Mapped[str]
    input_tokens: Mapped[int | None] = mapped_column(BigInteger)
    output_tokens: Mapped[int | None] = mapped_column(BigInteger)
    prompt_hash: Mapped[str | None]
    response_hash: Mapped[str | None]
    role_name: Mapped[str | None]
    session_hash: Mapped[str | None]
    overflow: Mapped[bool] = mapped_column(server_default="false")
    metadata_values: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB)


class IngestedObject(TenantOwned, Base):
    """One log object that was read to its end; the object's key appears as a hash."""

    __tablename__ = "ingested_object"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("records >= 0 AND quarantined >= 0", name="counts"),
        {"schema": "ai"},
    )

    object_hash: Mapped[str] = mapped_column(primary_key=True)
    records: Mapped[int]
    quarantined: Mapped[int]
    completed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class QuarantinedRecord(TenantOwned, Base):
    """A line that could not be projected: its place and class of fault, never its bytes."""

    __tablename__ = "quarantined_record"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("line >= 0", name="line"),
        {"schema": "ai"},
    )

    object_hash: Mapped[str] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    error_class: Mapped[str]
    quarantined_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
