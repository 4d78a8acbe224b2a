"""The record of the rollout of row security (`app.rls_wave`), as the audited database keeps it.

A database without such a record is `unsupported`; an empty record is an observation of no table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, LiteralString

from collectors.collector import Observed, Sighting
from collectors.postgres import PostgresAccess, connect, rows
from evidence.kinds.postgres import RlsWaves, WaveStep
from evidence.payload import Payload
from evidence.scope import Unit

_STEPS: Final[LiteralString] = (
    "SELECT table_name AS \"table\", position, wave, actor, date_trunc('milliseconds', at) AS at"
    " FROM app.rls_wave ORDER BY table_name, position"
)


class RlsWavesCollector:
    """Reads every step of every table."""

    name: str = "postgres.rls_waves"
    version: str = "1"
    population: str = "databases"
    kinds: Sequence[type[Payload]] = (RlsWaves,)

    def collect(self, unit: Unit, access: PostgresAccess) -> Iterable[Sighting]:
        """One `RlsWaves`."""
        with connect(access.dsn) as connection:
            steps = tuple(WaveStep(**row) for row in rows(connection, _STEPS))
        yield Observed(RlsWaves(len({step.table for step in steps}), steps), unit.subject)
