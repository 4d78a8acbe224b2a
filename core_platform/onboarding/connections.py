"""A tenant's connections to its providers, with credentials that are stored sealed only.

A credential enters here, is sealed for its row before it reaches the session, and leaves only through
`credential_of`; lists show which connections have one and nothing of it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from core_platform.crypto import Place, TenantValueKey
from core_platform.errors import PlatformError
from core_platform.schema.integration import Connection, ConnectionSecret
from core_platform.tenancy import TenantId, TenantSession

PURPOSE: Final = "integration-credential"


class NoCredential(PlatformError):
    """The connection does not exist for this tenant, or has no credential."""


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A connection as it may be shown."""

    connection_id: uuid.UUID
    kind: str
    name: str
    has_credential: bool


def credential_key(root: bytes, tenant: TenantId, *, version: int = 1) -> TenantValueKey:
    """The key that seals a tenant's integration credentials."""
    return TenantValueKey.derive(root, tenant, PURPOSE, version=version)


def connect_account(
    session: TenantSession, key: TenantValueKey, *, kind: str, name: str, external_ref: str, credential: bytes
) -> uuid.UUID:
    """Record a connection of the session's tenant and seal its credential; returns its id."""
    tenant, connection_id = session.context.tenant.uuid, uuid.uuid4()
    session.add(
        Connection(
            tenant_id=tenant, connection_id=connection_id, kind=kind, name=name, external_ref=external_ref
        )
    )
    session.flush()
    session.add(
        ConnectionSecret(
            tenant_id=tenant,
            connection_id=connection_id,
            key_version=str(key.version),
            ciphertext=key.seal(credential, _place(connection_id)),
        )
    )
    return connection_id


def connections(session: TenantSession) -> list[ConnectionView]:
    """The tenant's connections, by kind and name."""
    joined = select(
        Connection.connection_id, Connection.kind, Connection.name, ConnectionSecret.connection_id
    ).outerjoin(ConnectionSecret, Connection.connection_id == ConnectionSecret.connection_id)
    rows = session.execute(joined.order_by(Connection.kind, Connection.name))
    return [ConnectionView(found, kind, name, secret is not None) for found, kind, name, secret in rows]


def credential_of(session: TenantSession, key: TenantValueKey, connection_id: uuid.UUID) -> bytes:
    """The credential of one of the tenant's connections.

    Raises:
        NoCredential: there is none for this tenant.
        SealedValueError: it was sealed for another place, or by another key.
    """
    stored = sealed_credential(session, connection_id, str(key.version))
    if stored is None:
        raise NoCredential(f"connection {connection_id} has no credential of key version {key.version}")
    return key.open(stored, _place(connection_id))


def sealed_credential(session: TenantSession, connection_id: uuid.UUID, key_version: str) -> bytes | None:
    """The credential of a connection as it is stored, or None."""
    return session.scalar(
        select(ConnectionSecret.ciphertext).where(
            ConnectionSecret.connection_id == connection_id, ConnectionSecret.key_version == key_version
        )
    )


def _place(connection_id: uuid.UUID) -> Place:
    return Place("integration.connection_secret", "ciphertext", str(connection_id))
