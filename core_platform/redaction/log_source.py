"""What every place of invocation logs offers: units that are read whole, and the lines of one.

Implemented for S3 (s3_reader) and CloudWatch Logs (cloudwatch_reader), used by the ingestion. A unit is
what is marked as read in one transaction, so it must hold the same lines whenever it is read.
"""

from collections.abc import Iterator
from typing import Protocol


class LogUnit(Protocol):
    """One unit of a place: an object of a bucket, a window of a log group."""

    @property
    def reference(self) -> str:
        """Its name, unique over all places; it is stored as a keyed hash only."""
        ...

    @property
    def account(self) -> str:
        """The account whose invocations it holds."""
        ...

    def lines(self) -> Iterator[bytes]:
        """Its records, one line each.

        Raises:
            ObjectRefused: a limit is passed, or the unit is not what it should be.
        """
        ...


class LogPlace(Protocol):
    """A registered place of a tenant's logs."""

    def units(self) -> Iterator[LogUnit]:
        """Its units in order. Errors of the client come as botocore's own."""
        ...
