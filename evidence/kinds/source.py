"""What is seen in source: the report of the row-security and bypass lint, and what the bypass does.

The report says what is wrong; `SourceBypass` says what was looked at, so that a claim can be shown and
not only fail to be refuted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Nda, Payload, Public


@dataclass(frozen=True, slots=True)
class LintFinding:
    """A finding of the lint; the path is relative to the linted root."""

    rule: str
    severity: str
    path: str
    line: int
    table: str
    message: str


@dataclass(frozen=True, slots=True)
class LintReport(Payload):
    """The lint over one source tree.

    Attributes:
        tenant_tables: tables holding tenant data, as the migrations define them.
        enforced: of those, the ones with row security enabled, forced and a permissive policy.
        not_analysed: statements that the lint could not read.
        suppressed: findings allowed in place with a reason.
        bypass_sites: call sites of the bypass found in source.
    """

    kind: ClassVar[str] = "source.lint/v1"

    files: Public[int]
    statements: Public[int]
    not_analysed: Public[int]
    suppressed: Public[int]
    bypass_sites: Public[int]
    tenant_tables: Public[int]
    enforced: Public[int]
    tables: Nda[tuple[str, ...]]
    findings: Nda[tuple[LintFinding, ...]]


@dataclass(frozen=True, slots=True)
class BypassSite:
    """A registered site of the bypass; `expires` is its last day (ISO 8601), "" when it has none."""

    id: str
    path: str
    function: str
    kind: str
    scope: str
    owner: str
    expires: str


@dataclass(frozen=True, slots=True)
class TenantVisit:
    """A tenant bound beside a bypass: where its id comes from (loop, verified, request …) and why so."""

    line: int
    origin: str
    shown_by: str


@dataclass(frozen=True, slots=True)
class BypassUse:
    """One call of the bypass.

    Attributes:
        site: the id of the registered site that allows it, "" when none does.
        site_kind: that site's kind: cron, grpc-after-hmac, cross-service.
        tenant: the tenant argument as written.
        tenant_origin: verified, loop, constant, all-tenants, request, missing or unknown.
        reads: protected tables that it reads or writes.
        unread: functions inside it whose tables could not be told.
        visits: the tenants that the same function binds.
    """

    path: str
    line: int
    function: str
    site: str
    site_kind: str
    tenant: str
    tenant_origin: str
    shown_by: str
    reads: tuple[str, ...]
    unread: tuple[str, ...]
    visits: tuple[TenantVisit, ...]


@dataclass(frozen=True, slots=True)
class HandlerEntry:
    """A tenant binding or bypass (`call`) that a request handler reaches ("path:function").

    `verified_by` is the verification that every path passes before it, None when some path passes none.
    """

    handler: str
    path: str
    line: int
    function: str
    call: str
    tenant_origin: str
    shown_by: str
    verified_by: str | None


@dataclass(frozen=True, slots=True)
class OpaqueCall:
    """A call that a handler makes unverified, that may bind a tenant, and that could not be followed."""

    handler: str
    path: str
    line: int
    call: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServiceJoin:
    """A statement over tables of several services outside a tenant's scope (bypass, raw or unknown).

    `missing` is what is not held to the same tenant, "" when every side is.
    """

    path: str
    line: int
    function: str
    tables: tuple[str, ...]
    scope: str
    missing: str


@dataclass(frozen=True, slots=True)
class AllowedFinding:
    """A finding allowed in place: of which rules, until which day (ISO 8601) and by whom ("" nobody)."""

    path: str
    line: int
    rules: tuple[str, ...]
    until: str
    owner: str


@dataclass(frozen=True, slots=True)
class SourceBypass(Payload):
    """What one source tree does around row security, by the same reading as its `LintReport`.

    Attributes:
        ceiling: how many call sites the registry allows at most, None when it does not say.
        sweeps: call sites registered as scheduled sweeps.
        bindings: tenant bindings and bypasses that a request handler reaches.
        verified: of those, the ones that a verification precedes on every path.
        joins: joins across services outside a tenant's scope.
        carried: of those, the ones that hold every side to one tenant.
        listings: tables that list the tenants themselves.
    """

    kind: ClassVar[str] = "source.bypass/v1"

    files: Public[int]
    call_sites: Public[int]
    registered: Public[int]
    ceiling: Public[int | None]
    sweeps: Public[int]
    handlers: Public[int]
    bindings: Public[int]
    verified: Public[int]
    joins: Public[int]
    carried: Public[int]
    allowed: Public[int]
    listings: Nda[tuple[str, ...]]
    sites: Nda[tuple[BypassSite, ...]]
    uses: Nda[tuple[BypassUse, ...]]
    handler_names: Nda[tuple[str, ...]]
    entries: Nda[tuple[HandlerEntry, ...]]
    opaque: Nda[tuple[OpaqueCall, ...]]
    service_joins: Nda[tuple[ServiceJoin, ...]]
    allowed_findings: Nda[tuple[AllowedFinding, ...]]
