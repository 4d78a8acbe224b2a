"""The files of populations and samples: what an auditor gets, and what a pack carries.

A sample's file proves itself: the picks follow from what it names, each pick is in the population's root,
and the entries that promised and published all of it are in the log. Every file is canonical JSON and a
pure function of the log.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from evidence.kinds.population import Population, Sample, SampleCommitment
from evidence.ledger.log import Ledger
from evidence.ledger.tiles import TileReader
from evidence.payload import Audience, Json, encode, subtrees
from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.dsse import Envelope
from evidence.proofs.merkle import consistency_proof, inclusion_proof
from evidence.proofs.notes import read_checkpoint
from evidence.record import parse_statement, subtree_digests
from evidence.sampling import ItemTree, item_leaves, item_salt, misses, percent, seed_of
from evidence.view import LoggedRecord
from posture.errors import UsageError
from posture.sampling import of_kind, payload_of, promised_population
from trust_portal.packs.documents.spreadsheet import disarmed

SCHEMA: Final = "posture.sample-file/v1"
REDERIVE: Final = "05-samples/rederive.py"
ALGORITHM: Final = (
    "seed = SHA-256('posture.sample/v1' || population_root || nonce || checkpoint_root); block i = "
    "HMAC-SHA-256(seed, i as 8 bytes big endian), i = 0, 1, ...; candidate = the first bits of the block, as "
    "many as count - 1 has; a candidate that is not below count, or was drawn before, is passed over. "
    "checkpoint_root is the log's root over its first commitment_entry + 1 entries. "
    "Item leaf = SHA-256(0x00 || canonical JSON of {row, salt}); tree as RFC 6962"
)

_RANK: Final = tuple(Audience)


@dataclass(frozen=True, slots=True)
class Pick:
    """An item that was drawn: its row and salt, and its audit path (hex) to the population's root."""

    index: int
    row: Mapping[str, str]
    salt: str
    proof: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownMiss:
    """How likely the sample holds none of so many deviations, in percent."""

    deviations: int
    chance: str


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry of the log: its envelope, its public subtree, and its audit path (hex) to the checkpoint."""

    entry: int
    envelope: str
    public: str
    proof: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogProof:
    """That three entries are in the log, and that the tree of the draw is its beginning.

    Attributes:
        origin: the log's name.
        checkpoint: a signed note over all that is proved.
        consistency: proof (hex) from the tree of the draw to the checkpoint's.
    """

    origin: str
    checkpoint: str
    consistency: tuple[str, ...]
    population: ProvenEntry
    commitment: ProvenEntry
    sample: ProvenEntry


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A sample with everything that it follows from; see `ALGORITHM` and `evidence.kinds.population`."""

    schema: str
    population: str
    population_root: str
    count: int
    size: int
    commitment: str
    commitment_entry: int
    nonce: str
    checkpoint_size: int
    checkpoint_root: str
    seed: str
    algorithm: str
    drawn: tuple[int, ...]
    ordered: tuple[int, ...]
    picks: tuple[Pick, ...]
    misses: tuple[ShownMiss, ...]
    whole: str
    log: LogProof


def sample_file(
    ledger: Ledger, records: Sequence[LoggedRecord], entry: int, *, checkpoint: bytes | None = None
) -> SampleFile:
    """The file of the sample in an entry.

    Args:
        ledger: the log.
        records: all of it, in its order.
        entry: where the sample was logged.
        checkpoint: of the log; None for the present one.

    Raises:
        UsageError: no sample is there, or its population is not the promised one.
    """
    sample = next((one for n, one in of_kind(records, Sample) if n == entry), None)
    if sample is None:
        there = ", ".join(str(n) for n, _ in of_kind(records, Sample)) or "none"
        raise UsageError(f"entry {entry} holds no sample; entries that do: {there}")
    promise = dict(of_kind(records, SampleCommitment))[sample.commitment_entry]
    population = payload_of(promised_population(records, promise), Population)
    root, nonce, later = (bytes.fromhex(one) for one in (sample.root, sample.nonce, sample.checkpoint_root))
    return SampleFile(
        schema=SCHEMA,
        population=sample.population,
        population_root=sample.root,
        count=sample.count,
        size=len(sample.drawn),
        commitment=sample.commitment,
        commitment_entry=sample.commitment_entry,
        nonce=sample.nonce,
        checkpoint_size=sample.checkpoint_size,
        checkpoint_root=sample.checkpoint_root,
        seed=seed_of(root, nonce, later).hex(),
        algorithm=ALGORITHM,
        drawn=sample.drawn,
        ordered=tuple(sorted(sample.drawn)),
        picks=_picks(population, sorted(sample.drawn)),
        misses=shown_misses(sample.count, len(sample.drawn)),
        whole=whole(sample.count),
        log=_log_proof(ledger, checkpoint or ledger.signed_checkpoint(), sample, entry),
    )


def shown_misses(count: int, size: int) -> tuple[ShownMiss, ...]:
    """The chances that a sample misses so many deviations, as they are printed."""
    return tuple(ShownMiss(one.deviations, percent(one.chance)) for one in misses(count, size))


def whole(count: int) -> str:
    """What is printed beside them."""
    return f"100 % testing of {count} items: misses none"


def encoded(document: SampleFile) -> bytes:
    """The file's bytes: canonical JSON."""
    return canonical_bytes(encode(document))


def picks_csv(document: SampleFile) -> bytes:
    """The picks for a spreadsheet: the item's index, the place in the order of drawing, its columns."""
    place = {index: n for n, index in enumerate(document.drawn, 1)}
    rows = [{"item": str(one.index), "drawn": str(place[one.index]), **one.row} for one in document.picks]
    return _csv(["item", "drawn"], rows)


def population_csv(population: Population) -> bytes:
    """The items for a spreadsheet, each with its index; values that a spreadsheet would run are disarmed."""
    return _csv(["item"], [{"item": str(n), **row} for n, row in enumerate(population.items)])


def population_file(logged: LoggedRecord, records: Sequence[LoggedRecord], audience: Audience) -> bytes:
    """What an audience may read of a population, with every sample that was promised or drawn of it."""
    payload, header = payload_of(logged, Population), logged.record.header
    split = subtrees(payload)
    allowed = _RANK[: _RANK.index(audience) + 1]
    value = {name: field for one in allowed for name, field in split[one].items()}
    return canonical_bytes(
        {
            "entry": logged.entry,
            "statement": logged.digest,
            "outcome": header.outcome.value,
            "reason": header.reason,
            "samples": list(_samples_of(logged.entry, records)),
            "value": value,
        }
    )


def pack_files(
    ledger: Ledger,
    records: Sequence[LoggedRecord],
    audience: Audience,
    *,
    entries: frozenset[int] | None = None,
    checkpoint: bytes | None = None,
) -> dict[str, bytes]:
    """Files of a pack by name: ``04-populations`` and ``05-samples``; empty without a population.

    Carried is of each population the newest, and each of which a sample was promised. Samples show rows,
    so their files, and the CSV of populations, are for auditors; others read what is public of them.

    Args:
        ledger: the log.
        records: all of it, in its order, up to the pack's checkpoint.
        audience: who will read the pack.
        entries: of the log that the pack carries; None for all.
        checkpoint: the pack's; None for the log's present one.
    """
    carried = [one for one in records if entries is None or one.entry in entries]
    chosen = _chosen(carried)
    files: dict[str, bytes] = {}
    for stem, logged in _named(chosen, [payload_of(one, Population).name for one in chosen]):
        files[f"04-populations/{stem}.population.json"] = population_file(logged, carried, audience)
        if audience is Audience.AUDITOR:
            files[f"04-populations/{stem}.csv"] = population_csv(payload_of(logged, Population))
    samples = [one for one in carried if isinstance(one.record.payload, Sample)]
    for stem, logged in _named(samples, [payload_of(one, Sample).population for one in samples]):
        files[f"05-samples/{stem}.sample.json"] = (
            encoded(sample_file(ledger, records, logged.entry, checkpoint=checkpoint))
            if audience is Audience.AUDITOR
            else canonical_bytes({"entry": logged.entry, "value": encode(logged.record.payload)})
        )
    if audience is Audience.AUDITOR and samples:
        files[REDERIVE] = resources.files("trust_portal.packs").joinpath("rederive.py").read_bytes()
    return files


def _picks(population: Population, indices: Sequence[int]) -> tuple[Pick, ...]:
    salt = bytes.fromhex(population.salt)
    tree = ItemTree(item_leaves(population.items, salt))
    return tuple(Pick(n, population.items[n], item_salt(salt, n).hex(), _hex(tree.proof(n))) for n in indices)


def _log_proof(ledger: Ledger, checkpoint: bytes, sample: Sample, entry: int) -> LogProof:
    size = read_checkpoint(checkpoint).size
    reader = TileReader(ledger.store, size)
    return LogProof(
        origin=ledger.origin,
        checkpoint=checkpoint.decode(),
        consistency=_hex(consistency_proof(reader.node, sample.checkpoint_size, size)),
        population=_proven(ledger, reader, sample.entry),
        commitment=_proven(ledger, reader, sample.commitment_entry),
        sample=_proven(ledger, reader, entry),
    )


def _proven(ledger: Ledger, reader: TileReader, entry: int) -> ProvenEntry:
    (envelope,) = reader.entries(entry, entry + 1)
    digest = subtree_digests(parse_statement(Envelope.decode(envelope).payload))[Audience.PUBLIC]
    proof = inclusion_proof(reader.node, entry, reader.size)
    return ProvenEntry(entry, envelope.decode(), ledger.blob(entry, digest).decode(), _hex(proof))


def _hex(hashes: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(one.hex() for one in hashes)


def _samples_of(population: int, records: Sequence[LoggedRecord]) -> Iterator[dict[str, Json]]:
    """Every promise of a sample of a population, drawn or not: one that was dropped stays visible."""
    drawn = {one.commitment_entry: n for n, one in of_kind(records, Sample)}
    for n, promise in of_kind(records, SampleCommitment):
        if promise.entry == population:
            yield {"commitment_entry": n, "size": promise.size, "sample_entry": drawn.get(n)}


def _chosen(records: Sequence[LoggedRecord]) -> list[LoggedRecord]:
    """Of each name the newest population, and each of which a sample was promised."""
    promised = {one.entry for _, one in of_kind(records, SampleCommitment)}
    populations = [one for one in records if isinstance(one.record.payload, Population)]
    newest = {payload_of(one, Population).name: one.entry for one in populations}
    return [
        one
        for one in populations
        if one.entry in promised or newest[payload_of(one, Population).name] == one.entry
    ]


def _named(chosen: Sequence[LoggedRecord], names: Sequence[str]) -> Iterator[tuple[str, LoggedRecord]]:
    """A file's stem for each: the name, with the entry where several have it."""
    several = Counter(names)
    for name, logged in zip(names, chosen, strict=True):
        yield (name if several[name] == 1 else f"{name}-{logged.entry:06d}"), logged


def _csv(first: Sequence[str], rows: Sequence[Mapping[str, str]]) -> bytes:
    columns = list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(disarmed(name) for name in columns)
    writer.writerows([disarmed(row.get(name, "")) for name in columns] for row in rows)
    return out.getvalue().encode()
