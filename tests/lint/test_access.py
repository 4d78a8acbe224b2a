"""Which tables source code touches: SQL by its tokens, models, query builders, and through what."""

from __future__ import annotations

import pytest

from lint.source.access import Access, Models, accesses
from lint.source.orm_python import python_models
from lint.source.python import read_python
from lint.source.sql_tables import table_uses
from lint.source.typescript import read_typescript

MODELS = """
from sqlalchemy.orm import DeclarativeBase
class Base(DeclarativeBase): ...
class Billing:
    __table_args__ = {"schema": "billing"}
class Invoice(Billing, Base):
    __tablename__ = "invoice"
class Ledger(Base):
    __tablename__ = "ledger"
    __table_args__ = (UniqueConstraint("a"), {"schema": "app"})
class Hero(SQLModel, table=True):
    id: int
accounts = Table("account", metadata, Column("id"), schema="crm")
"""


def touched(source: str, *, typescript: bool = False, tables: dict[str, str] | None = None) -> list[Access]:
    models = Models(python_models([("models.py", MODELS.encode())]), tables or {})
    if typescript:
        return list(accesses(read_typescript(source.encode(), "a.ts"), models))
    return list(accesses(read_python(source.encode(), "a.py"), models))


def told(found: list[Access]) -> list[tuple[str, str]]:
    return [(access.table, access.command) for access in found]


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select * from a, b as x left join s.c on a.i = x.i, only d", ["a", "b", "s.c", "d"]),
        ("with q as (select 1 from a) select * from q join b using (i), c", ["a", "b", "c"]),
        ("insert into s.t (a) select a from u on conflict (a) do update set a = excluded.a", ["s.t", "u"]),
        ("update only t set x = o.y from o where t.i = o.i for update", ["t", "o"]),
        ("delete from t using u, v where t.i = u.i", ["t", "u", "v"]),
        ("merge into t using s on t.i = s.i when matched then update set a = 1", ["t", "s"]),
        ("copy t (a, b) from stdin", ["t"]),
        ("truncate table a, only b cascade", ["a", "b"]),
        ("select extract(epoch from created), trim(both from y) from t where a is distinct from b", ["t"]),
        ("select * from generate_series(1, 3) g, lateral (select 1 from u) x", ["u"]),
        ('select * from "Tenant"."User" where id = any($1,$2)', ["Tenant.User"]),
        ("select * from (a join b on true) x", ["a", "b"]),
        ("select 'x from y' from c -- from d", ["c"]),
        ("hello world from nowhere", []),
        ("select (", []),
    ],
)
def test_the_tables_of_sql_are_told_without_ctes_functions_and_syntax(sql: str, tables: list[str]) -> None:
    assert [use.table for use in table_uses(sql)] == tables


def test_what_is_done_to_a_table_is_told() -> None:
    uses = table_uses("with gone as (delete from a returning *) insert into b select * from gone")
    assert [(use.table, use.command) for use in uses] == [("a", "delete"), ("b", "insert")]


def test_models_take_their_schema_from_their_own_arguments_or_a_base() -> None:
    models = {model.name: model.table for model in python_models([("models.py", MODELS.encode())])}
    assert models == {
        "Invoice": "billing.invoice",
        "Ledger": "app.ledger",
        "Hero": "hero",
        "accounts": "crm.account",
    }


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "session.execute(select(Invoice.id).join(Ledger))",
            {("billing.invoice", "select"), ("app.ledger", "select")},
        ),
        ("session.execute(sa.update(Invoice).values(a=1))", {("billing.invoice", "update")}),
        ("session.add(Invoice(total=1))", {("billing.invoice", "insert")}),
        ("session.get(Invoice, 1)", {("billing.invoice", "select")}),
        ("session.query(Invoice).all()", {("billing.invoice", "select")}),
        ("c.execute(select(accounts.c.id))", {("crm.account", "select")}),
        ('cur.execute("SELECT 1 FROM billing.invoice")', {("billing.invoice", "select")}),
        ('cur.execute(f"DELETE FROM {table}")', set()),
        ("{}.update(Invoice)", set()),
        ("cache.get(Invoicing, 1)", set()),
        ('print("SELECT one from the list")', set()),
    ],
)
def test_python_statements_are_linked_to_tables(statement: str, expected: set[tuple[str, str]]) -> None:
    source = (
        "import sqlalchemy as sa\nfrom sqlalchemy import select\n"
        f"from models import Invoice, Ledger, accounts\n{statement}\n"
    )
    assert set(told(touched(source))) == expected


def test_an_object_that_is_added_later_is_an_insert_and_one_that_never_is_none() -> None:
    source = "from models import Invoice\ndef f(session):\n    one = Invoice(a=1)\n    {}\n"
    assert told(touched(source.format("session.add(one)"))) == [("billing.invoice", "insert")]
    assert told(touched(source.format("return one"))) == []


def test_a_constant_is_an_access_where_it_is_run_and_not_where_it_is_written() -> None:
    source = 'QUERY = "SELECT 1 FROM invoice"\ndef read(cursor):\n    cursor.execute(QUERY)\n'
    (access,) = touched(source)
    assert (access.function, access.place.line, access.executor) == ("read", 3, "cursor")


def test_a_class_of_another_module_with_a_models_name_is_no_model() -> None:
    assert touched("class Invoice: ...\ndef f(session):\n    session.add(Other(1))\n") == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("prisma.invoice.findMany({ where: { id } })", [("billing.invoice", "select")]),
        ("db.select().from(invoices)", [("billing.invoice", "select")]),
        ("db.insert(invoices).values(x)", [("billing.invoice", "insert")]),
        (
            "db.selectFrom('billing.invoice as i').innerJoin('crm.account', 'a', 'b')",
            [("billing.invoice", "select"), ("crm.account", "select")],
        ),
        ("Invoice.findAll()", [("billing.invoice", "select")]),
        ("pool.query('SELECT 1 FROM billing.invoice WHERE id = $1', [id])", [("billing.invoice", "select")]),
        ("const r = await prisma.$queryRaw`SELECT * FROM invoice WHERE id = ${id}`", [("invoice", "select")]),
        ("hash.update(secret)", []),
        ("list.from(other)", []),
    ],
)
def test_typescript_query_builders_are_linked_to_tables(
    statement: str, expected: list[tuple[str, str]]
) -> None:
    tables = dict.fromkeys(("invoice", "invoices", "Invoice"), "billing.invoice")
    found = told(touched(f"async function f(id) {{\n  {statement};\n}}\n", typescript=True, tables=tables))
    assert sorted(found) == sorted(expected)
