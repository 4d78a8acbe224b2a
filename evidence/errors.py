"""Errors of the evidence room: one family, each message naming the thing, the place and the next step."""

from __future__ import annotations


class EvidenceError(Exception):
    """Base of everything that `evidence` raises on purpose."""


class MalformedEvidence(EvidenceError):
    """Bytes or JSON that do not decode to the contract they claim to follow."""
