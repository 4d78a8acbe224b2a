"""Joins across services: does each hold both sides to one tenant?"""

from __future__ import annotations

import pytest

from lint.catalogue import Catalogue, Column, ForeignKey, Key, Table
from lint.config import LintConfig
from lint.files import SourceFile
from lint.source.joins import Join, joins
from lint.source.python import read_python
from lint.source.readers import reader_map

FROM = "FROM billing.invoice i JOIN crm.account a"
MODELS = """
class Invoice(Base):
    __tablename__ = "invoice"
    __table_args__ = {"schema": "billing"}
class Account(Base):
    __tablename__ = "account"
    __table_args__ = {"schema": "crm"}
"""


def catalogue(*references: ForeignKey) -> Catalogue:
    columns = tuple(Column(name) for name in ("tenant_id", "id", "account_id", "total", "name"))
    key = (Key(("id",), "primary"), Key(("tenant_id", "id"), "unique"))
    tables = [
        Table("billing", "invoice", columns, "tenant_id", True, keys=key, foreign_keys=references),
        Table("billing", "line", columns, "tenant_id", True, keys=key),
        Table("crm", "account", columns, "tenant_id", True, keys=key),
    ]
    return Catalogue("db", {table.qualified: table for table in tables})


def found(source: str, *references: ForeignKey) -> list[Join]:
    from pathlib import Path

    files = [
        SourceFile("models.py", Path("models.py"), MODELS.encode()),
        SourceFile("a.py", Path("a.py"), source.encode()),
    ]
    sources = [read_python(source.encode(), "a.py"), read_python(MODELS.encode(), "models.py")]
    return list(joins(reader_map(sources, [catalogue(*references)], LintConfig(), files), files))


def in_bypass(sql: str, *references: ForeignKey) -> list[Join]:
    source = (
        f"def work(session):\n    session.execute(text('''{sql}'''), p)\n"
        "def sweep():\n    run_as_bypass(ALL, 'why', work)\n"
    )
    return found(source, *references)


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT 1 {FROM} ON a.tenant_id = i.tenant_id AND a.id = i.account_id",
        f"SELECT 1 {FROM} USING (tenant_id, id)",
        "SELECT 1 FROM billing.invoice NATURAL JOIN crm.account",
        f"SELECT 1 {FROM} ON a.id = i.account_id WHERE i.tenant_id = :t AND a.tenant_id = :t",
        f"SELECT 1 {FROM} ON a.id = i.account_id WHERE i.tenant_id = %(t)s AND a.tenant_id = %(t)s",
        f"SELECT 1 {FROM} ON a.id = i.account_id WHERE i.tenant_id = $1 AND a.tenant_id = $1::uuid",
        "SELECT 1 FROM billing.invoice i, crm.account a WHERE i.tenant_id = a.tenant_id",
        (
            "SELECT 1 FROM billing.invoice i JOIN billing.line l ON l.tenant_id = i.tenant_id "
            "JOIN crm.account a ON a.tenant_id = l.tenant_id"
        ),
        (
            "SELECT 1 FROM billing.invoice i WHERE (tenant_id, "
            "account_id) IN (SELECT tenant_id, id FROM crm.account)"
        ),
        (
            "SELECT 1 FROM billing.invoice i WHERE EXISTS (SELECT "
            "1 FROM crm.account a WHERE a.tenant_id = i.tenant_id)"
        ),
        (
            "WITH x AS (SELECT tenant_id AS t, id FROM crm.account) "
            "SELECT 1 FROM billing.invoice i JOIN x ON x.t = i.tenant_id"
        ),
        "UPDATE billing.invoice i SET total = 1 FROM crm.account a WHERE a.tenant_id = i.tenant_id",
        "DELETE FROM billing.invoice i USING crm.account a WHERE a.tenant_id = i.tenant_id",
    ],
)
def test_a_join_that_carries_the_tenant_on_both_sides_is_told(sql: str) -> None:
    (join,) = in_bypass(sql)
    assert (join.carried, join.missing, join.scope) == (True, "", "bypass")


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT 1 {FROM} ON a.id = i.account_id",
        f"SELECT 1 {FROM} ON a.id = i.account_id WHERE i.tenant_id = :t",
        f"SELECT 1 {FROM} ON a.id = i.account_id WHERE i.tenant_id = :t AND a.tenant_id = :other",
        f"SELECT 1 {FROM} ON a.id = i.account_id WHERE i.tenant_id = %s AND a.tenant_id = %s",
        f"SELECT 1 {FROM} ON a.tenant_id = i.tenant_id OR a.id = i.account_id",
        f"SELECT 1 {FROM} ON NOT (a.tenant_id = i.tenant_id)",
        f"SELECT 1 {FROM} ON a.tenant_id <> i.tenant_id",
        f"SELECT 1 {FROM} USING (id)",
        f"SELECT CASE WHEN a.tenant_id = i.tenant_id THEN 1 END {FROM} ON true",
        "SELECT 1 FROM billing.invoice i WHERE account_id IN (SELECT id FROM crm.account)",
        "UPDATE billing.invoice i SET total = 1 FROM crm.account a WHERE a.id = i.account_id",
    ],
)
def test_a_join_with_the_tenant_on_one_side_or_none_is_told(sql: str) -> None:
    (join,) = in_bypass(sql)
    assert not join.carried
    assert join.tables == ("billing.invoice", "crm.account")
    assert (
        join.missing == "billing.invoice.tenant_id and crm.account.tenant_id are not held to the same tenant"
    )


def test_a_composite_reference_with_the_tenant_carries_a_join_on_the_rest_of_it() -> None:
    sql = f"SELECT 1 {FROM} ON a.id = i.account_id"
    reference = ForeignKey(("tenant_id", "account_id"), "crm.account", ("tenant_id", "id"))
    assert in_bypass(sql, reference)[0].carried
    alone = ForeignKey(("account_id",), "crm.account", ("id",))
    assert not in_bypass(sql, alone)[0].carried


def test_joins_of_one_schema_and_inside_a_tenants_scope_are_none() -> None:
    assert in_bypass("SELECT 1 FROM billing.invoice i JOIN billing.line l ON l.id = i.id") == []
    loose = f"SELECT 1 {FROM} ON a.id = i.account_id"
    assert found(f"def f(session: TenantSession):\n    session.execute(text('{loose}'))\n") == []


@pytest.mark.parametrize(
    ("statement", "carried"),
    [
        ("select(Invoice).join(Account, Account.tenant_id == Invoice.tenant_id)", True),
        ("select(Invoice).join(Account, Account.id == Invoice.account_id)", False),
        (
            "select(Invoice, Account).where(and_(Account.tenant_id == Invoice.tenant_id, Account.id == 1))",
            True,
        ),
        (
            "select(Invoice, Account).where(or_(Account.tenant_id == Invoice.tenant_id, Account.id == 1))",
            False,
        ),
        ("select(Invoice, Account).where(Invoice.tenant_id == t, Account.tenant_id == t)", True),
        ("select(Invoice, Account).where(Invoice.tenant_id == t)", False),
    ],
)
def test_joins_of_sqlalchemy_are_judged_alike(statement: str, carried: bool) -> None:
    source = (
        "from sqlalchemy import select, and_, or_\nfrom models import Invoice, Account\n"
        f"def work(session: BypassSession):\n    return session.execute({statement})\n"
    )
    (join,) = found(source)
    assert (join.carried, join.scope, join.line) == (carried, "bypass", 4)


def test_a_statement_that_is_built_in_steps_is_one() -> None:
    source = (
        "from sqlalchemy import select\nfrom models import Invoice, Account\n"
        "def work(session: BypassSession):\n    query = select(Invoice, Account)\n"
        "    query = query.where(Account.tenant_id == Invoice.tenant_id)\n    session.execute(query)\n"
    )
    assert [join.carried for join in found(source)] == [True]


SAME = "Account.tenant_id == Invoice.tenant_id"


@pytest.mark.parametrize(
    ("bound", "carried"),
    [
        (f"    same = and_({SAME}, Account.id == Invoice.account_id)\n", True),
        (f"    same = (\n        ({SAME}) & (Account.id == Invoice.account_id)\n    )\n", True),
        (f"    tenants = {SAME}\n    same = and_(tenants, Account.id == Invoice.account_id)\n", True),
        ("    same = and_(Account.id == Invoice.account_id)\n", False),
        (f"    same = or_({SAME}, Account.id == Invoice.account_id)\n", False),
        (f"    same = {SAME}\n    same = Account.id == Invoice.account_id\n", False),
        (f"    if strict:\n        same = {SAME}\n", False),
        (f"    same: object = {SAME}\n", True),
        (f"    same, other = {SAME}, 1\n", False),
    ],
)
def test_a_condition_that_a_variable_holds_is_read_where_it_is_bound(bound: str, carried: bool) -> None:
    source = (
        "from sqlalchemy import select, and_, or_\nfrom models import Invoice, Account\n"
        f"def work(session: BypassSession):\n{bound}"
        "    return session.execute(select(Invoice.id).outerjoin(Account, same))\n"
    )
    (join,) = found(source)
    assert join.carried is carried
