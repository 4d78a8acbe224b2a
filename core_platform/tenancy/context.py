"""Who a piece of work runs for, and why: the words every session of the platform is opened with.

Parsed once at the edge and trusted afterwards; past the edge no function takes a tenant as a string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from core_platform.errors import InvalidTenant

_CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST_TENANT: Final = 36


@dataclass(frozen=True, slots=True, order=True)
class TenantId:
    """A tenant's id. Made by `parse` only from the canonical form of RFC 9562, in either case."""

    uuid: UUID

    @classmethod
    def parse(cls, value: str | UUID) -> TenantId:
        """The tenant that `value` names.

        Raises:
            InvalidTenant: not a UUID in canonical form, or the nil UUID, which names nobody. The
                message never repeats the value: it may be an attack, or ten megabytes long.
        """
        if isinstance(value, UUID):
            parsed = value
        elif isinstance(value, str) and len(value) == _LONGEST_TENANT:
            parsed = _canonical(value)
        else:
            raise InvalidTenant("a tenant id is a UUID of 36 characters")
        if parsed.int == 0:
            raise InvalidTenant("the nil UUID names no tenant")
        return cls(parsed)

    def __str__(self) -> str:
        return str(self.uuid)


def _canonical(value: str) -> UUID:
    if not _CANONICAL.fullmatch(value.lower()):
        raise InvalidTenant("a tenant id is a UUID: 8-4-4-4-12 hexadecimal digits")
    return UUID(value)


class Origin(StrEnum):
    """The door a piece of work came through."""

    REQUEST = "request"
    AGENT_STREAM = "agent_stream"
    INGESTION = "ingestion"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class TenantContext:
    """One tenant, the door, and who acts (a user, agent or job id; never a secret)."""

    tenant: TenantId
    origin: Origin
    actor: str

    def __post_init__(self) -> None:
        if not isinstance(self.tenant, TenantId):
            raise InvalidTenant("a context takes a TenantId: parse the value where it enters")


class BypassReason(StrEnum):
    """The closed list of purposes for which row security may be bypassed.

    The database holds the same list as a CHECK on `app.bypass_log`; adding a reason is a migration.
    """

    ANOMALY_SWEEP = "anomaly_sweep"
    RECOMMENDER_SWEEP = "recommender_sweep"
    INGEST_RECONCILE = "ingest_reconcile"
    OFFBOARD_PURGE = "offboard_purge"
    AGENT_KEY_LOOKUP = "agent_key_lookup"
    XSERVICE_JOIN = "xservice_join"


class AllTenants:
    """The scope of a bypass that reads across every tenant; its one value is `ALL_TENANTS`."""

    __slots__ = ()

    def __str__(self) -> str:
        return "*"

    def __repr__(self) -> str:
        return "ALL_TENANTS"


ALL_TENANTS: Final = AllTenants()

BypassScope = TenantId | AllTenants
