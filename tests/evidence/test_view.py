"""What a judge sees is decided by the log's order and one rule about clocks, now and years later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from evidence.kinds.aws import GuardDutyDetectors
from evidence.record import CollectorId, Header, Interval, Outcome, Record
from evidence.scope import Scope, Unit
from evidence.view import (
    Evidence,
    LoggedRecord,
    Reading,
    entries_known,
    entries_of,
    evidence_of,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
UNITS = [Unit(f"u/{name}", "u", f"s:{name}", {}) for name in "abc"]


def logged(entry: int, unit: Unit, minute: int, enabled: int = 1) -> LoggedRecord:
    at = NOON + timedelta(minutes=minute)
    header = Header(
        run=f"run-{entry}",
        unit=unit.id,
        kind=GuardDutyDetectors.kind,
        subject=unit.subject,
        observed=Interval(at, at),
        recorded=at,
        expires=at + timedelta(days=7),
        collector=CollectorId("test", "1", "00"),
        outcome=Outcome.OBSERVED,
        reason="",
    )
    return LoggedRecord(Record(header, GuardDutyDetectors(1, enabled)), f"{entry:064x}", entry)


def seen(evidence: Evidence) -> list[int]:
    return sorted(int(one.digest, 16) for unit in UNITS for one in evidence.of(unit, GuardDutyDetectors))


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


A, B, C = UNITS


def test_the_last_of_the_log_counts_among_the_entries_read() -> None:
    log = [logged(0, A, 0), logged(1, B, 1), logged(2, A, 2)]
    assert seen(evidence_of(log, 3, at(5))) == [1, 2]
    assert seen(evidence_of(log, 2, at(5))) == [0, 1]
    assert seen(evidence_of(log, 0, at(5))) == []


def test_a_subject_whose_last_record_is_from_later_is_not_seen_at_all() -> None:
    log = [logged(0, A, 0), logged(1, A, 30), logged(2, B, 1)]
    assert seen(evidence_of(log, 3, at(5))) == [2]
    assert seen(evidence_of(log, 3, at(30))) == [1, 2]


def test_the_past_ends_at_the_last_entry_that_was_known() -> None:
    log = [logged(0, A, 0), logged(1, B, 30), logged(2, A, 10), logged(3, A, 40)]
    assert [entries_known(log, at(minute)) for minute in (-1, 0, 10, 30, 40)] == [0, 1, 3, 3, 4]
    assert seen(evidence_of(log, entries_known(log, at(15)), at(15))) == [2]
    assert entries_of(log) == 4
    assert entries_of([]) == entries_known([], NOON) == 0


def test_the_scope_is_the_one_that_was_logged_last_whatever_its_clock_says() -> None:
    def scope(entry: int, minute: int, project: str) -> LoggedRecord:
        one = logged(entry, Unit("scope", "", f"project:{project}", {}), minute)
        header = Header(
            **{name: getattr(one.record.header, name) for name in Header.__dataclass_fields__}
            | {"kind": Scope.kind}
        )
        return LoggedRecord(Record(header, Scope(project, ())), one.digest, entry)

    log = [scope(0, 3, "first"), scope(1, 2, "second")]
    told = evidence_of(log, 2, at(5)).scope
    assert told
    assert told.project == "second"
    assert evidence_of([], 2, at(5)).scope is None


@given(
    st.lists(st.tuples(st.sampled_from(UNITS), st.integers(0, 60)), max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), max_size=6),
)
def test_reading_on_gives_what_reading_anew_gives(
    history: list[tuple[Unit, int]], stops: list[tuple[int, int]]
) -> None:
    log = [logged(entry, unit, minute) for entry, (unit, minute) in enumerate(history)]
    reading = Reading(log)
    for entries, minute in sorted(stops):
        assert seen(reading.until(entries, at(minute))) == seen(Evidence(log[:entries], as_of=at(minute)))
