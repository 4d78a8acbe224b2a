"""A month of a small system's log, with everything that the documents of a pack must tell apart."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from checks.check import load_checks, scope_digest
from controls.claims import load_catalogue, load_drafted
from controls.responsibilities import load_responsibilities
from controls.verdict import Deviation, State, Verdict
from controls.wording import equation_facts, placeholders
from evidence import kinds
from evidence.kinds.twin import KillMatrix, SabotageResult
from evidence.payload import KINDS, Audience, Nda, Payload, Public
from evidence.record import CollectorId, Header, Interval, Outcome, Record
from evidence.scope import Scope, Unit
from trust_portal.packs.documents.engagement import ERRATUM_KIND, WAIVER_KIND, Engagement, Entry, Window

FIRST = date(2026, 11, 2)
LAST = date(2026, 11, 29)
AS_OF = datetime(2026, 11, 30, 9, tzinfo=UTC)
TABLE = "billing.gated_table_4711"
DETAIL = "arn:aws:rds:gated"
ACCOUNTS = ("111122223333", "444455556666")
CANARIES = (TABLE, DETAIL, *ACCOUNTS, "auditor words", "the operator's own sentence")
"""What a public document must not hold."""

CATALOGUE = load_catalogue()
CHECKS = load_checks()
assert kinds
OLD_SOURCE = "0d" * 32


def a_kind(kind: str, **fields: Any) -> type[Payload]:
    """The payload type of a kind, or one with the same fields while its branch is not merged."""
    if kind in KINDS:
        return KINDS[kind]
    made = dataclasses.make_dataclass(
        "Made", list(fields.items()), bases=(Payload,), frozen=True, namespace={"kind": kind}
    )
    del KINDS[kind]  # no other test is to meet it
    return made


WAIVER = a_kind(
    WAIVER_KIND,
    id=Public[str],
    check=Public[str],
    deviations=Nda[tuple[str, ...]],
    owner=Public[str],
    reason=Nda[str],
    compensating=Public[str],
    expires=Public[datetime],
    ticket=Nda[str],
    withdrawn=Public[bool],
)
ERRATUM = a_kind(
    ERRATUM_KIND,
    check=Public[str],
    entry=Public[int],
    verdict=Public[str],
    as_of=Public[datetime],
    changed=Public[tuple[str, ...]],
    packs=Nda[tuple[str, ...]],
    **{f"{age}_{name}": Public[str] for age in ("old", "new") for name in ("state", "reason", "source")},
)


def waiver(at: datetime) -> Payload:
    """The one waiver of the month."""
    return WAIVER(  # type: ignore[call-arg]
        id="W-1",
        check="AVL-03",
        deviations=(TABLE,),
        owner="Platform",
        reason="the operator's own sentence",
        compensating="CRY-02",
        expires=at + timedelta(days=40),
        ticket="",
        withdrawn=False,
    )


WAIVED = waiver(datetime(2026, 11, 10, tzinfo=UTC))


def scope(*, second_region: bool = False) -> Scope:
    units = [
        Unit("databases/core", "databases", "postgres:core", {"application_role": "core_app"}),
        Unit("ingress/agents", "ingress", "ingress:agents", {"audience": "agents"}),
        Unit("sources/app", "sources", "source:app", {}),
    ]
    accounts = ACCOUNTS[: 2 if second_region else 1]
    rds = [Unit(f"aws.rds/{one}/us-east-1", "aws.rds", f"aws:{one}/us-east-1", {}) for one in accounts]
    return Scope("demo", (*units, *rds))


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """Stands for what was seen: the documents read the headers of observations, not what they saw."""

    kind: str


class LogOf:
    """Records one after the other, each an entry."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, record: Record) -> str:
        digest = hashlib.sha256(f"{len(self.entries)}".encode()).hexdigest()
        self.entries.append(Entry(len(self.entries), digest, record))
        return digest


def record(
    payload: Payload | Seen | None, unit: str, subject: str, at: datetime, **changes: object
) -> Record:
    """A record seen and logged at a moment."""
    header = Header(
        run=f"run-{at.isoformat()}",
        unit=unit,
        kind=payload.kind if payload else "",
        subject=subject,
        observed=Interval(at, at),
        recorded=at,
        expires=at + timedelta(days=7),
        collector=CollectorId("test", "1", "0" * 64),
        outcome=Outcome.OBSERVED,
        reason="",
    )
    return Record(dataclasses.replace(header, **changes), payload)  # type: ignore[arg-type]


def facts(check: str, deviations: int) -> dict[str, int | str]:
    """Facts that let the claims' equations hold and fill their words."""
    names = {"deviations"}
    for claim in CATALOGUE.claims:
        if claim.check == check:
            names |= {*placeholders(claim.asserted), *placeholders(claim.measured)}
            names |= {fact for equation in claim.proof.values() for fact in equation_facts(equation)}
    fixed: dict[str, int | str] = {"leaked": 0, "accepted": "TLSv1.3", "refused": "TLSv1.2", "detail": 0}
    return {name: fixed.get(name, 9) for name in sorted(names)} | {"deviations": deviations}


def verdict(
    check: str, state: State, at: datetime, over: Scope, evidence: tuple[str, ...], **changes: object
) -> Verdict:
    deviating = state in {State.FAILED, State.WAIVED}
    made = Verdict(
        check=check,
        claims=CHECKS[check].claims,
        state=state,
        reason=f"Evidence of account {ACCOUNTS[0]} says: {state.value}.",
        facts=facts(check, int(deviating)),
        deviations=(Deviation(f"{DETAIL}: row security is off", TABLE),) if deviating else (),
        evidence=evidence,
        scope=scope_digest(over),
        source=CHECKS[check].source,
        as_of=at,
        valid_until=at + timedelta(days=1),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


FAILED_DAYS = {"RLS-01": range(5, 9), "CRY-01": range(-2, 3), "RLS-08": range(20, 60)}
"""Days of the window on which a check fails; negative ones are before it."""


def state_on(check: str, day: int) -> State:
    if day in FAILED_DAYS.get(check, ()):
        return State.UNKNOWN if check == "RLS-01" and day == 7 else State.FAILED
    if check == "AVL-03" and 12 <= day < 14:
        return State.WAIVED
    if check == "MON-01":
        return State.UNKNOWN
    return State.SATISFIED


JUDGED = ("RLS-01", "RLS-02", "RLS-08", "RLS-03", "CRY-01", "ING-01", "AVL-03", "MON-01", "RLS-15")


def month() -> list[Entry]:
    """Two runs before the window and one on each day of it but three, one of which is backfilled."""
    log = LogOf()
    start = datetime(FIRST.year, FIRST.month, FIRST.day, 2, tzinfo=UTC)
    for day in range(-2, (LAST - FIRST).days + 1):
        if day not in {10, 11, 14}:
            _run(log, day, start + timedelta(days=day))
    late = start + timedelta(days=14)
    for seen in _looks(late, scope(), day=14):
        log.add(
            dataclasses.replace(
                seen, header=dataclasses.replace(seen.header, recorded=late + timedelta(days=9))
            )
        )
    matrix = tuple(
        SabotageResult(check, f"broken in way {n}", "failed", killed=True, collateral=())
        for check in JUDGED[:-1]
        for n in range(7)
    )
    kills = KillMatrix(len(matrix), len(matrix), matrix, CHECKS["RLS-01"].source)
    log.add(
        record(kills, "twin", "project:demo", start + timedelta(days=26), expires=AS_OF + timedelta(days=9))
    )
    return log.entries


def _run(log: LogOf, day: int, at: datetime) -> None:
    over = scope(second_region=day >= 15)
    log.add(record(over, "scope", "project:demo", at))
    digests = tuple(log.add(seen) for seen in _looks(at, over, day))
    if day >= 8:
        log.add(record(WAIVED, "waiver/W-1", "waiver:W-1", at))
    for check in JUDGED:
        source = OLD_SOURCE if day < 3 else CHECKS[check].source
        said = verdict(check, state_on(check, day), at, over, digests, source=source)
        log.add(record(said, check, f"check:{check}", at + timedelta(minutes=1)))


def _looks(at: datetime, over: Scope, day: int) -> Iterator[Record]:
    for kind, population in sorted({(one.kind.kind, one.over) for c in CHECKS.values() for one in c.expects}):
        for unit in over.over(population):
            refused = population == "aws.rds" and day in {20, 21}
            if refused:
                yield record(
                    None, unit.id, unit.subject, at, kind=kind, outcome=Outcome.DENIED, reason="denied"
                )
            else:
                yield Record(
                    record(Seen(kind), unit.id, unit.subject, at).header, Seen(kind), "auditor words"
                )


def engagement(
    audience: Audience = Audience.AUDITOR, *, entries: list[Entry] | None = None, **changes: object
) -> Engagement:
    drafted = load_drafted()
    made = Engagement(
        name="soc2-type2",
        project="demo",
        origin="posture.example/log",
        window=Window(FIRST, LAST),
        audience=audience,
        as_of=AS_OF,
        entries=month() if entries is None else entries,
        catalogue=CATALOGUE,
        checks=CHECKS,
        responsibilities=load_responsibilities(claims=drafted, criteria=CATALOGUE.criteria),
        drafted=drafted,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]
