"""A tenant's own copy of its rows, with a digest that anyone can compute again.

The copy is canonical JSON (RFC 8785) of rows in the order of their keys, so equal rows give an equal
digest, and it holds what the platform may show a tenant: no secrets, no hashes of bodies.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from core_platform.schema.ai import AiSpendEvent, QuarantinedRecord
from core_platform.schema.audit import AuditLog
from core_platform.schema.identity import Agent, AppUser
from core_platform.schema.lifecycle import ExportBundle
from evidence.proofs.canonical import canonical_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core_platform.tenancy import TenantSession

_PARTS: Final = ("people", "agents", "audit", "spend", "quarantined")


@dataclass(frozen=True, slots=True)
class TenantCopy:
    """The canonical bytes of a tenant's rows and how many rows they hold."""

    content: bytes
    rows: int

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Export:
    """An export as the tenant sees it in its list."""

    export_id: uuid.UUID
    state: str
    digest: str | None


def make_export(session: TenantSession) -> TenantCopy:
    """Copy the tenant's rows as of now and put the copy's digest on record."""
    export_id = uuid.uuid4()
    tenant, actor = session.context.tenant.uuid, session.context.actor
    session.add(ExportBundle(tenant_id=tenant, export_id=export_id, requested_by=actor))
    session.flush()
    copied = copy_of_tenant(session)
    ready = {"state": "ready", "digest": copied.digest, "row_count": copied.rows}
    session.execute(update(ExportBundle).where(ExportBundle.export_id == export_id).values(ready))
    return copied


def exports(session: TenantSession) -> list[Export]:
    """The tenant's exports, oldest first."""
    listed = select(ExportBundle.export_id, ExportBundle.state, ExportBundle.digest)
    rows = session.execute(listed.order_by(ExportBundle.requested_at, ExportBundle.export_id))
    return [Export(*row) for row in rows]


def copy_of_tenant(session: TenantSession) -> TenantCopy:
    """People, agents, audit log, spend and quarantined places of the session's tenant."""
    statements = (
        select(AppUser.email, AppUser.name, AppUser.role).order_by(AppUser.email),
        select(Agent.agent_id, Agent.name).order_by(Agent.agent_id),
        select(AuditLog.at, AuditLog.actor, AuditLog.action, AuditLog.detail).order_by(
            AuditLog.at, AuditLog.entry_id
        ),
        select(
            AiSpendEvent.occurred_at,
            AiSpendEvent.model_id,
            AiSpendEvent.input_tokens,
            AiSpendEvent.output_tokens,
        ).order_by(AiSpendEvent.source_object_hash, AiSpendEvent.line),
        select(QuarantinedRecord.line, QuarantinedRecord.error_class).order_by(
            QuarantinedRecord.object_hash, QuarantinedRecord.line
        ),
    )
    parts = [_plain(session.execute(statement).mappings()) for statement in statements]
    content = canonical_bytes(dict(zip(_PARTS, parts, strict=True)))
    return TenantCopy(content, sum(len(part) for part in parts))


def _plain(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return [{name: _value(value) for name, value in row.items()} for row in rows]


def _value(value: object) -> object:
    """Numbers beyond JSON's and everything that JSON has no word for become text."""
    return value if value is None or isinstance(value, str | dict) else str(value)
