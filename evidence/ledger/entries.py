"""Entries: those that this process signs and those that came from elsewhere, and what the log reads of them.

The log does not know records. It reads entries through one function; the default one reads any
in-toto statement whose subjects are the digests of what lies beside the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from evidence.ledger.uncollected import uncollected
from evidence.proofs import dsse
from evidence.proofs.canonical import canonical_texts
from evidence.proofs.dsse import Envelope
from evidence.proofs.errors import MalformedEnvelope
from evidence.proofs.keys import Signer
from evidence.proofs.statement import PAYLOAD_TYPE, Statement

IDENTITY_FIELDS: Final = ("run", "unit", "kind", "subject")


class EntryFacts(NamedTuple):
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


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry from elsewhere that waits to be logged; the log reads and checks its bytes.

    Attributes:
        identity: as the log's `FactsOf` reads it from the envelope; one entry each.
        envelope: the signed DSSE envelope, at most 65,535 bytes.
        blobs: what the envelope commits to by SHA-256 and what is kept beside the log.
    """

    identity: str
    envelope: bytes
    blobs: tuple[bytes, ...] = ()


Unsigned: TypeAlias = tuple[Statement, Sequence[bytes]]
"""What an entry will say, and what it commits to."""


class SignedEntry:
    """An entry that this process signs and that waits to be logged.

    Its facts come from the statement that is encoded and signed here, in one step and never from the caller.
    So a log that reads statements need not decode, parse and check its own writing again.

    Attributes:
        envelope: the signed DSSE envelope.
        facts: what `statement_facts` reads from it.
        blobs: what the statement's subjects are the digests of; the log compares them.

    Raises:
        MalformedEnvelope: the predicate's run, unit, kind and subject are not all text.
        ProofsError: the statement has no canonical form, or there is no signer.
    """

    __slots__ = ("blobs", "envelope", "facts")

    envelope: bytes
    facts: EntryFacts
    blobs: tuple[bytes, ...]

    def __init__(self, statement: Statement, blobs: Sequence[bytes], signers: Sequence[Signer]) -> None:
        made = dsse.sign(PAYLOAD_TYPE, statement.encode(), signers)
        self.envelope, self.facts, self.blobs = made.encode(), _facts(made, statement), tuple(blobs)

    @classmethod
    def batch(cls, unsigned: Iterable[Unsigned], signers: Sequence[Signer]) -> list[SignedEntry]:
        """Sign many entries; one kind of work after the other is faster than one entry after the other."""
        with uncollected():
            parts = list(unsigned)
            payloads = [statement.encode() for statement, _ in parts]
            envelopes = [dsse.sign(PAYLOAD_TYPE, payload, signers) for payload in payloads]
            entries = [cls.__new__(cls) for _ in parts]
            for entry, made, (statement, blobs) in zip(entries, envelopes, parts, strict=True):
                entry.envelope, entry.facts, entry.blobs = (
                    made.encode(),
                    _facts(made, statement),
                    tuple(blobs),
                )
        return entries

    @property
    def identity(self) -> str:
        """As the statement says it; one entry each."""
        return self.facts.identity


def statement_facts(entry: bytes) -> EntryFacts:
    """The facts of an in-toto statement whose predicate has run, unit, kind and subject.

    Raises:
        MalformedEnvelope: not an envelope, not a statement, or without these four as text.
    """
    envelope = Envelope.decode(entry)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise MalformedEnvelope(f"payload type {envelope.payload_type[:60]!r}, expected {PAYLOAD_TYPE}")
    return _facts(envelope, Statement.parse(envelope.payload))


def _facts(envelope: Envelope, statement: Statement) -> EntryFacts:
    given = [statement.predicate.get(field) for field in IDENTITY_FIELDS]
    identity = [part for part in given if isinstance(part, str)]
    if len(identity) != len(given):
        raise MalformedEnvelope(f"the predicate's {', '.join(IDENTITY_FIELDS)} are not all text: {given!r}")
    digests = dict.fromkeys([subject.sha256 for subject in statement.subjects])
    return EntryFacts(envelope, canonical_texts(identity), tuple(digests))
