"""What is seen of a PostgreSQL database: row security in the catalog, and a probe of isolation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from evidence.payload import Auditor, Nda, Payload, Public


@dataclass(frozen=True, slots=True)
class Policy:
    """A row of pg_policies."""

    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    using: str | None
    check: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the platform's schemas.

    Attributes:
        name: ``schema.table``.
        classification: ``tenant``, ``global`` or ``infrastructure`` from the platform's declared
            registry (the comment on the table), or ``unclassified``.
        tenant_column: the column that names the tenant, or None.
        tenant_column_nullable: whether it may be NULL.
    """

    name: str
    classification: str
    owner: str
    tenant_column: str | None
    tenant_column_nullable: bool
    enabled: bool
    forced: bool
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class LoginRole:
    """A role that can reach tenant rows, with what could let it round row security."""

    name: str
    can_login: bool
    superuser: bool
    bypass_rls: bool
    owns_tables: int
    member_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DefinerRoutine:
    """A SECURITY DEFINER function, which runs with its owner's rights.

    Attributes:
        reads: tenant tables named in its body.
    """

    name: str
    owner: str
    owner_bypasses: bool
    pinned_search_path: bool
    reads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """A view or materialized view over tenant tables."""

    name: str
    materialized: bool
    security_invoker: bool
    reads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowSecurity(Payload):
    """Row security as the live catalog states it.

    Attributes:
        server_version: ``server_version_num`` (150018).
        application_role: the login that serves requests.
    """

    kind: ClassVar[str] = "postgres.row_security/v1"

    server_version: Public[int]
    application_role: Nda[str]
    tables: Nda[tuple[Table, ...]]
    roles: Nda[tuple[LoginRole, ...]]
    definer_routines: Auditor[tuple[DefinerRoutine, ...]]
    views: Auditor[tuple[View, ...]]


class AttemptResult(StrEnum):
    """How one attempt ended."""

    HELD = "held"
    LEAKED = "leaked"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one tenant to reach another's rows, made as the application role.

    Attributes:
        probe: ``select``, ``insert``, ``update``, ``delete``, ``move`` (an own row given away),
            ``unset_tenant``, ``empty_tenant`` (the setting is ''), ``row_security_off``,
            ``injected_setting``, ``own_rows`` (the positive control: the tenant sees its canary row).
        foreign_rows: rows of the other tenant that were read or changed; 0 in a leak that only a
            constraint stopped (SQLSTATE 23503, 23505, 23P01), since row security had let it pass.
        sqlstate: the error's SQLSTATE, or '' when the statement succeeded.
        note: why an attempt is inconclusive.
    """

    table: str
    probe: str
    result: AttemptResult
    foreign_rows: int
    sqlstate: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Isolation(Payload):
    """What two tenants could reach of each other through the application's own login."""

    kind: ClassVar[str] = "postgres.isolation/v1"

    server_version: Public[int]
    attempted: Public[int]
    held: Public[int]
    leaked: Public[int]
    inconclusive: Public[int]
    attempts: Nda[tuple[Attempt, ...]]


@dataclass(frozen=True, slots=True)
class WaveStep:
    """A table's entry into a wave of the rollout: which, as its how-manieth step, by whom and when."""

    table: str
    position: int
    wave: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RlsWaves(Payload):
    """The database's own record of the rollout of row security, table by table."""

    kind: ClassVar[str] = "postgres.rls_waves/v1"

    tables: Public[int]
    steps: Nda[tuple[WaveStep, ...]]
