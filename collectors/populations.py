"""Populations for auditors: everything of one sort in a window of time, counted by a second source too.

Each is read in one snapshot of the database (REPEATABLE READ), so that its two sources can only differ
where the platform wrote two different things. A population that the login may not read, or that the
database does not have, is a refusal of its own; the others are still read.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, LiteralString

import psycopg
from psycopg.rows import DictRow

from collectors.boundary import refusal_of
from collectors.collector import NotObserved, Observed, Sighting
from collectors.postgres import Connection, connect
from evidence.kinds.population import Difference, Gap, Population
from evidence.payload import Payload, timestamp
from evidence.proofs.canonical import canonical_bytes
from evidence.record import Interval, Outcome
from evidence.sampling import SALT_BYTES, ItemTree, item_leaves
from evidence.scope import Unit

MOST_ITEMS: Final = 50_000
"""Items of one population; what holds more is read up to here and logged as `partial`."""

MOST_BYTES: Final = 32 * 1024 * 1024
"""Items as JSON; a reader of the log refuses documents of twice that."""

TOO_MANY: Final = "the window holds more items than one population may"


@dataclass(frozen=True, slots=True)
class Source:
    """How one sort of items is read and counted.

    Attributes:
        name: of the population within a database.
        told: which rows of which table.
        query: the items, oldest first, each column as text; takes `start`, `end` and `limit`.
        place: columns that say where an item belongs; the second source counts by the same.
        counted: what the second source is.
        count_query: `place` and `counted`, for the same window.
        sequence: a column that numbers the items of a place without gaps; '' for none.
    """

    name: str
    told: str
    query: LiteralString
    place: tuple[str, ...]
    counted: str
    count_query: LiteralString
    sequence: str = ""


SOURCES: Final = (
    Source(
        name="bypass_uses",
        told="app.bypass_log: begin records, which a transaction of their own commits",
        place=("entry_id",),
        query="""
SELECT b.entry_id::text AS entry_id,
       to_char(b.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
       b.scope, b.reason, b.change_ref, b.transaction_id::text AS transaction_id
  FROM app.bypass_log b
 WHERE b.phase = 'begin' AND b.at >= %(start)s AND b.at < %(end)s
 ORDER BY b.at, b.entry_id
 LIMIT %(limit)s""",
        counted="app.bypass_log: grants, which the transaction of the bypass itself commits; a begin "
        "without one was rolled back, touched no table, or is still open",
        count_query="""
SELECT g.begin_id::text AS place, count(*) AS counted
  FROM app.bypass_log g JOIN app.bypass_log b ON b.entry_id = g.begin_id
 WHERE g.phase = 'grant' AND b.at >= %(start)s AND b.at < %(end)s
 GROUP BY g.begin_id ORDER BY g.begin_id""",
    ),
    Source(
        name="spend_events",
        told="ai.ai_spend_event: events of log objects whose reading ended in the window, and events of "
        "that time which no finished object accounts for",
        place=("tenant_id", "source_object_hash"),
        query="""
SELECT e.tenant_id::text AS tenant_id, e.source_object_hash, e.line::text AS line,
       to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS occurred_at,
       e.account_id, e.region, e.model_id, e.operation,
       e.input_tokens::text AS input_tokens, e.output_tokens::text AS output_tokens
  FROM ai.ai_spend_event e LEFT JOIN ai.ingested_object o
    ON o.tenant_id = e.tenant_id AND o.object_hash = e.source_object_hash
 WHERE coalesce(o.completed_at, e.occurred_at) >= %(start)s
   AND coalesce(o.completed_at, e.occurred_at) < %(end)s
 ORDER BY e.tenant_id, e.source_object_hash, e.line
 LIMIT %(limit)s""",
        counted="ai.ingested_object: the records that the ingestion counted in each object that it finished",
        count_query="""
SELECT o.tenant_id::text || '/' || o.object_hash AS place, o.records::int8 AS counted
  FROM ai.ingested_object o
 WHERE o.completed_at >= %(start)s AND o.completed_at < %(end)s
 ORDER BY 1""",
    ),
    Source(
        name="events",
        told="events.event: rows that are added and never changed",
        place=("tenant_id", "stream"),
        sequence="position",
        query="""
SELECT e.tenant_id::text AS tenant_id, e.stream, e.position::text AS position, e.kind,
       to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
  FROM events.event e
 WHERE e.at >= %(start)s AND e.at < %(end)s
 ORDER BY e.tenant_id, e.stream, e.position
 LIMIT %(limit)s""",
        counted="events.event_stream: how far each stream's own head moved in the window",
        count_query="""
SELECT s.tenant_id::text || '/' || s.stream AS place,
       coalesce(later.first - 1, s.head) - coalesce(earlier.last, 0) AS counted
  FROM events.event_stream s
  LEFT JOIN LATERAL (SELECT max(position) AS last FROM events.event e
        WHERE e.tenant_id = s.tenant_id AND e.stream = s.stream AND e.at < %(start)s) earlier ON true
  LEFT JOIN LATERAL (SELECT min(position) AS first FROM events.event e
        WHERE e.tenant_id = s.tenant_id AND e.stream = s.stream AND e.at >= %(end)s) later ON true
 WHERE coalesce(later.first - 1, s.head) <> coalesce(earlier.last, 0)
 ORDER BY 1""",
    ),
    Source(
        name="tenants",
        told="identity.tenant: tenants made in the window that are still there",
        place=("tenant_id",),
        query="""
SELECT t.tenant_id::text AS tenant_id, t.name, t.state,
       to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at
  FROM identity.tenant t
 WHERE t.created_at >= %(start)s AND t.created_at < %(end)s
 ORDER BY t.created_at, t.tenant_id
 LIMIT %(limit)s""",
        counted="lifecycle.tenant_state_change: tenants whose first state is of the window; it outlives them",
        count_query="""
SELECT c.tenant_id::text AS place, 1::int8 AS counted
  FROM lifecycle.tenant_state_change c
 GROUP BY c.tenant_id HAVING min(c.at) >= %(start)s AND min(c.at) < %(end)s
 ORDER BY 1""",
    ),
)

_WINDOW: Final = """
SELECT date_trunc('milliseconds', clock_timestamp()) AS now,
       date_trunc('day', clock_timestamp(), 'UTC') - interval '1 day' AS yesterday
"""


@dataclass(frozen=True, slots=True)
class PopulationAccess:
    """How to read a database's populations.

    Attributes:
        dsn: of a login that sees every row, or is refused.
        start: the window's first moment; None for the beginning of yesterday (UTC), so that windows of
            daily runs overlap and never leave a gap.
        end: its last moment, not included; None, or a moment of the future, for now by the database.
    """

    dsn: str = field(repr=False)
    start: datetime | None = None
    end: datetime | None = None


class PopulationsCollector:
    """Reads every population of `SOURCES`.

    Args:
        salt: gives so many random bytes.
    """

    name: str = "postgres.populations"
    version: str = "1"
    population: str = "databases"
    kinds: Sequence[type[Payload]] = (Population,)

    def __init__(self, salt: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._salt = salt
        self._code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

    def collect(self, unit: Unit, access: PopulationAccess) -> Iterable[Sighting]:
        """One `Population`, or one refusal, for each source."""
        with connect(access.dsn) as connection:
            # posture: ignore BYP006 until 2027-11-30 (posture): the auditor's login must see every row, or
            # be refused loudly
            connection.execute("SELECT set_config('row_security', 'off', false)")
            for source in SOURCES:
                yield self._look(connection, source, unit, access)

    def _look(self, connection: Connection, source: Source, unit: Unit, access: PopulationAccess) -> Sighting:
        name, subject = f"{unit.id.partition('/')[2]}.{source.name}", f"{unit.subject}/{source.name}"
        try:
            payload, complete = self._read(connection, source, name, access)
        except psycopg.Error as error:
            refused = refusal_of(error)
            return NotObserved(Population, subject, refused.outcome, refused.reason, refused.detail)
        if complete:
            return Observed(payload, subject)
        detail = f"more than {MOST_ITEMS} items or {MOST_BYTES} bytes; take a shorter window"
        return Observed(payload, subject, Outcome.PARTIAL, TOO_MANY, detail)

    def _read(
        self, connection: Connection, source: Source, name: str, access: PopulationAccess
    ) -> tuple[Population, bool]:
        """The population, and whether it is whole."""
        with _snapshot(connection):
            window = _window(connection, access)
            parameters = {"start": window.start, "end": window.end, "limit": MOST_ITEMS + 1}
            found = connection.execute(source.query, parameters).fetchall()
            counted = connection.execute(source.count_query, parameters).fetchall()
        rows = tuple(_fitting(_row(one) for one in found[:MOST_ITEMS]))
        return self._population(source, name, window, rows, counted), len(rows) == len(found)

    def _population(
        self,
        source: Source,
        name: str,
        window: Interval,
        rows: tuple[Mapping[str, str], ...],
        counted: Sequence[DictRow],
    ) -> Population:
        salt = self._salt(SALT_BYTES)
        second = {str(one["place"]): int(one["counted"]) for one in counted}
        differences, gaps = _differences(source, rows, second), _gaps(source, rows)
        return Population(
            name=name,
            source=source.told,
            query=source.query.strip(),
            parameters={
                "start": timestamp(window.start),
                "end": timestamp(window.end),
                "limit": str(MOST_ITEMS + 1),
            },
            code=self._code,
            window=window,
            count=len(rows),
            second_source=source.counted,
            second_query=source.count_query.strip(),
            second_count=sum(second.values()),
            difference_count=len(differences),
            reconciled=not differences,
            differences=differences[: Population.MOST_NAMED],
            sequence=source.sequence,
            gap_count=len(gaps),
            gaps=gaps[: Population.MOST_NAMED],
            root=ItemTree(item_leaves(rows, salt)).root.hex(),
            salt=salt.hex(),
            items=rows,
        )


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    """Everything that is read within sees the database at one moment, and can change nothing."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _window(connection: Connection, access: PopulationAccess) -> Interval:
    (clock,) = connection.execute(_WINDOW).fetchall()
    now, yesterday = clock["now"].astimezone(UTC), clock["yesterday"].astimezone(UTC)
    return Interval(access.start or yesterday, min(access.end or now, now))


def _row(found: DictRow) -> Mapping[str, str]:
    return {name: value for name, value in found.items() if value is not None}


def _fitting(rows: Iterable[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """As many rows as one population may hold in bytes."""
    taken = 0
    for row in rows:
        taken += len(canonical_bytes(dict(row)))
        if taken > MOST_BYTES:
            return
        yield row


def _place(source: Source, row: Mapping[str, str]) -> str:
    return "/".join(row[name] for name in source.place)


def _differences(
    source: Source, rows: Iterable[Mapping[str, str]], second: Mapping[str, int]
) -> tuple[Difference, ...]:
    first = Counter(_place(source, row) for row in rows)
    places = sorted(first.keys() | second.keys())
    told = (Difference(place, first.get(place, 0), second.get(place, 0)) for place in places)
    return tuple(one for one in told if one.first != one.second)


def _gaps(source: Source, rows: Iterable[Mapping[str, str]]) -> tuple[Gap, ...]:
    """Missing numbers between the first and the last of each series; its edges are the second count's."""
    if not source.sequence:
        return ()
    last: dict[str, int] = {}
    gaps = []
    for row in rows:
        series, number = _place(source, row), int(row[source.sequence])
        if number != last.get(series, number - 1) + 1:
            gaps.append(Gap(series, last[series], number))
        last[series] = number
    return tuple(gaps)
