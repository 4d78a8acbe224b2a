"""Samples in the ledger: a population is there, a nonce is promised, and then the picks are drawn.

The tree whose root counts is the one that ends with the promise: it was signed when the promise was
logged, before the operator of the log could know the nonce. A later one would let whoever knows both try
entries until the picks suit. There is one draw for each promise, and the ledger holds both by identity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from collectors.populations import PopulationsCollector
from evidence.kinds.population import Population, Sample, SampleCommitment
from evidence.ledger.log import Ledger
from evidence.ledger.tiles import TileReader
from evidence.payload import Payload
from evidence.proofs.merkle import span_root
from evidence.record import CollectorId, Interval, Outcome, Record
from evidence.sampling import ItemTree, SamplingError, commitment_of, drawn, item_leaves, seed_of
from evidence.view import LoggedRecord
from posture.access import AccessBook
from posture.cli import VERSION
from posture.config import Project
from posture.errors import UsageError
from posture.pipeline import look_at
from posture.records import RecordLog, RunClock
from posture.scoping import scope_of

SAMPLER: Final = CollectorId("posture.sampling", VERSION, "")
KEPT: Final = timedelta(days=3653)
"""How long a sample may be shown; audits of past years are asked about."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")
P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry that was just logged, and the checkpoint that was signed over the log then."""

    entry: int
    checkpoint: bytes


def take(project: Project, log: RecordLog, book: AccessBook) -> list[tuple[int, Record]]:
    """Read the populations of every database of the scope now, and log them; each with its entry."""
    clock, collector = RunClock.start(), PopulationsCollector()
    taken: list[tuple[int, Record]] = []
    for unit in scope_of(project).over(collector.population):
        records = look_at(clock, unit, collector, book)
        receipts = log.append(records)
        taken += [(one.index, record) for one, record in zip(receipts, records, strict=True)]
    return taken


def commit(
    log: RecordLog,
    records: Sequence[LoggedRecord],
    *,
    population: LoggedRecord,
    size: int,
    commitment: str,
    auditor: str,
) -> Logged:
    """Log that an auditor has chosen a nonce and a size for a population.

    Raises:
        UsageError: the commitment is none or was used, or so many cannot be drawn from the population.
    """
    if not _HASH.fullmatch(commitment):
        raise UsageError(
            "--commitment is the SHA-256 of the nonce, 64 hexadecimal digits; "
            "`posture pack sample nonce` makes both"
        )
    used = next((n for n, one in of_kind(records, SampleCommitment) if one.commitment == commitment), None)
    if used is not None:
        raise UsageError(f"this commitment is entry {used} already; a nonce is used once, make a new one")
    held = _whole(population)
    if not 1 <= size <= held.count:
        raise UsageError(
            f"cannot draw {size} of the {held.count} items of {held.name}; give --size 1 to {held.count}"
        )
    payload = SampleCommitment(
        population=held.name,
        entry=population.entry,
        statement=population.digest,
        root=held.root,
        count=held.count,
        size=size,
        commitment=commitment,
        auditor=auditor,
    )
    return _log(log, f"commitment-{commitment}", f"nonce:{commitment}", payload)


def draw(log: RecordLog, records: Sequence[LoggedRecord], *, commitment_entry: int, nonce: bytes) -> Logged:
    """Draw what a promised nonce leads to, and log it.

    Raises:
        UsageError: no promise is there, the nonce is another one, it was drawn before, or the population
            is not the one that was promised for.
    """
    promise = _promise(records, commitment_entry)
    try:
        kept = commitment_of(nonce).hex() == promise.commitment
    except SamplingError as error:
        raise UsageError(str(error)) from error
    if not kept:
        raise UsageError(f"this nonce is not the one that entry {commitment_entry} promises")
    before = next(
        (n for n, one in of_kind(records, Sample) if one.commitment_entry == commitment_entry), None
    )
    if before is not None:
        raise UsageError(
            f"drawn already, as entry {before}; `posture pack sample files --entry {before}` "
            "writes its files again"
        )
    root = root_at(log.ledger, commitment_entry + 1)
    payload = Sample(
        population=promise.population,
        entry=promise.entry,
        root=promise.root,
        count=promise.count,
        commitment_entry=commitment_entry,
        commitment=promise.commitment,
        nonce=nonce.hex(),
        checkpoint_size=commitment_entry + 1,
        checkpoint_root=root.hex(),
        drawn=drawn(seed_of(bytes.fromhex(promise.root), nonce, root), promise.count, promise.size),
    )
    promised_population(records, promise)
    return _log(log, f"sample-{commitment_entry}", f"commitment:{commitment_entry}", payload)


def find_population(records: Sequence[LoggedRecord], name: str, entry: int | None = None) -> LoggedRecord:
    """The newest logged population of a name, or the one in an entry.

    Raises:
        UsageError: there is none; naming those that there are.
    """
    known = dict(of_kind(records, Population))
    found = {n for n, one in known.items() if one.name == name and entry in (None, n)}
    if not found:
        there = ", ".join(sorted({one.name for one in known.values()})) or "none"
        where = name if entry is None else f"{name} in entry {entry}"
        raise UsageError(
            f"the log holds no population {where}; it holds: {there}. "
            "`posture pack sample take` reads and logs them"
        )
    return next(one for one in records if one.entry == max(found))


def promised_population(records: Sequence[LoggedRecord], promise: SampleCommitment) -> LoggedRecord:
    """The population that a promise is about.

    Raises:
        UsageError: what stands in its entry is another one.
    """
    logged = next((one for one in records if one.entry == promise.entry), None)
    if logged is None:
        raise UsageError(f"the log has no entry {promise.entry}, and a sample was promised of it")
    payload = payload_of(logged, Population)
    if (logged.digest, payload.root, payload.count) != (promise.statement, promise.root, promise.count):
        raise UsageError(f"entry {promise.entry} is not the population that the sample was promised of")
    return logged


def of_kind(records: Sequence[LoggedRecord], kind: type[P]) -> Iterator[tuple[int, P]]:
    """Entry and payload of every record of a kind, in the order of the log."""
    for one in records:
        if isinstance(one.record.payload, kind):
            yield one.entry, one.record.payload


def payload_of(logged: LoggedRecord, kind: type[P]) -> P:
    """The payload of a record that must be of a kind.

    Raises:
        UsageError: it is of another one, or nothing was observed.
    """
    if not isinstance(logged.record.payload, kind):
        raise UsageError(f"entry {logged.entry} holds no {kind.kind}")
    return logged.record.payload


def root_at(ledger: Ledger, size: int) -> bytes:
    """The root of the log as it was at a size."""
    return span_root(TileReader(ledger.store, ledger.size).node, (0, size))


def _promise(records: Sequence[LoggedRecord], entry: int) -> SampleCommitment:
    promises = dict(of_kind(records, SampleCommitment))
    if entry not in promises:
        there = ", ".join(map(str, promises)) or "none"
        raise UsageError(f"entry {entry} promises no sample; entries that do: {there}")
    return promises[entry]


def _whole(logged: LoggedRecord) -> Population:
    """The population of a record, if a sample of it would mean something."""
    payload, header = payload_of(logged, Population), logged.record.header
    if header.outcome is not Outcome.OBSERVED:
        raise UsageError(
            f"{payload.name} in entry {logged.entry} is {header.outcome} ({header.reason}); "
            "take it again, for a shorter window if need be"
        )
    tree = ItemTree(item_leaves(payload.items, bytes.fromhex(payload.salt)))
    if (tree.root.hex(), tree.size) != (payload.root, payload.count):
        raise UsageError(f"the items in entry {logged.entry} do not lead to its root; take it again")
    return payload


def _log(log: RecordLog, run: str, subject: str, payload: SampleCommitment | Sample) -> Logged:
    clock = RunClock(run)
    now = clock.now()
    record = clock.record(
        unit="samples",
        subject=subject,
        kind=type(payload),
        payload=payload,
        observed=Interval(now, now),
        lifetime=KEPT,
        by=SAMPLER,
    )
    (receipt,) = log.append([record])
    return Logged(receipt.index, log.ledger.signed_checkpoint())
