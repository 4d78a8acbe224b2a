"""What is logged when the ledger's own key changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Payload, Public


@dataclass(frozen=True, slots=True)
class LogKey(Payload):
    """A change of the key that signs the log.

    Attributes:
        retired: Ed25519 public key (hex) that signs nothing after this entry.
        successor: Ed25519 public key (hex) that signs from this entry's checkpoint on.
        reason: why, in a few words (``yearly rotation``, ``holder left``).
    """

    kind: ClassVar[str] = "posture.log_key/v1"

    retired: Public[str]
    successor: Public[str]
    reason: Public[str]
