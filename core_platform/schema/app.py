"""The machinery of tenancy itself: keys that verify tickets, the log of bypasses, the rollout's waves."""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import Base, Infrastructure


class InstalledSealKey(Base):
    """A key that verifies tickets, held as its two HMAC pads; readable by `core_seal` alone.

    The pads (RFC 2104) are stored instead of the secret so that one verification costs two calls of
    the built-in `sha256`; they are as secret as the key.
    """

    __tablename__ = "seal_key"
    __unscoped__: ClassVar[Infrastructure] = Infrastructure("verifies tenant tickets")
    __table_args__ = (
        CheckConstraint("octet_length(inner_pad) = 64 AND octet_length(outer_pad) = 64", name="pads"),
        {"schema": "app"},
    )

    kid: Mapped[str] = mapped_column(primary_key=True)
    inner_pad: Mapped[bytes] = mapped_column(LargeBinary)
    outer_pad: Mapped[bytes] = mapped_column(LargeBinary)
    installed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    retired_at: Mapped[datetime | None]


class BypassLog(Base):
    """Each bypass leaves a `begin` row that survives rollback and a `grant` row in its transaction.

    `scope` is a tenant's id or `*`. `transaction_id` is the writing transaction (xid8 as a number):
    a grant opens row security for that transaction only. A begin without a grant was rolled back.
    """

    __tablename__ = "bypass_log"
    __unscoped__: ClassVar[Infrastructure] = Infrastructure("records and opens each bypass")
    __table_args__ = ({"schema": "app"},)

    entry_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    phase: Mapped[str]
    begin_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("app.bypass_log.entry_id"))
    scope: Mapped[str]
    reason: Mapped[str]
    change_ref: Mapped[str]
    transaction_id: Mapped[int] = mapped_column(
        BigInteger, server_default=text("(pg_current_xact_id()::text::bigint)")
    )
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class RlsWave(Base):
    """One step of a table's way to row security, with what was seen; rows are never changed.

    The newest row of a table says where it stands. Waves: columns, wrap, observe, verify, enforce, canary.
    """

    __tablename__ = "rls_wave"
    __unscoped__: ClassVar[Infrastructure] = Infrastructure("records steps towards row security")
    __table_args__ = (
        CheckConstraint("wave IN ('columns', 'wrap', 'observe', 'verify', 'enforce', 'canary')", name="wave"),
        CheckConstraint("position >= 1", name="position"),
        {"schema": "app"},
    )

    table_name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wave: Mapped[str]
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)
    actor: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class UnwrappedStatement(Base):
    """A statement that reached an observed table without a tenant, by the digest of its text."""

    __tablename__ = "unwrapped_statement"
    __unscoped__: ClassVar[Infrastructure] = Infrastructure("statements seen without a tenant")
    __table_args__ = ({"schema": "app"},)

    seen_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    table_name: Mapped[str]
    login: Mapped[str]
    application: Mapped[str]
    statement_digest: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
