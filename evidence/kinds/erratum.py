"""A correction: what a logged verdict says, what today's check says over the same evidence, who was told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from evidence.payload import Nda, Payload, Public


@dataclass(frozen=True, slots=True)
class Erratum(Payload):
    """One verdict that does not stand any more as it was logged.

    Attributes:
        check: id of the check.
        entry: the old verdict's entry in the log.
        verdict: SHA-256 (hex) of the old verdict's signed statement.
        as_of: the moment that both verdicts speak for.
        changed: what differs: `state`, `facts`, `deviations`; empty when a correction is taken back,
            because the old verdict holds after all.
        old_state, old_reason, old_source: what was said, and by which source (SHA-256, hex).
        new_state, new_reason, new_source: what the present source says of the same records.
        packs: SHA-256 (hex) of each issued pack that carried the old verdict.
    """

    kind: ClassVar[str] = "posture.erratum/v1"

    check: Public[str]
    entry: Public[int]
    verdict: Public[str]
    as_of: Public[datetime]
    changed: Public[tuple[str, ...]]
    old_state: Public[str]
    old_reason: Public[str]
    old_source: Public[str]
    new_state: Public[str]
    new_reason: Public[str]
    new_source: Public[str]
    packs: Nda[tuple[str, ...]]
