"""What a collector raises on purpose when it is refused, already typed as a non-observation."""

from __future__ import annotations

from evidence.record import Outcome


class CollectorError(Exception):
    """Base of everything that `collectors` raises on purpose."""


class Refused(CollectorError):
    """The source answered with a refusal.

    Attributes:
        outcome: which of the five ways of not being seen it is.
        reason: short public words; they name no person, host or secret.
        detail: the full words, for auditors.
    """

    def __init__(self, outcome: Outcome, reason: str, detail: str = "") -> None:
        self.outcome = outcome
        self.reason = reason
        self.detail = detail or reason
        super().__init__(f"{outcome}: {self.detail}")


class CassetteError(CollectorError):
    """A file of recorded replies cannot be read or written."""
