"""The log by its two times: when something was observed, and when the log came to know of it.

An observation that was logged long after it was made, or that claims to have been recorded before an entry
that stands in front of it, is shown as late: backfilled evidence is never mistaken for evidence of its day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from evidence.payload import timestamp
from evidence.view import LoggedRecord, about
from posture.times import shown

LATE_AFTER = timedelta(hours=1)
"""Between observing and recording; a run of collectors takes minutes."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far clocks of several writers may be apart."""


@dataclass(frozen=True, slots=True)
class Line:
    """One record of the log.

    Attributes:
        index: of its entry.
        logged: the record and the digest of its statement.
        late: why it counts as late, "" when it does not.
    """

    index: int
    logged: LoggedRecord
    late: str

    def to_json(self) -> dict[str, str | int]:
        """The published form."""
        header = self.logged.record.header
        return {
            "index": self.index,
            "recorded": timestamp(header.recorded),
            "observed": timestamp(header.observed.end),
            "run": header.run,
            "unit": header.unit,
            "kind": header.kind,
            "subject": header.subject,
            "outcome": header.outcome.value,
            "reason": header.reason,
            "late": self.late,
            "statement": self.logged.digest,
        }

    def __str__(self) -> str:
        header = self.logged.record.header
        late = f"  LATE: {self.late}" if self.late else ""
        return (
            f"{self.index:>6}  {timestamp(header.recorded)}  {header.outcome:<12} {header.kind:<30} "
            f"{header.unit}{late}"
        )


def listing(
    records: Sequence[LoggedRecord],
    *,
    as_of: datetime | None = None,
    as_known: datetime | None = None,
    latest: bool = False,
) -> list[Line]:
    """The records of a whole log that had been observed by `as_of` and recorded by `as_known`, in its order.

    Args:
        records: every record of the log, first to last.
        as_of: None for no limit.
        as_known: None for no limit.
        latest: of each unit, kind and subject the last one only.
    """
    lines: list[Line] = []
    newest: datetime | None = None
    for index, logged in enumerate(records):
        header = logged.record.header
        line = Line(index, logged, lateness(logged, newest))
        newest = header.recorded if newest is None else max(newest, header.recorded)
        observed = as_of is None or header.observed.end <= as_of
        if observed and (as_known is None or header.recorded <= as_known):
            lines.append(line)
    if latest:
        last = {about(line.logged.record): line for line in lines}
        return sorted(last.values(), key=lambda line: line.index)
    return lines


def lateness(logged: LoggedRecord, newest: datetime | None) -> str:
    """Why a record counts as late, given the newest recording time before it; "" when it does not."""
    header = logged.record.header
    if newest is not None and newest - header.recorded > CLOCK_SKEW:
        return f"stands behind an entry recorded {shown(newest - header.recorded)} later"
    delay = header.recorded - header.observed.end
    return f"recorded {shown(delay)} after it was observed" if delay > LATE_AFTER else ""
