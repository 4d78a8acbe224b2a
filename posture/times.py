"""Moments that people type: a date (in UTC), or RFC 3339 with its time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from posture.errors import UsageError

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def moment(text: str, what: str, *, end: bool = True) -> datetime:
    """The moment of a text, in UTC; a date means its last millisecond, or its first without `end`.

    Raises:
        UsageError: naming `what` was typed and the two forms.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{what} {text!r} is no moment, neither a date nor an RFC 3339 time; "
            "write 2026-11-23 or 2026-11-23T15:04:05Z"
        ) from error
    if _DAY.fullmatch(text):
        day = parsed.replace(tzinfo=UTC)
        return day + timedelta(days=1) - timedelta(milliseconds=1) if end else day
    if parsed.tzinfo is None:
        raise UsageError(f"{what} {text!r} has no time zone; end it with Z")
    return parsed.astimezone(UTC)


def optional_moment(text: str | None, what: str) -> datetime | None:
    """The moment of an option that may be left out."""
    return None if text is None else moment(text, what)


def day(text: str, what: str) -> date:
    """The day of a text.

    Raises:
        UsageError: naming `what` was typed and the form.
    """
    try:
        # fromisoformat alone would take 20261123 and 2026-W48-1 too.
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise UsageError(f"{what} {text!r} is no day; write 2026-11-23") from error


def midnight(text: str, what: str, *, after: bool = False) -> datetime:
    """The first moment in UTC of a day, or with `after` of the day that follows it.

    Raises:
        UsageError: as `day`, and for a day that nothing follows.
    """
    begins = datetime.combine(day(text, what), time(), UTC)
    try:
        return begins + timedelta(days=1) if after else begins
    except OverflowError as error:
        raise UsageError(f"{what} {text!r} is the calendar's last day; write an earlier one") from error


def shown(span: timedelta) -> str:
    """A span of time in its largest unit: ``3 d``, ``5 h``, ``12 min``."""
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
