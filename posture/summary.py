"""Verdicts for people and programs: the published JSON, the exit code, the short table by control area."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from checks.check import load_checks
from controls.verdict import State, Verdict
from evidence.payload import encode
from posture.cli import Exit

MARKS = {
    State.SATISFIED: "ok",
    State.FAILED: "FAILED",
    State.UNKNOWN: "unknown",
    State.WAIVED: "waived",
    State.NOT_APPLICABLE: "n/a",
}


def to_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The published form of `check` and `gate`: every verdict, and how many there are of each state."""
    counts = Counter(verdict.state for verdict in verdicts)
    return {
        "verdicts": [encode(verdict) for verdict in verdicts],
        "summary": {state.value: counts[state] for state in State},
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


def details(verdicts: Sequence[Verdict]) -> str:
    """One line for each verdict with its reason, and below it what deviates and what did not arrive."""
    return "\n".join(line for verdict in verdicts for line in _lines(verdict))


def _area_line(area: str, judged: Sequence[Verdict]) -> str:
    counts = Counter(verdict.state for verdict in judged)
    told = ", ".join(f"{counts[state]} {MARKS[state]}" for state in State if counts[state])
    bad = [verdict.check for verdict in judged if verdict.state in (State.FAILED, State.UNKNOWN)]
    return f"  {area:<18} {told}{'  (' + ', '.join(bad) + ')' if bad else ''}"


def _lines(verdict: Verdict) -> Iterable[str]:
    yield f"{verdict.check:<7} {MARKS[verdict.state]:<8} {verdict.reason}"
    for deviation in verdict.deviations:
        yield f"        - {deviation.what}: {deviation.where}"
