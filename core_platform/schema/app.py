"""The machinery of tenancy itself: the keys that verify tickets, and the log of every bypass."""

import uuid
from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, func, text
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
