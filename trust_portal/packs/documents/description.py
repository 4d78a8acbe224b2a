"""The system description in the order of DC 200, its nine parts in our own words.

What the log, the scope and the catalogue can say is said; what only people can say is named as missing,
with who must write it. A description that was filled with guesses would be management's false statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from controls.claims import Status
from evidence.payload import Json
from trust_portal.claims import counts
from trust_portal.packs.documents.changes import changes_document
from trust_portal.packs.documents.criteria import criteria_documents
from trust_portal.packs.documents.engagement import Document, Reading

SERVICES: Final = ("The services provided, and to whom", "management")
POPULATIONS: Final = {
    "databases": "data",
    "platform": "software",
    "sources": "software",
    "ingress": "infrastructure",
    "ingestion": "software",
}
"""The kind of component that a population is; the cloud's are infrastructure."""


def description_document(reading: Reading) -> Document:
    """`description.json`."""
    return reading.finished(
        {
            **reading.head("description"),
            "sections": [
                {"id": f"DC{number}", "title": title, **part(reading)}
                for number, (title, part) in enumerate(_SECTIONS, 1)
            ],
        }
    )


def _section(
    said: str,
    *,
    columns: Iterable[str] = (),
    rows: Iterable[Iterable[str]] = (),
    missing: Iterable[tuple[str, str]] = (),
) -> dict[str, Json]:
    """A part: a paragraph, a table, and what is missing with who must write it."""
    return {
        "said": said,
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "missing": [{"what": what, "who": who} for what, who in missing],
    }


def _services(reading: Reading) -> dict[str, Json]:
    areas = reading.engagement.catalogue.areas
    return _section(
        f"The system is {reading.engagement.project}. Its catalogue covers {len(areas)} control areas; what "
        " the services do for customers is not written down where evidence could be taken from.",
        columns=("area", "what is claimed about", "claims"),
        rows=((area.title, area.summary, str(len(area.claims))) for area in areas),
        missing=[SERVICES],
    )


def _commitments(reading: Reading) -> dict[str, Json]:
    promised = [c for c in reading.claims.values() if c.claim.status in {Status.IN_PLACE, Status.POLICY}]
    return _section(
        "These commitments are quoted from the security page, each with what the evidence says of it.",
        columns=("claim", "the page's words", "standing"),
        rows=((one.id, one.claim.quote, one.word.value) for one in promised),
        missing=[
            (
                "The commitments of contracts (service levels, data processing) and what follows from them",
                "legal",
            ),
        ],
    )


def _components(reading: Reading) -> dict[str, Json]:
    scope = reading.scope
    said = (
        "The components are the units of the newest scope, which is logged before anything is collected."
        if scope
        else "No scope was logged up to the end of the window: no component is on record."
    )
    return _section(
        said,
        columns=("kind", "population", "unit", "subject"),
        rows=(
            (POPULATIONS.get(unit.population, "infrastructure"), unit.population, unit.id, unit.subject)
            for unit in (scope.units if scope else ())
        ),
        missing=[
            ("People: the functions that run the system and their reporting lines", "human resources"),
            ("Procedures: the runbooks, and who approved them when", "operations"),
            ("Data: the classes of data that customers entrust, and how they flow", "management"),
        ],
    )


def _incidents(_reading: Reading) -> dict[str, Json]:
    return _section(
        "The log holds no register of incidents. That none is listed is no evidence that there was none.",
        missing=[
            (
                "The incidents that kept a commitment from being met, or a statement that there were none",
                "security lead",
            ),
        ],
    )


def _controls(reading: Reading) -> dict[str, Json]:
    words = counts(list(reading.claims.values()))
    standing = "; ".join(f"{number} {word.value}" for word, number in words.items())
    return _section(
        f"The control matrix (02-control-matrix) holds {len(reading.claims)} controls: {standing}. "
        "03-criteria has a folder for each criterion, also for those that no evidence speaks for.",
        columns=("criterion", "in our words", "what speaks for it"),
        rows=(
            (name, str(document["title"]), str(document["standing"]))
            for name, document in criteria_documents(reading).items()
        ),
        missing=[("The choice of trust services categories that the report covers", "management")],
    )


def _customers(reading: Reading) -> dict[str, Json]:
    return _section(
        "Controls that customers must run for ours to hold; 08-responsibilities says what is lost without.",
        columns=("id", "duty"),
        rows=((duty.id, duty.title) for duty in reading.engagement.responsibilities.customer),
    )


def _subservice(reading: Reading) -> dict[str, Json]:
    duties = reading.engagement.responsibilities.subservice
    return _section(
        "The companies that the security page names, and what we rely on each for.",
        columns=("id", "company", "service", "relied on for"),
        rows=((duty.id, duty.organisation, duty.service, duty.duty) for duty in duties),
        missing=[
            ("Whether each is carved out or included, and the review of its own report", "vendor management"),
            ("Companies that the page does not name (the subprocessor list is sent on request)", "legal"),
        ],
    )


def _inapplicable(reading: Reading) -> dict[str, Json]:
    catalogue, drafted = reading.engagement.catalogue, reading.engagement.drafted
    touched = {name for served in drafted.values() for name in served}
    silent = [(name, title) for name, title in catalogue.criteria.items() if name not in touched]
    return _section(
        f"No criterion is declared inapplicable. The security page says nothing on the {len(silent)} below, "
        "which is another thing.",
        columns=("criterion", "in our words"),
        rows=silent,
        missing=[("For each of these: how it is met, or why it does not apply", "management")],
    )


def _changed(reading: Reading) -> dict[str, Json]:
    counted = changes_document(reading)["counts"]
    counts_ = counted if isinstance(counted, dict) else {}
    return _section(
        "What the log shows of changes in the window stands in 09-changes.",
        columns=("what", "changes"),
        rows=(
            ("verdicts whose state changed", str(counts_["verdicts"])),
            ("units that came into scope, left it or are described otherwise", str(counts_["scope"])),
            ("changes of the source that judges", str(counts_["sources"])),
        ),
        missing=[("Changes of services, people and procedures that no collector sees", "management")],
    )


_SECTIONS: Final[tuple[tuple[str, Callable[[Reading], dict[str, Json]]], ...]] = (
    ("The services", _services),
    ("What was promised to customers", _commitments),
    ("What the system is made of", _components),
    ("Incidents", _incidents),
    ("Criteria, and the controls that serve them", _controls),
    ("What customers must do", _customers),
    ("Companies that the system is built on", _subservice),
    ("Criteria that do not apply", _inapplicable),
    ("What changed in the window", _changed),
)
