"""Moments that people type: a date, or RFC 3339; UTC where nothing else is said."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from posture.errors import UsageError


def moment(text: str | None, what: str) -> datetime | None:
    """The moment of a text; a date means its last millisecond; None for no text.

    Raises:
        UsageError: naming `what` was typed and the two forms.
    """
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{what} {text!r} is no moment; write 2026-11-23 or 2026-11-23T15:04:05Z") from error
    if len(text) == len("2026-11-23"):
        parsed = datetime.combine(parsed.date(), time.max.replace(microsecond=999_000))
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def shown(span: timedelta) -> str:
    """A span of time in its largest unit: ``3 d``, ``5 h``, ``12 min``."""
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
