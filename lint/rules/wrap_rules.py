"""The rules over source code that reads and writes tenant rows: is a tenant bound?"""

from __future__ import annotations

from lint.rules.rule import Rule

WRAP001 = Rule(
    "WRAP001",
    "error",
    "a database connection is opened outside the configured entry points",
    "A connection that did not come from the tenant-scoped session has no tenant bound: on an\n"
    "enforced table it sees 0 rows or raises, on any other it sees everyone's. Connections are made\n"
    "in a few reviewed places (lint.entry_points), and all else receives a session.",
    'engine = create_engine(os.environ["DATABASE_URL"])\nwith engine.begin() as connection: ...',
    "run_as_tenant(tenant, read_invoices)",
    "scripts that never touch tenant data; better add their folder to lint.entry_points.",
)
WRAP003 = Rule(
    "WRAP003",
    "error",
    "the tenant is bound to the session instead of the transaction",
    "A session-level SET or set_config(…, false) outlives the transaction. A pool hands the\n"
    "connection to the next request, which then reads as the previous tenant; with a transaction\n"
    "pooler such as pgbouncer another client does.",
    "cursor.execute(\"SELECT set_config('app.tenant_id', %s, false)\", [tenant])",
    "cursor.execute(\"SELECT set_config('app.tenant_id', %s, true)\", [tenant])",
    "a connection that is opened for one tenant and closed, never pooled.",
)

WRAP_RULES = (WRAP001, WRAP003)
