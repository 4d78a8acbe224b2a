"""Errors of the proofs leaf: one family, so that a verifier can refuse a file in one place.

Everything here means "these bytes prove nothing"; the message says which bytes and why.
"""

from __future__ import annotations


class ProofsError(ValueError):
    """Base of everything that `evidence.proofs` raises on purpose."""


class CanonicalError(ProofsError):
    """A value without an RFC 8785 form, or JSON text that is not strict I-JSON."""


class EncodingError(ProofsError):
    """Text that is not the one base64 encoding of its bytes."""


class InvalidProof(ProofsError):
    """An inclusion or consistency proof that does not lead to the expected root."""


class MalformedEnvelope(ProofsError):
    """Bytes that are not a DSSE envelope or an in-toto statement in the form that we log."""


class MalformedNote(ProofsError):
    """Text that is not a signed note, a checkpoint or a tlog-proof."""


class InvalidSignature(ProofsError):
    """No signature at all, none by a trusted key, or one by a trusted key that does not verify."""


class KeyProblem(ProofsError):
    """A key that cannot be loaded, is readable by others, or is not Ed25519."""
