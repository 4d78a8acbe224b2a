"""The rollout: a session that carries a tenant over is named, and what was not tried shows nothing."""

import pytest

from controls.verdict import State
from evidence.kinds.platform import TenantContext
from evidence.kinds.postgres import RowSecurity


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
