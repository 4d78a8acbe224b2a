"""Populations and samples: what an auditor draws from, the promise of a nonce, and what was drawn.

A population is logged before anybody knows what will be drawn from it. Then an auditor's nonce is
promised by its SHA-256, and only when the log has that promise is the nonce told. So neither side can
choose the picks: `evidence.sampling` says how they follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Auditor, Nda, Payload, Public
from evidence.record import Interval


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which the two sources of a population count differently.

    Attributes:
        place: what both sources count by: an object, a stream, a tenant.
        first: items there in the population.
        second: items there by the second source.
    """

    place: str
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that are missing in a sequence.

    Attributes:
        series: which sequence, where there are several.
        after: the last number before the gap.
        before: the first number behind it.
    """

    series: str
    after: int
    before: int


@dataclass(frozen=True, slots=True)
class Population(Payload):
    """Everything of one sort that one source holds for a window of time, counted by a second source too.

    Attributes:
        name: unique in a project (``core.bypass_uses``); a file name.
        source: which rows of which table.
        query: as it was sent; the parameters stand beside it.
        parameters: the values of the query's parameters, by name.
        code: SHA-256 (hex) of the module that asked.
        window: from its first moment up to, without, its last.
        count: items.
        second_source: what counts the same things independently.
        second_query: as it was sent, with the same parameters.
        second_count: what it counted.
        difference_count: places at which the two differ.
        reconciled: whether the two agree at every place; else the differences name where they do not.
        differences: the places, at most `MOST_NAMED`.
        sequence: the column that numbers the items without gaps; '' when the source has none, and gaps
            cannot be seen.
        gap_count: gaps in it.
        gaps: where, at most `MOST_NAMED`.
        root: RFC 6962 root (hex) over the salted items, in their order.
        salt: of the population (hex); each item's salt follows from it and the item's index.
        items: rows in the query's order, each value as text; a NULL is left out.
    """

    kind: ClassVar[str] = "posture.population/v1"
    MOST_NAMED: ClassVar[int] = 1_000

    name: Public[str]
    source: Nda[str]
    query: Auditor[str]
    parameters: Auditor[Mapping[str, str]]
    code: Public[str]
    window: Public[Interval]
    count: Public[int]
    second_source: Nda[str]
    second_query: Auditor[str]
    second_count: Public[int]
    difference_count: Public[int]
    reconciled: Public[bool]
    differences: Auditor[tuple[Difference, ...]]
    sequence: Public[str]
    gap_count: Public[int]
    gaps: Auditor[tuple[Gap, ...]]
    root: Public[str]
    salt: Auditor[str]
    items: Auditor[tuple[Mapping[str, str], ...]]


@dataclass(frozen=True, slots=True)
class SampleCommitment(Payload):
    """An auditor has chosen a nonce and a size, and shows only the nonce's SHA-256.

    Attributes:
        population: the population's name.
        entry: its entry in the log.
        statement: SHA-256 (hex) of its signed statement.
        root: its root (hex).
        count: its items.
        size: how many will be drawn.
        commitment: SHA-256 (hex) of the nonce.
        auditor: who has chosen it.
    """

    kind: ClassVar[str] = "posture.sample_commitment/v1"

    population: Public[str]
    entry: Public[int]
    statement: Public[str]
    root: Public[str]
    count: Public[int]
    size: Public[int]
    commitment: Public[str]
    auditor: Auditor[str]


@dataclass(frozen=True, slots=True)
class Sample(Payload):
    """What was drawn, with everything that it follows from.

    Attributes:
        population: the population's name.
        entry: its entry in the log.
        root: its root (hex).
        count: its items.
        commitment_entry: the entry that promised the nonce.
        commitment: SHA-256 (hex) of the nonce, as it was promised.
        nonce: 32 bytes (hex).
        checkpoint_size: of the tree whose root counts: the one that ends with the promise.
        checkpoint_root: its root (hex).
        drawn: indices of the picks from zero, in the order of drawing.
    """

    kind: ClassVar[str] = "posture.sample/v1"

    population: Public[str]
    entry: Public[int]
    root: Public[str]
    count: Public[int]
    commitment_entry: Public[int]
    commitment: Public[str]
    nonce: Public[str]
    checkpoint_size: Public[int]
    checkpoint_root: Public[str]
    drawn: Public[tuple[int, ...]]
