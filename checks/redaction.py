"""Redaction (RED): did anything of a prompt or a response stay with the platform?

Judges a search for canaries that were planted in raw invocation logs before the platform ingested them.
A search that read nothing, or looked where nothing could be, shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, seen, weigh
from checks.populations import DAILY, INGESTION, WEEKLY
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.redaction import BodyHashes, CanarySearch, SearchedPlace
from evidence.scope import Scope
from evidence.view import Evidence, Observation

TABLES, REDIS, LOGS = "tables", "Redis", "logs"
#: Where content could stay, and how names of such places begin (``postgres:ai.ai_spend_event``).
PLACES = {TABLES: "postgres:", REDIS: "redis:", LOGS: "log:"}

BEDROCK = "core_platform/redaction/bedrock.py"
INGEST = "core_platform/redaction/ingest.py"
KEYS = "core_platform/redaction/keys.py"

NOT_INGESTED = "Not every planted record was found again after ingestion, so the canaries may be yet to come."

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
        (*_not_ingested(searches), *(doubt for one in searches for doubt in _search_gaps(one.payload))),
        facts={
            "planted": sum(search.payload.planted for search in searches),
            "ingested_records": sum(search.payload.ingested_records for search in searches),
            "planted_records": sum(search.payload.planted_records for search in searches),
            "planted_found": sum(search.payload.planted_found for search in searches),
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
    for kind in PLACES:
        searched = [place for place in search.places if _kind_of(place) == kind]
        if not _was_read(kind, searched):
            yield f"The search did not read {kind}, so canaries may be there."


def _kind_of(place: SearchedPlace) -> str:
    """What a place is, by what its name begins with; '' for one that is none of the three."""
    return next((kind for kind, prefix in PLACES.items() if place.name.startswith(prefix)), "")


def _was_read(kind: str, searched: list[SearchedPlace]) -> bool:
    """Redis may rightly be empty; tables and logs after an ingestion are not."""
    return bool(searched) and (kind == REDIS or any(place.bytes_read > 0 for place in searched))


@sabotage("RED-01", "prompt kept in a column of the event", names="ai.ai_spend_event")
def keep_the_prompt(twin: Twin) -> None:
    """The body is copied where the role's name belongs."""
    twin.source.patch(
        BEDROCK,
        "role_name=role_name,",
        'role_name=bytes(request.get("inputBodyJson", b"")).decode(),',
    )


@sabotage("RED-01", "session name kept as it came", names="ai.ai_spend_event")
def keep_the_session_name(twin: Twin) -> None:
    """Often an e-mail address, and chosen by whoever assumes the role."""
    twin.source.patch(
        BEDROCK,
        'self.hasher.digest("session/v2", (arn["session"] or arn["other"]).encode())',
        '(arn["session"] or arn["other"])',
    )


@sabotage("RED-01", "record printed while it is ingested", names="log:")
def print_the_record(twin: Twin) -> None:
    """A line for debugging that nobody removed."""
    twin.source.patch(
        INGEST,
        "        done.records += 1\n",
        '        done.records += 1\n        print(line.decode(), file=__import__("sys").stderr)\n',
    )


# --- RED-03 ---------------------------------------------------------------------------------------


@check(
    "RED-03",
    expects=[
        Expect(BodyHashes, over=INGESTION, every=WEEKLY),
        Expect(CanarySearch, over=INGESTION, every=WEEKLY),
    ],
)
def hashes_are_keyed(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Stored body hashes are keyed for each tenant, so that no text can be guessed from them."""
    stored = seen(evidence, scope, BodyHashes, over=INGESTION)
    rows = sum(one.payload.rows for one in stored)
    if not rows:
        return undecided("No spend event with a body hash was found: nothing was shown.")
    return weigh(
        _weak_hashes(stored),
        (*_hash_gaps(stored), *_not_ingested(seen(evidence, scope, CanarySearch, over=INGESTION))),
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


def _not_ingested(searches: Searches) -> Iterator[str]:
    """Bodies that were planted and not read yet have no hash that could be weak."""
    for search in searches:
        if search.payload.planted_found < 1 or search.payload.planted_found != search.payload.planted_records:
            yield NOT_INGESTED


@sabotage("RED-03", "plain SHA-256 instead of a keyed hash", names="plain SHA-256")
def hash_without_a_key(twin: Twin) -> None:
    """Short prompts can be guessed from it."""
    twin.source.patch(
        BEDROCK,
        'return self.hasher.digest(domain, operation.encode() + b"\\x00", memoryview(body))',
        'return "h2:" + __import__("hashlib").sha256(memoryview(body)).hexdigest()',
    )


@sabotage("RED-03", "one key for all tenants", names="shared between tenants")
def share_the_key(twin: Twin) -> None:
    """Equal prompts of two tenants show as equal."""
    twin.source.patch(KEYS, "info=tenant.uuid.bytes", 'info=b"everybody"')


@sabotage("RED-03", "hash cut to 16 digits", names="hash form")
def cut_the_hash(twin: Twin) -> None:
    """Collisions come within reach."""
    twin.source.patch(KEYS, '"sha256").hex()', '"sha256").hex()[:16]')
