"""The JSON twins: one object for each page, from which both the page and its JSON are made.

Templates see nothing but these objects, so a page cannot say what its twin does not. The schema is
``docs/schema/portal.schema.json``; times are RFC 3339 in UTC, counts and facts are integers or text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from checks.kills import KillScore
from controls.claims import Area
from controls.wording import Fact
from evidence.kinds.twin import SabotageResult
from evidence.payload import Json, encode, timestamp
from trust_portal.claims import CompiledClaim, CompiledPosture, Word, counts

SCHEMA: Final = "posture.portal/v1"
BAD_NEWS: Final = (Word.FAILED, Word.OVERDUE, Word.NOT_SHOWN, Word.WAIVED)

Twin = dict[str, Json]


@dataclass(frozen=True, slots=True)
class LogHead:
    """The log that the evidence is in: its origin, its key line and the checkpoint the site was built at."""

    origin: str
    key: str
    checkpoint: str


def posture_twin(posture: CompiledPosture, title: str, contact: str, log: LogHead) -> Twin:
    """The front page: everything at one glance, and every claim in full."""
    return {
        **_head(posture, "posture", title),
        "contact": contact,
        "counts": _counts(posture.claims),
        "kills": {
            "sabotages": posture.kills.sabotages,
            "killed": posture.kills.killed,
            "outdated": posture.kills_outdated,
        },
        "areas": [_area_summary(posture, area) for area in posture.catalogue.areas],
        "claims": [claim_object(posture, claim) for claim in posture.claims],
        "log": _log(log),
    }


def area_twin(posture: CompiledPosture, area: Area) -> Twin:
    """One control area with its claims in full."""
    return {
        **_head(posture, "area", area.title),
        **_area_summary(posture, area),
        "claims": [claim_object(posture, claim) for claim in _of_area(posture, area.name)],
    }


def claim_twin(posture: CompiledPosture, claim: CompiledClaim) -> Twin:
    """One claim and its receipt; valid until its own evidence expires."""
    area = next(area for area in posture.catalogue.areas if area.name == claim.claim.area)
    return {
        **_head(posture, "claim", f"{claim.id}: {area.title}"),
        "area_title": area.title,
        "claim": claim_object(posture, claim),
    }


def kills_twin(posture: CompiledPosture) -> Twin:
    """Every sabotage and what it turned red."""
    return {
        **_head(posture, "kills", "Checks can fail"),
        "sabotages": posture.kills.sabotages,
        "killed": posture.kills.killed,
        "outdated": posture.kills_outdated,
        "survivors": [_sabotage(item) for item in posture.kills.matrix if not item.killed],
        "matrix": [_sabotage(item) for item in posture.kills.matrix],
        "hollow": [claim.id for claim in posture.claims if claim.kills and claim.kills.hollow],
    }


def exceptions_twin(posture: CompiledPosture) -> Twin:
    """What does not hold or is not shown, worst first; then what no check decides yet."""
    ranked = [claim for word in BAD_NEWS for claim in posture.claims if claim.word is word]
    judged = [claim for claim in ranked if claim.claim.check or claim.word is Word.OVERDUE]
    unjudged = [
        claim
        for claim in posture.claims
        if claim not in judged and claim.word not in {Word.VERIFIED, Word.NOT_APPLICABLE}
    ]
    return {
        **_head(posture, "exceptions", "Exceptions"),
        "exceptions": [claim_object(posture, claim) for claim in judged],
        "undecided": [claim_object(posture, claim) for claim in unjudged],
    }


def verify_twin(posture: CompiledPosture, log: LogHead, verifier: str) -> Twin:
    """What a stranger needs to check us; `verifier` is the SHA-256 (hex) of verify.py."""
    return {
        **_head(posture, "verify", "Check us without trusting us"),
        "log": _log(log),
        "verifier": verifier,
    }


def claim_object(posture: CompiledPosture, claim: CompiledClaim) -> Twin:
    """A claim as JSON: the same in every twin."""
    titles = posture.catalogue.criteria
    return {
        "id": claim.id,
        "area": claim.claim.area,
        "quote": claim.claim.quote,
        "text": claim.text,
        "word": claim.word.value,
        "state": claim.state.value,
        "reason": claim.reason,
        "measured": claim.measured,
        "stated_as": claim.claim.status.value,
        "decided_by": claim.claim.how.value,
        "check": claim.claim.check,
        "checked": claim.checked,
        "expects": list(claim.expects),
        "criteria": [{"id": name, "title": titles[name]} for name in claim.claim.criteria],
        "tensions": list(claim.claim.tension),
        "observed": _time(claim.observed),
        "valid_until": _time(claim.valid_until),
        "freshness_seconds": int(claim.claim.freshness.total_seconds()),
        "facts": _facts(claim),
        "deviations": claim.deviations,
        "completeness": encode(claim.completeness),
        "kills": _kills(claim.kills),
        "evidence": list(claim.evidence),
        "scope": claim.scope,
        "source": claim.source,
        "details_for": claim.gated.value if claim.gated else None,
    }


def _head(posture: CompiledPosture, page: str, title: str) -> Twin:
    return {
        "schema": SCHEMA,
        "page": page,
        "title": title,
        "as_of": timestamp(posture.as_of),
        "valid_until": timestamp(posture.valid_until),
    }


def _area_summary(posture: CompiledPosture, area: Area) -> Twin:
    claims = _of_area(posture, area.name)
    return {
        "name": area.name,
        "title": area.title,
        "summary": area.summary,
        "counts": _counts(claims),
        "strip": [
            {"id": claim.id, "word": claim.word.value, "hollow": _is_hollow(claim)} for claim in claims
        ],
    }


def _of_area(posture: CompiledPosture, name: str) -> list[CompiledClaim]:
    return [claim for claim in posture.claims if claim.claim.area == name]


def _counts(claims: Sequence[CompiledClaim]) -> Twin:
    return {"claims": len(claims), **{word.value.replace(" ", "_"): n for word, n in counts(claims).items()}}


def _kills(score: KillScore | None) -> Twin | None:
    if score is None:
        return None
    return {
        "score": str(score),
        "sabotages": score.total,
        "killed": score.killed,
        "hollow": score.hollow,
        "outdated": score.outdated,
        "matrix": [_sabotage(item) for item in score.sabotages],
    }


def _sabotage(item: SabotageResult) -> Twin:
    return {
        "check": item.check,
        "sabotage": item.sabotage,
        "state": item.state,
        "killed": item.killed,
        "collateral": list(item.collateral),
    }


def _is_hollow(claim: CompiledClaim) -> bool:
    return claim.word is Word.VERIFIED and (claim.kills is None or claim.kills.hollow)


def _facts(claim: CompiledClaim) -> Json:
    facts: Iterable[tuple[str, Fact]] = (claim.facts or {}).items()
    return dict(facts)


def _log(log: LogHead) -> Twin:
    return {"origin": log.origin, "key": log.key, "checkpoint": log.checkpoint}


def _time(moment: datetime | None) -> str | None:
    return timestamp(moment) if moment else None
