"""What may be logged: an entry checked, with all about it that can be computed before its place is known.

The log computes this while it takes a batch, before it waits for its turn to write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from evidence.ledger.blobs import MAX_BLOB_BYTES
from evidence.ledger.entries import EntryFacts, FactsOf, PendingEntry, SignedEntry, statement_facts
from evidence.ledger.errors import EntryRefused
from evidence.ledger.index import identity_key
from evidence.ledger.keychain import is_rotation
from evidence.ledger.layout import MAX_ENTRY_BYTES
from evidence.proofs.errors import MalformedEnvelope
from evidence.proofs.merkle import leaf_hash


class Admitted(NamedTuple):
    """An entry that may be logged.

    Attributes:
        identity: one entry each.
        key: the identity as the index knows it.
        payload: SHA-256 of the envelope's payload.
        leaf: the entry's leaf hash.
        envelope: the entry's bytes.
        blobs: by SHA-256, in the order in which the entry commits to them.
        rotates: whether the entry changes the log's key.
    """

    identity: str
    key: bytes
    payload: bytes
    leaf: bytes
    envelope: bytes
    blobs: Mapping[bytes, bytes]
    rotates: bool


def admitted(entry: PendingEntry | SignedEntry, facts_of: FactsOf) -> Admitted:
    """Check an entry; one that was signed here is not read back.

    Raises:
        EntryRefused: not an envelope, too large, or at odds with its identity or blobs.
    """
    if len(entry.envelope) > MAX_ENTRY_BYTES:
        raise EntryRefused(
            f"{entry.identity}: {len(entry.envelope)} bytes, an entry has at most {MAX_ENTRY_BYTES}; "
            "log a large payload by digest, as a blob"
        )
    facts = (
        entry.facts
        if isinstance(entry, SignedEntry) and facts_of is statement_facts
        else _read_facts(entry, facts_of)
    )
    return Admitted(
        facts.identity,
        identity_key(facts.identity),
        facts.payload_digest,
        leaf_hash(entry.envelope),
        entry.envelope,
        _bound_blobs(facts, entry.blobs),
        is_rotation(facts.envelope),
    )


def blobs_of(batch: Iterable[Admitted]) -> dict[bytes, bytes]:
    """The blobs of a batch, each once, in the order of entries and of what they commit to."""
    written: dict[bytes, bytes] = {}
    for item in batch:
        written |= item.blobs
    return written


def _read_facts(entry: PendingEntry | SignedEntry, facts_of: FactsOf) -> EntryFacts:
    try:
        facts = facts_of(entry.envelope)
    except MalformedEnvelope as error:
        raise EntryRefused(f"{entry.identity}: {error}") from error
    if facts.identity != entry.identity:
        raise EntryRefused(f"identity {entry.identity} was given, the envelope says {facts.identity}")
    return facts


def _bound_blobs(facts: EntryFacts, blobs: Sequence[bytes]) -> dict[bytes, bytes]:
    """What the entry commits to, by digest; all of it must be given, and nothing else."""
    given = {hashlib.sha256(blob).hexdigest(): blob for blob in blobs}
    bound: dict[bytes, bytes] = {}
    for digest in facts.blobs:
        content = given.get(digest)
        if content is None:
            raise EntryRefused(f"{facts.identity}: blob {digest} was not given")
        if len(content) > MAX_BLOB_BYTES:
            raise EntryRefused(f"{facts.identity}: a blob of {len(content)} bytes; at most 4 GiB")
        bound[bytes.fromhex(digest)] = content
    if len(bound) != len(given):
        unbound = next(digest for digest in given if digest not in facts.blobs)
        raise EntryRefused(f"{facts.identity}: the envelope does not commit to blob {unbound}")
    return bound
