"""What a judge reads: the last record of each unit, kind and subject among the first entries of a log.

The log's order decides, which nobody can change afterwards. What a record says of its own time only
decides whether it could be known: where the last record of a subject claims to be from later than the
moment of judging, nothing of that subject is seen, so that a clock that was put back brings no older
observation to life in place of a newer one. One rule, whether it is judged now or again years later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from evidence.payload import Payload
from evidence.record import Outcome, Record
from evidence.scope import Scope, Unit

P = TypeVar("P", bound=Payload)
About: TypeAlias = tuple[str, str, str]
"""Unit, kind and subject."""

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
    """A record, the SHA-256 (hex) of the statement that was signed for it, and its entry in the log."""

    record: Record
    digest: str
    entry: int = 0


class Evidence:
    """The last record of each (unit, kind, subject), of those that could be known at `as_of`.

    Args:
        records: logged records in the order of the log; of one unit, kind and subject the last counts.
        as_of: a subject whose last record was recorded, or claims to have been observed, later is not
            seen at all.
    """

    def __init__(self, records: Iterable[LoggedRecord], *, as_of: datetime) -> None:
        last: dict[About, LoggedRecord] = {}
        for logged in records:
            # Taken out first, so that the order is that of the last records.
            last.pop(about(logged.record), None)
            last[about(logged.record)] = logged
        self._latest = {key: one for key, one in last.items() if known_since(one.record) <= as_of}
        self._ordered = tuple(self._latest[key] for key in sorted(self._latest))

    def of(self, unit: Unit, kind: type[Payload]) -> tuple[LoggedRecord, ...]:
        """The latest record of a kind for a unit and its subject, observed or not; empty for none."""
        found = self._latest.get((unit.id, kind.kind, unit.subject))
        return () if found is None else (found,)

    def observed(self, kind: type[P]) -> tuple[Observation[P], ...]:
        """Every latest observation of a kind that carries a payload, ordered by unit and subject."""
        return tuple(
            Observation(logged.record, logged.record.payload)
            for logged in self._ordered
            if logged.record.header.outcome in READABLE and isinstance(logged.record.payload, kind)
        )

    def logged(self, kind: type[Payload]) -> tuple[LoggedRecord, ...]:
        """Every latest record of a kind that carries a payload, in the order of the log."""
        return tuple(one for one in self._latest.values() if isinstance(one.record.payload, kind))

    @property
    def scope(self) -> Scope | None:
        """The scope that was logged last; None before the first."""
        scopes = [one.record.payload for one in self._latest.values()]
        return next((one for one in reversed(scopes) if isinstance(one, Scope)), None)


class Reading:
    """A log that is read once, for judges who had read ever more of it.

    Args:
        records: logged records in the order of the log.
    """

    def __init__(self, records: Iterable[LoggedRecord]) -> None:
        self._ahead = deque(records)
        self._last: dict[About, LoggedRecord] = {}

    def until(self, entries: int, as_of: datetime) -> Evidence:
        """What a judge saw at `as_of` who had read the first `entries` entries; ask in rising order."""
        while self._ahead and self._ahead[0].entry < entries:
            logged = self._ahead.popleft()
            self._last.pop(about(logged.record), None)
            self._last[about(logged.record)] = logged
        return Evidence(self._last.values(), as_of=as_of)


def evidence_of(records: Iterable[LoggedRecord], entries: int, as_of: datetime) -> Evidence:
    """What was seen at `as_of` by a judge who had read the first `entries` entries of the log."""
    return Reading(records).until(entries, as_of)


def entries_of(records: Sequence[LoggedRecord]) -> int:
    """How many entries a log has, by its last record."""
    return records[-1].entry + 1 if records else 0


def entries_known(records: Sequence[LoggedRecord], as_of: datetime) -> int:
    """How many entries a log had at a moment of the past: up to the last one that was known then."""
    return max((one.entry + 1 for one in records if known_since(one.record) <= as_of), default=0)


def known_since(record: Record) -> datetime:
    """The moment from which on a record can be known: when it was logged, or what it saw had ended."""
    return max(record.header.recorded, record.header.observed.end)


def about(record: Record) -> About:
    """What a record is about: unit, kind and subject."""
    return record.header.unit, record.header.kind, record.header.subject
