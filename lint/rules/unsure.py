"""What is found at tables whose protection code that was not read may have taken away: information only.

A loop over tables that only a server knows may have dropped the very policy that a finding is about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lint.rules.path_tables import written_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.catalogue import Catalogue, Place
    from lint.report import Finding


def softened(findings: Iterable[Finding], catalogue: Catalogue) -> Iterator[Finding]:
    """Yield findings, those about such tables as information with the place that makes them unsure."""
    unsure = {name: table.unsure for name, table in catalogue.tables.items() if table.unsure is not None}
    for finding in findings:
        place = _unsure(finding, unsure)
        if place is None or finding.severity == "info":
            yield finding
            continue
        told = (
            f"{finding.message} (unless {written_place(place)} took that away: it is over tables not known)"
        )
        yield replace(finding, severity="info", message=told)


def _unsure(finding: Finding, unsure: dict[str, Place]) -> Place | None:
    place = unsure.get(finding.table or "") or unsure.get(finding.subject)
    later = place is not None and (place.path, place.line) != (finding.path, finding.line)
    return place if later else None
