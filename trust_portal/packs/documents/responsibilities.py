"""What customers and subservice organisations must do, each with the claims that rest on it."""

from __future__ import annotations

from collections.abc import Iterable

from controls.responsibilities import CustomerDuty, SubserviceDuty
from evidence.payload import Json
from trust_portal.packs.documents.engagement import Document, Reading, strings


def responsibilities_document(reading: Reading) -> Document:
    """`responsibilities.json`."""
    duties = reading.engagement.responsibilities
    return reading.finished(
        {
            **reading.head("responsibilities"),
            "customer": [customer_duty(reading, duty) for duty in duties.customer],
            "subservice": [subservice_duty(reading, duty) for duty in duties.subservice],
        }
    )


def customer_duty(reading: Reading, duty: CustomerDuty) -> Json:
    """A customer's duty as JSON."""
    return {
        "id": duty.id,
        "title": duty.title,
        "duty": duty.duty,
        "without": duty.without,
        "claims": _claims(reading, duty.claims),
        "criteria": strings(duty.criteria),
    }


def subservice_duty(reading: Reading, duty: SubserviceDuty) -> Json:
    """A subservice organisation's duty as JSON."""
    return {
        "id": duty.id,
        "organisation": duty.organisation,
        "service": duty.service,
        "page": duty.page,
        "duty": duty.duty,
        "claims": _claims(reading, duty.claims),
        "criteria": strings(duty.criteria),
    }


def _claims(reading: Reading, ids: Iterable[str]) -> list[Json]:
    """The claims with the word that each bears; None for one that the catalogue does not hold yet."""
    return [
        {"id": name, "word": reading.claims[name].word.value if name in reading.claims else None}
        for name in ids
    ]
