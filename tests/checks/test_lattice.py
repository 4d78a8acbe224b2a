"""Silence is never good news: for every check, over evidence of any kind, with waivers and without."""

from __future__ import annotations

import dataclasses
import itertools
import random
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.check import load_checks
from checks.verdicts import Bench
from controls.verdict import State, Verdict, combine
from evidence.kinds.waiver import Waiver
from evidence.record import Outcome, Record
from evidence.scope import Scope
from evidence.view import LoggedRecord, entries_of, evidence_of

CHECKS = load_checks()
IDS = sorted(CHECKS)
REFUSALS = [outcome for outcome in Outcome if outcome is not Outcome.OBSERVED]
RANK = {
    State.FAILED: 0,
    State.UNKNOWN: 0,
    State.WAIVED: 1,
    State.SATISFIED: 2,
    State.NOT_APPLICABLE: 2,
}
"""How good a state is to read; between failed and unknown silence may choose, neither is green."""

EACH = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_check = pytest.mark.parametrize("check", IDS)


@st.composite
def disturbed(draw: st.DrawFn, value: Any) -> Any:
    """A value of the same shape that differs in one place: what collectors of a worse world report."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = draw(st.sampled_from([field.name for field in dataclasses.fields(value)]))
        return dataclasses.replace(value, **{name: draw(disturbed(getattr(value, name)))})
    if isinstance(value, tuple) and value:
        place = draw(st.integers(0, len(value) - 1))
        item = draw(disturbed(value[place]))
        return draw(
            st.sampled_from(
                [
                    (*value[:place], *value[place + 1 :]),
                    (*value[:place], item, *value[place + 1 :]),
                    (*value, item),
                    (),
                ]
            )
        )
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw(st.sampled_from([0, 1, value + 1, max(value - 1, 0), 1000]))
    if isinstance(value, Enum):
        return draw(st.sampled_from(list(type(value))))
    if isinstance(value, str):
        return draw(st.sampled_from(["", "other", value + "_x", "TLSv1.0"]))
    return value


def _with(logged: LoggedRecord, **header: Any) -> LoggedRecord:
    record = logged.record
    return dataclasses.replace(
        logged, record=dataclasses.replace(record, header=dataclasses.replace(record.header, **header))
    )


def refused(logged: LoggedRecord, outcome: Outcome) -> LoggedRecord:
    header = dataclasses.replace(logged.record.header, outcome=outcome, reason="AccessDenied")
    return dataclasses.replace(logged, record=Record(header, None, "denied"))


def aged(logged: LoggedRecord, by: timedelta = timedelta(days=8)) -> LoggedRecord:
    header = logged.record.header
    observed = dataclasses.replace(
        header.observed, start=header.observed.start - by, end=header.observed.end - by
    )
    return _with(logged, observed=observed, recorded=header.recorded - by, expires=header.expires - by)


@st.composite
def silenced(draw: st.DrawFn, log: list[LoggedRecord]) -> tuple[list[LoggedRecord], set[str]]:
    """The log with some observations removed, refused or aged, and the kinds that this happened to."""
    kept: list[LoggedRecord] = []
    lost: set[str] = set()
    for logged in log:
        if isinstance(logged.record.payload, Scope | Waiver) or not draw(st.booleans()):
            kept.append(logged)
            continue
        lost.add(logged.record.header.kind)
        how = draw(st.sampled_from(["removed", "refused", "aged"]))
        if how == "refused":
            kept.append(refused(logged, draw(st.sampled_from(REFUSALS))))
        elif how == "aged":
            kept.append(aged(logged))
    return kept, lost


@st.composite
def evidence(draw: st.DrawFn, world: Any) -> list[LoggedRecord]:
    """A log of the healthy world in which up to four things are not as they should be."""
    log: list[LoggedRecord] = world.log()
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(1, len(log) - 1))
        record = log[place].record
        changed = dataclasses.replace(record, payload=draw(disturbed(record.payload)))
        log[place] = dataclasses.replace(log[place], record=changed)
    return log


def bench(world: Any, log: list[LoggedRecord], as_of: datetime | None = None) -> Bench:
    moment = as_of or world.as_of
    return Bench(evidence_of(log, 1000, moment), world.scope, entries=1000, as_of=moment)


def judged(on: Bench, check: str) -> Verdict:
    verdict = on.verdict(check)
    assert verdict is not None
    return verdict


@EACH
@given(data=st.data())
def test_adding_silence_never_improves_a_verdict(world: Any, data: st.DataObject) -> None:
    log = data.draw(evidence(world))
    quiet, lost = data.draw(silenced(log))
    told, hushed = bench(world, log), bench(world, quiet)
    for check, declared in CHECKS.items():
        before, after = judged(told, check), judged(hushed, check)
        if lost & {expect.kind.kind for expect in declared.expects}:
            assert RANK[after.state] == 0
            assert not after.completeness.complete
        else:
            assert after == before


@EACH
@given(data=st.data())
def test_silence_never_lets_a_waiver_cover_more(world: Any, data: st.DataObject) -> None:
    """Whatever deviates is waived; taking evidence or the waivers away makes it worse or leaves it."""
    log = data.draw(evidence(world))
    unwaived = bench(world, log)
    waivers = [
        Waiver(f"W-{check}", check, places, "platform", "moved", other, world.as_of + timedelta(days=30))
        for check in IDS
        if (places := tuple(one.where for one in judged(unwaived, check).deviations))
        and (other := "RLS-07" if check != "RLS-07" else "CRY-01")
    ]
    granted = [*log, *world.log(None, *waivers)[len(log) :]]
    quiet, _ = data.draw(silenced(granted))
    waived, hushed = bench(world, granted), bench(world, quiet)
    for check in IDS:
        own, before, after = (judged(one, check) for one in (unwaived, waived, hushed))
        assert RANK[after.state] <= RANK[before.state]
        if before != own:
            assert (own.state, before.state) == (State.FAILED, State.WAIVED)
            assert before.deviations == own.deviations


@EACH
@given(data=st.data())
def test_the_order_of_unrelated_records_never_matters(world: Any, data: st.DataObject) -> None:
    log = data.draw(evidence(world))
    order = random.Random(data.draw(st.integers())).sample(log, len(log))
    renumbered = [dataclasses.replace(one, entry=entry) for entry, one in enumerate(order)]
    straight, mixed = bench(world, log), bench(world, renumbered)
    assert [judged(mixed, check) for check in IDS] == [judged(straight, check) for check in IDS]


@every_check
def test_ageing_alone_ends_in_unknown_unless_it_failed(world: Any, check: str) -> None:
    assert judged(bench(world, [aged(one) for one in world.log()]), check).state is State.UNKNOWN
    later = judged(bench(world, world.log(), world.as_of + timedelta(days=8)), check)
    assert later.state is State.UNKNOWN
    assert later.completeness.stale


@every_check
def test_an_empty_scope_or_no_evidence_is_unknown(world: Any, check: str) -> None:
    for log, scope in (([], world.scope), (world.log(), world.empty_scope), ([], world.empty_scope)):
        seen = evidence_of(log, 1000, world.as_of)
        verdict = judged(Bench(seen, scope, entries=1000, as_of=world.as_of), check)
        assert verdict.state is State.UNKNOWN
        assert not verdict.completeness.complete


def test_combining_is_commutative_associative_and_idempotent() -> None:
    for a, b, c in itertools.product(State, repeat=3):
        assert combine([a, b]) is combine([b, a])
        assert combine([a, combine([b, c])]) is combine([combine([a, b]), c])
        assert combine([a, a]) is a
    assert combine([]) is State.UNKNOWN


@given(st.lists(st.sampled_from(State), min_size=1), st.randoms())
def test_combining_many_needs_no_order_and_no_repetition(states: list[State], dice: random.Random) -> None:
    shuffled = dice.sample(states, len(states))
    assert combine(shuffled) is combine(states) is combine(set(states)) is combine([*states, *states])


def test_the_whole_is_never_better_than_its_worst_part() -> None:
    for states in itertools.product(State, repeat=3):
        assert RANK[combine(states)] <= min(RANK[state] for state in states)


def test_a_log_numbers_its_entries(world: Any) -> None:
    log = world.log()
    assert [one.entry for one in log] == list(range(len(log)))
    assert entries_of(log) == len(log)
