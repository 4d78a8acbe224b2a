from __future__ import annotations

import dataclasses
import threading
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from collectors.boundary import look
from collectors.collector import NotObserved, Observed
from collectors.isolation import IsolationCollector
from collectors.isolation_seed import fresh_value
from evidence.kinds.postgres import Attempt, AttemptResult, Isolation
from evidence.record import Outcome
from evidence.scope import Unit

UNIT = Unit("databases/core", "databases", "postgres:core", {})
HELD, LEAKED, INCONCLUSIVE = AttemptResult.HELD, AttemptResult.LEAKED, AttemptResult.INCONCLUSIVE
PROBES = {
    "own_rows",
    "select",
    "insert",
    "move",
    "update",
    "delete",
    "unset_tenant",
    "empty_tenant",
    "row_security_off",
    "injected_setting",
}


def observed(access: Any) -> Isolation:
    (sighting,) = look(IsolationCollector(), UNIT, access)
    assert isinstance(sighting, Observed), sighting
    assert isinstance(sighting.payload, Isolation)
    return sighting.payload


def attempts(payload: Isolation, table: str) -> dict[str, Attempt]:
    return {attempt.probe: attempt for attempt in payload.attempts if attempt.table == table}


def results(payload: Isolation, table: str) -> dict[str, AttemptResult]:
    return {probe: attempt.result for probe, attempt in attempts(payload, table).items()}


def content(shop: Any) -> list[Any]:
    with psycopg.connect(shop.superuser_dsn) as connection:
        customers = connection.execute("SELECT * FROM shop.customer ORDER BY 1, 2").fetchall()
        return customers + connection.execute("SELECT * FROM shop.invoice ORDER BY 1, 3").fetchall()


def test_a_protected_database_holds_in_every_probe_but_the_setting_anyone_may_set(shop: Any) -> None:
    before = content(shop)
    payload = observed(shop.isolation)
    for table in ("shop.customer", "shop.invoice"):
        found = results(payload, table)
        assert found.keys() == PROBES
        assert {probe for probe, result in found.items() if result is not HELD} == {"injected_setting"}
        assert attempts(payload, table)["injected_setting"].foreign_rows == 3
        assert attempts(payload, table)["insert"].sqlstate == "42501"
        assert attempts(payload, table)["row_security_off"].sqlstate == "42501"
        assert attempts(payload, table)["unset_tenant"].sqlstate == ""
    assert (payload.attempted, payload.held, payload.leaked, payload.inconclusive) == (20, 18, 2, 0)
    assert content(shop) == before


def test_a_policy_widened_to_true_leaks_the_exact_number_of_foreign_rows(shop: Any) -> None:
    shop.execute("ALTER POLICY own ON shop.customer USING (true) WITH CHECK (true)")
    found = attempts(observed(shop.isolation), "shop.customer")
    assert (found["select"].result, found["select"].foreign_rows) == (LEAKED, 3)
    assert (found["update"].result, found["update"].foreign_rows) == (LEAKED, 3)
    assert (found["insert"].result, found["insert"].foreign_rows) == (LEAKED, 1)
    assert found["unset_tenant"].result is LEAKED
    assert found["delete"].result is LEAKED
    assert found["row_security_off"].result is HELD


def test_row_security_switched_off_leaks_everywhere(shop: Any) -> None:
    shop.execute("ALTER TABLE shop.invoice DISABLE ROW LEVEL SECURITY")
    payload = observed(shop.isolation)
    found = results(payload, "shop.invoice")
    assert {probe for probe, result in found.items() if result is not LEAKED} == {"own_rows"}
    assert attempts(payload, "shop.invoice")["delete"].foreign_rows == 3
    assert results(payload, "shop.customer")["select"] is HELD


def test_an_insert_check_of_true_leaks_the_insert_alone(shop: Any) -> None:
    shop.execute(
        "ALTER POLICY own ON shop.invoice USING (tenant_id ="
        " (SELECT nullif(current_setting('shop.tenant', true), '')::uuid));"
        "CREATE POLICY adding ON shop.invoice FOR INSERT TO shop_app WITH CHECK (true)"
    )
    found = results(observed(shop.isolation), "shop.invoice")
    assert {probe for probe, result in found.items() if result is LEAKED} == {"insert", "injected_setting"}


def test_rows_that_can_be_given_away_are_found_although_no_select_policy_shows_them(shop: Any) -> None:
    shop.execute(
        "CREATE POLICY changing ON shop.customer FOR UPDATE TO shop_app USING (true) WITH CHECK (true)"
    )
    found = attempts(observed(shop.isolation), "shop.customer")
    assert found["select"].result is HELD
    assert found["move"].result is LEAKED
    assert found["update"].result is LEAKED
    assert (found["move"].foreign_rows, found["move"].sqlstate) == (0, "23503")
    assert "constraint" in found["move"].note


def test_a_login_that_no_policy_binds_leaks(shop: Any) -> None:
    shop.execute("ALTER ROLE shop_app BYPASSRLS")
    try:
        found = results(observed(shop.isolation), "shop.customer")
    finally:
        shop.execute("ALTER ROLE shop_app NOBYPASSRLS")
    assert found["select"] is LEAKED
    assert found["row_security_off"] is LEAKED


def test_a_table_without_own_rows_is_inconclusive_never_held(shop: Any) -> None:
    shop.execute("DELETE FROM shop.invoice")
    payload = observed(shop.isolation)
    found = results(payload, "shop.invoice")
    assert found["own_rows"] is INCONCLUSIVE
    assert found["select"] is INCONCLUSIVE
    assert found["insert"] is INCONCLUSIVE
    assert "no row of its own" in attempts(payload, "shop.invoice")["select"].note
    assert payload.inconclusive >= 8


def test_a_policy_that_hides_even_own_rows_is_inconclusive(shop: Any) -> None:
    shop.execute("ALTER POLICY own ON shop.customer USING (false)")
    found = results(observed(shop.isolation), "shop.customer")
    assert set(found.values()) == {INCONCLUSIVE}


def test_a_policy_open_to_whoever_binds_no_tenant_leaks_in_that_probe(shop: Any) -> None:
    shop.execute(
        "ALTER POLICY own ON shop.customer USING (current_setting('shop.tenant', true) IS NULL"
        " OR tenant_id = nullif(current_setting('shop.tenant', true), '')::uuid)"
    )
    found = attempts(observed(shop.isolation), "shop.customer")
    assert (found["unset_tenant"].result, found["unset_tenant"].foreign_rows) == (LEAKED, 6 - 3)
    assert found["select"].result is HELD
    assert found["empty_tenant"].result is HELD


def test_a_missing_grant_holds_with_its_sqlstate(shop: Any) -> None:
    shop.execute("REVOKE ALL ON shop.invoice FROM shop_app")
    found = attempts(observed(shop.isolation), "shop.invoice")
    assert {attempt.result for attempt in found.values()} == {HELD}
    assert found["delete"].sqlstate == "42501"
    assert "not granted" in found["delete"].note


def test_a_tenant_table_whose_key_is_the_tenant_alone_is_probed_with_a_new_tenant(shop: Any) -> None:
    attacker, victim = shop.isolation.tenants
    shop.execute(
        "CREATE TABLE shop.tenant (tenant_id uuid PRIMARY KEY, name text);"
        "GRANT ALL ON shop.tenant TO shop_app;"
        f"INSERT INTO shop.tenant VALUES ('{attacker}', 'a'), ('{victim}', 'b')"
    )
    found = attempts(observed(shop.isolation), "shop.tenant")
    assert (found["insert"].result, found["insert"].foreign_rows) == (LEAKED, 1)


def test_a_lock_held_by_others_makes_an_attempt_inconclusive_and_does_not_hang(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.postgres.LOCK_TIMEOUT", timedelta(milliseconds=200))
    started = time.monotonic()
    with psycopg.connect(shop.superuser_dsn) as other:
        other.execute("LOCK TABLE shop.invoice IN SHARE MODE")
        found = attempts(observed(shop.isolation), "shop.invoice")
    assert found["delete"].result is INCONCLUSIVE
    assert found["delete"].sqlstate == "55P03"
    assert found["select"].result is HELD
    assert time.monotonic() - started < 10


def test_rows_that_traffic_adds_meanwhile_are_not_taken_for_foreign_ones(shop: Any) -> None:
    attacker, _ = shop.isolation.tenants
    ended = threading.Event()

    def traffic() -> None:
        with psycopg.connect(shop.app_dsn, autocommit=True) as connection:
            connection.execute("SELECT set_config('shop.tenant', %s, false)", (attacker,))
            while not ended.is_set():
                connection.execute(
                    "INSERT INTO shop.customer VALUES (%s, gen_random_uuid(), 'c')", (attacker,)
                )

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        leaks = {
            attempt.probe
            for _ in range(3)
            for attempt in observed(shop.isolation).attempts
            if attempt.result is LEAKED
        }
    finally:
        ended.set()
        thread.join()
    assert leaks == {"injected_setting"}


def test_a_probe_through_another_login_is_refused_by_the_collector(shop: Any) -> None:
    catalog = dataclasses.replace(shop.isolation.catalog, dsn=shop.superuser_dsn)
    (sighting,) = look(IsolationCollector(), UNIT, dataclasses.replace(shop.isolation, catalog=catalog))
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.UNSUPPORTED
    assert "application role" in sighting.reason


def test_a_database_without_tenant_tables_is_no_observation(shop: Any) -> None:
    shop.execute("DROP TABLE shop.invoice, shop.customer")
    (sighting,) = look(IsolationCollector(), UNIT, shop.isolation)
    assert isinstance(sighting, NotObserved)
    assert sighting.outcome is Outcome.PARTIAL


def test_fresh_values_fit_their_types() -> None:
    short = fresh_value("character varying(8)")
    assert short is not None
    assert len(short) == 8
    assert fresh_value("point") is None
