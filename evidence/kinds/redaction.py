"""What is seen of redaction: canaries planted in raw logs and searched for wherever they could stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Auditor, Payload, Public


@dataclass(frozen=True, slots=True)
class SearchedPlace:
    """A table, the Redis keyspace or a log, and what the search found there.

    Attributes:
        bytes_read: how much was searched; a place with nothing in it proves nothing.
        hits: canaries found, in any of the encodings tried.
    """

    name: str
    bytes_read: int
    hits: int


@dataclass(frozen=True, slots=True)
class CanarySearch(Payload):
    """Canaries planted in prompts, responses, metadata and session names, and where they turned up.

    Attributes:
        planted: canaries that were in the raw objects which the platform ingested.
        encodings: how each was looked for (``plain``, ``base64``, ``hex``, ``utf-16``, ``url``).
        ingested_records: rows that ingestion wrote, of those objects and of others.
        planted_records: records of the planted objects that ingestion must have written.
        planted_found: of these, found again by their request id: the positive control, without which
            the canaries may lie where nobody has read them yet.
    """

    kind: ClassVar[str] = "redaction.canaries/v1"

    planted: Public[int]
    ingested_records: Public[int]
    planted_records: Public[int]
    planted_found: Public[int]
    encodings: Public[tuple[str, ...]]
    places: Auditor[tuple[SearchedPlace, ...]]


@dataclass(frozen=True, slots=True)
class BodyHashes(Payload):
    """The form of the stored prompt and response hashes.

    Attributes:
        rows: spend events with at least one body hash.
        well_formed: rows whose hashes are all ``h2:`` and 64 hexadecimal digits.
        plain_sha256: rows whose hash equals the unkeyed SHA-256 of a planted body.
        shared_between_tenants: hash values that occur under more than one tenant although the same
            body was planted under several; a keyed hash gives none.
        planted_in_several: bodies planted under more than one tenant; 0 means nothing was shown.
    """

    kind: ClassVar[str] = "redaction.body_hashes/v1"

    rows: Public[int]
    well_formed: Public[int]
    plain_sha256: Public[int]
    shared_between_tenants: Public[int]
    planted_in_several: Public[int]
