"""What changed in the window: verdicts, the scope, the source that judges, and the claims themselves.

DC 200 asks for the relevant changes of the period; this is the part that the log can prove.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from evidence.payload import Json, timestamp
from evidence.scope import Unit
from trust_portal.packs.documents.engagement import (
    Document,
    Judged,
    Reading,
    Scoped,
    catalogue_digest,
    strings,
)


def changes_document(reading: Reading) -> Document:
    """`changes.json`."""
    verdicts = sorted(_verdicts(reading), key=_entry)
    scope = sorted(_scope(reading), key=_entry)
    sources = _sources(reading)
    claims = _claims(reading)
    return reading.finished(
        {
            **reading.head("changes"),
            "verdicts": list(verdicts),
            "scope": list(scope),
            "sources": list(sources),
            "errata": list(_errata(reading)),
            "claims": claims,
            "counts": {"verdicts": len(verdicts), "scope": len(scope), "sources": len(sources)},
        }
    )


def _entry(change: dict[str, Json]) -> int:
    entry = change["entry"]
    return entry if isinstance(entry, int) else 0


def _in_window(reading: Reading, moment: datetime) -> bool:
    window = reading.engagement.window
    return window.start <= moment < window.end


def _pairs(history: Sequence[Judged]) -> Iterator[tuple[Judged | None, Judged]]:
    return zip([None, *history], history, strict=False)


def _verdicts(reading: Reading) -> Iterator[dict[str, Json]]:
    for check, history in reading.verdicts.items():
        for before, after in _pairs(history):
            old = before.verdict.state.value if before else None
            if _in_window(reading, after.at) and old != after.verdict.state.value:
                yield {
                    "check": check,
                    "from": old,
                    "to": after.verdict.state.value,
                    "at": timestamp(after.at),
                    "entry": after.index,
                }


def _errata(reading: Reading) -> Iterator[dict[str, Json]]:
    """Corrections of verdicts that speak for a moment of the window, whenever they were logged."""
    window = reading.engagement.window
    for entry, erratum in reading.errata:
        if timestamp(window.start) <= str(erratum["as_of"]) < timestamp(window.end):
            yield {
                "entry": entry,
                "of": erratum["entry"],
                "check": erratum["check"],
                "as_of": erratum["as_of"],
                "from": erratum["old_state"],
                "to": erratum["new_state"],
                "taken_back": not erratum["changed"],
            }


def _scope(reading: Reading) -> Iterator[dict[str, Json]]:
    """Units that came, went or are described otherwise; the first scope of the log brings all of its own."""
    for before, after in zip([None, *reading.scopes], reading.scopes, strict=False):
        if not _in_window(reading, after.recorded):
            continue
        old, new = _units(before), _units(after)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                unit = new.get(name) or old[name]
                change = "came" if name not in old else "went" if name not in new else "described otherwise"
                yield {
                    "unit": name,
                    "population": unit.population,
                    "change": change,
                    "at": timestamp(after.recorded),
                    "entry": after.index,
                }


def _units(scoped: Scoped | None) -> dict[str, Unit]:
    return {unit.id: unit for unit in scoped.scope.units} if scoped else {}


def _sources(reading: Reading) -> list[dict[str, Json]]:
    """Each time that checks were judged by other source than before; what changed together in one row."""
    found: dict[tuple[str, str], list[tuple[Judged, str]]] = {}
    for check, history in reading.verdicts.items():
        for before, after in _pairs(history):
            changed = before is not None and before.verdict.source != after.verdict.source
            if before is not None and changed and _in_window(reading, after.at):
                pair = (before.verdict.source, after.verdict.source)
                found.setdefault(pair, []).append((after, check))
    rows: list[dict[str, Json]] = []
    for (old, new), changes in found.items():
        first = min((judged for judged, _ in changes), key=lambda judged: judged.index)
        rows.append(
            {
                "from": old,
                "to": new,
                "at": timestamp(first.at),
                "entry": first.index,
                "checks": strings(sorted({check for _, check in changes})),
            }
        )
    return sorted(rows, key=_entry)


def _claims(reading: Reading) -> Json:
    """Claims that were added, withdrawn or reworded, where the catalogue at the window's start is known."""
    present = reading.engagement.catalogue
    earlier = reading.engagement.earlier
    if earlier is None:
        return {
            "known": False,
            "said": "The catalogue at the window's start is not known, so no change of claims is shown.",
            "from": None,
            "to": catalogue_digest(present),
            "added": [],
            "withdrawn": [],
            "changed": [],
        }
    old = {claim.id: claim for claim in earlier.claims}
    new = {claim.id: claim for claim in present.claims}
    both = sorted(old.keys() & new.keys())
    return {
        "known": True,
        "said": "Compared with the catalogue as it was at the window's start.",
        "from": catalogue_digest(earlier),
        "to": catalogue_digest(present),
        "added": strings(sorted(new.keys() - old.keys())),
        "withdrawn": strings(sorted(old.keys() - new.keys())),
        "changed": strings(name for name in both if old[name] != new[name]),
    }
