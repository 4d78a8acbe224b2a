"""What a tenant has connected, and the sealed credentials of each connection."""

import uuid
from datetime import datetime

from sqlalchemy import LargeBinary, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import Base, TenantOwned, of_tenant, within_tenant


class Connection(TenantOwned, Base):
    """A customer's account at a provider (`kind`), by the provider's own reference."""

    __tablename__ = "connection"
    __table_args__ = (
        of_tenant(),
        UniqueConstraint("tenant_id", "kind", "name"),
        {"schema": "integration"},
    )

    connection_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[str]
    name: Mapped[str]
    external_ref: Mapped[str]


class ConnectionSecret(TenantOwned, Base):
    """The credential of a connection: ciphertext and the version of the key that sealed it."""

    __tablename__ = "connection_secret"
    __table_args__ = (
        within_tenant("connection_id", "integration.connection.connection_id"),
        {"schema": "integration"},
    )

    connection_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key_version: Mapped[str] = mapped_column(primary_key=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
