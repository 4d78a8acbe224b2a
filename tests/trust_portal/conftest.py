"""A small posture with every kind of verdict, compiled from the real catalogue, and a small real log."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.check import load_checks
from checks.sources import judging_source
from controls.claims import Catalogue, Claim, load_catalogue
from controls.verdict import Completeness, Deviation, State, Verdict
from controls.wording import equation_facts, placeholders
from evidence.kinds.postgres import Isolation, RowSecurity, Table
from evidence.kinds.twin import KillMatrix, SabotageResult
from evidence.ledger import Ledger, PendingEntry
from evidence.payload import Payload
from evidence.proofs.dsse import sign
from evidence.proofs.signers import Ed25519Signer
from evidence.proofs.statement import PAYLOAD_TYPE
from evidence.record import CollectorId, Header, Interval, Outcome, Record, seal
from evidence.scope import Scope, Unit
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
        source=judging_source(),
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
    return KillMatrix(len(matrix), len(matrix), matrix, judging_source())


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="session")
def posture(catalogue: Catalogue) -> CompiledPosture:
    judged = [claim for claim in catalogue.claims if claim.check == claim.id]
    verdicts = [verdict_for(claim, STATES[n % len(STATES)]) for n, claim in enumerate(judged)]
    return compile_claims(catalogue, verdicts, kills_for(judged), as_of=AS_OF)


ORIGIN = "posture.example/log"
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
GATED_TABLE = f"billing.{GATED[0]}"


def _salts() -> Callable[[int], bytes]:
    """Salts that are the same in each run, so that two packs of one log can be compared."""
    count = iter(range(10_000))
    return lambda size: hashlib.sha256(b"salt %d" % next(count)).digest()[:size]


def _record(payload: Payload, unit: str, subject: str, recorded: datetime, run: str = "r1") -> Record:
    header = Header(
        run=run,
        unit=unit,
        kind=payload.kind,
        subject=subject,
        observed=Interval(recorded, recorded),
        recorded=recorded,
        expires=AS_OF + timedelta(days=1),
        collector=CollectorId("test", "1", "0" * 64),
        outcome=Outcome.OBSERVED,
        reason="",
    )
    return Record(header, payload)


def _log(ledger: Ledger, records: Iterable[Record], salt: Callable[[int], bytes]) -> tuple[str, ...]:
    digests = []
    for record in records:
        sealed = seal(record, salt=salt)
        envelope = sign(PAYLOAD_TYPE, sealed.statement, [SIGNER]).encode()
        ledger.append([PendingEntry(record.identity, envelope, tuple(sealed.subtrees.values()))])
        digests.append(hashlib.sha256(sealed.statement).hexdigest())
    return tuple(digests)


def small_ledger(folder: Path) -> Ledger:
    """A scope, two observations and two verdicts (one satisfied, one failed)."""
    ledger = Ledger.open(folder, origin=ORIGIN, signer=SIGNER, create=True)
    salt = _salts()
    start = AS_OF - timedelta(minutes=5)
    scope = Scope("demo", (Unit("databases/core", "databases", "postgres:core", {}),))
    table = Table(GATED_TABLE, "tenant", "core_owner", "tenant_id", False, True, True, ())
    seen = RowSecurity(150018, "core_app", (table,), (), (), ())
    probed = Isolation(150018, 4, 4, 0, 0, ())
    digests = _log(
        ledger,
        [
            _record(scope, "scope", "posture:demo", start),
            _record(seen, "databases/core", "postgres:core", start),
            _record(probed, "databases/core", "postgres:core", start),
        ],
        salt,
    )
    verdicts = [
        _logged_verdict("RLS-01", State.FAILED, digests[1:2]),
        _logged_verdict("RLS-07", State.SATISFIED, digests[1:]),
    ]
    _log(
        ledger,
        [_record(verdict, verdict.check, f"check:{verdict.check}", AS_OF) for verdict in verdicts],
        salt,
    )
    return ledger


def _logged_verdict(check: str, state: State, evidence: tuple[str, ...]) -> Verdict:
    failed = state is State.FAILED
    item = "postgres.row_security/v1 over databases/core"
    return Verdict(
        check=check,
        claims=(check,),
        state=state,
        reason="It was judged.",
        facts={
            "tables": 1,
            "enforced": 0 if failed else 1,
            "attempts": 4,
            "leaked": 0,
            "deviations": int(failed),
        },
        deviations=(Deviation("row security is off", GATED_TABLE),) if failed else (),
        completeness=Completeness((item,), (item,)),
        evidence=evidence,
        scope="0" * 64,
        source=load_checks()[check].source,
        as_of=AS_OF,
        valid_until=AS_OF + timedelta(days=1),
    )


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    opened = small_ledger(tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Callable[..., Ledger]]:
    """The small log with more verdicts: ``grown((check, state, moment, changes), …)``."""
    made: list[Ledger] = []

    def grow(*verdicts: tuple[str, State, datetime, dict[str, Any]]) -> Ledger:
        ledger = small_ledger(tmp_path / f"log-{len(made)}")
        made.append(ledger)
        for check, state, at, changes in verdicts:
            verdict = dataclasses.replace(_logged_verdict(check, state, ()), as_of=at, **changes)
            _log(ledger, [_record(verdict, verdict.check, f"check:{verdict.check}", at, "r2")], _salts())
        return ledger

    yield grow
    for ledger in made:
        ledger.close()
