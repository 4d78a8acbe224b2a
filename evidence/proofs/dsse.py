"""DSSE envelopes: the signature covers the payload's type and its exact bytes (secure-systems-lab/dsse).

The signed bytes are carried as they were signed, so a verifier never re-serialises anything before
it trusts it. Decoding is strict, and an envelope without a signature is not an envelope.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from evidence.proofs.canonical import canonical_bytes, parse_strict
from evidence.proofs.encoding import base64_ascii, base64_bytes, base64_text
from evidence.proofs.errors import InvalidSignature, MalformedEnvelope, ProofsError
from evidence.proofs.keys import Signer, Verifier, key_id

MAX_SIGNATURES: Final = 16

_USUAL: Final = b'{"payload":"%b","payloadType":"%b","signatures":[{"keyid":"%b","sig":"%b"}]}'
"""The one canonical text of an envelope with one signature and nothing to escape, which nearly all are."""

_QUOTES: Final = _USUAL.count(b'"')

_PLAIN: Final = re.compile(rb"[A-Za-z0-9:./+-]*")
"""What JSON never escapes, as media types and key ids are written."""


class Signature(NamedTuple):
    """One signature and the id of the key that made it; the id is a hint, never a proof."""

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its media type and the signatures over both."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The envelope as canonical JSON; `decode` reads nothing else."""
        usual = self._usual() if len(self.signatures) == 1 else None
        return usual or canonical_bytes(
            {
                "payload": base64_text(self.payload),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": item.key_id, "sig": base64_text(item.signature)} for item in self.signatures
                ],
            }
        )

    def _usual(self) -> bytes | None:
        (only,) = self.signatures
        kind, key = self.payload_type.encode(), only.key_id.encode()
        if not _are_plain(kind, key):
            return None
        return _USUAL % (base64_ascii(self.payload), kind, key, base64_ascii(only.signature))

    @classmethod
    def decode(cls, content: bytes) -> Envelope:
        """Read an envelope.

        Raises:
            MalformedEnvelope: not strict JSON, missing or unknown members, stray bits in base64, no
                signature or more than 16, or not the bytes that `encode` writes.
        """
        try:
            usual = _usual_envelope(content)
            if usual is not None:
                return usual
            envelope = _envelope(parse_strict(content))
        except MalformedEnvelope:
            raise
        except ProofsError as error:
            raise MalformedEnvelope(f"not a DSSE envelope: {error}") from error
        if envelope.encode() != content:
            raise MalformedEnvelope("a DSSE envelope of this log is canonical JSON, and this is not")
        return envelope


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """PAE: what is signed, with both lengths, so that type and payload cannot be shifted into each other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> Envelope:
    """Sign a payload with each signer: 1 to 16, each another key."""
    if not signers:
        raise InvalidSignature("an envelope needs at least one signer; unsigned evidence is invalid")
    if len(signers) > MAX_SIGNATURES or len({signer.key_id for signer in signers}) != len(signers):
        raise InvalidSignature(f"an envelope has at most {MAX_SIGNATURES} signers, and each of them once")
    message = pre_authentication_encoding(payload_type, payload)
    made = tuple(Signature(signer.key_id, signer.sign(message)) for signer in signers)
    return Envelope(payload_type, payload, made)


def verify(envelope: Envelope, trusted: Sequence[Verifier]) -> tuple[str, ...]:
    """Check the envelope against trusted keys; return the ids of those that signed it.

    Signatures by other keys are passed over. One by a trusted key that fails refuses the envelope,
    even when another one holds.

    Raises:
        InvalidSignature: no trusted key signed it, or a trusted key's signature does not verify.
    """
    return verify_by(envelope, by_key_id(trusted))


def by_key_id(trusted: Iterable[Verifier]) -> dict[str, Verifier]:
    """Trusted keys as `verify_by` takes them."""
    return {key_id(verifier.public): verifier for verifier in trusted}


def verify_by(envelope: Envelope, by_id: Mapping[str, Verifier]) -> tuple[str, ...]:
    """The same as `verify` for whoever checks many envelopes: trusted keys by their ids."""
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    known = [item for item in envelope.signatures if item.key_id in by_id]
    for item in known:
        by_id[item.key_id].verify(message, item.signature)
    if not known:
        signed_by = ", ".join(item.key_id for item in envelope.signatures) or "nobody"
        raise InvalidSignature(f"signed by {signed_by}; none of these keys is trusted here")
    return tuple(dict.fromkeys(item.key_id for item in known))


def _usual_envelope(content: bytes) -> Envelope | None:
    """Read the usual text, None where it is another one."""
    parts = content.split(b'"')
    if len(parts) != _QUOTES + 1:
        return None
    # That the members are these shows when they are put in their places again.
    payload, kind, key, signature = parts[3], parts[7], parts[13], parts[17]
    if _USUAL % (payload, kind, key, signature) != content or not _are_plain(kind, key):
        return None
    made = Signature(key.decode(), base64_bytes(signature))
    return Envelope(kind.decode(), base64_bytes(payload), (made,))


@lru_cache(maxsize=64)
def _are_plain(kind: bytes, key: bytes) -> bool:
    return _PLAIN.fullmatch(kind + key) is not None


def _envelope(parsed: Any) -> Envelope:  # noqa: ANN401 - parsed JSON
    _expect_members(parsed, {"payload", "payloadType", "signatures"}, "envelope")
    signatures = parsed["signatures"]
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise MalformedEnvelope(f"an envelope has 1 to {MAX_SIGNATURES} signatures; unsigned is invalid")
    for item in signatures:
        _expect_members(item, {"keyid", "sig"}, "signature")
    if len({item["keyid"] for item in signatures if isinstance(item["keyid"], str)}) != len(signatures):
        raise MalformedEnvelope("two signatures of an envelope name one key, or a key id is not text")
    texts = [parsed["payload"], parsed["payloadType"]]
    texts += [text for item in signatures for text in item.values()]
    if not all(isinstance(text, str) for text in texts):
        raise MalformedEnvelope("every member of an envelope and of its signatures is text")
    return Envelope(
        payload_type=parsed["payloadType"],
        payload=base64_bytes(parsed["payload"]),
        signatures=tuple(Signature(item["keyid"], base64_bytes(item["sig"])) for item in signatures),
    )


def _expect_members(parsed: object, names: set[str], what: str) -> None:
    if not isinstance(parsed, dict) or parsed.keys() != names:
        raise MalformedEnvelope(
            f"{what}: expected an object with exactly the members {', '.join(sorted(names))}"
        )
