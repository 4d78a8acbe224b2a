"""Verdicts for people and programs: the published JSON, the exit code, the short table by control area."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from checks.check import load_checks
from checks.kills import KillScore, kill_score
from controls.verdict import Completeness, State, Verdict, together
from evidence.kinds.twin import KillMatrix
from evidence.payload import encode
from posture.cli import Exit

MARKS = {
    State.SATISFIED: "ok",
    State.FAILED: "FAILED",
    State.UNKNOWN: "unknown",
    State.WAIVED: "waived",
    State.NOT_APPLICABLE: "n/a",
}


NO_KILLS = KillMatrix(0, 0, ())


def to_json(verdicts: Sequence[Verdict], kills: KillMatrix = NO_KILLS) -> dict[str, Any]:
    """The published form of `check` and `gate`: what arrived, every verdict, its kill score, the states."""
    counts = Counter(verdict.state for verdict in verdicts)
    return {
        "completeness": encode(_ledger(verdicts)),
        "verdicts": [encode(verdict) for verdict in verdicts],
        "kills": {verdict.check: _kills_json(kill_score(kills, verdict)) for verdict in verdicts},
        "summary": {state.value: counts[state] for state in State},
    }


def head(verdicts: Sequence[Verdict], kills: KillMatrix) -> str:
    """What stands above every report: the evidence that was expected and what became of it, hollow checks."""
    ledger = _ledger(verdicts)
    parts = ("expected", "received", "late", "stale", "refused", "missing")
    lines = ["evidence: " + ", ".join(f"{len(getattr(ledger, part))} {part}" for part in parts)]
    if hollow := [verdict.check for verdict in verdicts if kill_score(kills, verdict).hollow]:
        lines.append(
            f"hollow: {len(hollow)} of {len(verdicts)} checks were never seen red in this version: "
            f"{', '.join(hollow)}; `posture prove --log` sabotages them"
        )
    return "\n".join(lines)


def _ledger(verdicts: Sequence[Verdict]) -> Completeness:
    return together(verdict.completeness for verdict in verdicts)


def _kills_json(score: KillScore) -> dict[str, Any]:
    return {
        "sabotages": score.total,
        "killed": score.killed,
        "outdated": score.outdated,
        "hollow": score.hollow,
    }


def exit_code(verdicts: Iterable[Verdict]) -> Exit:
    """1 when a check failed, else 3 when one is unknown or there is none, else 0."""
    states = {verdict.state for verdict in verdicts}
    if State.FAILED in states:
        return Exit.FINDINGS
    return Exit.INCOMPLETE if State.UNKNOWN in states or not states else Exit.HOLDS


def by_area(verdicts: Sequence[Verdict]) -> str:
    """One line for each control area, failed and unknown checks named."""
    areas: dict[str, list[Verdict]] = {}
    checks = load_checks()
    for verdict in verdicts:
        areas.setdefault(checks[verdict.check].area, []).append(verdict)
    return "\n".join(_area_line(area, judged) for area, judged in areas.items())


def details(verdicts: Sequence[Verdict], kills: KillMatrix = NO_KILLS) -> str:
    """One line for each verdict with its reason, and below it what deviates and whether it is hollow."""
    return "\n".join(line for verdict in verdicts for line in _lines(verdict, kill_score(kills, verdict)))


def _area_line(area: str, judged: Sequence[Verdict]) -> str:
    counts = Counter(verdict.state for verdict in judged)
    told = ", ".join(f"{counts[state]} {MARKS[state]}" for state in State if counts[state])
    bad = [verdict.check for verdict in judged if verdict.state in (State.FAILED, State.UNKNOWN)]
    return f"  {area:<18} {told}{'  (' + ', '.join(bad) + ')' if bad else ''}"


def _lines(verdict: Verdict, score: KillScore) -> Iterable[str]:
    yield f"{verdict.check:<7} {MARKS[verdict.state]:<8} {verdict.reason}{_hollow(score)}"
    for deviation in verdict.deviations:
        yield f"        - {deviation.what}: {deviation.where}"


def _hollow(score: KillScore) -> str:
    if not score.hollow:
        return ""
    return f" (hollow: {score})" if score.total else " (hollow)"
