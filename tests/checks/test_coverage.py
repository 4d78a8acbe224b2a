"""Coverage over a window: each day of each unit, from what was logged and from the scope of that day."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.check import Check, Expect, load_checks
from checks.coverage import CheckCoverage, Day, KnownScope, coverage, letters, tally
from controls.verdict import Verdict
from evidence.kinds.postgres import Isolation, RowSecurity
from evidence.record import CollectorId, Header, Interval, Outcome
from evidence.scope import Scope, Unit

FIRST = date(2026, 11, 2)
START = datetime(2026, 11, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CORE = Unit("databases/core", "databases", "postgres:core", {})
OTHER = Unit("databases/other", "databases", "postgres:other", {})
SCOPE = KnownScope(START - DAY, Scope("demo", (CORE,)))


def a_check(*expects: Expect) -> Check:
    def body(*_: object) -> Verdict:
        raise AssertionError("coverage judges nothing")

    return Check("X-01", "tenant_isolation", "It holds.", ("X-01",), expects, body, "00" * 32)


DAILY = a_check(Expect(RowSecurity, over="databases", every=DAY))
WEEKLY = a_check(Expect(RowSecurity, over="databases", every=7 * DAY))


def look(
    at: datetime, *, after: timedelta = timedelta(), unit: Unit = CORE, outcome: Outcome = Outcome.OBSERVED
):
    return Header(
        run="r",
        unit=unit.id,
        kind=RowSecurity.kind,
        subject=unit.subject,
        observed=Interval(at, at),
        recorded=at + after,
        expires=at + 7 * DAY,
        collector=CollectorId("test", "1", "0" * 64),
        outcome=outcome,
        reason="" if outcome is Outcome.OBSERVED else "denied",
    )


def covered(
    *headers: Header, check: Check = DAILY, scopes=(SCOPE,), days: int = 7, known: datetime = START + 30 * DAY
) -> CheckCoverage:
    [row] = coverage([check], headers, scopes, first=FIRST, last=FIRST + (days - 1) * DAY, known=known)
    return row


def strip(*headers: Header, **how) -> str:
    return letters(covered(*headers, **how).days)


def at(day: int, hour: int = 2) -> datetime:
    return START + day * DAY + hour * HOUR


def test_each_day_says_what_arrived_on_it() -> None:
    row = covered(
        look(at(0)),
        look(at(1), after=5 * DAY),
        look(at(2), outcome=Outcome.THROTTLED),
        look(at(3)),
        # nothing on the fourth and fifth day
        look(at(6), outcome=Outcome.PARTIAL),
    )
    assert letters(row.days) == "rlxrsmx"
    assert dataclasses.asdict(row.totals) == {
        "expected": 7,
        "received": 2,
        "late": 1,
        "stale": 1,
        "refused": 2,
        "missing": 1,
        "without_unit": 0,
    }
    assert row.units[0].refusals == 2


def test_one_look_in_time_is_enough_whatever_else_failed_that_day() -> None:
    looks = [look(at(0)), look(at(0, 3), outcome=Outcome.DENIED), look(at(0, 4), after=9 * DAY)]
    assert strip(*looks, days=1) == "r"
    assert strip(*looks[1:], days=1) == "l"
    assert strip(looks[1], days=1) == "x"
    assert covered(*looks, days=1).units[0].refusals == 1


def test_a_day_belongs_to_utc() -> None:
    before_midnight = START + DAY - timedelta(milliseconds=1)
    assert strip(look(before_midnight), look(START + DAY), days=3) == "rrm"


def test_a_day_that_is_not_over_is_open_and_no_gap() -> None:
    assert strip(look(at(0)), days=3, known=at(1, 12)) == "roo"
    assert strip(look(at(0)), look(at(1)), days=3, known=at(1, 12)) == "rro"
    assert covered(look(at(0)), days=3, known=at(1, 12)).totals.expected == 1


def test_what_was_logged_after_the_moment_of_knowledge_is_not_there() -> None:
    assert strip(look(at(0), after=3 * DAY), days=1, known=START + 2 * DAY) == "m"
    assert strip(look(at(0), after=3 * DAY), days=1) == "l"


def test_a_record_that_was_logged_before_it_was_seen_proves_no_later_day() -> None:
    assert strip(look(at(3), after=-2 * DAY), days=4) == "mmmm"


def test_days_before_a_unit_came_into_scope_are_not_expected() -> None:
    scopes = (
        SCOPE,
        KnownScope(at(2), Scope("demo", (CORE, OTHER))),
        KnownScope(at(4), Scope("demo", (OTHER,))),
    )
    row = covered(*(look(at(day)) for day in range(6)), look(at(3), unit=OTHER), scopes=scopes, days=6)
    assert {unit.unit: letters(unit.days) for unit in row.units} == {
        "databases/core": "rrrr--",
        "databases/other": "--mrsm",
    }
    assert letters(row.days) == "rrmrsm"


def test_nothing_is_expected_before_any_scope_was_known() -> None:
    assert strip(look(at(3)), scopes=[KnownScope(at(3), SCOPE.scope)], days=5) == "---rs"
    row = covered(look(at(3)), scopes=[], days=5)
    assert letters(row.days) == "-----"
    assert row.totals == tally([])


def test_a_scope_that_names_no_unit_is_told_and_never_green() -> None:
    both = a_check(
        Expect(RowSecurity, over="databases", every=DAY), Expect(Isolation, over="ingress", every=DAY)
    )
    row = covered(*(look(at(day)) for day in range(3)), check=both, days=3)
    assert letters(row.days) == "nnn"
    assert (row.totals.expected, row.totals.without_unit) == (0, 3)
    assert [(unit.unit, letters(unit.days)) for unit in row.units] == [("databases/core", "rrr"), ("", "nnn")]


def test_weekly_evidence_covers_its_week_and_weeks_are_counted_back_from_the_end() -> None:
    row = covered(look(at(3)), look(at(10)), check=WEEKLY, days=21)
    assert letters(row.days) == "r" * 14 + "s" * 7
    assert (row.units[0].totals.expected, row.units[0].totals.received, row.units[0].totals.stale) == (
        3,
        2,
        1,
    )
    assert row.totals.expected == 21
    # Ten days are a week and the end of the one before, whose evidence may be older than the window.
    assert strip(look(at(-3)), look(at(9)), check=WEEKLY, days=10) == "r" * 10
    assert strip(look(at(9)), check=WEEKLY, days=10) == "mmm" + "r" * 7


def test_another_subject_under_the_same_unit_is_no_evidence_of_it() -> None:
    assert strip(dataclasses.replace(look(at(0)), subject="postgres:elsewhere"), days=1) == "m"
    assert strip(dataclasses.replace(look(at(0)), kind=Isolation.kind), days=1) == "m"


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="ends on 2026-11-01"):
        coverage([DAILY], [], [], first=FIRST, last=FIRST - DAY, known=START)


def test_every_check_has_a_row_over_any_scope() -> None:
    rows = coverage(
        load_checks().values(), [], [SCOPE], first=FIRST, last=FIRST + 2 * DAY, known=START + 9 * DAY
    )
    assert [row.check for row in rows] == list(load_checks())
    assert all(len(row.days) == 3 and row.totals.received == 0 for row in rows)
    assert {day for row in rows for day in row.days} <= {Day.MISSING, Day.NO_UNIT}


LOOKS = st.builds(
    look,
    st.integers(-48, 24 * 16).map(lambda hours: START + hours * HOUR),
    after=st.sampled_from([timedelta(), HOUR, 2 * DAY, 9 * DAY, -DAY]),
    unit=st.sampled_from([CORE, OTHER]),
    outcome=st.sampled_from(list(Outcome)),
)
SCOPES = st.lists(
    st.builds(
        KnownScope,
        st.integers(-2, 14).map(lambda day: START + day * DAY),
        st.sampled_from([Scope("demo", units) for units in ((CORE,), (CORE, OTHER), (OTHER,), ())]),
    ),
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    looks=st.lists(LOOKS, max_size=25),
    extra=LOOKS,
    scopes=SCOPES,
    check=st.sampled_from([DAILY, WEEKLY]),
    days=st.integers(1, 15),
    known=st.integers(0, 400).map(lambda hours: START + hours * HOUR),
)
def test_a_record_more_never_lowers_what_was_received(looks, extra, scopes, check, days, known) -> None:
    less = covered(*looks, check=check, scopes=scopes, days=days, known=known)
    more = covered(*looks, extra, check=check, scopes=scopes, days=days, known=known)
    assert more.totals.received >= less.totals.received
    for before, after in zip(less.units, more.units, strict=True):
        assert after.totals.received >= before.totals.received
        for old, new in zip(before.days, after.days, strict=True):
            assert new is old or new in {Day.RECEIVED, Day.LATE, Day.REFUSED, Day.STALE}
            assert old is not Day.RECEIVED or new is Day.RECEIVED
    for row in (less, more):
        counted = [row.totals, *(unit.totals for unit in row.units)]
        for one in counted:
            assert one.expected == one.received + one.late + one.stale + one.refused + one.missing


@given(looks=st.lists(LOOKS, max_size=25), scopes=SCOPES, data=st.data())
def test_the_order_of_records_never_matters(looks, scopes, data) -> None:
    shuffled = data.draw(st.permutations(looks))
    assert covered(*looks, scopes=scopes) == covered(*shuffled, scopes=scopes)
