"""Roles, sessions, the sealed tenant ticket and the audited bypass.

Code that touches tenant data imports from here and holds a `TenantSession` or a `BypassSession`;
there is no third way to the database.
"""

from core_platform.errors import BypassRefused, InvalidTenant, TenantRefused, UnsafeLogin
from core_platform.tenancy.async_sessions import AsyncBypassSession, AsyncTenantSession
from core_platform.tenancy.context import (
    ALL_TENANTS,
    AllTenants,
    BypassReason,
    BypassScope,
    Origin,
    TenantContext,
    TenantId,
)
from core_platform.tenancy.database import PlatformDatabase
from core_platform.tenancy.sessions import BypassSession, Rows, TenantSession
from core_platform.tenancy.ticket import SealKey

__all__ = [
    "ALL_TENANTS",
    "AllTenants",
    "AsyncBypassSession",
    "AsyncTenantSession",
    "BypassReason",
    "BypassRefused",
    "BypassScope",
    "BypassSession",
    "InvalidTenant",
    "Origin",
    "PlatformDatabase",
    "Rows",
    "SealKey",
    "TenantContext",
    "TenantId",
    "TenantRefused",
    "TenantSession",
    "UnsafeLogin",
]
