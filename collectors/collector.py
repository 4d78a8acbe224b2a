"""What a collector is: it looks at one unit of the scope and yields sightings.

A sighting is an observation with its payload or a typed non-observation with its reason; there is no
third thing, so a refused call can never become an empty list. The pipeline turns sightings into
records: it adds the run, the times and the identity of the collector's code.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from evidence.payload import Payload
from evidence.record import CollectorId, Outcome
from evidence.scope import Unit


@dataclass(frozen=True, slots=True)
class Observed:
    """Something was seen."""

    payload: Payload
    subject: str
    outcome: Outcome = Outcome.OBSERVED
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NotObserved:
    """Something could not be seen: which kind, in which way, the short public reason, the full words."""

    kind: type[Payload]
    subject: str
    outcome: Outcome
    reason: str
    detail: str = ""


Sighting = Observed | NotObserved

Access_contra = TypeVar("Access_contra", contravariant=True)


class Collector(Protocol[Access_contra]):
    """Looks at units of one population.

    Attributes:
        name: unique among collectors (``postgres.row_security``).
        version: raised when what is seen changes.
        population: the population of the scope whose units it looks at.
        kinds: payload types it yields; each unit gets at least one sighting of each, or the pipeline
            records the silence as `partial`.
    """

    name: str
    version: str
    population: str
    kinds: Sequence[type[Payload]]

    def collect(self, unit: Unit, access: Access_contra) -> Iterable[Sighting]:
        """Look at one unit. Expected refusals are sightings; an unexpected error ends in the boundary."""


def identify(collector: Collector[object]) -> CollectorId:
    """The collector's name, version and the SHA-256 (hex) of the module it is written in."""
    source = Path(inspect.getfile(type(collector))).read_bytes()
    return CollectorId(collector.name, collector.version, hashlib.sha256(source).hexdigest())
