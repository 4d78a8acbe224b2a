"""Redaction (RED): did anything of a prompt or a response stay with the platform?

Judges a search for canaries that were planted in raw invocation logs before the platform ingested them.
A search that read nothing, or looked where nothing could be, shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from checks.check import Expect, check, undecided
from checks.judgement import deviation, seen, weigh
from checks.populations import DAILY, INGESTION, WEEKLY
from controls.verdict import Deviation, Verdict
from evidence.kinds.redaction import BodyHashes, CanarySearch, SearchedPlace
from evidence.scope import Scope
from evidence.view import Evidence, Observation

#: Where content could stay, and by which names the search calls such places.
KINDS_OF_PLACE: Final[Mapping[str, Callable[[str], bool]]] = {
    "tables": lambda name: name.startswith("table"),
    "Redis": lambda name: name.startswith("redis"),
    "logs": lambda name: name.startswith("log"),
}

Searches = tuple[Observation[CanarySearch], ...]
Hashes = tuple[Observation[BodyHashes], ...]


# --- RED-01 and RED-02 ----------------------------------------------------------------------------


@check(
    "RED-01",
    expects=[Expect(CanarySearch, over=INGESTION, every=DAILY)],
    claims=("RED-01", "RED-02"),
)
def bodies_never_stay(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """No part of a prompt or response is found in any table, Redis or log after ingestion."""
    searches = seen(evidence, scope, CanarySearch, over=INGESTION)
    if not searches:
        return undecided("No canary was searched for: nothing was shown.")
    places = [place for search in searches for place in search.payload.places]
    return weigh(
        _hits(searches),
        (doubt for search in searches for doubt in _search_gaps(search.payload)),
        facts={
            "planted": sum(search.payload.planted for search in searches),
            "ingested_records": sum(search.payload.ingested_records for search in searches),
            "places": len(places),
            "bytes_read": sum(place.bytes_read for place in places),
            "hits": sum(place.hits for place in places),
        },
        holds=(
            "{planted} canaries were planted in raw logs and none was found in {places} places "
            "({bytes_read} bytes) after ingestion."
        ),
        fails="Canaries from raw logs were found {hits} times in {deviations} of {places} places.",
    )


def _hits(searches: Searches) -> Iterator[Deviation]:
    for search in searches:
        for place in search.payload.places:
            if place.hits > 0:
                yield deviation(search, f"{place.hits} canaries found", place.name)


def _search_gaps(search: CanarySearch) -> Iterator[str]:
    if search.planted < 1 or search.ingested_records < 1:
        yield "No canary was planted and ingested, so not finding one shows nothing."
    if not search.encodings:
        yield "The canaries were looked for in no encoding."
    for kind, belongs in KINDS_OF_PLACE.items():
        searched = [place for place in search.places if belongs(place.name.lower())]
        if not _was_read(kind, searched):
            yield f"The search did not read {kind}, so canaries may be there."


def _was_read(kind: str, searched: list[SearchedPlace]) -> bool:
    """Redis may rightly be empty; tables and logs after an ingestion are not."""
    return bool(searched) and (kind == "Redis" or any(place.bytes_read > 0 for place in searched))


# --- RED-03 ---------------------------------------------------------------------------------------


@check("RED-03", expects=[Expect(BodyHashes, over=INGESTION, every=WEEKLY)])
def hashes_are_keyed(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Stored body hashes are keyed for each tenant, so that no text can be guessed from them."""
    stored = seen(evidence, scope, BodyHashes, over=INGESTION)
    rows = sum(one.payload.rows for one in stored)
    if not rows:
        return undecided("No spend event with a body hash was found: nothing was shown.")
    return weigh(
        _weak_hashes(stored),
        _hash_gaps(stored),
        facts={
            "rows": rows,
            "well_formed": sum(one.payload.well_formed for one in stored),
            "plain": sum(one.payload.plain_sha256 for one in stored),
            "shared": sum(one.payload.shared_between_tenants for one in stored),
        },
        holds="All {rows} rows with a body hash carry keyed SHA-256, different for each tenant.",
        fails=(
            "Of {rows} rows with a body hash {well_formed} are well formed, {plain} are plain SHA-256 and "
            "{shared} values are shared between tenants."
        ),
    )


def _weak_hashes(stored: Hashes) -> Iterator[Deviation]:
    for one in stored:
        seen_rows = one.payload
        if seen_rows.well_formed < seen_rows.rows:
            yield deviation(one, f"{seen_rows.rows - seen_rows.well_formed} malformed rows", "hash form")
        if seen_rows.plain_sha256 > 0:
            yield deviation(one, f"{seen_rows.plain_sha256} rows hold the plain SHA-256", "plain SHA-256")
        if seen_rows.shared_between_tenants > 0:
            what = f"{seen_rows.shared_between_tenants} values occur under several tenants"
            yield deviation(one, what, "shared between tenants")


def _hash_gaps(stored: Hashes) -> Iterator[str]:
    for one in stored:
        if one.payload.rows < 1:
            yield "Where logs are ingested, no row with a body hash was found."
        if one.payload.planted_in_several < 1:
            yield "No body was planted under several tenants, so a shared key would not have shown."
