"""Whether a sample's file is true: everything in it is computed again from what the log proves.

For an auditor who holds the file, the log's key from elsewhere, and best of all the checkpoint that was
handed over before the nonce was told: against that one no history can be written anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.errors import EvidenceError, MalformedEvidence
from evidence.kinds.population import Population, Sample, SampleCommitment
from evidence.payload import Audience, Payload, decode
from evidence.proofs.canonical import parse_strict
from evidence.proofs.dsse import Envelope
from evidence.proofs.errors import ProofsError
from evidence.proofs.keys import Verifier
from evidence.proofs.merkle import leaf_hash, verify_consistency, verify_inclusion
from evidence.proofs.notes import Checkpoint, open_checkpoint, read_checkpoint
from evidence.record import parse_statement, subtree_digests
from evidence.sampling import SamplingError, commitment_of, drawn, seed_of, verify_item
from posture.sample_files import ALGORITHM, SCHEMA, ProvenEntry, SampleFile, encoded, shown_misses, whole


@dataclass(frozen=True, slots=True)
class Verified:
    """A file that holds, and what was checked, one line each."""

    file: SampleFile
    checked: tuple[str, ...]


def verify_sample(
    content: bytes, *, origin: str | None = None, key: Verifier | None = None, kept: bytes | None = None
) -> Verified:
    """Check a sample's file.

    Args:
        content: the file.
        origin: the log's name, from elsewhere; None takes the file's.
        key: the log's key, from elsewhere; None checks no signature, and says so.
        kept: the checkpoint that was handed over when the promise was logged.

    Raises:
        SamplingError: the first thing that does not hold.
    """
    try:
        file = _read(content)
        return Verified(file, tuple(_checks(file, origin or file.log.origin, key, kept)))
    except SamplingError:
        raise
    except (EvidenceError, ProofsError, ValueError) as error:
        raise SamplingError(str(error)) from error


def _read(content: bytes) -> SampleFile:
    file: SampleFile = decode(SampleFile, parse_strict(content), where="sample")
    if encoded(file) != content:
        raise SamplingError("the file is not canonical JSON; it was changed after it was written")
    return file


def _checks(file: SampleFile, origin: str, key: Verifier | None, kept: bytes | None) -> Iterator[str]:
    checkpoint = _checkpoint(file, origin, key)
    yield (
        "the checkpoint is signed by the log's key"
        if key
        else ("SIGNATURE NOT CHECKED: no key was given, so the log may have been made anew")
    )
    _before(file)
    population = _proved(file.log.population, checkpoint, Population)
    promise = _proved(file.log.commitment, checkpoint, SampleCommitment)
    sample = _proved(file.log.sample, checkpoint, Sample)
    yield f"population, promise and sample are entries of the log, in this order: {_entries(file)}"
    _same(
        "population", population, {"name": file.population, "root": file.population_root, "count": file.count}
    )
    _same("promise", promise, _promised(file))
    _same("sample", sample, _sampled(file))
    _statement(file, promise)
    _tree_of_the_draw(file, checkpoint, kept)
    yield f"the root of the draw is that of the log when it had {file.checkpoint_size} entries" + (
        ", as in the checkpoint that was kept" if kept else "; no kept checkpoint was given to compare"
    )
    _rederive(file)
    yield f"the nonce is the promised one, and the {file.size} picks follow from it"
    _items(file)
    yield f"each pick is in the population of {file.count} items"


def _checkpoint(file: SampleFile, origin: str, key: Verifier | None) -> Checkpoint:
    signed = file.log.checkpoint.encode()
    if file.log.origin != origin:
        raise SamplingError(f"the file is of the log {file.log.origin!r}, expected {origin!r}")
    if key is not None:
        return open_checkpoint(signed, origin=origin, trusted=[key])
    checkpoint = read_checkpoint(signed)
    if checkpoint.origin != origin:
        raise SamplingError(f"the checkpoint is of the log {checkpoint.origin!r}, expected {origin!r}")
    return checkpoint


def _before(file: SampleFile) -> None:
    log = file.log
    if not log.population.entry < log.commitment.entry < log.sample.entry:
        raise SamplingError(
            f"the population (entry {log.population.entry}) must be logged before the promise "
            f"({log.commitment.entry}), and that before the sample ({log.sample.entry})"
        )
    if file.commitment_entry != log.commitment.entry:
        raise SamplingError(
            f"the promise proved is entry {log.commitment.entry}, not {file.commitment_entry}"
        )


def _proved(one: ProvenEntry, checkpoint: Checkpoint, kind: type[Payload]) -> dict[str, Any]:
    """The public values of an entry that is in the log."""
    envelope, public = one.envelope.encode(), one.public.encode()
    proof = tuple(bytes.fromhex(item) for item in one.proof)
    verify_inclusion(leaf_hash(envelope), one.entry, checkpoint.size, proof, checkpoint.root)
    statement = parse_statement(Envelope.decode(envelope).payload)
    if statement.predicate.get("kind") != kind.kind:
        raise SamplingError(f"entry {one.entry} is no {kind.kind}")
    if hashlib.sha256(public).hexdigest() != subtree_digests(statement)[Audience.PUBLIC]:
        raise SamplingError(f"entry {one.entry} commits to other public values than the file shows")
    tree = parse_strict(public)
    if not isinstance(tree, dict) or not isinstance(tree.get("value"), dict):
        raise MalformedEvidence(f"entry {one.entry} has no public values")
    outcome = statement.predicate.get("outcome")
    if outcome != "observed":
        raise SamplingError(f"entry {one.entry} is {outcome}; a sample of it means nothing")
    value: dict[str, Any] = tree["value"]
    return value


def _promised(file: SampleFile) -> dict[str, Any]:
    return {
        "population": file.population,
        "entry": file.log.population.entry,
        "root": file.population_root,
        "count": file.count,
        "size": file.size,
        "commitment": file.commitment,
    }


def _sampled(file: SampleFile) -> dict[str, Any]:
    return {
        "population": file.population,
        "entry": file.log.population.entry,
        "root": file.population_root,
        "count": file.count,
        "commitment_entry": file.commitment_entry,
        "commitment": file.commitment,
        "nonce": file.nonce,
        "checkpoint_size": file.checkpoint_size,
        "checkpoint_root": file.checkpoint_root,
        "drawn": list(file.drawn),
    }


def _same(what: str, logged: dict[str, Any], shown: dict[str, Any]) -> None:
    for name, value in shown.items():
        if logged.get(name) != value:
            raise SamplingError(
                f"the log's {what} says {name} {_short(logged.get(name))}, the file {_short(value)}"
            )


def _short(value: object) -> str:
    return str(value)[:80]


def _statement(file: SampleFile, promise: dict[str, Any]) -> None:
    payload = Envelope.decode(file.log.population.envelope.encode()).payload
    if hashlib.sha256(payload).hexdigest() != promise.get("statement"):
        raise SamplingError("the population is not the statement that the promise names")


def _tree_of_the_draw(file: SampleFile, checkpoint: Checkpoint, kept: bytes | None) -> None:
    """The tree that ends with the promise, and no other, is the beginning of the log."""
    if file.checkpoint_size != file.commitment_entry + 1:
        raise SamplingError(
            f"the draw takes the tree of {file.checkpoint_size} entries; it must be that of "
            f"{file.commitment_entry + 1}, which ends with the promise"
        )
    root = bytes.fromhex(file.checkpoint_root)
    proof = tuple(bytes.fromhex(item) for item in file.log.consistency)
    verify_consistency(file.checkpoint_size, root, checkpoint.size, checkpoint.root, proof)
    if kept is None:
        return
    old = read_checkpoint(kept)
    if old.size != file.checkpoint_size:
        raise SamplingError(
            f"the kept checkpoint has {old.size} entries, the draw takes {file.checkpoint_size}; compare it "
            "with `posture ledger verify --since` instead"
        )
    if (old.origin, old.root) != (file.log.origin, root):
        raise SamplingError("the log is not the one of the kept checkpoint: its history was written anew")


def _rederive(file: SampleFile) -> None:
    nonce = bytes.fromhex(file.nonce)
    if commitment_of(nonce).hex() != file.commitment:
        raise SamplingError("the nonce is not the promised one")
    seed = seed_of(bytes.fromhex(file.population_root), nonce, bytes.fromhex(file.checkpoint_root))
    derived = drawn(seed, file.count, file.size)
    _same(
        "arithmetic",
        {
            "schema": SCHEMA,
            "algorithm": ALGORITHM,
            "seed": seed.hex(),
            "drawn": derived,
            "ordered": tuple(sorted(derived)),
            "picks": tuple(sorted(derived)),
            "misses": shown_misses(file.count, file.size),
            "whole": whole(file.count),
        },
        {
            "schema": file.schema,
            "algorithm": file.algorithm,
            "seed": file.seed,
            "drawn": file.drawn,
            "ordered": file.ordered,
            "picks": tuple(one.index for one in file.picks),
            "misses": file.misses,
            "whole": file.whole,
        },
    )


def _items(file: SampleFile) -> None:
    root = bytes.fromhex(file.population_root)
    for one in file.picks:
        proof: Sequence[bytes] = tuple(bytes.fromhex(item) for item in one.proof)
        verify_item(one.row, bytes.fromhex(one.salt), one.index, file.count, proof, root)


def _entries(file: SampleFile) -> str:
    return ", ".join(str(one.entry) for one in (file.log.population, file.log.commitment, file.log.sample))
