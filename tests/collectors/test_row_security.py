from __future__ import annotations

import dataclasses
from typing import Any

from collectors.boundary import look
from collectors.collector import NotObserved, Observed
from collectors.row_security import RowSecurityCollector, names_table
from evidence.kinds.postgres import RowSecurity, Table
from evidence.record import Outcome
from evidence.scope import Unit

UNIT = Unit("databases/core", "databases", "postgres:core", {})


def observed(shop: Any) -> RowSecurity:
    (sighting,) = look(RowSecurityCollector(), UNIT, shop.catalog)
    assert isinstance(sighting, Observed), sighting
    assert isinstance(sighting.payload, RowSecurity)
    return sighting.payload


def table(payload: RowSecurity, name: str) -> Table:
    return next(table for table in payload.tables if table.name == name)


def test_the_catalog_is_told_as_it_is(shop: Any) -> None:
    payload = observed(shop)
    customer = table(payload, "shop.customer")
    assert customer.classification == "tenant"
    assert (customer.enabled, customer.forced, customer.tenant_column) == (True, True, "tenant_id")
    assert customer.owner == "shop_owner"
    (policy,) = customer.policies
    assert (policy.permissive, policy.command, policy.roles) == (True, "ALL", ("shop_app",))
    assert policy.using is not None
    assert "shop.tenant" in policy.using
    assert policy.check is None
    assert payload.server_version >= 130000


def test_a_table_is_classified_by_its_comment_and_else_by_the_registry(shop: Any) -> None:
    payload = observed(shop)
    assert table(payload, "shop.country").classification == "global"
    assert table(payload, "shop.invoice").classification == "unclassified"
    access = dataclasses.replace(shop.catalog, declared={"shop.invoice": "tenant"})
    (sighting,) = look(RowSecurityCollector(), UNIT, access)
    assert isinstance(sighting, Observed)
    assert isinstance(sighting.payload, RowSecurity)
    assert table(sighting.payload, "shop.invoice").classification == "tenant"


def test_switched_off_row_security_a_nullable_tenant_and_a_missing_force_are_seen(shop: Any) -> None:
    shop.execute(
        "ALTER TABLE shop.customer DISABLE ROW LEVEL SECURITY;"
        "ALTER TABLE shop.invoice NO FORCE ROW LEVEL SECURITY;"
        "CREATE TABLE shop.note (tenant_id uuid, words text)"
    )
    payload = observed(shop)
    assert not table(payload, "shop.customer").enabled
    assert not table(payload, "shop.invoice").forced
    assert table(payload, "shop.note").tenant_column_nullable


def test_the_application_role_is_listed_with_what_it_may_become(shop: Any) -> None:
    shop.execute("GRANT shop_owner TO shop_app")
    try:
        roles = {role.name: role for role in observed(shop).roles}
    finally:
        shop.execute("REVOKE shop_owner FROM shop_app")
    assert roles["shop_app"].can_login
    assert roles["shop_app"].member_of == ("shop_owner",)
    assert roles["shop_owner"].owns_tables == 3
    assert roles["postgres"].superuser


def test_definer_routines_and_views_name_the_tenant_tables_they_read(shop: Any) -> None:
    shop.execute(
        "CREATE FUNCTION shop.all_customers() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
        " AS 'SELECT count(*) FROM shop.customer';"
        "CREATE VIEW shop.names AS SELECT name FROM shop.customer;"
        "CREATE VIEW shop.names_of_names WITH (security_invoker = true) AS SELECT * FROM shop.names;"
        "CREATE VIEW shop.countries AS SELECT * FROM shop.country"
    )
    payload = observed(shop)
    (routine,) = payload.definer_routines
    assert routine.name == "shop.all_customers()"
    assert (routine.owner, routine.owner_bypasses, routine.pinned_search_path) == ("postgres", True, False)
    assert routine.reads == ("shop.customer",)
    views = {view.name: view for view in payload.views}
    assert views.keys() == {"shop.names", "shop.names_of_names"}
    assert not views["shop.names"].security_invoker
    assert views["shop.names_of_names"].security_invoker
    assert views["shop.names_of_names"].reads == ("shop.customer",)


def test_a_bare_name_counts_only_where_a_table_stands() -> None:
    assert names_table('SELECT * FROM "customer" c', "shop", "customer")
    assert names_table("PERFORM 1 FROM shop . customer", "shop", "customer")
    assert not names_table("RAISE 'no customer'", "shop", "customer")
    assert not names_table("SELECT * FROM customer.thing", "shop", "customer")


def test_a_wrong_password_is_denied_and_a_missing_server_is_unreachable(shop: Any) -> None:
    denied = dataclasses.replace(
        shop.catalog, dsn=shop.server.url("shop_app", shop.database, "not-the-password")
    )
    nowhere = dataclasses.replace(shop.catalog, dsn="postgresql://u@/d?host=/nowhere-at-all")
    nobody = dataclasses.replace(shop.catalog, application_role="nobody_such")
    outcomes = []
    for access in (denied, nowhere, nobody):
        (sighting,) = look(RowSecurityCollector(), UNIT, access)
        assert isinstance(sighting, NotObserved)
        assert sighting.kind is RowSecurity
        outcomes.append(sighting.outcome)
    assert outcomes == [Outcome.DENIED, Outcome.UNREACHABLE, Outcome.UNREACHABLE]
