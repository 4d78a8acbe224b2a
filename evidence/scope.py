"""The scope: which databases, accounts, endpoints and sources are to be seen.

Made from `posture.yaml` before anything is collected and logged like any other record, so that a
collector never defines its own population and what did not arrive can be counted (design,
conviction 2; AICPA practice calls this completeness of the population).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Payload, Public


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to be looked at by one collector.

    Attributes:
        id: unique within a scope, stable between runs (``databases/core``).
        population: the set that it belongs to (``databases``, ``aws.rds``).
        subject: what records about it are about (``postgres:core``, ``aws:111122223333/us-east-1``).
        attributes: what a check needs to know of it beforehand (the application role, a promised region).
    """

    id: str
    population: str
    subject: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scope(Payload):
    """Everything that one run is expected to see."""

    kind: ClassVar[str] = "posture.scope/v1"

    project: Public[str]
    units: Public[tuple[Unit, ...]]

    def over(self, population: str) -> tuple[Unit, ...]:
        """The units of a population; empty when the scope names none (which no check may call green)."""
        return tuple(unit for unit in self.units if unit.population == population)
