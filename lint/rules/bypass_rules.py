"""The rules over source code that reaches across tenants."""

from __future__ import annotations

from lint.rules.rule import Rule

BYP001 = Rule(
    "BYP001",
    "error",
    "row security is bypassed at a site that is not registered",
    "A bypass reads across tenants. It is right in a few kinds of places (a gRPC handler after it has\n"
    "verified the caller's HMAC, a scheduled job, a join across services), so each site is registered\n"
    "with its owner and reason, and nothing else may call it. The callback is a named function, so that\n"
    "a reviewer can find what runs unprotected, and the reason is a literal, so that it can be read.\n"
    "The bypass may be a function with a callback (lint.bypass_names), a block or dependency that\n"
    "hands out a session (lint.bypass_contexts) or an argument (lint.bypass_markers).",
    "run_as_bypass(ALL, reason, lambda session: session.execute(SWEEP))",
    "# jobs/retention.py\n"
    "def run():\n"
    "    run_as_bypass(ALL, BypassReason.RETENTION_SWEEP, sweep_expired, change_ref=CHANGE)\n"
    "# bypass_sites.yaml\n"
    "# - {id: retention, path: jobs/retention.py, function: run, kind: cron, scope: all-tenants,\n"
    "#    reason: deletes expired rows of all tenants, owner: data-platform, expires: 2027-11-30}",
    "a test of the bypass itself; product code registers the site.",
    fix=(
        "Use the tenant's scope where one tenant is enough. Otherwise name the callback\n"
        "and the reason, and add the site to the registry in the same change; for code that has many,\n"
        "take a baseline and let the number fall."
    ),
    source=(
        "PostgreSQL 15 manual, 22.2 Role Attributes (BYPASSRLS) and 5.8 Row Security Policies:\n"
        "the server records no reason, so it stands in the code. Observed in public projects: one opens\n"
        "its bypass in 39 places and one in more than a hundred, tests included."
    ),
    language="python",
)
BYP002 = Rule(
    "BYP002",
    "error",
    "a bypass names no tenant, or one that nobody verified",
    "Under a bypass PostgreSQL checks nothing, so the tenant that the call names is the only fence\n"
    "left. Without one, or with a constant, every caller reaches the same rows. With one that the\n"
    "request states of itself, whoever writes the request chooses whose rows to read. The tenant\n"
    "comes from a verified object: a parameter whose type is only made by verifying\n"
    "(lint.verified_types), the result of a verification (lint.verifiers), or a loop over tenants\n"
    "that the program listed (lint.tenant_listings). All tenants at once is a scope of its own, for\n"
    "sites registered with scope: all-tenants.",
    'run_as_bypass(request.json["tenant_id"], BypassReason.SUPPORT, read_tickets)',
    "agent = verify_hello(request)\nrun_as_bypass(agent.tenant, BypassReason.SUPPORT, read_tickets)",
    "a tool for operators that takes the tenant on its command line: say who may\nrun it.",
    fix=(
        "Take the tenant from what the verification returned. Tools that work on all\n"
        "tenants loop over a listing and bypass for one at a time, or are registered with scope:\n"
        "all-tenants."
    ),
    source=(
        "PostgreSQL 15 manual, 5.8 Row Security Policies (a role with BYPASSRLS always\n"
        "bypasses): no policy compares the tenant any more, so the call has to."
    ),
    language="python",
)
BYP003 = Rule(
    "BYP003",
    "error",
    "a request reaches a bypass or binds a tenant before it is verified",
    "A handler answers anybody who can reach its port. Until the HMAC or signature is verified, what\n"
    "the request says of its tenant is a claim, and a bypass or a bound tenant acts on that claim.\n"
    "Each path from a handler (a method of a class derived from *Servicer, or lint.handlers) must\n"
    "pass a verification (lint.verifiers) first: one behind an `if`, in a loop that may not run, or\n"
    "in a `try` whose failure is caught leaves a path without; so does one that is not awaited, or whose\n"
    "bool nobody reads. Calls into other functions and files are followed; what the verifier does\n"
    "itself is its own affair. The same holds for a route or an edge function that works as Supabase's\n"
    "service role on ids of the request while nothing that it runs looks at a session, a token, a\n"
    "signature or a secret: the publishable key is in every browser.",
    "class Ingest(IngestServicer):\n"
    "    def Report(self, request, context):\n"
    "        if request.mac:\n"
    "            verify_hmac(request)\n"
    "        return run_as_bypass(request.tenant_id, BypassReason.INGEST, store)",
    "class Ingest(IngestServicer):\n"
    "    def Report(self, request, context):\n"
    "        agent = verify_hmac(request)\n"
    "        return run_as_bypass(agent.tenant, BypassReason.INGEST, store)",
    "the caller is verified before the handler, by an interceptor or a proxy:\nname which one.",
    fix=(
        "Verify in the first statement of the handler, with no condition around it, and\n"
        "let a failure leave the handler. Take the tenant from its result."
    ),
    source=(
        "A rule about the order of calls in the program, which PostgreSQL cannot see: whatever\n"
        "tenant the session names is the tenant it serves. The cases are those of the lint's tests: a\n"
        "verification behind a condition, in a loop, in a try, not awaited, or with its answer unread."
    ),
    language="python",
)
BYP004 = Rule(
    "BYP004",
    "warning",
    "the registry of bypass sites is out of date, or their number has grown",
    "A registered bypass is an exception that somebody answers for until a day. An entry without a day\n"
    "never comes up for review; one past its day is no longer allowed; one whose function bypasses\n"
    "nothing any more hides the next bypass that appears there. The ceiling is a ratchet: the number\n"
    "of sites may fall and never rise without a change that a reviewer sees.",
    "# bypass_sites.yaml\n"
    "ceiling: 1\n"
    "sites:\n"
    "- {id: sweep, path: jobs/sweep.py, function: run, kind: cron, scope: all-tenants,\n"
    "   reason: deletes expired rows of all tenants, owner: platform}",
    "# bypass_sites.yaml\n"
    "ceiling: 1\n"
    "sites:\n"
    "- {id: sweep, path: jobs/sweep.py, function: run, kind: cron, scope: all-tenants,\n"
    "   reason: deletes expired rows of all tenants, owner: platform, expires: 2027-11-30}",
    "never: renew the entry, remove it, or lower the ceiling.",
    fix=(
        "Ask the owner: renew the entry with a new day, or remove bypass and entry\n"
        "together. Lower the ceiling whenever the count has fallen."
    ),
    source=(
        "A rule about the registry of lint.registry. Seen in public projects: a list of the\n"
        "jobs that bypass, each with owner and reason; and an audit that found 6 of 235 sites right by\n"
        "design and 32 probably wrong."
    ),
    language="yaml",
)
BYP005 = Rule(
    "BYP005",
    "error",
    "a bypass reaches further than its callback",
    "The bypass ends when its callback returns: the transaction commits, the grant is gone, the record\n"
    "is closed. A session that is returned, stored, or handed to a thread or task outlives it, and so\n"
    "does a coroutine that nobody awaits: it runs later, unrecorded, or on a closed session. A bypass\n"
    "or another tenant's scope opened inside mixes two authorities in one stretch of code, so that\n"
    "nobody can say under which one a row was written.",
    "def sweep(session):\n"
    "    return session\n"
    "\n"
    "session = run_as_bypass(tenant, BypassReason.SUPPORT, sweep)\n"
    "session.execute(EXPIRED)",
    "def sweep(session):\n"
    "    return [row.id for row in session.execute(EXPIRED)]\n"
    "\n"
    "ids = run_as_bypass(tenant, BypassReason.SUPPORT, sweep)",
    "a wrapper that only opens the bypass for its caller; better list it in\nlint.bypass_contexts.",
    fix=(
        "Do the work inside the callback and return plain values. For a second tenant,\n"
        "or the tenant's own scope, end this bypass and open the next."
    ),
    source=(
        "PostgreSQL 15 manual, SET (SET LOCAL lasts until the end of the transaction). Observed\n"
        "with SQLAlchemy on 15.18: a session that outlives its scope hands out loaded objects without\n"
        "asking the database, and a released savepoint leaves the inner tenant bound outside."
    ),
    language="python",
)
BYP006 = Rule(
    "BYP006",
    "error",
    "row security is bypassed by hand, outside the package that implements the bypass",
    "SET ROLE, row_security = off, a bypass setting or a BYPASSRLS role reach across tenants without\n"
    "a grant, a reason or a record; so does a login that bypasses, read from the environment\n"
    "(lint.bypass_settings) where no settings module hands it on. Only the package that implements the\n"
    "bypass (lint.verified_packages) may do it; everything else calls that package.",
    'connection.execute(text("SET LOCAL ROLE app_bypass"))',
    "run_as_bypass(tenant, BypassReason.SUPPORT, read_ticket, change_ref=CHANGE)",
    "operations code that becomes another role to have fewer rights, such as a\nprober.",
    fix=(
        "Call the bypass function instead. Where many places do it by hand, make the\n"
        "function first, move them one by one, and revoke the role's membership at the end."
    ),
    source=(
        "PostgreSQL 15 manual, SET ROLE and 20.11 Client Connection Defaults (row_security).\n"
        "Observed on 15.18: any member of a role with BYPASSRLS reads 3 of 3 rows after SET ROLE, and a\n"
        "switch in a setting opens the table to any session that sets it."
    ),
    language="python",
)
BYP007 = Rule(
    "BYP007",
    "warning",
    "one ORM session serves more than one tenant",
    "A session keeps the objects that it has loaded (its identity map). When another tenant is bound,\n"
    "session.get(Order, id) hands out the previous tenant's object without asking the database, so\n"
    "no policy is consulted; a refresh then fails because the row is not visible. A session made at\n"
    "module level, or once before a loop over tenants, is such a session.",
    "from sqlalchemy.orm import Session\n"
    "\n"
    "session = Session(engine)\n"
    "for tenant in tenants:\n"
    "    bind_tenant(session, tenant)\n"
    "    bill(session)",
    "for tenant in tenants:\n    with tenant_session(tenant) as session:\n        bill(session)",
    "the loop empties the session (expunge_all or close) in a way that the lint\ndoes not see.",
    fix=(
        "Open a session for each tenant, inside its scope. Where one must be kept, call\n"
        "expunge_all() before the next tenant is bound."
    ),
    source=(
        "SQLAlchemy documentation, Session Basics (the identity map). Observed with SQLAlchemy\n"
        "on 15.18: Session.get returned tenant A's object after tenant B was bound; after a commit the\n"
        "refresh failed with 22P02 or ObjectDeletedError."
    ),
    language="python",
)

BYPASS_RULES = (BYP001, BYP002, BYP003, BYP004, BYP005, BYP006, BYP007)
