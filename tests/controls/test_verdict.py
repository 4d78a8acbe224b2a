"""How verdicts combine and how incomplete evidence overrules them: unknown is never green."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.check import CHECKS, Check, Expect, conclude, undecided
from controls.verdict import Completeness, Deviation, State, Verdict, combine, together
from evidence.kinds.aws import GuardDutyDetectors
from evidence.record import CollectorId, Header, Interval, Outcome, Record
from evidence.scope import Scope, Unit
from evidence.view import Evidence, LoggedRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED, UNKNOWN, WAIVED = State.FAILED, State.UNKNOWN, State.WAIVED
SATISFIED, NOT_APPLICABLE = State.SATISFIED, State.NOT_APPLICABLE
AS_OF = datetime(2026, 11, 23, 12, tzinfo=UTC)
SCOPE = Scope("core", (Unit("u/one", "u", "s", {}), Unit("u/two", "u", "s", {})))
EXPECTED = Expect(GuardDutyDetectors, over="u", every=timedelta(days=1))


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ((), UNKNOWN),
        ((SATISFIED,), SATISFIED),
        ((SATISFIED, NOT_APPLICABLE), SATISFIED),
        ((NOT_APPLICABLE,), NOT_APPLICABLE),
        ((WAIVED, SATISFIED), WAIVED),
        ((WAIVED, NOT_APPLICABLE), WAIVED),
        ((UNKNOWN, WAIVED), UNKNOWN),
        ((UNKNOWN, SATISFIED), UNKNOWN),
        ((UNKNOWN, NOT_APPLICABLE), UNKNOWN),
        ((FAILED, UNKNOWN), FAILED),
        ((FAILED, WAIVED), FAILED),
        ((FAILED, SATISFIED, NOT_APPLICABLE), FAILED),
        (tuple(State), FAILED),
    ],
)
def test_failed_over_unknown_over_waived_over_satisfied(states: tuple[State, ...], together: State) -> None:
    assert all(combine(order) is together for order in itertools.permutations(states))


@given(st.lists(st.sampled_from(State)), st.sampled_from(State))
def test_adding_a_verdict_never_makes_the_whole_greener(states: list[State], more: State) -> None:
    if combine([*states, more]) is SATISFIED:
        assert not states or combine(states) in (SATISFIED, NOT_APPLICABLE)


@given(st.lists(st.sampled_from(State), min_size=1), st.lists(st.sampled_from(State), min_size=1))
def test_combining_parts_first_changes_nothing(left: list[State], right: list[State]) -> None:
    assert combine([combine(left), combine(right)]) is combine([*left, *right])


def test_nothing_expected_is_not_complete() -> None:
    assert not Completeness().complete


@pytest.mark.parametrize("lack", ["missing", "stale", "refused"])
def test_what_is_lacking_makes_it_incomplete(lack: str) -> None:
    assert not Completeness(expected=("a",), received=("b",), **{lack: ("a",)}).complete


def test_late_evidence_that_is_fresh_is_complete() -> None:
    assert Completeness(expected=("a",), received=("a",), late=("a",)).complete


def test_ledgers_together_count_each_item_once_and_by_its_worst() -> None:
    """One check wants it daily and finds it stale; to another, which wants it weekly, it was received."""
    daily = Completeness(("a", "b"), ("b",), stale=("a",), late=("b",))
    weekly = Completeness(("a", "c"), ("a",), refused=("c: denied (AccessDenied)",))
    nothing = Completeness((), missing=("d over e: the scope names none",))
    whole = together([daily, weekly, nothing])
    assert whole == Completeness(
        expected=("a", "b", "c", "d over e: the scope names none"),
        received=("b",),
        missing=("d over e: the scope names none",),
        late=("b",),
        stale=("a",),
        refused=("c: denied (AccessDenied)",),
    )
    assert together([]) == Completeness()
    assert not together([]).complete


def concluding(verdict: Verdict) -> Check:
    return Check("T-01", "test", "Title.", ("T-01",), (EXPECTED,), lambda *_: verdict, "source")


def record(unit: str, *, hours_old: int = 1, outcome: Outcome = Outcome.OBSERVED) -> LoggedRecord:
    at = AS_OF - timedelta(hours=hours_old)
    header = Header(
        run="run-1",
        unit=unit,
        kind=GuardDutyDetectors.kind,
        subject="s",
        observed=Interval(at, at),
        recorded=at,
        expires=at + timedelta(days=7),
        collector=CollectorId("test", "1", "00"),
        outcome=outcome,
        reason="" if outcome is Outcome.OBSERVED else "AccessDenied",
    )
    payload = GuardDutyDetectors(1, 1)
    return LoggedRecord(Record(header, payload), f"{unit}-{hours_old}-{outcome}")


GREEN = conclude((), facts={"n": 1}, holds="All {n}.", fails="None.")
RED = conclude((Deviation("what", "where"),), facts={"n": 1}, holds="All {n}.", fails="{deviations} off.")
BOTH = (record("u/one"), record("u/two"))


@pytest.mark.parametrize(
    ("records", "state"),
    [
        (BOTH, SATISFIED),
        ((), UNKNOWN),
        ((record("u/one"),), UNKNOWN),
        ((record("u/one"), record("u/two", hours_old=25)), UNKNOWN),
        ((record("u/one"), record("u/two", hours_old=24)), UNKNOWN),
        ((record("u/one"), record("u/two", hours_old=23)), SATISFIED),
        ((record("u/one"), record("u/two", outcome=Outcome.DENIED)), UNKNOWN),
        ((record("u/one"), record("u/two", outcome=Outcome.PARTIAL)), UNKNOWN),
        ((record("u/one"), record("u/three")), UNKNOWN),
        ((record("u/one"), record("u/two", hours_old=-1)), UNKNOWN),
    ],
)
def test_incomplete_evidence_overrules_green(records: Iterable[LoggedRecord], state: State) -> None:
    verdict = concluding(GREEN)(Evidence(records, as_of=AS_OF), SCOPE, AS_OF)
    assert verdict.state is state
    assert verdict.completeness.complete is (state is SATISFIED)


@pytest.mark.parametrize("records", [(), BOTH[:1], BOTH])
def test_incomplete_evidence_never_softens_red(records: tuple[LoggedRecord, ...]) -> None:
    verdict = concluding(RED)(Evidence(records, as_of=AS_OF), SCOPE, AS_OF)
    assert verdict.state is FAILED
    assert verdict.reason == "1 off."


def test_a_scope_without_units_overrules_green() -> None:
    assert concluding(GREEN)(Evidence(BOTH, as_of=AS_OF), Scope("core", ()), AS_OF).state is UNKNOWN


def test_the_latest_record_of_a_unit_is_the_one_that_counts() -> None:
    denied = record("u/two", hours_old=0, outcome=Outcome.DENIED)
    verdict = concluding(GREEN)(Evidence((*BOTH, denied), as_of=AS_OF), SCOPE, AS_OF)
    assert verdict.state is UNKNOWN
    assert verdict.completeness.refused == ("aws.guardduty.detectors/v1 over u/two: denied (AccessDenied)",)


def test_a_verdict_speaks_until_its_first_evidence_grows_stale() -> None:
    records = (record("u/one", hours_old=3), record("u/two"))
    verdict = concluding(GREEN)(Evidence(records, as_of=AS_OF), SCOPE, AS_OF)
    assert verdict.valid_until == AS_OF - timedelta(hours=3) + EXPECTED.every
    assert verdict.evidence == tuple(sorted(one.digest for one in records))


def test_a_verdict_turns_unknown_at_the_moment_it_named() -> None:
    check = concluding(GREEN)
    until = check(Evidence(BOTH, as_of=AS_OF), SCOPE, AS_OF).valid_until
    assert until is not None
    before = until - timedelta(milliseconds=1)
    assert check(Evidence(BOTH, as_of=before), SCOPE, before).state is SATISFIED
    assert check(Evidence(BOTH, as_of=until), SCOPE, until).state is UNKNOWN


def test_what_shows_nothing_is_unknown_with_its_reason() -> None:
    verdict = undecided("Nothing was shown.")
    assert (verdict.state, verdict.reason) == (UNKNOWN, "Nothing was shown.")


def test_a_check_that_expects_nothing_cannot_be_declared() -> None:
    from checks.check import check

    before = set(CHECKS)
    with pytest.raises(ValueError, match="expects no evidence"):
        check("T-02", expects=[])(lambda *_: GREEN)
    assert set(CHECKS) == before
