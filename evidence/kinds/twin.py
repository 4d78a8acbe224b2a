"""What is seen when checks are tested: every sabotage applied to a twin, and what it turned red."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evidence.payload import Payload, Public


@dataclass(frozen=True, slots=True)
class SabotageResult:
    """One sabotage.

    Attributes:
        state: the state of the check it was aimed at (``failed`` when it was killed), or
            ``not_applied`` when the sabotage itself could not be carried out.
        killed: the check failed and a deviation named the thing broken.
        collateral: other checks that failed.
    """

    check: str
    sabotage: str
    state: str
    killed: bool
    collateral: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KillMatrix(Payload):
    """All sabotages of one run.

    Attributes:
        source: SHA-256 (hex) of what judged, as in a verdict: a check that was changed since was not tested.
    """

    kind: ClassVar[str] = "posture.kill_matrix/v1"

    sabotages: Public[int]
    killed: Public[int]
    matrix: Public[tuple[SabotageResult, ...]]
    source: Public[str] = ""
