"""Day by day over an audit's window: which evidence each check expected, and what arrived of it.

For the auditor of a Type II window, who needs weekly evidence for every week and daily evidence for
every day. Expectations resolve against the scope that was known at the time, so that a unit is expected
from the day on which it came into scope. Pure and standard library only: a pack carries this module.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Final

from checks.check import Check, Expect
from evidence.record import Header, Outcome
from evidence.scope import Scope

DAY: Final = timedelta(days=1)
_LOOK_ENDED: Final = attrgetter("observed.end")


class Day(StrEnum):
    """What is known of one day of one unit, or of one check; the worst comes first.

    Attributes:
        NO_UNIT: the scope of the day names no unit of the population: the check could not be satisfied.
        MISSING: no evidence spoke for any moment of the day.
        STALE: nothing was seen on the day; what was seen before ran out during it.
        REFUSED: the unit was looked at, and every look ended in a typed non-observation.
        LATE: seen, but logged longer afterwards than the check accepts (backfilled).
        OPEN: the day was not over at the moment of knowledge, and nothing had arrived yet.
        RECEIVED: seen, and logged in time.
        NOT_EXPECTED: before the unit came into scope, or after it left.
    """

    NO_UNIT = "no unit in scope"
    MISSING = "missing"
    STALE = "stale"
    REFUSED = "refused"
    LATE = "late"
    OPEN = "open"
    RECEIVED = "received"
    NOT_EXPECTED = "not expected"


LETTERS: Final = {
    Day.NO_UNIT: "n",
    Day.MISSING: "m",
    Day.STALE: "s",
    Day.REFUSED: "x",
    Day.LATE: "l",
    Day.OPEN: "o",
    Day.RECEIVED: "r",
    Day.NOT_EXPECTED: "-",
}
"""One letter for each, so that a year of days is a line of text."""

_NOT_COUNTED: Final = frozenset({Day.NO_UNIT, Day.OPEN, Day.NOT_EXPECTED})


@dataclass(frozen=True, slots=True)
class Totals:
    """How many periods were expected, and how each of them ended; `without_unit` is not in `expected`."""

    expected: int = 0
    received: int = 0
    late: int = 0
    stale: int = 0
    refused: int = 0
    missing: int = 0
    without_unit: int = 0


@dataclass(frozen=True, slots=True)
class KnownScope:
    """A scope and the moment from which on it was known."""

    since: datetime
    scope: Scope


@dataclass(frozen=True, slots=True)
class UnitCoverage:
    """One expectation of a check over one unit.

    Attributes:
        unit: its id; '' for a population of which the scope names no unit.
        days: one for each day of the window.
        totals: in days, or in stretches of days where evidence is expected less often.
        refusals: typed non-observations, also on days on which another look succeeded.
    """

    kind: str
    over: str
    every_days: int
    unit: str
    subject: str
    days: tuple[Day, ...]
    totals: Totals
    refusals: int


@dataclass(frozen=True, slots=True)
class CheckCoverage:
    """A check's days, each as bad as the worst of what it expected, with what it expected below."""

    check: str
    days: tuple[Day, ...]
    totals: Totals
    units: tuple[UnitCoverage, ...]


@dataclass(frozen=True, slots=True)
class _Period:
    """A day, or the stretch of days in which evidence is expected once."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _Window:
    """The days that are asked about, and what was known by when."""

    first: date
    last: date
    known: datetime

    def days(self) -> int:
        return (self.last - self.first).days + 1

    def periods(self, length: int) -> list[_Period]:
        """Stretches counted back from the last day, so that each is whole; the first may begin earlier."""
        end, begin = _midnight(self.last) + DAY, _midnight(self.first)
        count = -(-(end - begin) // (DAY * length))
        return [
            _Period(end - DAY * length * (nth + 1), end - DAY * length * nth)
            for nth in reversed(range(count))
        ]


def coverage(
    checks: Iterable[Check],
    headers: Iterable[Header],
    scopes: Iterable[KnownScope],
    *,
    first: date,
    last: date,
    known: datetime,
) -> tuple[CheckCoverage, ...]:
    """The coverage of each check over the UTC days from `first` to `last`, both included.

    Args:
        headers: of all records, in any order.
        scopes: every scope that was logged, in the order of the log.
        known: what was logged, or was seen, later than this does not count.
    """
    if last < first:
        raise ValueError(f"the window ends on {last}, before it begins on {first}")
    window = _Window(first, last, known)
    looks = _looks(headers, known)
    told = _Scopes(scopes, window)
    return tuple(_check(check, looks, told, window) for check in checks)


def tally(days: Iterable[Day]) -> Totals:
    """The totals of some days or stretches."""
    found = list(days)
    return Totals(
        expected=sum(day not in _NOT_COUNTED for day in found),
        received=found.count(Day.RECEIVED),
        late=found.count(Day.LATE),
        stale=found.count(Day.STALE),
        refused=found.count(Day.REFUSED),
        missing=found.count(Day.MISSING),
        without_unit=found.count(Day.NO_UNIT),
    )


def letters(days: Iterable[Day]) -> str:
    """One letter for each day (`LETTERS`)."""
    return "".join(LETTERS[day] for day in days)


_Looks = Mapping[tuple[str, str, str], Sequence[Header]]
_Units = frozenset[tuple[str, str]]


class _Scopes:
    """The scopes that were known, and which units of a population they name, each worked out once."""

    def __init__(self, scopes: Iterable[KnownScope], window: _Window) -> None:
        self._known = [one for one in scopes if one.since <= window.known]
        self._window = window
        self._named: dict[tuple[int, str], _Units] = {}
        self._in_force: dict[int, list[Scope | None]] = {}

    def units(self, over: str, length: int) -> list[_Units | None]:
        """Id and subject of each unit in each period; None before any scope was known."""
        if length not in self._in_force:
            self._in_force[length] = [self._newest(period) for period in self._window.periods(length)]
        return [self._names(scope, over) if scope else None for scope in self._in_force[length]]

    def _newest(self, period: _Period) -> Scope | None:
        until = min(period.end, self._window.known)
        return next((one.scope for one in reversed(self._known) if one.since <= until), None)

    def _names(self, scope: Scope, over: str) -> _Units:
        key = (id(scope), over)
        if key not in self._named:
            self._named[key] = frozenset((unit.id, unit.subject) for unit in scope.over(over))
        return self._named[key]


def _looks(headers: Iterable[Header], known: datetime) -> _Looks:
    """Each unit's looks by the time at which they ended."""
    found: dict[tuple[str, str, str], list[Header]] = {}
    for header in headers:
        # A record that says it was logged before it was seen is no witness of the later day.
        if header.observed.end <= header.recorded <= known:
            found.setdefault((header.unit, header.kind, header.subject), []).append(header)
    for looks in found.values():
        looks.sort(key=_LOOK_ENDED)
    return found


def _check(check: Check, looks: _Looks, scopes: _Scopes, window: _Window) -> CheckCoverage:
    units = tuple(row for expect in check.expects for row in _expectation(expect, looks, scopes, window))
    days = tuple(_worst(day) for day in zip(*(row.days for row in units), strict=True))
    return CheckCoverage(check.id, days, tally(days), units)


def _worst(days: Iterable[Day]) -> Day:
    present = set(days)
    return next((day for day in Day if day in present), Day.NOT_EXPECTED)


def _expectation(expect: Expect, looks: _Looks, scopes: _Scopes, window: _Window) -> Iterator[UnitCoverage]:
    length = max(1, expect.every // DAY)
    periods = window.periods(length)
    named = scopes.units(expect.over, length)
    for unit, subject in sorted(frozenset().union(*(units for units in named if units))):
        seen = looks.get((unit, expect.kind.kind, subject), ())
        words = [
            _word(expect, period, seen, window.known)
            if (unit, subject) in (units or ())
            else Day.NOT_EXPECTED
            for period, units in zip(periods, named, strict=True)
        ]
        yield _row(expect, length, unit, subject, words, window, _refusals(seen, periods))
    # A scope that was known and names none: the check's own ledger calls that missing, too.
    empty = [Day.NO_UNIT if units is not None and not units else Day.NOT_EXPECTED for units in named]
    if Day.NO_UNIT in empty or not any(named):
        yield _row(expect, length, "", "", empty, window, 0)


def _word(expect: Expect, period: _Period, looks: Sequence[Header], known: datetime) -> Day:
    begin = bisect_left(looks, period.start, key=_LOOK_ENDED)
    inside = looks[begin : bisect_left(looks, period.end, key=_LOOK_ENDED)]
    seen = [header for header in inside if header.outcome is Outcome.OBSERVED]
    if any(header.recorded - header.observed.end <= expect.every for header in seen):
        return Day.RECEIVED
    if seen:
        return Day.LATE
    if inside:
        return Day.REFUSED
    if known < period.end:
        return Day.OPEN
    before = looks[bisect_left(looks, period.start - expect.every, key=_LOOK_ENDED) : begin]
    return Day.STALE if any(_speaks_until(expect, one) > period.start for one in before) else Day.MISSING


def _speaks_until(expect: Expect, header: Header) -> datetime:
    if header.outcome is not Outcome.OBSERVED:
        return header.observed.end
    return min(header.expires, header.observed.end + expect.every)


def _refusals(looks: Sequence[Header], periods: Sequence[_Period]) -> int:
    begin = bisect_left(looks, periods[0].start, key=_LOOK_ENDED)
    end = bisect_left(looks, periods[-1].end, key=_LOOK_ENDED)
    return sum(header.outcome is not Outcome.OBSERVED for header in looks[begin:end])


def _row(
    expect: Expect,
    length: int,
    unit: str,
    subject: str,
    words: Sequence[Day],
    window: _Window,
    refusals: int,
) -> UnitCoverage:
    days = tuple(word for word in words for _ in range(length))[-window.days() :]
    return UnitCoverage(expect.kind.kind, expect.over, length, unit, subject, days, tally(words), refusals)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
