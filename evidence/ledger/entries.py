"""What the log needs to know of an entry: its identity, its payload, and the blobs it commits to.

The log does not know records. It reads entries through one function; the default one reads any
in-toto statement whose subjects are the digests of what lies beside the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from evidence.proofs.canonical import canonical_bytes
from evidence.proofs.dsse import Envelope
from evidence.proofs.errors import MalformedEnvelope
from evidence.proofs.statement import PAYLOAD_TYPE, Statement

IDENTITY_FIELDS: Final = ("run", "unit", "kind", "subject")


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that waits to be logged.

    Attributes:
        identity: as the log's `FactsOf` reads it from the envelope; one entry each.
        envelope: the signed DSSE envelope, at most 65,535 bytes.
        blobs: what the envelope commits to by SHA-256 and what is kept beside the log.
    """

    identity: str
    envelope: bytes
    blobs: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """An entry as the log reads it.

    Attributes:
        envelope: decoded, its signatures not verified.
        identity: one entry each.
        blobs: SHA-256 in hex of everything that the entry commits to beside the log.
    """

    envelope: Envelope
    identity: str
    blobs: tuple[str, ...]

    @property
    def payload_digest(self) -> bytes:
        """SHA-256 of the envelope's payload: what makes two entries of one identity the same."""
        return hashlib.sha256(self.envelope.payload).digest()


FactsOf: TypeAlias = Callable[[bytes], EntryFacts]
"""From an entry's bytes to its facts; raises `MalformedEnvelope`."""


def statement_facts(entry: bytes) -> EntryFacts:
    """The facts of an in-toto statement whose predicate has run, unit, kind and subject.

    Raises:
        MalformedEnvelope: not an envelope, not a statement, or without these four as text.
    """
    envelope = Envelope.decode(entry)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise MalformedEnvelope(f"payload type {envelope.payload_type[:60]!r}, expected {PAYLOAD_TYPE}")
    statement = Statement.parse(envelope.payload)
    identity = [statement.predicate.get(field) for field in IDENTITY_FIELDS]
    if not all(isinstance(part, str) for part in identity):
        raise MalformedEnvelope(
            f"the predicate's {', '.join(IDENTITY_FIELDS)} are not all text: {identity!r}"
        )
    digests = dict.fromkeys(subject.sha256 for subject in statement.subjects)
    return EntryFacts(envelope, canonical_bytes(identity).decode(), tuple(digests))
