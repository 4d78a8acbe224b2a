"""Models by Postgres schema, and the Alembic migrations that create them."""

from core_platform.schema.ai import AiSpendEvent, IngestedObject, QuarantinedRecord
from core_platform.schema.app import BypassLog, InstalledSealKey
from core_platform.schema.audit import AuditLog
from core_platform.schema.base import (
    SCHEMAS,
    Base,
    Global,
    Infrastructure,
    RowSecurity,
    TenantOwned,
    declared,
)
from core_platform.schema.gpu import AgentStream, GpuSample
from core_platform.schema.identity import Agent, AgentKey, AppUser, Tenant
from core_platform.schema.integration import Connection, ConnectionSecret

__all__ = [
    "SCHEMAS",
    "Agent",
    "AgentKey",
    "AgentStream",
    "AiSpendEvent",
    "AppUser",
    "AuditLog",
    "Base",
    "BypassLog",
    "Connection",
    "ConnectionSecret",
    "Global",
    "GpuSample",
    "Infrastructure",
    "IngestedObject",
    "InstalledSealKey",
    "QuarantinedRecord",
    "RowSecurity",
    "Tenant",
    "TenantOwned",
    "declared",
]
