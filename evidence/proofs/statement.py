"""in-toto Statement v1: what an envelope of the log says, about which digests.

The predicate holds the claim, the subjects the SHA-256 of every byte string that it commits to
(in-toto/attestation, spec/v1/statement.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from evidence.proofs.canonical import MAX_DEPTH, canonical_bytes, parse_strict
from evidence.proofs.errors import MalformedEnvelope, ProofsError

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"

_USUAL_BEGINNING: Final = b'{"_type":"%b","predicate":' % STATEMENT_TYPE.encode()
_AFTER_PREDICATE: Final = b',"predicateType":"'
_USUAL_SUBJECT: Final = rb'\{"digest":\{"sha256":"[0-9a-f]{64}"\},"name":"[ !#-\[\]-~]*"\}'
_USUAL_END: Final = re.compile(
    rb',"predicateType":"([ !#-\[\]-~]*)","subject":\[((?:%b(?:,%b)*)?)\]\}'
    % (_USUAL_SUBJECT, _USUAL_SUBJECT)
)
"""The end of a canonical statement whose type and names of subjects are ASCII without escapes."""

_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")


class Subject(NamedTuple):
    """Something that the statement is about: a name and the SHA-256 of its bytes in hex."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A typed claim about subjects."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]

    def encode(self) -> bytes:
        """The statement as canonical JSON: the payload of an envelope."""
        members = canonical_bytes(
            {
                "_type": STATEMENT_TYPE,
                "predicate": dict(self.predicate),
                "predicateType": self.predicate_type,
            }
        )
        # Subjects are all of one shape and the last member, so they are written after the others.
        subjects = [
            b'{"digest":{"sha256":%b},"name":%b}' % (canonical_bytes(item.sha256), canonical_bytes(item.name))
            for item in self.subjects
        ]
        return b'%b,"subject":[%b]}' % (members[:-1], b",".join(subjects))

    @classmethod
    def parse(cls, content: bytes) -> Statement:
        """Read a statement.

        Raises:
            MalformedEnvelope: not strict JSON, another type, members missing, unknown or mistyped,
                or a subject without exactly one SHA-256.
        """
        try:
            usual = _usual_statement(content)
            if usual is not None:
                return usual
            parsed = parse_strict(content)
        except ProofsError as error:
            raise MalformedEnvelope(f"not an in-toto statement: {error}") from error
        if not isinstance(parsed, dict) or parsed.get("_type") != STATEMENT_TYPE:
            raise MalformedEnvelope(f"not an in-toto statement: _type is not {STATEMENT_TYPE}")
        if parsed.keys() != {"_type", "subject", "predicateType", "predicate"}:
            raise MalformedEnvelope("a statement has _type, subject, predicateType and predicate")
        subjects, predicate = parsed["subject"], parsed["predicate"]
        if not (isinstance(subjects, list) and isinstance(predicate, dict)):
            raise MalformedEnvelope("a statement has a list of subjects and an object as predicate")
        if not isinstance(parsed["predicateType"], str):
            raise MalformedEnvelope("predicateType is text")
        return cls(tuple(map(_subject, subjects)), parsed["predicateType"], predicate)


def _usual_statement(content: bytes) -> Statement | None:
    """Read a statement of the usual text, None where it is another one.

    What stands before the predicate and what stands after it are whole members of one object. So when the
    part between them is a JSON value, that value is the predicate, and there is no second reading.
    """
    at = content.rfind(_AFTER_PREDICATE)
    after = _USUAL_END.fullmatch(content, at) if at >= 0 and content.startswith(_USUAL_BEGINNING) else None
    if after is None or content.count(b"{") + content.count(b"[") > MAX_DEPTH:
        return None
    predicate = parse_strict(content[len(_USUAL_BEGINNING) : at])
    if not isinstance(predicate, dict):
        return None
    # Every subject has ten quotes, in the same places.
    parts = after[2].decode().split('"')
    return Statement(tuple(map(Subject, parts[9::10], parts[5::10])), after[1].decode(), predicate)


def _subject(parsed: object) -> Subject:
    if isinstance(parsed, dict) and parsed.keys() == {"name", "digest"}:
        name, digests = parsed["name"], parsed["digest"]
        if isinstance(name, str) and isinstance(digests, dict) and digests.keys() == {"sha256"}:
            digest = digests["sha256"]
            if isinstance(digest, str) and _SHA256_HEX.fullmatch(digest):
                return Subject(name, digest)
    raise MalformedEnvelope(
        f"a subject has a name and one SHA-256 in lower-case hex, got {str(parsed)[:120]}"
    )
