"""The record: one observation, or one typed non-observation, of one subject.

Its identity is (run, unit, kind, subject), and the ledger accepts one of each. What is signed is an
in-toto statement whose subjects are the salted digests of the payload's three audience subtrees; the
subtrees themselves lie beside the log under those digests. So a public copy of the log commits to
what an auditor reads without showing it, and an entry stays far below the 65,535 bytes of tlog-tiles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast

from evidence.errors import MalformedEvidence
from evidence.payload import Audience, Json, Payload, decode, encode, payload_from, subtrees
from evidence.proofs.canonical import canonical_bytes, parse_strict
from evidence.proofs.errors import ProofsError
from evidence.proofs.statement import Statement, Subject

PREDICATE_TYPE = "https://tensorcost.com/posture/record/v1"
SALT_BYTES = 16


class Outcome(StrEnum):
    """Whether the subject was seen, and if not, in which of five ways it was not."""

    OBSERVED = "observed"
    DENIED = "denied"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    PARTIAL = "partial"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class CollectorId:
    """Which code looked: name, version and the SHA-256 (hex) of its source."""

    name: str
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Interval:
    """From the first to the last moment at which the subject was looked at (UTC)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Header:
    """All of a record that is not its payload; public, so `reason` is a short code and names nobody."""

    run: str
    unit: str
    kind: str
    subject: str
    observed: Interval
    recorded: datetime
    expires: datetime
    collector: CollectorId
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """One observation.

    Attributes:
        header: what, when, by whom, and with which outcome.
        payload: what was seen; None for a non-observation that saw nothing.
        detail: for auditors, the full words of a refusal; empty when observed.
    """

    header: Header
    payload: Payload | None
    detail: str = ""

    def __post_init__(self) -> None:
        if self.header.outcome is Outcome.OBSERVED and self.payload is None:
            raise MalformedEvidence(f"{self.identity}: observed, but without a payload")
        if self.header.outcome is not Outcome.OBSERVED and not self.header.reason:
            raise MalformedEvidence(f"{self.identity}: {self.header.outcome} needs a reason")
        if self.payload is not None and self.payload.kind != self.header.kind:
            raise MalformedEvidence(f"{self.identity}: the payload is {self.payload.kind}")

    @property
    def identity(self) -> str:
        """(run, unit, kind, subject) as canonical JSON: the key that the ledger accepts once."""
        return identity_of(self.header.run, self.header.unit, self.header.kind, self.header.subject)


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record as it is logged: what is signed of it, and the three subtrees beside the log."""

    unsigned: Statement
    subtrees: Mapping[Audience, bytes]

    @property
    def statement(self) -> bytes:
        """The statement's canonical bytes: the payload of the entry's envelope."""
        return self.unsigned.encode()


def identity_of(run: str, unit: str, kind: str, subject: str) -> str:
    """The identity of a record as canonical JSON."""
    return canonical_bytes([run, unit, kind, subject]).decode()


def seal(record: Record, *, salt: Callable[[int], bytes]) -> SealedRecord:
    """What to sign and what to keep; a fresh `salt(16)` for each subtree, so that no value can be guessed."""
    split = subtrees(record.payload) if record.payload else {audience: {} for audience in Audience}
    blobs: dict[Audience, bytes] = {}
    for audience in Audience:
        tree: dict[str, Json] = {
            "audience": audience.value,
            "kind": record.header.kind,
            "salt": salt(SALT_BYTES).hex(),
            "value": split[audience] if record.payload else None,
        }
        if audience is Audience.AUDITOR:
            tree["detail"] = record.detail
        blobs[audience] = canonical_bytes(tree)
    subjects = tuple(Subject(name, hashlib.sha256(blob).hexdigest()) for name, blob in blobs.items())
    predicate = cast("dict[str, Json]", encode(record.header))
    return SealedRecord(Statement(subjects, PREDICATE_TYPE, predicate), blobs)


def unseal(statement: bytes, blob: Callable[[str], bytes]) -> Record:
    """Read a logged record, checking each subtree against the digest that the statement commits to.

    Args:
        statement: the envelope's payload, canonical bytes.
        blob: from a SHA-256 in hex to the subtree's bytes.

    Raises:
        MalformedEvidence: not a record statement, or a subtree that does not match its digest.
    """
    parsed = parse_statement(statement)
    header: Header = decode(Header, cast("Json", parsed.predicate), where="record")
    digests = subtree_digests(parsed)
    trees = {audience: _subtree(audience, digests, blob, header.kind) for audience in Audience}
    detail = trees[Audience.AUDITOR].get("detail")
    if not isinstance(detail, str):
        raise MalformedEvidence(f"{header.subject}: the auditor subtree has no detail text")
    return Record(header, _payload(header.kind, trees), detail)


def parse_statement(content: bytes) -> Statement:
    """Read a logged statement and see that it is a record's.

    Raises:
        MalformedEvidence: not a statement, or one of another predicate type.
    """
    try:
        statement = Statement.parse(content)
    except ProofsError as error:
        raise MalformedEvidence(f"not a statement: {error}") from error
    if statement.predicate_type != PREDICATE_TYPE:
        raise MalformedEvidence(f"not a record statement: {statement.predicate_type[:80]!r}")
    return statement


def subtree_digests(statement: Statement) -> dict[Audience, str]:
    """The SHA-256 (hex) of each audience's subtree.

    Raises:
        MalformedEvidence: the subjects are not exactly the three audiences.
    """
    digests = {subject.name: subject.sha256 for subject in statement.subjects}
    if len(statement.subjects) != len(Audience) or set(digests) != {item.value for item in Audience}:
        raise MalformedEvidence(f"a record commits to {', '.join(Audience)}, got {', '.join(digests)}")
    return {audience: digests[audience.value] for audience in Audience}


def _payload(kind: str, trees: Mapping[Audience, dict[str, Json]]) -> Payload | None:
    values = {audience: tree.get("value") for audience, tree in trees.items()}
    if all(value is None for value in values.values()):
        return None
    split = {audience: value for audience, value in values.items() if isinstance(value, dict)}
    if len(split) != len(Audience):
        raise MalformedEvidence(f"{kind}: some audience subtrees have a value and some have none")
    return payload_from(kind, split)


def _subtree(
    audience: Audience, digests: Mapping[Audience, str], blob: Callable[[str], bytes], kind: str
) -> dict[str, Json]:
    digest = digests[audience]
    content = blob(digest)
    if hashlib.sha256(content).hexdigest() != digest:
        raise MalformedEvidence(f"{kind}: the {audience} subtree does not match its digest {digest}")
    try:
        tree = parse_strict(content)
    except ProofsError as error:
        raise MalformedEvidence(f"{kind}: the {audience} subtree is not strict JSON ({error})") from error
    if not isinstance(tree, dict) or tree.get("audience") != audience.value or tree.get("kind") != kind:
        raise MalformedEvidence(f"{kind}: the {audience} subtree belongs to another record")
    return tree
