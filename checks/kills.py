"""How often a check turned red when it had to; a check that never did is hollow, and says so everywhere.

One rule for the portal, the packs and the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controls.verdict import Verdict
from evidence.kinds.twin import KillMatrix, SabotageResult
from evidence.view import Evidence


@dataclass(frozen=True, slots=True)
class KillScore:
    """How often a check turned red when it had to.

    Attributes:
        outdated: the sabotages were judged by other source than the verdict beside them.
    """

    sabotages: tuple[SabotageResult, ...] = ()
    outdated: bool = False

    @property
    def total(self) -> int:
        """Sabotages that were aimed at the check."""
        return len(self.sabotages)

    @property
    def killed(self) -> int:
        """Sabotages that it caught."""
        return sum(1 for item in self.sabotages if item.killed)

    @property
    def hollow(self) -> bool:
        """A check that was never seen red proves nothing (conviction 3)."""
        return self.outdated or self.killed == 0

    def __str__(self) -> str:
        """As in ``3 of 3 sabotages caught``."""
        if self.outdated:
            return f"{self.killed} of {self.total} sabotages caught by another version of the check"
        if not self.total:
            return "never seen red: no sabotage was applied"
        return f"{self.killed} of {self.total} sabotages caught"


def newest_kills(evidence: Evidence, now: datetime) -> KillMatrix:
    """The kill matrix that was logged last; an empty one when there is none or it has expired."""
    matrices = [seen.payload for seen in evidence.observed(KillMatrix) if seen.record.header.expires > now]
    return matrices[-1] if matrices else KillMatrix(0, 0, ())


def kill_score(kills: KillMatrix, verdict: Verdict) -> KillScore:
    """The score of a verdict's check; outdated where the sabotages were judged by other source."""
    aimed = aimed_at(kills, verdict.check)
    return KillScore(aimed, outdated=bool(aimed) and kills.source != verdict.source)


def aimed_at(kills: KillMatrix, check: str) -> tuple[SabotageResult, ...]:
    """The sabotages that were aimed at a check."""
    return tuple(item for item in kills.matrix if item.check == check)
