"""What a check reads: the records known at a moment, the latest of each unit, kind and subject."""

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
        records: any number of logged records, in any order.
        as_of: what was recorded, or claims to have been observed, later is not seen.
    """

    def __init__(self, records: Iterable[LoggedRecord], *, as_of: datetime) -> None:
        latest: dict[tuple[str, str, str], LoggedRecord] = {}
        for logged in records:
            header = logged.record.header
            if max(header.recorded, header.observed.end) > as_of:
                continue
            key = _about(logged.record)
            if key not in latest or latest[key].record.header.recorded <= header.recorded:
                latest[key] = logged
        self._latest = tuple(latest[key] for key in sorted(latest))

    def of(self, unit: Unit, kind: type[Payload]) -> tuple[LoggedRecord, ...]:
        """The latest records of a kind for a unit and its subject, observed or not."""
        return tuple(
            logged for logged in self._latest if _about(logged.record) == (unit.id, kind.kind, unit.subject)
        )

    def observed(self, kind: type[P]) -> tuple[Observation[P], ...]:
        """Every latest observation of a kind that carries a payload, ordered by unit and subject."""
        return tuple(
            Observation(logged.record, logged.record.payload)
            for logged in self._latest
            if logged.record.header.outcome in READABLE and isinstance(logged.record.payload, kind)
        )

    def unobserved(self, kind: type[Payload]) -> tuple[Record, ...]:
        """The latest records of a kind that are typed non-observations."""
        return tuple(
            logged.record
            for logged in self._latest
            if logged.record.header.kind == kind.kind and logged.record.header.outcome not in READABLE
        )


def _about(record: Record) -> tuple[str, str, str]:
    return record.header.unit, record.header.kind, record.header.subject
