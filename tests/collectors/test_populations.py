"""Populations of the platform's own database, each counted by a second source."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from collectors import populations
from collectors.boundary import look
from collectors.collector import NotObserved, Observed, Sighting
from collectors.populations import SOURCES, PopulationAccess, PopulationsCollector
from core_platform.events.streams import append_event
from core_platform.schema.identity import Tenant
from core_platform.schema.migrate import login_url
from core_platform.tenancy import Origin
from core_platform.tenancy.context import BypassReason
from evidence.kinds.population import Difference, Gap, Population
from evidence.record import Outcome
from evidence.sampling import ItemTree, item_leaves, item_salt, verify_item
from evidence.scope import Unit

UNIT = Unit("databases/core", "databases", "postgres:core", {})
OBJECT = """
INSERT INTO ai.ingested_object (tenant_id, object_hash, records, quarantined) VALUES ('{0}', '{1}', {2}, 0);
INSERT INTO ai.ai_spend_event (tenant_id, source_object_hash, line, request_id, occurred_at, account_id,
    region, model_id, operation) SELECT '{0}', '{1}', n, 'r', now(), '1', 'r', 'm', 'Converse'
    FROM generate_series(1, {3}) n;
"""


def sightings(access: PopulationAccess) -> dict[str, Sighting]:
    return {one.subject: one for one in look(PopulationsCollector(), UNIT, access)}


def seen(platform: Any, name: str, **window: datetime) -> Population:
    one = sightings(PopulationAccess(platform.admin_url, **window))[f"postgres:core/{name}"]
    assert isinstance(one, Observed), one
    assert isinstance(one.payload, Population)
    return one.payload


class Undo(Exception):
    """Rolls a bypass back."""


def test_every_source_is_seen_and_its_root_is_that_of_its_rows(platform: Any) -> None:
    found = sightings(PopulationAccess(platform.admin_url))
    assert set(found) == {f"postgres:core/{source.name}" for source in SOURCES}
    for one in found.values():
        assert isinstance(one, Observed)
        assert isinstance(one.payload, Population)
        population, salt = one.payload, bytes.fromhex(one.payload.salt)
        assert one.outcome is Outcome.OBSERVED
        assert population.count == len(population.items)
        tree = ItemTree(item_leaves(population.items, salt))
        assert tree.root.hex() == population.root
        for index, row in enumerate(population.items):
            verify_item(row, item_salt(salt, index), index, tree.size, tree.proof(index), tree.root)


def test_tenants_are_counted_by_their_states_too(platform: Any) -> None:
    population = seen(platform, "tenants")
    assert (population.name, population.count, population.second_count) == ("core.tenants", 2, 2)
    assert population.reconciled
    assert {row["name"] for row in population.items} == {"Tenant A", "Tenant B"}
    gone = uuid.uuid4()
    platform.execute(
        "INSERT INTO lifecycle.tenant_state_change (tenant_id, change_id, state, actor, change_ref)"
        f" VALUES ('{gone}', gen_random_uuid(), 'active', 'a', 'c')"
    )
    population = seen(platform, "tenants")
    assert population.differences == (Difference(str(gone), 0, 1),)
    assert not population.reconciled


def test_a_bypass_that_was_rolled_back_is_in_the_population_and_named_as_a_difference(platform: Any) -> None:
    def done(session: Any) -> None:
        session.scalar(select(Tenant.state))

    def undone(session: Any) -> None:
        done(session)
        raise Undo

    reason = BypassReason.ANOMALY_SWEEP
    platform.database.run_as_bypass(platform.a, reason, done, change_ref="CHG-1")
    with pytest.raises(Undo):
        platform.database.run_as_bypass(platform.b, reason, undone, change_ref="CHG-2")
    population = seen(platform, "bypass_uses")
    assert (population.count, population.second_count, population.difference_count) == (2, 1, 1)
    named = {row["entry_id"]: row["change_ref"] for row in population.items}
    (difference,) = population.differences
    assert named[difference.place] == "CHG-2"
    assert (difference.first, difference.second) == (1, 0)
    assert population.sequence == ""


def test_spend_events_are_held_against_the_counts_of_the_ingestion(platform: Any) -> None:
    platform.execute(OBJECT.format(platform.a, "h1", 3, 3) + OBJECT.format(platform.b, "h2", 5, 4))
    population = seen(platform, "spend_events")
    assert (population.count, population.second_count) == (7, 8)
    assert population.differences == (Difference(f"{platform.b}/h2", 4, 5),)
    assert "input_tokens" not in population.items[0]


def test_a_missing_event_is_a_gap_and_a_difference(platform: Any) -> None:
    for _ in range(5):
        platform.database.run_as_tenant(
            platform.a, Origin.REQUEST, lambda session: append_event(session, "s", "k", {}), actor="t"
        )
    whole = seen(platform, "events")
    assert (whole.count, whole.second_count, whole.gap_count, whole.reconciled) == (5, 5, 0, True)
    platform.execute(
        "ALTER TABLE events.event DISABLE TRIGGER ALL; DELETE FROM events.event WHERE position = 3"
    )
    torn = seen(platform, "events")
    assert torn.gaps == (Gap(f"{platform.a}/s", 2, 4),)
    assert torn.differences == (Difference(f"{platform.a}/s", 4, 5),)


def test_a_window_counts_by_both_sources_only_what_lies_in_it(platform: Any) -> None:
    platform.execute(
        f"INSERT INTO events.event_stream VALUES ('{platform.b}', 'old', 6);"
        "INSERT INTO events.event (tenant_id, stream, position, kind, at)"
        f" SELECT '{platform.b}', 'old', n, 'k', timestamptz '2026-01-01 00:00+00' + n * interval '1 day'"
        " FROM generate_series(1, 6) n"
    )
    start = datetime(2026, 1, 3, tzinfo=UTC)
    population = seen(platform, "events", start=start, end=start + timedelta(days=3))
    assert [row["position"] for row in population.items] == ["2", "3", "4"]
    assert (population.second_count, population.reconciled) == (3, True)
    assert population.window.start == start


def test_a_window_ends_now_by_the_database_and_begins_with_yesterday(platform: Any) -> None:
    future = datetime.now(UTC) + timedelta(days=400)
    window = seen(platform, "tenants", end=future).window
    assert window.end < datetime.now(UTC) + timedelta(minutes=1)
    assert timedelta(days=1) <= window.end - window.start < timedelta(days=2)
    assert (window.start.hour, window.start.minute) == (0, 0)


@pytest.mark.parametrize(("limit", "most"), [("MOST_ITEMS", 1), ("MOST_BYTES", 200)])
def test_more_than_a_population_may_hold_is_partial(
    platform: Any, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(populations, limit, most)
    one = sightings(PopulationAccess(platform.admin_url))["postgres:core/tenants"]
    assert isinstance(one, Observed)
    assert isinstance(one.payload, Population)
    assert (one.outcome, one.payload.count, len(one.payload.items)) == (Outcome.PARTIAL, 1, 1)
    assert one.reason == populations.TOO_MANY


def test_the_auditors_login_reads_its_log_and_is_refused_the_rest(platform: Any) -> None:
    platform.execute(
        "CREATE ROLE auditor LOGIN PASSWORD 'only-here' IN ROLE core_audit;"
        "DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO auditor', current_database()); END $$"
    )
    found = sightings(PopulationAccess(login_url(platform.admin_url, "auditor", "only-here")))
    assert isinstance(found.pop("postgres:core/bypass_uses"), Observed)
    assert {one.outcome for one in found.values()} == {Outcome.DENIED}


def test_the_application_sees_no_population_without_a_tenant(platform: Any) -> None:
    """A login that row security binds is refused, and never counts none."""
    for one in sightings(PopulationAccess(platform.app_url)).values():
        assert isinstance(one, NotObserved)
        assert one.outcome is Outcome.DENIED


def test_another_schema_is_unsupported_and_a_dead_server_unreachable(shop: Any) -> None:
    found = sightings(PopulationAccess(shop.superuser_dsn))
    assert {one.outcome for one in found.values()} == {Outcome.UNSUPPORTED}
    (one,) = look(PopulationsCollector(), UNIT, PopulationAccess("postgresql://127.0.0.1:1/x"))
    assert isinstance(one, NotObserved)
    assert one.outcome is Outcome.UNREACHABLE


def test_reading_can_change_nothing(platform: Any) -> None:
    connection = populations.connect(platform.admin_url)
    with connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction), populations._snapshot(connection):
        connection.execute("CREATE TABLE app.made ()")
