"""One document for each of the 61 criteria: which claims serve it, how they stand, and their evidence.

Titles are our own words; the criteria themselves are the AICPA's and are not reproduced. A criterion
that nothing speaks for says so, and one that the security page never touches says that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from evidence.payload import Json
from trust_portal.claims import CompiledClaim, Word, counts
from trust_portal.packs.documents.engagement import Document, Reading, strings
from trust_portal.packs.documents.matrix import control_rows

CATEGORIES: Final = {
    "CC": "security",
    "A": "availability",
    "C": "confidentiality",
    "PI": "processing integrity",
    "P": "privacy",
}


def criteria_documents(reading: Reading) -> dict[str, Document]:
    """Each criterion's `criterion.json` by its id, in the order of the five categories."""
    rows = control_rows(reading)
    return {
        criterion: reading.finished(_criterion(reading, criterion, title, rows))
        for criterion, title in reading.engagement.catalogue.criteria.items()
    }


def _criterion(reading: Reading, criterion: str, title: str, rows: Mapping[str, dict[str, Json]]) -> Document:
    claims = [claim for claim in reading.claims.values() if criterion in claim.claim.criteria]
    drafted = [name for name, served in reading.engagement.drafted.items() if criterion in served]
    later = [name for name in drafted if name not in reading.claims]
    entries = sorted({entry for claim in claims for entry in _entries(rows[claim.id])})
    standing, said = _standing(claims, drafted, later, entries)
    duties = reading.engagement.responsibilities
    return {
        **reading.head("criterion"),
        "id": criterion,
        "title": title,
        "category": CATEGORIES[criterion.rstrip("0123456789.")],
        "standing": standing,
        "said": said,
        "counts": {word.value: number for word, number in counts(claims).items()},
        "claims": [_claim(rows[claim.id]) for claim in claims],
        "drafted": strings(later),
        "evidence": list(entries),
        "customer_duties": [duty.id for duty in duties.customer if criterion in duty.criteria],
        "subservice_duties": [duty.id for duty in duties.subservice if criterion in duty.criteria],
    }


def _standing(
    claims: Sequence[CompiledClaim], drafted: Sequence[str], later: Sequence[str], entries: Sequence[int]
) -> tuple[str, str]:
    """A word and a sentence on what speaks for a criterion; a verified claim does not prove a criterion."""
    waits = (
        f" The page's further promises on it ({', '.join(later)}) are not in the catalogue yet."
        if later
        else ""
    )
    if not drafted and not claims:
        return "untouched", (
            "The security page says nothing on this criterion, and no evidence was collected for it. "
            "Management must say how it is met, or why it does not apply."
        )
    if not entries:
        return "no evidence", f"No evidence in the log speaks for this criterion.{waits}"
    verified = sum(claim.word is Word.VERIFIED for claim in claims)
    return "evidence", (
        f"{verified} of {len(claims)} claims that serve this criterion are verified. Whether they are enough "
        f"to meet it is the auditor's judgement.{waits}"
    )


def _claim(row: Mapping[str, Json]) -> Json:
    kept = ("id", "said", "test", "result", "deviations", "evidence", "coverage", "kills")
    return {name: row[name] for name in kept}


def _entries(row: Mapping[str, Json]) -> list[int]:
    found = row["evidence"]
    return [entry for entry in found if isinstance(entry, int)] if isinstance(found, list) else []
