"""Judging again gives the logged verdict byte for byte, and every departure from it is named."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from checks.reperform import needed_entries, reperform
from checks.verdicts import Bench
from controls.verdict import Completeness, Deviation, State, Verdict
from evidence.kinds.postgres import RowSecurity
from evidence.kinds.waiver import Waiver
from evidence.view import LoggedRecord, entries_of, evidence_of

from .conftest import aside

if TYPE_CHECKING:
    from collections.abc import Callable

USER = "identity.app_user"


def with_verdicts(
    log: list[LoggedRecord], world: Any, *, entries: int | None = None
) -> tuple[list[LoggedRecord], list[LoggedRecord]]:
    """The log with every check's verdict at its end, as the pipeline would log them; and the verdicts."""
    read = entries_of(log) if entries is None else entries
    seen = evidence_of(log, read, world.as_of)
    assert seen.scope
    on = Bench(seen, seen.scope, entries=read, as_of=world.as_of)
    verdicts = [verdict for check in ("CRY-01", "RLS-01", "RLS-07") if (verdict := on.verdict(check))]
    first = entries_of(log)
    logged = [
        aside(f"checks/{verdict.check}", f"check:{verdict.check}", verdict, first + n)
        for n, verdict in enumerate(verdicts)
    ]
    return [*log, *logged], logged


def changed(logged: LoggedRecord, **fields: Any) -> LoggedRecord:
    record = logged.record
    assert isinstance(record.payload, Verdict)
    payload = dataclasses.replace(record.payload, **fields)
    return dataclasses.replace(logged, record=dataclasses.replace(record, payload=payload))


def later(logged: LoggedRecord, by: int, **header: Any) -> LoggedRecord:
    record = logged.record
    changed = dataclasses.replace(record, header=dataclasses.replace(record.header, **header))
    return dataclasses.replace(
        logged, record=changed, entry=logged.entry + by, digest=f"{logged.digest}-{by}"
    )


def test_verdicts_follow_from_the_log(world: Any, with_table: Callable[..., Any]) -> None:
    ends = world.as_of + timedelta(days=30)
    waiver = Waiver("W-1", "RLS-01", (USER,), "platform", "moved", "CRY-01", ends)
    for log in (world.log(), world.log(with_table(USER, forced=False)), world.log(None, waiver)):
        records, verdicts = with_verdicts(log, world)
        assert reperform(records, verdicts) == []
    records, verdicts = with_verdicts(world.log(with_table(USER, forced=False), waiver), world)
    assert [one.record.payload.state for one in verdicts if one.record.payload.check == "RLS-01"] == [
        State.WAIVED
    ]
    assert reperform(records, verdicts) == []


def test_what_was_logged_afterwards_changes_nothing(world: Any, with_table: Callable[..., Any]) -> None:
    records, verdicts = with_verdicts(world.log(), world)
    red = world.log(with_table(USER, forced=False))[1:]
    assert reperform([*records, *(later(one, 1000) for one in red)], verdicts) == []


LIES: dict[str, dict[str, Any]] = {
    "state": {"state": State.SATISFIED},
    "reason": {"reason": "All is well."},
    "facts": {"facts": {"tables": 3, "enforced": 3, "deviations": 0}},
    "deviations": {"deviations": (Deviation("something smaller", USER),)},
    "claims": {"claims": ("RLS-01", "RLS-99")},
    "completeness": {"completeness": Completeness(("a",), ("a",))},
    "evidence": {"evidence": ("0" * 64,)},
    "scope": {"scope": "0" * 64},
    "source": {"source": "0" * 64},
    "valid_until": {"valid_until": None},
}


@pytest.mark.parametrize("field", LIES)
def test_a_verdict_that_does_not_follow_is_named_with_its_field_and_both_values(
    world: Any, with_table: Callable[..., Any], field: str
) -> None:
    records, verdicts = with_verdicts(world.log(with_table(USER, forced=False)), world)
    (honest,) = (one for one in verdicts if one.record.payload.check == "RLS-01")
    lie = changed(honest, **LIES[field])
    (difference,) = reperform(records, [one if one is not honest else lie for one in verdicts])
    assert (difference.check, difference.entry, difference.field) == ("RLS-01", honest.entry, field)
    assert json.loads(difference.logged) != json.loads(difference.again)
    assert difference.field in str(difference)


def test_a_judge_who_stopped_reading_before_the_bad_news_is_found_out(
    world: Any, with_table: Callable[..., Any]
) -> None:
    log = world.log()
    red = next(one for one in world.log(with_table(USER, forced=False)) if one.entry == 1)
    records, verdicts = with_verdicts([*log, later(red, len(log) - 1)], world, entries=len(log))
    found = reperform(records, verdicts)
    assert [(one.check, one.field) for one in found] == [("RLS-01", "entries")]
    assert "failed when entry" in found[0].again


def test_what_arrived_between_reading_and_logging_is_no_lie(world: Any) -> None:
    """Another process logged the same again meanwhile; or something that its judge could not know yet."""
    log = world.log()
    same = later(log[1], len(log) - 1)
    records, verdicts = with_verdicts([*log, same], world, entries=len(log))
    assert reperform(records, verdicts) == []
    unknown = later(log[1], len(log) - 1, recorded=world.as_of + timedelta(seconds=1))
    records, verdicts = with_verdicts([*log, unknown], world, entries=len(log))
    assert reperform(records, verdicts) == []


def test_a_judge_cannot_have_read_what_stands_behind_his_verdict(world: Any) -> None:
    records, verdicts = with_verdicts(world.log(), world)
    found = reperform(records, [changed(verdicts[0], entries=verdicts[0].entry + 1)])
    assert {one.field for one in found} == {"entries"}
    assert any("at most" in one.again for one in found)


def test_evidence_that_is_not_there_shows_as_a_difference(world: Any) -> None:
    records, verdicts = with_verdicts(world.log(), world)
    lost = [one for one in records if one.record.header.kind != RowSecurity.kind]
    found = reperform(lost, verdicts)
    assert {"state", "evidence", "completeness"} <= {one.field for one in found if one.check == "RLS-01"}
    (nothing, *_) = reperform(records[1:], verdicts)
    assert (nothing.field, nothing.again) == ("verdict", "no scope was known to its judge")


def test_a_check_that_is_gone_is_said_to_be(world: Any) -> None:
    records, verdicts = with_verdicts(world.log(), world)
    (gone,) = reperform(records, [changed(verdicts[0], check="OLD-01")])
    assert (gone.check, gone.field, gone.again) == ("OLD-01", "verdict", "there is no such check now")


def test_verdicts_of_several_moments_are_each_judged_by_what_was_read_then(
    world: Any, with_table: Callable[..., Any]
) -> None:
    first, verdicts = with_verdicts(world.log(), world)
    red = [later(one, len(first)) for one in world.log(with_table(USER, forced=False)) if one.entry == 1]
    second, more = with_verdicts([*first, *red], world)
    assert [
        one.record.payload.state for one in (*verdicts, *more) if one.record.payload.check == "RLS-01"
    ] == [
        State.SATISFIED,
        State.FAILED,
    ]
    assert reperform(second, [*more, *verdicts]) == []


@pytest.mark.parametrize("broken", [False, True])
def test_what_a_verdict_cites_and_its_scope_are_enough_to_judge_it_again(
    world: Any, with_table: Callable[..., Any], broken: bool
) -> None:
    ends = world.as_of + timedelta(days=30)
    waiver = Waiver("W-1", "RLS-01", (USER,), "platform", "moved", "CRY-01", ends)
    changes = with_table(USER, forced=False) if broken else None
    old, _ = with_verdicts(world.log(), world)
    now = [later(one, len(old)) for one in world.log(changes, waiver)]
    records, verdicts = with_verdicts([*old, *now], world)
    needed = set(needed_entries(records, verdicts))
    assert not needed & {one.entry for one in old}
    kept = [one for one in records if one.entry in needed]
    assert len(kept) < len(now)
    assert reperform(kept, verdicts) == []
    for lost in (one for one in kept if not isinstance(one.record.payload, Verdict)):
        assert reperform([one for one in kept if one is not lost], verdicts)
