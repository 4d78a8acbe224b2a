"""All documents of a pack as files, which the pack's builder puts beside the log and the verifier."""

from __future__ import annotations

from collections.abc import Iterator

from evidence.proofs.canonical import canonical_bytes
from trust_portal.packs.documents.changes import changes_document
from trust_portal.packs.documents.criteria import criteria_documents
from trust_portal.packs.documents.description import description_document
from trust_portal.packs.documents.engagement import Document, Engagement, Reading
from trust_portal.packs.documents.exceptions import exceptions_document
from trust_portal.packs.documents.matrix import matrix_document
from trust_portal.packs.documents.render import render
from trust_portal.packs.documents.responsibilities import responsibilities_document
from trust_portal.packs.documents.spreadsheet import matrix_csv, matrix_xlsx
from trust_portal.packs.documents.strips import coverage_document


def document_files(engagement: Engagement) -> dict[str, bytes]:
    """Path in the pack and bytes of each document; the same engagement gives the same bytes.

    Raises:
        UnsupportedClaim: a verdict does not carry its claim's words.
    """
    reading = Reading(engagement)
    files: dict[str, bytes] = {}
    for path, document in documents(reading):
        files[f"{path}.json"] = canonical_bytes(document)
        files[f"{_page(path)}.html"] = render(document, path)
        if path == MATRIX:
            files[f"{path}.csv"] = matrix_csv(document)
            files[f"{path}.xlsx"] = matrix_xlsx(document)
    return files


MATRIX = "02-control-matrix/matrix"


def documents(reading: Reading) -> Iterator[tuple[str, Document]]:
    """Each document with its path, without the ending."""
    yield "01-system-description/description", description_document(reading)
    yield MATRIX, matrix_document(reading)
    for criterion, document in criteria_documents(reading).items():
        yield f"03-criteria/{criterion}/criterion", document
    yield "07-exceptions/exceptions", exceptions_document(reading)
    yield "08-responsibilities/responsibilities", responsibilities_document(reading)
    yield "09-changes/changes", changes_document(reading)
    yield "coverage", coverage_document(reading)


def _page(path: str) -> str:
    """A criterion's page is its folder's index."""
    return path.removesuffix("criterion") + "index" if path.endswith("/criterion") else path
