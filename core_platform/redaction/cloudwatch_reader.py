"""Invocation logs in a customer's CloudWatch log group, in windows that always hold the same records.

A log group has no objects: events may still arrive for a time that was read. So each window of time is
read in passes, and a pass takes the events that CloudWatch took in between two fixed moments after the
window's end. Every event belongs to exactly one pass of one window; a pass is read once its moment is
over, and nothing is read twice or missed, whatever arrives late. CloudWatch takes no event that is older
than 14 days (PutLogEvents), which the last pass outlasts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from botocore.client import BaseClient

WINDOW: Final = timedelta(minutes=10)
#: When the passes of a window end, counted from its end.
PASSES: Final = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=24), timedelta(days=15))
#: Our clock and CloudWatch's may differ by so much.
CLOCK_MARGIN: Final = timedelta(minutes=5)
_BEFORE_EVERYTHING: Final = timedelta(days=-10_000)


@dataclass(frozen=True, slots=True)
class LogGroup:
    """One registered place: a boto3 client for logs, a group, and the account whose group it is.

    ``since`` is the first moment that is read, ``now`` the moment of this run; both carry a time zone.
    """

    client: "BaseClient"
    name: str
    account: str
    since: datetime
    now: datetime

    def units(self) -> Iterator["LogWindow"]:
        """The passes that are over, by window."""
        start = _window_of(self.since)
        while start + WINDOW <= self.now:
            for after, until in pairwise((_BEFORE_EVERYTHING, *PASSES)):
                if start + WINDOW + until + CLOCK_MARGIN <= self.now:
                    yield LogWindow(self, start, after, until)
            start += WINDOW


@dataclass(frozen=True, slots=True)
class LogWindow:
    """One pass over one window: events taken in more than ``after`` and at most ``until`` past its end."""

    place: LogGroup
    start: datetime
    after: timedelta
    until: timedelta

    @property
    def reference(self) -> str:
        """Account, group, window and pass."""
        minutes = int(self.until.total_seconds()) // 60
        return f"logs:{self.place.account}:{self.place.name}:{self.start.isoformat()}:{minutes}"

    @property
    def account(self) -> str:
        """The account whose group it is."""
        return self.place.account

    def lines(self) -> Iterator[bytes]:
        """The messages of the pass, in the order in which CloudWatch gives them."""
        end = self.start + WINDOW
        pages = self.place.client.get_paginator("filter_log_events").paginate(
            logGroupName=self.place.name,
            startTime=_milliseconds(self.start),
            endTime=_milliseconds(end) - 1,
        )
        earliest, latest = _milliseconds(end + self.after), _milliseconds(end + self.until)
        for page in pages:
            for event in page["events"]:
                if earliest < event["ingestionTime"] <= latest:
                    yield _message(event)


def _message(event: dict[str, Any]) -> bytes:
    # A lone surrogate is no UTF-8: it goes on as it is, for the parser to see and refuse.
    message: str = event["message"]
    return message.encode("utf-8", "surrogatepass")


def _window_of(moment: datetime) -> datetime:
    """The start of the window that a moment lies in."""
    since_epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return moment.astimezone(UTC) - since_epoch % WINDOW


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
