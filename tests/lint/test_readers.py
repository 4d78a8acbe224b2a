"""Readers of protected tables: which scope each runs in, by what evidence, and what stays unknown."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lint.catalogue import Catalogue, Column, Policy, Table
from lint.config import LintConfig
from lint.source.python import read_python
from lint.source.readers import Readers, reader_map
from lint.source.typescript import read_typescript

SQL = 'execute(text("SELECT total FROM invoice"))'
BINDER = """
def bound(connection, tenant):
    connection.execute(text("SELECT set_config('app.tenant_id', :t, true)"), {"t": tenant})
"""


def table(name: str, *, enabled: bool = True, column: str | None = "tenant_id") -> Table:
    schema, _, bare = name.rpartition(".")
    columns = (Column(column),) if column else ()
    return Table(schema, bare, columns, column, enabled, policies=(Policy("p", using="tenant_id = x"),))


def catalogue(*tables: Table) -> Catalogue:
    return Catalogue("db", {one.qualified: one for one in tables})


def read(files: Mapping[str, str], *tables: Table, config: LintConfig | None = None) -> Readers:
    sources = [
        read_typescript(text.encode(), path) if path.endswith(".ts") else read_python(text.encode(), path)
        for path, text in files.items()
    ]
    return reader_map(sources, [catalogue(*(tables or (table("public.invoice"),)))], config or LintConfig())


def scopes(files: Mapping[str, str], config: LintConfig | None = None) -> list[str]:
    return [reader.scope for reader in read(files, config=config).readers]


@pytest.mark.parametrize(
    "source",
    [
        f"def f():\n    with tenant_session(t) as session:\n        session.{SQL}\n",
        f"async def f():\n    async with db.tenant_session(t) as session:\n        await session.{SQL}\n",
        f"def f(session: TenantSession):\n    session.{SQL}\n",
        f"def work(session):\n    session.{SQL}\ndef f():\n    run_as_tenant(t, work)\n",
        f"def f():\n    run_as_tenant(t, lambda session: session.{SQL})\n",
        (
            f"def work(a, session):\n    session.{SQL}\ndef f():\n"
            "    run_as_tenant(t, functools.partial(work, 1))\n"
        ),
        f"@withTenant\ndef f(session):\n    session.{SQL}\n",
        f"def f(session=Depends(tenant_session)):\n    session.{SQL}\n",
        f"Db = Annotated[Session, Depends(tenant_session)]\ndef f(session: Db):\n    session.{SQL}\n",
        f"def inner(session):\n    session.{SQL}\ndef f(session: TenantSession):\n    inner(session)\n",
        f"{BINDER}def f(c):\n    bound(c, t)\n    c.{SQL}\n",
        (
            f"{BINDER}@contextmanager\ndef scope(t):\n    c = engine.connect()\n"
            "    bound(c, t)\n    yield c\n"
            f"def f():\n    with scope(t) as c:\n        c.{SQL}\n"
        ),
    ],
)
def test_a_reader_inside_a_tenants_scope_is_told_by_any_evidence(source: str) -> None:
    assert scopes({"a.py": source}) == ["tenant"]


@pytest.mark.parametrize(
    "source",
    [
        f"def work(session):\n    session.{SQL}\ndef f():\n    run_as_bypass(ALL, 'why', work)\n",
        f"def f(session: BypassSession):\n    session.{SQL}\n",
    ],
)
def test_a_reader_under_a_bypass_is_told(source: str) -> None:
    assert scopes({"a.py": source}) == ["bypass"]


@pytest.mark.parametrize(
    "source",
    [
        (
            "import sqlalchemy as sa\nengine = sa.create_engine(U)\n"
            f"def f():\n    with engine.begin() as c:\n        c.{SQL}\n"
        ),
        f"import psycopg\ndef f():\n    c = psycopg.connect(D)\n    cur = c.cursor()\n    cur.{SQL}\n",
        f"from sqlalchemy.orm import Session\ndef f():\n    with Session(e) as s:\n        s.{SQL}\n",
        (
            "import psycopg\ndef opened():\n    return psycopg.connect(D)\n"
            f"def f():\n    c = opened()\n    c.{SQL}\n"
        ),
    ],
)
def test_a_reader_on_a_connection_made_in_sight_is_raw(source: str) -> None:
    assert scopes({"a.py": source}) == ["raw"]


def test_an_engine_of_another_module_is_followed_through_the_import() -> None:
    files = {
        "app/base.py": "from sqlalchemy import create_engine\nengine = create_engine(U)\n",
        "app/views.py": (
            f"from app.base import engine\ndef f():\n    with engine.connect() as c:\n        c.{SQL}\n"
        ),
    }
    assert scopes(files) == ["raw"]


def test_what_nothing_shows_is_unknown_and_never_guessed() -> None:
    (reader,) = read({"a.py": f"def f(session):\n    session.{SQL}\n"}).readers
    assert (reader.scope, reader.why) == ("unknown", "nothing in sight says which tenant is bound")


def test_one_caller_outside_takes_the_proof_away() -> None:
    source = (
        f"def inner(session):\n    session.{SQL}\n"
        "def f(session: TenantSession):\n    inner(session)\n"
        "def g(session):\n    inner(session)\n"
    )
    assert scopes({"a.py": source}) == ["unknown"]


def test_the_lines_before_and_after_a_scope_are_not_inside_it() -> None:
    source = (
        f"import psycopg\ndef f():\n    c = psycopg.connect(D)\n    c.{SQL}\n"
        f"    with tenant_session(t) as s:\n        s.{SQL}\n    c.{SQL}\n"
    )
    assert scopes({"a.py": source}) == ["raw", "tenant", "raw"]


def test_unprotected_tables_global_ones_and_unclear_names_have_no_readers() -> None:
    files = {"a.py": f"def f(session):\n    session.{SQL}\n"}
    assert read(files, table("public.invoice", enabled=False)).readers == ()
    assert read(files, table("public.invoice", column=None)).readers == ()
    assert read(files, table("a.invoice"), table("b.invoice")).readers == ()
    config = LintConfig(global_tables={"invoice": "one price list"})
    assert read(files, table("public.invoice"), config=config).readers == ()


def test_readers_are_counted_by_table_and_function() -> None:
    source = (
        f"def f(session: TenantSession):\n    session.{SQL}\n    session.{SQL}\n"
        f"def g(session):\n    session.{SQL}\n"
    )
    assert read({"a.py": source}).wrapped == {"public.invoice": (1, 2)}


def test_typescript_callbacks_and_raw_clients_are_told_apart() -> None:
    source = """
import { Pool } from "pg";
const pool = new Pool();
export async function raw() { return pool.query("SELECT * FROM invoice"); }
export async function scoped(t) {
  return withTenant(t, async (tx) => tx.query("SELECT * FROM invoice"));
}
export async function sweep(t) {
  return runAsBypass(t, async (tx) => tx.query("SELECT * FROM invoice"));
}
"""
    assert scopes({"a.ts": source}) == ["raw", "tenant", "bypass"]


def test_prismas_client_names_are_linked_to_tables_and_a_transaction_on_it_is_raw() -> None:
    source = """
import { PrismaClient } from "@prisma/client";
const prisma = new PrismaClient();
export async function f() {
  await prisma.invoice.findMany();
  await prisma.$transaction(async (tx) => { await tx.invoice.create({ data: {} }); });
}
"""
    assert scopes({"a.ts": source}) == ["raw", "raw"]


def test_a_listener_that_binds_every_session_leaves_no_raw_one() -> None:
    listener = (
        "@event.listens_for(Session, 'after_begin')\ndef bind(session, transaction, connection):\n"
        "    connection.execute(text(\"SELECT set_config('app.tenant_id', :t, true)\"))\n"
    )
    user = f"from sqlalchemy.orm import Session\ndef f():\n    with Session(e) as s:\n        s.{SQL}\n"
    assert scopes({"bind.py": listener, "a.py": user}) == ["unknown"]
