"""How checks read their evidence and weigh what they found.

Only observations of units that the scope names are judged. A deviation fails a check; a doubt (nothing
there, an attempt that could not be carried out) makes it `unknown` where nothing deviates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from checks.check import conclude, undecided
from controls.verdict import Deviation, State, Verdict
from evidence.payload import Payload
from evidence.scope import Scope
from evidence.view import Evidence, Observation

P = TypeVar("P", bound=Payload)

DOUBT: Final = "doubt"
"""The fact under which a failed verdict keeps what would have made it `unknown`."""


def seen(evidence: Evidence, scope: Scope, kind: type[P], *, over: str) -> tuple[Observation[P], ...]:
    """The latest observations of a kind of the units of `over`, each of the subject that the scope names."""
    units = {(unit.id, unit.subject) for unit in scope.over(over)}
    return tuple(item for item in evidence.observed(kind) if (item.record.header.unit, item.subject) in units)


def deviation(observation: Observation[P], what: str, where: str) -> Deviation:
    """Something that deviates in one observation; `what` begins with the subject it was seen on."""
    return Deviation(f"{observation.subject}: {what}", where)


def weigh(
    deviations: Iterable[Deviation],
    doubts: Iterable[str],
    *,
    facts: Mapping[str, int | str],
    holds: str,
    fails: str,
) -> Verdict:
    """Failed when anything deviates; else `unknown` with the first doubt; else satisfied.

    A failure keeps its first doubt as the fact `doubt`: where its deviations are waived, the doubt remains.

    Args:
        deviations: what is not as claimed.
        doubts: sentences that say why the evidence shows nothing either way; public, like a reason.
        facts: numbers and words for the claim's wording; kept whatever the state.
        holds: the reason when satisfied; may use the facts (``All {tables} …``).
        fails: the reason when failed; may also use ``{deviations}``.
    """
    concluded = conclude(deviations, facts=facts, holds=holds, fails=fails)
    doubt = next(iter(doubts), None)
    if doubt is None:
        return concluded
    if concluded.state is State.FAILED:
        return dataclasses.replace(concluded, facts={**concluded.facts, DOUBT: doubt})
    return dataclasses.replace(undecided(doubt), facts=concluded.facts)
