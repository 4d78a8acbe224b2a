"""The rules over source code that reads and writes tenant rows: is a tenant bound?"""

from __future__ import annotations

from lint.rules.rule import Rule

WRAP001 = Rule(
    "WRAP001",
    "error",
    "tenant rows are reached outside a tenant's scope",
    "A connection that did not come from the tenant-scoped session has no tenant bound: on an\n"
    "enforced table it sees 0 rows or raises, as the table's owner or on any other table it sees\n"
    "everyone's. Connections are made in a few reviewed places (lint.entry_points), and all else\n"
    "receives a session. Which tables are protected is read from the migrations; code that is not\n"
    "linted together with them, or that binds no tenant anywhere, is not judged line by line.",
    'engine = create_engine(os.environ["DATABASE_URL"])\n'
    "with engine.begin() as connection:\n"
    '    connection.execute(text("SELECT total FROM invoice"))',
    "run_as_tenant(tenant, read_invoices)",
    "scripts that never touch tenant data; better add their folder to lint.entry_points.",
)
WRAP002 = Rule(
    "WRAP002",
    "error",
    "SET is given a bind parameter",
    "SET takes no parameters in PostgreSQL: the server answers 42601 (syntax error at or near $1) to\n"
    "every call, so no tenant is ever bound. psycopg2 writes the value into the text by itself and\n"
    "gets away with it; psycopg 3, asyncpg, pg, postgres.js and Prisma send it apart. The function\n"
    "set_config() takes parameters.",
    'await connection.execute("SET LOCAL app.tenant_id = $1", tenant)',
    "await connection.execute(\"SELECT set_config('app.tenant_id', $1, true)\", tenant)",
    "a driver that interpolates on the client, which the lint could not see.",
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
WRAP004 = Rule(
    "WRAP004",
    "error",
    "the tenant is bound for a transaction that is already over",
    "SET LOCAL and set_config(…, true) hold until the end of the transaction. In autocommit mode, or\n"
    "on a pool that gives each query another connection, that is the end of the statement itself:\n"
    "SET LOCAL warns (25P01), set_config() says nothing, and the next query runs with no tenant and\n"
    "sees 0 rows.",
    "await pool.query(\"SELECT set_config('app.tenant_id', $1, true)\", [tenant]);\n"
    'const { rows } = await pool.query("SELECT * FROM invoice");',
    "const client = await pool.connect();\n"
    'await client.query("BEGIN");\n'
    "await client.query(\"SELECT set_config('app.tenant_id', $1, true)\", [tenant]);\n"
    'const { rows } = await client.query("SELECT * FROM invoice");\n'
    'await client.query("COMMIT");',
    "when the transaction is begun where the lint cannot see it.",
)
WRAP005 = Rule(
    "WRAP005",
    "warning",
    "the tenant is pasted into the text of SET",
    "A tenant id that is interpolated into SQL text is an injection when anyone can choose it:\n"
    "`x'; SET app.tenant_id = 'other` binds another tenant. A value whose type can only be a UUID is\n"
    "harmless today (an information), and one refactoring away from being a string.",
    "connection.execute(text(f\"SET LOCAL app.tenant_id = '{tenant}'\"))",
    'connection.execute(text("SELECT set_config(\'app.tenant_id\', :tenant, true)"), {"tenant": tenant})',
    "a value that is a literal of the program.",
)
WRAP006 = Rule(
    "WRAP006",
    "warning",
    "work is handed to another thread without the tenant's context",
    "A contextvar and a thread-local stay behind when work goes to an executor or a thread: what runs\n"
    "there has no tenant, so its queries see 0 rows or raise. asyncio.to_thread and\n"
    "copy_context().run carry the context; a tenant that is passed as an argument needs none.",
    "loop.run_in_executor(None, read_invoices)",
    "await asyncio.to_thread(read_invoices)",
    "work that opens a scope of its own, which the lint could not see.",
)
WRAP008 = Rule(
    "WRAP008",
    "error",
    "a join across services does not hold both sides to one tenant",
    "Under a bypass row security filters nothing, so the statement itself must: two services' tables\n"
    "joined on an id alone pair one tenant's row with another's as soon as ids collide or a reference\n"
    "is wrong. A schema stands for a service. Equality counts directly, through other columns, by one\n"
    "parameter on both sides, or by a composite foreign key that carries the tenant.",
    "SELECT i.total, a.name FROM billing.invoice i JOIN crm.account a ON a.id = i.account_id",
    "SELECT i.total, a.name FROM billing.invoice i\n"
    "JOIN crm.account a ON a.tenant_id = i.tenant_id AND a.id = i.account_id",
    "a join on a column that is the tenant under another name.",
)

WRAP_RULES = (WRAP001, WRAP002, WRAP003, WRAP004, WRAP005, WRAP006, WRAP008)
