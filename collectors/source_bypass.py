"""What a source tree does around row security, as evidence: carried over from the lint's audit.

The audit reads the source once; `collectors.source_lint` yields this beside the lint's report.
"""

from __future__ import annotations

from evidence.kinds.source import (
    AllowedFinding,
    BypassSite,
    BypassUse,
    HandlerEntry,
    OpaqueCall,
    ServiceJoin,
    SourceBypass,
    TenantVisit,
)
from lint.report import Suppression
from lint.rules.bypass_sites import BypassSite as RegisteredSite
from lint.source.audit import AuditedUse, SourceAudit
from lint.source.audit import HandlerEntry as AuditedEntry
from lint.source.joins import Join

SWEEP = "cron"
"""The kind of site in the registry that a scheduled sweep is."""


def bypass_payload(audit: SourceAudit) -> SourceBypass:
    """The counts that anybody may read, and the places behind them."""
    return SourceBypass(
        files=audit.report.stats.files,
        call_sites=len(audit.uses),
        registered=sum(bool(one.use.site) for one in audit.uses),
        ceiling=audit.registry.ceiling,
        sweeps=sum(one.use.kind == SWEEP for one in audit.uses),
        handlers=len(audit.handlers),
        bindings=len(audit.entries),
        verified=sum(entry.verified_by is not None for entry in audit.entries),
        joins=len(audit.joins),
        carried=sum(join.carried for join in audit.joins),
        allowed=len(audit.report.suppressions),
        listings=audit.listings,
        sites=tuple(_site(site) for site in audit.registry.sites),
        uses=tuple(_use(one) for one in audit.uses),
        handler_names=audit.handlers,
        entries=tuple(_entry(entry) for entry in audit.entries),
        opaque=tuple(OpaqueCall(o.handler, o.path, o.line, o.written, o.reason) for o in audit.opaque),
        service_joins=tuple(_join(join) for join in audit.joins),
        allowed_findings=tuple(_allowed(one) for one in audit.report.suppressions),
    )


def _site(site: RegisteredSite) -> BypassSite:
    expires = site.expires.isoformat() if site.expires else ""
    return BypassSite(site.id, site.path, site.function, site.kind, site.scope or "", site.owner, expires)


def _use(one: AuditedUse) -> BypassUse:
    return BypassUse(
        path=one.use.path,
        line=one.use.line,
        function=one.use.function,
        site=one.use.site,
        site_kind=one.use.kind,
        tenant=one.use.tenant,
        tenant_origin=one.use.tenant_origin,
        shown_by=one.use.tenant_evidence,
        reads=one.reads,
        unread=one.unread,
        visits=tuple(TenantVisit(v.line, v.tenant_origin, v.tenant_evidence) for v in one.visits),
    )


def _entry(entry: AuditedEntry) -> HandlerEntry:
    return HandlerEntry(
        handler=entry.handler,
        path=entry.path,
        line=entry.line,
        function=entry.function,
        call=entry.name,
        tenant_origin=entry.tenant_origin,
        shown_by=entry.tenant_evidence,
        verified_by=entry.verified_by,
    )


def _join(join: Join) -> ServiceJoin:
    return ServiceJoin(join.path, join.line, join.function, join.tables, join.scope, join.missing)


def _allowed(one: Suppression) -> AllowedFinding:
    return AllowedFinding(one.path, one.line, one.rules, one.until, one.owner)
