"""A small posture with every kind of verdict, compiled from the real catalogue."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from controls.claims import Catalogue, Claim, load_catalogue
from controls.verdict import Completeness, Deviation, State, Verdict
from controls.wording import equation_facts, placeholders
from evidence.kinds.twin import KillMatrix, SabotageResult
from trust_portal.claims import CompiledPosture, compile_claims

AS_OF = datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC)
GATED = ("gated_table_4711", "arn:aws:rds:gated", "111122223333")
"""What a public page must not contain: names that only deviations and unit ids carry."""

TOGETHER = {"RLS-05": ("RLS-16",), "RED-01": ("RED-02",)}
"""Claims that the check of another claim decides as well."""

STATES = (State.SATISFIED, State.SATISFIED, State.SATISFIED, State.FAILED, State.UNKNOWN)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def facts_for(claim: Claim) -> dict[str, int | str]:
    """Facts that let every equation of the claim hold and fill every placeholder."""
    names = {"planted", "places", *placeholders(claim.asserted), *placeholders(claim.measured), "deviations"}
    for equation in claim.proof.values():
        names |= set(equation_facts(equation))
    fixed: dict[str, int | str] = {"deviations": 0, "leaked": 0, "accepted": "TLSv1.3", "refused": "TLSv1.2"}
    return {name: fixed.get(name, 9) for name in sorted(names)}


def verdict_for(claim: Claim, state: State, claims: tuple[str, ...] = ()) -> Verdict:
    deviations = (Deviation(f"{GATED[1]}: row security is off", GATED[0]),) if state is State.FAILED else ()
    item = f"postgres.row_security/v1 over aws/{GATED[2]}/us-east-1"
    refused = (f"{item}: denied (AccessDenied)",) if state is State.UNKNOWN else ()
    claims = claims or tuple(dict.fromkeys((claim.id, *TOGETHER.get(claim.id, ()))))
    return Verdict(
        check=claim.check or "",
        claims=claims,
        state=state,
        reason=f"Evidence of account {GATED[2]} says: {state.value}.",
        facts={**facts_for(claim), "deviations": len(deviations)},
        deviations=deviations,
        completeness=Completeness((item,), () if refused else (item,), refused=refused),
        evidence=(digest(claim.id), digest(claim.id + "2")),
        scope=digest("scope"),
        source=digest("source"),
        as_of=AS_OF - timedelta(minutes=4),
        valid_until=AS_OF + timedelta(hours=20),
    )


def kills_for(claims: list[Claim]) -> KillMatrix:
    """Two sabotages for each check, all caught, except that the last check has none."""
    matrix = tuple(
        SabotageResult(str(claim.check), what, "failed", killed=True, collateral=())
        for claim in claims[:-1]
        for what in ("policy widened to USING (true)", "FORCE taken away")
    )
    return KillMatrix(len(matrix), len(matrix), matrix)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="session")
def posture(catalogue: Catalogue) -> CompiledPosture:
    judged = [claim for claim in catalogue.claims if claim.check == claim.id]
    verdicts = [verdict_for(claim, STATES[n % len(STATES)]) for n, claim in enumerate(judged)]
    return compile_claims(catalogue, verdicts, kills_for(judged), as_of=AS_OF)
