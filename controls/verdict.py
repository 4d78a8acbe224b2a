"""Verdict types: what a check concludes, and how verdicts combine.

`unknown` is never green, and nothing to judge is `unknown` (design, convictions 1 and 2).
Standard library and `evidence` only, so that a pack can carry this module for re-performance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from evidence.payload import Nda, Payload, Public


class State(StrEnum):
    """The five states of a verdict."""

    SATISFIED = "satisfied"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WAIVED = "waived"
    NOT_APPLICABLE = "not_applicable"


_PRECEDENCE = (State.FAILED, State.UNKNOWN, State.WAIVED, State.SATISFIED, State.NOT_APPLICABLE)


def combine(states: Iterable[State]) -> State:
    """The state of several together: failed over unknown over waived over satisfied; none is unknown."""
    present = set(states)
    return next((state for state in _PRECEDENCE if state in present), State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as claimed: what, where, and since when (None when nobody saw it begin)."""

    what: str
    where: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Completeness:
    """The expected and received of a verdict; an item is ``kind over unit``, a refusal adds its reason."""

    expected: tuple[str, ...] = ()
    received: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Everything expected was received and is fresh, and something was expected."""
        return bool(self.expected) and not (self.missing or self.stale or self.refused)


def together(ledgers: Iterable[Completeness]) -> Completeness:
    """The ledgers of several verdicts as one, each item once; what any verdict lacks was not received.

    A population of which the scope names nothing is expected and missing.
    """
    merged = {name: set[str]() for name in Completeness.__dataclass_fields__}
    for ledger in ledgers:
        for name, items in merged.items():
            items.update(getattr(ledger, name))
    lacking = merged["missing"] | merged["stale"] | {item.partition(": ")[0] for item in merged["refused"]}
    merged["expected"] |= merged["missing"]
    merged["received"] -= lacking
    return Completeness(**{name: tuple(sorted(items)) for name, items in merged.items()})


@dataclass(frozen=True, slots=True)
class Verdict(Payload):
    """What a check concluded, from which evidence, and how complete that evidence was.

    Attributes:
        check: id of the check, the claim id that it is named after (``RLS-01``).
        claims: ids of the claims that it decides.
        state: see `State`.
        reason: one sentence a reader can act on; public, so it names no table, account or person.
        facts: numbers and words for the claim's wording (``{"tables": 9, "enforced": 9}``).
        deviations: every thing that is not as claimed.
        completeness: expected, received, missing, late, stale and refused evidence.
        evidence: SHA-256 (hex) of each signed statement that was judged.
        scope: SHA-256 (hex) of the scope's canonical JSON.
        source: SHA-256 (hex) of the check's source.
        as_of: the moment the verdict speaks for.
        valid_until: when the first piece of its evidence expires.
        entries: how many entries of the log had been read; judged again, exactly these are read.
    """

    kind: ClassVar[str] = "posture.verdict/v1"

    check: Public[str]
    claims: Public[tuple[str, ...]]
    state: Public[State]
    reason: Public[str]
    facts: Public[Mapping[str, int | str]]
    deviations: Nda[tuple[Deviation, ...]]
    completeness: Public[Completeness] = field(default_factory=Completeness)
    evidence: Public[tuple[str, ...]] = ()
    scope: Public[str] = ""
    source: Public[str] = ""
    as_of: Public[datetime | None] = None
    valid_until: Public[datetime | None] = None
    entries: Public[int] = 0
