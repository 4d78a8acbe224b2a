"""The rules over source code that reads and writes tenant rows: is a tenant bound?"""

from __future__ import annotations

from lint.rules.rule import Rule

WRAP001 = Rule(
    "WRAP001",
    "error",
    "tenant rows are reached outside a tenant's scope",
    "A connection that did not come from the tenant-scoped session has no tenant bound: on a table\n"
    "under row security it sees 0 rows or raises; as the table's owner, or on any other table, it sees\n"
    "everyone's. Connections are made in a few reviewed places (lint.entry_points), and all else\n"
    "receives a session. Which tables are protected is read from the migrations; code that is not\n"
    "linted together with them, or that binds no tenant anywhere, is not judged line by line.",
    'engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"])\n'
    "with engine.begin() as connection:\n"
    '    connection.execute(text("SELECT number FROM invoice"))',
    "def read_numbers(session):\n"
    '    return session.execute(text("SELECT number FROM invoice")).all()\n'
    "\n"
    "run_as_tenant(tenant, read_numbers)",
    "scripts that never touch tenant data; better add their folder to\nlint.entry_points.",
    fix=(
        "Take the session as a parameter and call the function through the tenant's\n"
        "scope. Move one module at a time; a baseline keeps the rest from growing."
    ),
    source=(
        "PostgreSQL 15 manual, 5.8 Row Security Policies. Observed on 15.18: a connection with\n"
        "no tenant bound reads 0 rows of a protected table in silence, or fails with 22P02 or 42704, as\n"
        "the policy is written."
    ),
    language="python",
)
WRAP002 = Rule(
    "WRAP002",
    "error",
    "SET is given a bind parameter",
    "SET takes no parameters in PostgreSQL: the server answers 42601 (syntax error at or near $1) to\n"
    "every call, so no tenant is ever bound. psycopg2 writes the value into the text by itself and\n"
    "gets away with it; psycopg 3, asyncpg, pg, postgres.js and Prisma send it apart. The function\n"
    "set_config() takes parameters.",
    "import asyncpg\n"
    "\n"
    "async def bind(connection: asyncpg.Connection, tenant):\n"
    '    await connection.execute("SET LOCAL app.tenant_id = $1", tenant)',
    "import asyncpg\n"
    "\n"
    "async def bind(connection: asyncpg.Connection, tenant):\n"
    "    await connection.execute(\"SELECT set_config('app.tenant_id', $1, true)\", tenant)",
    "a driver that interpolates on the client, which the lint could not see.",
    fix=(
        "Use SELECT set_config(name, value, true) inside the transaction. It is the same\n"
        "setting, so nothing else has to change."
    ),
    source=(
        "PostgreSQL 15 manual, SET (its grammar takes no parameter) and 9.27 System\n"
        "Administration Functions (set_config). Observed on 15.18: 42601 on every call; two public\n"
        "projects have it."
    ),
    language="python",
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
    fix=(
        "Pass true as the third argument of set_config, or write SET LOCAL, and make\n"
        "sure that a transaction is open. Restart pooled connections once, since what they hold stays\n"
        "until they close."
    ),
    source=(
        "PostgreSQL 15 manual, SET (SESSION and LOCAL). Observed on 15.18: the next request on\n"
        "the connection inherits the tenant; through pgbouncer 1.18 in transaction mode another client\n"
        "read it; the reset of SQLAlchemy's pool keeps it."
    ),
    language="python",
)
WRAP004 = Rule(
    "WRAP004",
    "error",
    "the tenant is bound for a transaction that is already over",
    "SET LOCAL and set_config(…, true) hold until the end of the transaction. In autocommit mode, or\n"
    "on a pool that gives each query another connection, that is the end of the statement itself:\n"
    "SET LOCAL warns (25P01), set_config() says nothing, and the next query runs with no tenant and\n"
    "sees 0 rows.",
    'import { Pool } from "pg";\n'
    "const pool = new Pool();\n"
    "\n"
    "export async function invoices(tenant: string) {\n"
    "  await pool.query(\"SELECT set_config('app.tenant_id', $1, true)\", [tenant]);\n"
    '  return pool.query("SELECT number FROM invoice");\n'
    "}",
    'import { Pool } from "pg";\n'
    "const pool = new Pool();\n"
    "\n"
    "export async function invoices(tenant: string) {\n"
    "  const client = await pool.connect();\n"
    "  try {\n"
    '    await client.query("BEGIN");\n'
    "    await client.query(\"SELECT set_config('app.tenant_id', $1, true)\", [tenant]);\n"
    '    const found = await client.query("SELECT number FROM invoice");\n'
    '    await client.query("COMMIT");\n'
    "    return found;\n"
    "  } catch (error) {\n"
    '    await client.query("ROLLBACK");\n'
    "    throw error;\n"
    "  } finally {\n"
    "    client.release();\n"
    "  }\n"
    "}",
    "the transaction is begun where the lint cannot see it.",
    fix=(
        "Take one connection, begin a transaction, bind the tenant and query in it, and\n"
        "roll back on an error before the connection goes back to the pool. A helper that does so\n"
        "(withTenant) keeps it in one place."
    ),
    source=(
        "PostgreSQL 15 manual, SET (SET LOCAL outside a transaction block warns and has no\n"
        "effect) and 9.27 System Administration Functions (set_config). Observed on 15.18: SET LOCAL\n"
        "warns with 25P01, set_config says nothing; the next query sees 0 rows."
    ),
    language="typescript",
)
WRAP005 = Rule(
    "WRAP005",
    "warning",
    "the tenant is pasted into the text of SET",
    "A tenant id that is interpolated into SQL text is an injection when anyone can choose it:\n"
    "`x'; SET app.tenant_id = 'other` binds another tenant. A value whose type can only be a UUID is\n"
    "harmless today and is told as information: it is one refactoring away from being a string.",
    "connection.execute(text(f\"SET LOCAL app.tenant_id = '{tenant}'\"))",
    'connection.execute(text("SELECT set_config(\'app.tenant_id\', :tenant, true)"), {"tenant": tenant})',
    "a value that is a literal of the program.",
    fix=(
        "Use set_config with a parameter. Until then parse the value as a UUID before it\nreaches the text."
    ),
    source=(
        "PostgreSQL 15 manual, SET and 9.27 System Administration Functions (set_config).\n"
        "Observed on 15.18: SET takes no parameter, which is why values get pasted. Seen in a public\n"
        "project."
    ),
    language="python",
)
WRAP006 = Rule(
    "WRAP006",
    "warning",
    "work is handed to another thread without the tenant's context",
    "A contextvar and a thread-local stay behind when work goes to an executor or a thread: what runs\n"
    "there has no tenant, so its queries see 0 rows or raise. asyncio.to_thread and\n"
    "copy_context().run carry context variables; a tenant that is passed as an argument needs none.",
    "def invoices(loop, tenant):\n"
    "    with tenant_session(tenant):\n"
    "        return loop.run_in_executor(None, read_invoices)\n"
    "\n"
    "def read_invoices():\n"
    '    return current_session().execute(text("SELECT number FROM invoice")).all()',
    "async def invoices(tenant):\n"
    "    with tenant_session(tenant):\n"
    "        return await asyncio.to_thread(read_invoices)\n"
    "\n"
    "def read_invoices():\n"
    '    return current_session().execute(text("SELECT number FROM invoice")).all()',
    "work that opens a scope of its own, which the lint could not see.",
    fix=(
        "Pass the tenant as an argument and open the scope on the other side: an ORM\n"
        "session may not be shared between threads anyway. Where the context has to come along, use\n"
        "asyncio.to_thread or copy_context().run."
    ),
    source=(
        "Python documentation, contextvars and asyncio.to_thread. Observed with CPython 3.11: a\n"
        "context variable is unset in what submit and run_in_executor run, and kept by to_thread."
    ),
    language="python",
)
WRAP008 = Rule(
    "WRAP008",
    "error",
    "a join across services does not hold both sides to one tenant",
    "Under a bypass row security filters nothing, so the statement itself must: two services' tables\n"
    "joined on an id alone pair one tenant's row with another's as soon as ids collide or a reference\n"
    "is wrong. A schema stands for a service. Equality counts directly, through other columns, by one\n"
    "parameter on both sides, or by a composite foreign key that carries the tenant.",
    "def totals(session):\n"
    "    return session.execute(text(\n"
    '        "SELECT i.number, a.name FROM billing.invoice i JOIN crm.account a ON a.id = i.account_id"\n'
    "    )).all()\n"
    "\n"
    "run_as_bypass(tenant, BypassReason.REPORT, totals)",
    "def totals(session):\n"
    "    return session.execute(text(\n"
    '        "SELECT i.number, a.name FROM billing.invoice i"\n'
    '        " JOIN crm.account a ON a.tenant_id = i.tenant_id AND a.id = i.account_id"\n'
    "    )).all()\n"
    "\n"
    "run_as_bypass(tenant, BypassReason.REPORT, totals)",
    "a join on a column that is the tenant under another name.",
    fix=(
        "Add equality of the tenant to the join's condition. A composite foreign key\n"
        "over (tenant_id, id) makes it hold for every statement."
    ),
    source=(
        "PostgreSQL 15 manual, 22.2 Role Attributes (BYPASSRLS) and 5.8 Row Security Policies.\n"
        "Observed on 15.18: foreign keys without the tenant accept another tenant's row, so a join on\n"
        "the id alone pairs the two."
    ),
    language="python",
)

WRAP_RULES = (WRAP001, WRAP002, WRAP003, WRAP004, WRAP005, WRAP006, WRAP008)
