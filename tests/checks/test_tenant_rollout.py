"""The rollout: a session that carries a tenant over is named, and what was not tried shows nothing."""

from datetime import UTC, datetime

import pytest

from controls.verdict import State
from evidence.kinds.platform import TenantContext
from evidence.kinds.postgres import RlsWaves, RowSecurity, WaveStep

NOW = datetime(2026, 11, 23, tzinfo=UTC)
USER = "identity.app_user"


def walked(*waves):
    """The record of a table that went through these waves; the other tables are gone from it."""
    steps = tuple(WaveStep(USER, number, wave, "ada", NOW) for number, wave in enumerate(waves, 1))

    def change(record):
        kept = tuple(step for step in record.steps if step.table != USER)
        return RlsWaves(record.tables, (*kept, *steps))

    return {RlsWaves: change}


@pytest.mark.parametrize(
    "waves",
    [
        ("enforce",),
        ("enforce", "canary"),
        ("columns", "wrap", "observe", "wrap", "observe", "verify", "enforce"),
    ],
)
def test_a_table_may_walk_the_waves_and_go_back(world, waves):
    assert world.judge("RLS-03", walked(*waves)).state is State.SATISFIED


@pytest.mark.parametrize(
    "waves",
    [
        (),
        ("columns", "enforce"),
        ("observe", "verify", "enforce"),
        ("enforce", "observe", "verify", "enforce"),
        ("columns", "wrap"),
        ("columns", "wrap", "observe", "verify", "done"),
    ],
)
def test_a_skipped_wave_or_a_record_unlike_the_catalog_is_named(world, waves):
    verdict = world.judge("RLS-03", walked(*waves))
    assert verdict.state is State.FAILED
    assert {one.where for one in verdict.deviations} == {USER}


def test_a_table_that_lost_its_protection_is_unlike_the_record(world, with_table):
    verdict = world.judge("RLS-03", with_table(USER, forced=False))
    assert (verdict.state, {one.where for one in verdict.deviations}) == (State.FAILED, {USER})


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"left_behind": 1}, "tenant ticket"),
        ({"foreign_rows": 3}, "tenant rows"),
        ({"unbound_sqlstate": ""}, "unbound statement"),
        ({"unbound_sqlstate": "42P01"}, "unbound statement"),
    ],
)
def test_what_a_connection_keeps_is_named(world, with_fields, fields, where):
    verdict = world.judge("RLS-06", with_fields(TenantContext, **fields))
    assert verdict.state is State.FAILED
    assert {one.where for one in verdict.deviations} == {where}


@pytest.mark.parametrize("fields", [{"backends": 2}, {"sessions": 1}, {"own_rows": 0}])
def test_sessions_that_show_nothing_are_unknown(world, with_fields, fields):
    assert world.judge("RLS-06", with_fields(TenantContext, **fields)).state is State.UNKNOWN


def test_an_open_table_of_the_ai_schema_is_named_and_counted(world, with_table):
    verdict = world.judge("RLS-15", with_table("ai.ai_spend_event", forced=False))
    assert verdict.state is State.FAILED
    assert {one.where for one in verdict.deviations} == {"ai.ai_spend_event"}
    assert (verdict.facts["enforced"], verdict.facts["tables"]) == (0, 1)


def test_a_catalog_without_ai_tables_shows_nothing(world, with_fields):
    assert world.judge("RLS-15", with_fields(RowSecurity, tables=())).state is State.UNKNOWN
