"""The rules over source code that reaches across tenants."""

from __future__ import annotations

from lint.rules.rule import Rule

BYP001 = Rule(
    "BYP001",
    "error",
    "row security is bypassed at a site that is not registered",
    "A bypass reads across tenants. It is right in a few kinds of places (a gRPC handler after its\n"
    "HMAC is verified, a cron sweep, a join across services), so each site is registered with its\n"
    "owner and reason, and nothing else may call it. The callback is a named function, so that a\n"
    "reviewer can find what runs unprotected, and the reason is a literal, so that it can be read.",
    "run_as_bypass(ALL, reason, lambda session: session.execute(SWEEP))",
    "run_as_bypass(ALL, BypassReason.RETENTION_SWEEP, sweep_expired, change_ref=CHANGE)\n"
    "# bypass_sites.yaml\n"
    "# - {id: retention, path: jobs/retention.py, function: run, kind: cron,\n"
    "#    reason: deletes expired rows of all tenants, owner: data-platform}",
    "never for product code: register the site. A test of the bypass itself may be suppressed.",
)
BYP006 = Rule(
    "BYP006",
    "error",
    "row security is bypassed by hand, outside the verified package",
    "SET ROLE, row_security = off, a bypass setting or a BYPASSRLS role reach across tenants without\n"
    "a grant, a reason or a record. Only the verified package may do it; everything else calls it.",
    'connection.execute(text("SET LOCAL ROLE app_bypass"))',
    "run_as_bypass(tenant, BypassReason.SUPPORT, read_ticket, change_ref=CHANGE)",
    "operations code that becomes another role to have fewer rights, such as a prober.",
)

BYPASS_RULES = (BYP001, BYP006)
