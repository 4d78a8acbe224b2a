"""Models by Postgres schema, and the Alembic migrations that create them."""

from core_platform.schema.actions import ActionRequest, ActionTransition
from core_platform.schema.ai import AiSpendEvent, IngestedObject, QuarantinedRecord
from core_platform.schema.app import BypassLog, InstalledSealKey, RlsWave, UnwrappedStatement
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
from core_platform.schema.events import Event, EventStream
from core_platform.schema.gpu import AgentStream, GpuSample
from core_platform.schema.identity import Agent, AgentKey, AppUser, Tenant
from core_platform.schema.insight import AnomalyDecision, Budget, Recommendation, RecommendationFeedback
from core_platform.schema.integration import Connection, ConnectionSecret
from core_platform.schema.lifecycle import ExportBundle, LegalHold, RetentionSetting, TenantStateChange

__all__ = [
    "SCHEMAS",
    "ActionRequest",
    "ActionTransition",
    "Agent",
    "AgentKey",
    "AgentStream",
    "AiSpendEvent",
    "AnomalyDecision",
    "AppUser",
    "AuditLog",
    "Base",
    "Budget",
    "BypassLog",
    "Connection",
    "ConnectionSecret",
    "Event",
    "EventStream",
    "ExportBundle",
    "Global",
    "GpuSample",
    "Infrastructure",
    "IngestedObject",
    "InstalledSealKey",
    "LegalHold",
    "QuarantinedRecord",
    "Recommendation",
    "RecommendationFeedback",
    "RetentionSetting",
    "RlsWave",
    "RowSecurity",
    "Tenant",
    "TenantOwned",
    "TenantStateChange",
    "UnwrappedStatement",
    "declared",
]
