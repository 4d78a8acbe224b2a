"""The log by its two times: what had been observed, what was known, and what came late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from evidence.kinds.aws import GuardDutyDetectors
from evidence.record import CollectorId, Header, Interval, Outcome, Record
from evidence.view import LoggedRecord
from posture.errors import UsageError
from posture.history import listing
from posture.times import moment, optional_moment, shown

DAY = timedelta(days=1)
START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def logged(unit: str, observed: datetime, recorded: datetime) -> LoggedRecord:
    header = Header(
        run="r",
        unit=unit,
        kind=GuardDutyDetectors.kind,
        subject="aws:111122223333/us-east-1",
        observed=Interval(observed, observed),
        recorded=recorded,
        expires=observed + 7 * DAY,
        collector=CollectorId("test", "1", ""),
        outcome=Outcome.OBSERVED,
        reason="",
    )
    return LoggedRecord(Record(header, GuardDutyDetectors(1, 1)), f"{unit}-{observed:%d}")


HISTORY = (
    logged("a", START, START),
    logged("b", START + DAY, START + DAY),
    logged("a", START + 2 * DAY, START + 2 * DAY),
    logged("b", START, START + 3 * DAY),
    logged("c", START + 3 * DAY, START + DAY),
)


def test_the_whole_log_is_listed_with_what_came_late() -> None:
    assert [(line.index, line.late) for line in listing(HISTORY)] == [
        (0, ""),
        (1, ""),
        (2, ""),
        (3, "recorded 3 d after it was observed"),
        (4, "stands behind an entry recorded 2 d later"),
    ]


def test_what_was_observed_by_then_as_it_was_known_then_and_later() -> None:
    as_of = START + DAY / 2
    assert [line.index for line in listing(HISTORY, as_of=as_of, as_known=START + DAY)] == [0]
    assert [line.index for line in listing(HISTORY, as_of=as_of, as_known=START + 3 * DAY)] == [0, 3]


def test_the_last_one_of_each_is_chosen_among_what_was_known() -> None:
    lines = listing(HISTORY, as_of=START + 9 * DAY, as_known=START + DAY, latest=True)
    assert [line.index for line in lines] == [0, 1, 4]


def test_a_typed_moment_is_a_date_or_rfc_3339_in_utc() -> None:
    assert optional_moment(None, "--as-of") is None
    assert moment("2026-11-01", "--as-of") == datetime(2026, 11, 1, 23, 59, 59, 999000, tzinfo=UTC)
    assert moment("2026-11-01T10:00:00+02:00", "--as-of") == datetime(2026, 11, 1, 8, tzinfo=UTC)
    with pytest.raises(UsageError, match="--as-of 'yesterday' is no moment"):
        moment("yesterday", "--as-of")


def test_a_span_is_shown_in_its_largest_unit() -> None:
    spans = (timedelta(days=3), timedelta(hours=5), timedelta(minutes=2), timedelta(seconds=9))
    assert [shown(span) for span in spans] == ["3 d", "5 h", "2 min", "9 s"]
