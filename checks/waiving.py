"""When a waiver holds, and what it makes of a failed verdict.

A waiver forgives named deviations for a time, while another control makes up for them; it dies with its
day and with that control. It never touches `unknown`: a failure whose evidence is incomplete, or beside
which something could not be decided, stays a failure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checks.judgement import DOUBT
from controls.verdict import Deviation, State, Verdict
from evidence.kinds.waiver import LONGEST, Waiver
from evidence.view import Evidence, LoggedRecord

Own = Callable[[str], Verdict | None]
"""The verdict of a check at the same moment, before any waiver; None for a check that there is not."""


class Standing(StrEnum):
    """How a waiver stands at a moment."""

    LIVE = "live"
    EXPIRED = "expired"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Grant:
    """A waiver as it was logged: since when, and the SHA-256 (hex) of its signed statement."""

    waiver: Waiver
    since: datetime
    digest: str


def grants(evidence: Evidence) -> tuple[Grant, ...]:
    """The waivers that were known, as each was logged last, ordered by id."""
    found = (_grant(logged) for logged in evidence.logged(Waiver))
    return tuple(sorted((one for one in found if one), key=lambda one: one.waiver.id))


def _grant(logged: LoggedRecord) -> Grant | None:
    waiver = logged.record.payload
    if not isinstance(waiver, Waiver) or waiver.withdrawn:
        return None
    return Grant(waiver, logged.record.header.recorded, logged.digest)


def standing(grant: Grant, own: Own, as_of: datetime) -> tuple[Standing, str]:
    """How a waiver stands, and why in a few words; '' while it is live."""
    waiver = grant.waiver
    if as_of >= waiver.expires:
        return Standing.EXPIRED, f"ended on {_day(waiver.expires)}"
    if waiver.expires - grant.since > LONGEST:
        return Standing.DEAD, f"granted for more than {LONGEST.days} days"
    if waiver.compensating == waiver.check:
        return Standing.DEAD, "it compensates itself"
    makes_up = own(waiver.compensating)
    if makes_up is None:
        return Standing.DEAD, f"there is no check {waiver.compensating}"
    if makes_up.state is not State.SATISFIED:
        said = "failed" if makes_up.state is State.FAILED else f"is {makes_up.state}"
        return Standing.DEAD, f"compensating control {waiver.compensating} {said}"
    return Standing.LIVE, ""


def waived(verdict: Verdict, known: Iterable[Grant], own: Own, as_of: datetime) -> Verdict:
    """The verdict with the waivers applied: `waived` where each of its deviations is named by a live one."""
    if verdict.state is not State.FAILED or not verdict.completeness.complete or DOUBT in verdict.facts:
        return verdict
    mine = [one for one in known if one.waiver.check == verdict.check]
    live = [one for one in mine if standing(one, own, as_of)[0] is Standing.LIVE]
    used = [one for one in live if any(_names(one.waiver, deviation) for deviation in verdict.deviations)]
    covered = all(any(_names(one.waiver, deviation) for one in used) for deviation in verdict.deviations)
    if not used or not covered:
        return verdict
    return _softened(verdict, used, [made_up for one in used if (made_up := own(one.waiver.compensating))])


def _names(waiver: Waiver, deviation: Deviation) -> bool:
    """To the letter: a waiver for one table must not cover another whose name merely begins like it."""
    return bool({deviation.where, f"{deviation.what}: {deviation.where}"} & set(waiver.deviations))


def _softened(verdict: Verdict, used: Sequence[Grant], makes_up: Sequence[Verdict]) -> Verdict:
    waivers = [one.waiver for one in used]
    ends = min(waiver.expires for waiver in waivers)
    told = "; ".join(
        f"waiver {one.id} of {one.owner} until {_day(one.expires)}, compensated by {one.compensating}"
        for one in waivers
    )
    evidence = {*verdict.evidence, *(one.digest for one in used)}
    return dataclasses.replace(
        verdict,
        state=State.WAIVED,
        reason=f"{verdict.reason} Waived: {told}.",
        facts={
            **verdict.facts,
            "waivers": ", ".join(one.id for one in waivers),
            "waiver_owners": ", ".join(dict.fromkeys(one.owner for one in waivers)),
            "waived_until": _day(ends),
        },
        evidence=tuple(sorted(evidence.union(*(one.evidence for one in makes_up)))),
        valid_until=min(until for until in (ends, *_ends(verdict, *makes_up)) if until),
    )


def _ends(*verdicts: Verdict) -> tuple[datetime | None, ...]:
    return tuple(one.valid_until for one in verdicts)


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
