"""The control matrix: one row for each claim of the catalogue, with the fields that an auditor asks for.

What the project does not hold (an owner, a risk) is said to be missing rather than guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from checks.check import Check
from controls.claims import Claim, How
from controls.verdict import State
from evidence.payload import Json, timestamp
from trust_portal.claims import CompiledClaim
from trust_portal.packs.documents.engagement import (
    Document,
    Judged,
    Reading,
    catalogue_digest,
    red,
    strings,
)
from trust_portal.packs.documents.strips import totals

NOT_STATED: Final = "not stated"
NOT_RECORDED: Final = "not recorded"
_WHO: Final = {
    How.AUTO: "the system itself; no person is named",
    How.HYBRID: "the system, and a person who signs a document; nobody is named",
    How.ATTESTED: "a person; nobody is named",
}
_AUTOMATION: Final = {
    How.AUTO: "automated",
    How.HYBRID: "manual, dependent on IT",
    How.ATTESTED: "manual",
}
_FREQUENCIES: Final = {
    1: "daily",
    7: "weekly",
    30: "monthly",
    90: "quarterly",
    180: "half-yearly",
    365: "yearly",
}


def matrix_document(reading: Reading) -> Document:
    """`matrix.json`."""
    return reading.finished(
        {
            **reading.head("matrix"),
            "catalogue": catalogue_digest(reading.engagement.catalogue),
            "rows": list(control_rows(reading).values()),
        }
    )


def control_rows(reading: Reading) -> dict[str, dict[str, Json]]:
    """The rows by the ids of their claims, in the order of the catalogue."""
    return {name: _row(reading, claim) for name, claim in reading.claims.items()}


def _row(reading: Reading, compiled: CompiledClaim) -> dict[str, Json]:
    claim = compiled.claim
    check = reading.engagement.checks.get(claim.check or "")
    five = _five(compiled, check)
    return {
        "id": claim.id,
        "area": claim.area,
        "control": {**five, "text": "; ".join(f"{name}: {words}" for name, words in five.items())},
        "said": compiled.text,
        "owner": NOT_STATED,
        "frequency": _frequency(claim, check),
        "nature": {"purpose": NOT_STATED, "automation": _AUTOMATION[claim.how]},
        "criteria": strings(claim.criteria),
        "risk": NOT_RECORDED,
        "systems": strings(_systems(reading, check, compiled)),
        "evidence": _evidence(reading, compiled),
        "populations": _populations(reading, check),
        "test": {"check": claim.check, "performed": _test(compiled), "source": compiled.source or None},
        "result": _result(compiled),
        "deviations": _deviations(reading, claim),
        "compensating": _compensating(reading, claim),
        "customer_duties": [
            duty.id for duty in reading.engagement.responsibilities.customer if claim.id in duty.claims
        ],
        "subservice_duties": [
            duty.id for duty in reading.engagement.responsibilities.subservice if claim.id in duty.claims
        ],
        "since": _since(reading, claim),
        "coverage": _coverage(reading, claim),
        "kills": _kills(compiled),
    }


def _five(compiled: CompiledClaim, check: Check | None) -> dict[str, Json]:
    """The control as five fields: who does what, when, where and how."""
    claim = compiled.claim
    where = ", ".join(_populations_of(check)) if check else NOT_STATED
    how = f"{check.title} Seen through {', '.join(_kinds(check))}." if check else NOT_STATED
    return {
        "who": _WHO[claim.how],
        "what": f"“{claim.quote}”",
        "when": f"looked at {_frequency(claim, check)}" if check else NOT_STATED,
        "where": where,
        "how": how,
    }


def _kinds(check: Check) -> list[str]:
    return list(dict.fromkeys(expect.kind.kind for expect in check.expects))


def _populations_of(check: Check) -> list[str]:
    return list(dict.fromkeys(expect.over for expect in check.expects))


def _frequency(claim: Claim, check: Check | None) -> str:
    every = (
        min((expect.every for expect in check.expects), default=claim.freshness) if check else claim.freshness
    )
    days = max(1, every // timedelta(days=1))
    return _FREQUENCIES.get(days, f"every {days} days")


def _systems(reading: Reading, check: Check | None, compiled: CompiledClaim) -> Iterator[str]:
    if check is None or reading.scope is None or compiled.gated:
        return
    for population in _populations_of(check):
        yield from (unit.id for unit in reading.scope.over(population))


def _evidence(reading: Reading, compiled: CompiledClaim) -> list[Json]:
    cited = (reading.entry_of[digest] for digest in compiled.evidence if digest in reading.entry_of)
    return [*sorted(cited)]


def _populations(reading: Reading, check: Check | None) -> list[Json]:
    if check is None:
        return []
    scope = reading.scope
    return [{"id": name, "units": len(scope.over(name)) if scope else 0} for name in _populations_of(check)]


def _test(compiled: CompiledClaim) -> str:
    if not compiled.checked:
        return "none: no check decides it in this version"
    return f"A program judged the units in scope: {compiled.checked}"


def _result(compiled: CompiledClaim) -> Json:
    return {
        "word": compiled.word.value,
        "state": compiled.state.value,
        "reason": compiled.reason,
        "measured": compiled.measured,
        "observed": timestamp(compiled.observed) if compiled.observed else None,
        "valid_until": timestamp(compiled.valid_until) if compiled.valid_until else None,
        "gated": compiled.gated.value if compiled.gated else None,
    }


def judged_in_window(reading: Reading, check: str) -> Sequence[Judged]:
    """The verdicts that speak for a moment of the window, in the order of the log."""
    window = reading.engagement.window
    return [one for one in reading.verdicts.get(check, ()) if window.start <= one.at < window.end]


def _deviations(reading: Reading, claim: Claim) -> Json:
    """How many of the window's verdicts found deviations, and how many the latest one names."""
    judged = judged_in_window(reading, claim.check or "")
    latest = reading.latest.get(claim.check or "")
    deviating = [one for one in judged if red(one)]
    undecided = [one for one in judged if one.state is State.UNKNOWN]
    return {
        "verdicts": len(judged),
        "deviating": len(deviating),
        "undecided": len(undecided),
        "latest": latest.deviations if latest else 0,
    }


def _compensating(reading: Reading, claim: Claim) -> list[Json]:
    """What the live waivers of its check name; a control without one has none on record."""
    newest = {
        str(waiver.get("id")): waiver for _, waiver in reading.waivers if waiver.get("check") == claim.check
    }
    live = (one for one in newest.values() if _live(one, timestamp(reading.moment)))
    return strings(sorted({str(one["compensating"]) for one in live if one.get("compensating")}))


def _live(waiver: dict[str, Json], moment: str) -> bool:
    return not waiver.get("withdrawn") and str(waiver.get("expires")) > moment


def _since(reading: Reading, claim: Claim) -> Json:
    history = reading.verdicts.get(claim.check or "", ())
    if not history:
        return None
    source = history[-1].verdict.source
    present = next(one for one in history if one.verdict.source == source)
    return {
        "first_judged": timestamp(min(one.at for one in history)),
        "source_since": timestamp(present.at),
    }


def _coverage(reading: Reading, claim: Claim) -> Json:
    row = next((row for row in reading.coverage if row.check == claim.check), None)
    if row is None:
        return None
    return {"days": reading.engagement.window.days, **totals(row.totals)}


def _kills(compiled: CompiledClaim) -> Json:
    score = compiled.kills
    if score is None:
        return None
    return {
        "killed": score.killed,
        "total": score.total,
        "score": f"{score.killed} of {score.total}",
        "hollow": score.hollow,
        "said": str(score),
    }
