"""The coverage document: every day of the window, for each check and each unit that it expected."""

from __future__ import annotations

import dataclasses

from checks.coverage import LETTERS, CheckCoverage, Totals, UnitCoverage, letters
from evidence.payload import Json
from trust_portal.packs.documents.engagement import Document, Reading


def coverage_document(reading: Reading) -> Document:
    """`coverage.json`: a letter for each day, and the totals.

    Totals of a check are days; totals of a unit are days, or stretches where evidence is expected once
    in `every_days` days.
    """
    return reading.finished(
        {
            **reading.head("coverage"),
            "days": reading.engagement.window.days,
            "legend": {letter: day.value for day, letter in LETTERS.items()},
            "checks": [_check(reading, row) for row in reading.coverage],
        }
    )


def totals(found: Totals) -> dict[str, Json]:
    """Totals as JSON."""
    return dict(dataclasses.asdict(found))


def _check(reading: Reading, row: CheckCoverage) -> Json:
    gate = reading.gate(row.check)
    readable = reading.may_read(gate)
    return {
        "check": row.check,
        "title": reading.engagement.checks[row.check].title,
        "days": letters(row.days),
        "totals": totals(row.totals),
        "gated": None if readable else gate.value,
        "units": [_unit(unit) for unit in row.units] if readable else [],
    }


def _unit(unit: UnitCoverage) -> Json:
    return {
        "kind": unit.kind,
        "over": unit.over,
        "every_days": unit.every_days,
        "unit": unit.unit,
        "subject": unit.subject,
        "days": letters(unit.days),
        "totals": totals(unit.totals),
        "refusals": unit.refusals,
    }
