"""What a check reads: the records known at a moment, the latest of each unit, kind and subject.

The latest is the one that stands last in the log, whose order nobody can change afterwards; what a
record says of its own time only decides whether it was known already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from evidence.payload import Payload
from evidence.record import Outcome, Record
from evidence.scope import Unit

P = TypeVar("P", bound=Payload)

READABLE = frozenset({Outcome.OBSERVED, Outcome.PARTIAL})


@dataclass(frozen=True, slots=True)
class Observation(Generic[P]):
    """A record together with its typed payload."""

    record: Record
    payload: P

    @property
    def subject(self) -> str:
        """What the observation is about (``postgres:core``)."""
        return self.record.header.subject


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record and the SHA-256 (hex) of the statement that was signed for it."""

    record: Record
    digest: str


class Evidence:
    """The latest record of each (unit, kind, subject) that was recorded up to `as_of`.

    Args:
        records: logged records in the order of the log; of one unit, kind and subject the last counts.
        as_of: what was recorded, or claims to have been observed, later is not seen.
    """

    def __init__(self, records: Iterable[LoggedRecord], *, as_of: datetime) -> None:
        latest: dict[tuple[str, str, str], LoggedRecord] = {}
        for logged in records:
            if known_since(logged.record) <= as_of:
                latest[about(logged.record)] = logged
        self._latest = tuple(latest[key] for key in sorted(latest))

    def of(self, unit: Unit, kind: type[Payload]) -> tuple[LoggedRecord, ...]:
        """The latest records of a kind for a unit and its subject, observed or not."""
        return tuple(
            logged for logged in self._latest if about(logged.record) == (unit.id, kind.kind, unit.subject)
        )

    def observed(self, kind: type[P]) -> tuple[Observation[P], ...]:
        """Every latest observation of a kind that carries a payload, ordered by unit and subject."""
        return tuple(
            Observation(logged.record, logged.record.payload)
            for logged in self._latest
            if logged.record.header.outcome in READABLE and isinstance(logged.record.payload, kind)
        )


def known_since(record: Record) -> datetime:
    """The moment from which on a record can be known: when it was logged, or what it saw had ended."""
    return max(record.header.recorded, record.header.observed.end)


def about(record: Record) -> tuple[str, str, str]:
    """What a record is about: unit, kind and subject."""
    return record.header.unit, record.header.kind, record.header.subject
