"""The platform's own database, seen by the collectors that audit it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from collectors.boundary import look
from collectors.collector import Observed
from collectors.isolation import IsolationCollector
from collectors.postgres import PostgresAccess
from collectors.row_security import RowSecurityCollector
from evidence.kinds.postgres import AttemptResult, Isolation, RowSecurity
from evidence.scope import Unit

UNIT = Unit("databases/core", "databases", "postgres:core", {})

ROWS = """
INSERT INTO identity.app_user (tenant_id, user_id, email, name) VALUES ({0}, gen_random_uuid(), 'a@b.c', 'a');
INSERT INTO identity.agent VALUES ({0}, {0}, 'gpu-01');
INSERT INTO identity.agent_key (tenant_id, key_id, agent_id, pepper_version)
    VALUES ({0}, 'ak_1.p1', {0}, 'p1');
INSERT INTO integration.connection (tenant_id, connection_id, kind, name, external_ref)
    VALUES ({0}, {0}, 'aws', 'main', '111122223333');
INSERT INTO integration.connection_secret (tenant_id, connection_id, key_version, ciphertext)
    VALUES ({0}, {0}, '1', 'x');
INSERT INTO gpu.agent_stream (tenant_id, agent_id, epoch) VALUES ({0}, {0}, {0});
INSERT INTO gpu.gpu_sample VALUES ({0}, {0}, {0}, 1, 0, now(), 1, 1, 1);
INSERT INTO ai.ai_spend_event (tenant_id, source_object_hash, line, request_id, occurred_at, account_id,
    region, model_id, operation) VALUES ({0}, 'h', 0, 'r', now(), '1', 'r', 'm', 'Converse');
INSERT INTO ai.ingested_object (tenant_id, object_hash, records, quarantined) VALUES ({0}, 'h', 1, 0);
INSERT INTO ai.quarantined_record (tenant_id, object_hash, line, error_class) VALUES ({0}, 'h', 0, 'json');
INSERT INTO audit.audit_log (tenant_id, entry_id, origin, actor, action)
    VALUES ({0}, gen_random_uuid(), 'o', 'a', 'x');
INSERT INTO actions.action_request (tenant_id, action_id, kind, target, requested_by)
    VALUES ({0}, {0}, 'gpu.stop', 'gpu-01', 'a');
INSERT INTO actions.action_transition VALUES ({0}, {0}, 1, 'proposed', 'a');
INSERT INTO events.event_stream VALUES ({0}, 's', 1);
INSERT INTO events.event VALUES ({0}, 's', 1, 'k');
INSERT INTO lifecycle.legal_hold (tenant_id, hold_id, reason, placed_by) VALUES ({0}, {0}, 'audit', 'a');
INSERT INTO lifecycle.export_bundle (tenant_id, export_id, requested_by) VALUES ({0}, {0}, 'a');
INSERT INTO lifecycle.retention_setting VALUES ({0}, 'events', 30, 'a');
INSERT INTO ai.budget VALUES ({0}, 'm', 1000, 'a');
INSERT INTO ai.anomaly_decision VALUES ({0}, 'm', '2026-11-01', 'r', 1, 1, 'normal');
INSERT INTO ai.recommendation VALUES ({0}, {0}, 'r', 's', 1);
INSERT INTO ai.recommendation_feedback VALUES ({0}, {0}, {0}, 'accepted', 'a');
"""


@pytest.fixture(scope="module")
def seeded(platform: Any) -> Any:
    for tenant in (platform.a, platform.b):
        platform.execute(ROWS.format(f"'{tenant}'::uuid"))
    return platform


def probe(platform: Any) -> Isolation:
    (sighting,) = look(IsolationCollector(), UNIT, platform.isolation)
    assert isinstance(sighting, Observed), sighting
    assert isinstance(sighting.payload, Isolation)
    return sighting.payload


def leaked(payload: Isolation) -> set[tuple[str, str]]:
    return {
        (attempt.table, attempt.probe)
        for attempt in payload.attempts
        if attempt.result is AttemptResult.LEAKED
    }


@contextmanager
def broken(platform: Any, how: str, mended: str) -> Iterator[None]:
    platform.execute(how)
    try:
        yield
    finally:
        platform.execute(mended)


def test_every_attempt_in_every_tenant_table_is_held_under_sealed_tickets(seeded: Any) -> None:
    started = time.monotonic()
    payload = probe(seeded)
    assert time.monotonic() - started < 5
    assert [one for one in payload.attempts if one.result is not AttemptResult.HELD] == []
    tables = {attempt.table for attempt in payload.attempts}
    assert {"identity.tenant", "gpu.gpu_sample", "audit.audit_log"} <= tables
    assert payload.attempted == 10 * len(tables)
    unset = {one.sqlstate for one in payload.attempts if one.probe in ("unset_tenant", "injected_setting")}
    assert unset == {"42501"}


def test_one_widened_policy_is_found_in_its_table_alone(seeded: Any) -> None:
    good = "tenant_id = (SELECT app.current_tenant())"
    alter = "ALTER POLICY tenant_isolation ON {} USING ({}) WITH CHECK ({})"
    for table in ("gpu.gpu_sample", "identity.agent", "identity.tenant"):
        with broken(seeded, alter.format(table, "true", "true"), alter.format(table, good, good)):
            found = leaked(probe(seeded))
        assert (table, "select") in found
        assert (table, "insert") in found
        assert {name for name, _ in found} == {table}


def test_an_insert_check_of_true_is_found_behind_foreign_keys_too(seeded: Any) -> None:
    for table in ("gpu.gpu_sample", "integration.connection_secret", "audit.audit_log"):
        policy = f"CREATE POLICY wide ON {table} FOR INSERT TO core_app WITH CHECK (true)"
        with broken(seeded, policy, f"DROP POLICY wide ON {table}"):
            assert leaked(probe(seeded)) == {(table, "insert")}


def test_row_security_without_force_or_without_enable_is_seen(seeded: Any) -> None:
    with broken(
        seeded,
        "ALTER TABLE ai.ai_spend_event DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE ai.ai_spend_event ENABLE ROW LEVEL SECURITY",
    ):
        assert ("ai.ai_spend_event", "unset_tenant") in leaked(probe(seeded))


def test_a_policy_that_a_setting_switches_off_is_found_by_switching_it(seeded: Any) -> None:
    good = "tenant_id = (SELECT app.current_tenant())"
    alter = "ALTER POLICY tenant_isolation ON integration.connection USING ({})"
    switch = f"{good} OR current_setting('app.rls_bypass', true) = 'on'"
    with broken(seeded, alter.format(switch), alter.format(good)):
        assert ("integration.connection", "injected_setting") in leaked(probe(seeded))


def test_the_catalog_of_the_platform_is_read_in_full(seeded: Any) -> None:
    (sighting,) = look(RowSecurityCollector(), UNIT, PostgresAccess(seeded.app_url, "core_app"))
    assert isinstance(sighting, Observed), sighting
    payload = sighting.payload
    assert isinstance(payload, RowSecurity)
    tenant_tables = [table for table in payload.tables if table.tenant_column]
    assert len(tenant_tables) >= 11
    assert all(table.enabled and table.forced for table in tenant_tables)
    roles = {role.name: role for role in payload.roles}
    assert {"core_app", "core_bypass"} <= roles.keys()
    app = roles["core_app"]
    assert (app.superuser, app.bypass_rls, app.owns_tables, app.member_of) == (False, False, 0, ())
    routine = next(one for one in payload.definer_routines if one.name == "app.current_tenant()")
    assert routine.pinned_search_path
    assert not routine.owner_bypasses
