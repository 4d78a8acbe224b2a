"""What a check and a sabotage are, and how the evidence that a check expects is counted.

A check is a pure function ``(evidence, scope, as_of) -> Verdict``: it reads no clock and imports only
the standard library and our own standard-library modules, so that a pack can carry it. It states what
it expects to see; what did not arrive, was refused or has grown stale makes its verdict `unknown`
unless what did arrive already fails it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checks.sources import judging_source
from checks.twin import Twin
from controls.verdict import Completeness, Deviation, State, Verdict
from evidence.payload import Payload, encode
from evidence.proofs.canonical import canonical_bytes
from evidence.record import Outcome
from evidence.scope import Scope, Unit
from evidence.view import Evidence, LoggedRecord

AREAS = ("tenant_isolation", "agent_ingress", "cryptography", "redaction", "operations", "secrets")
"""Control areas that have checks; each is the module of that name in this package."""
PARTS = {
    "tenant_bypass": "tenant_isolation",
    "tenant_paths": "tenant_isolation",
    "tenant_rollout": "tenant_isolation",
}
"""Modules that hold a part of an area's checks, where one module would be too long to read."""

Body = Callable[[Evidence, Scope, datetime], Verdict]
SabotageBody = Callable[[Twin], None]


@dataclass(frozen=True, slots=True)
class Expect:
    """Evidence that a check cannot do without: one fresh record of `kind` for each unit of a population.

    Attributes:
        kind: the payload type.
        over: the population of the scope (``databases``).
        every: how old the newest observation may be when it is judged.
    """

    kind: type[Payload]
    over: str
    every: timedelta


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A change to a live twin that must turn a check red.

    Attributes:
        check: id of the check.
        what: what is broken, in a few words.
        names: what deviations of the failed verdict must name (a table, a probe, an instance), all of it.
        apply: the change.
    """

    check: str
    what: str
    names: tuple[str, ...]
    apply: SabotageBody


@dataclass(frozen=True, slots=True)
class Check:
    """A judged control: what it expects, how it judges and which claims it decides."""

    id: str
    area: str
    title: str
    claims: tuple[str, ...]
    expects: tuple[Expect, ...]
    body: Body
    source: str = field(compare=False)

    def __call__(self, evidence: Evidence, scope: Scope, as_of: datetime) -> Verdict:
        """Judge, then let incomplete evidence overrule everything but a failure."""
        completeness, judged = count_evidence(self.expects, evidence, scope, as_of)
        concluded = self.body(evidence, scope, as_of)
        state, reason = _overruled(concluded, completeness)
        return dataclasses.replace(
            concluded,
            check=self.id,
            claims=self.claims,
            state=state,
            reason=reason,
            completeness=completeness,
            evidence=tuple(sorted({logged.digest for _, logged in judged})),
            scope=scope_digest(scope),
            source=self.source,
            as_of=as_of,
            valid_until=min((_speaks_until(expect, logged) for expect, logged in judged), default=None),
        )


CHECKS: dict[str, Check] = {}
SABOTAGES: list[Sabotage] = []


def check(check_id: str, *, expects: Sequence[Expect], claims: Sequence[str] = ()) -> Callable[[Body], Check]:
    """Declare a check, named after the claim it decides first.

    Args:
        check_id: its id (``RLS-01``).
        expects: the evidence it cannot do without; an empty list is refused, since a check that
            expects nothing cannot notice silence.
        claims: ids of the claims it decides, when they are more than its own.
    """

    def declare(body: Body) -> Check:
        if check_id in CHECKS:
            raise ValueError(f"check {check_id} is declared twice")
        if not expects:
            raise ValueError(f"check {check_id} expects no evidence: it could not notice silence")
        declared = Check(
            id=check_id,
            area=_area_of(body.__module__.rpartition(".")[2]),
            title=(inspect.getdoc(body) or check_id).splitlines()[0],
            claims=tuple(claims) or (check_id,),
            expects=tuple(expects),
            body=body,
            source=judging_source(),
        )
        CHECKS[check_id] = declared
        return declared

    return declare


def sabotage(
    check_id: str, what: str, *, names: str | tuple[str, ...]
) -> Callable[[SabotageBody], SabotageBody]:
    """Declare a sabotage beside its check; `names` is what the failed verdict must point at, all of it."""

    def declare(body: SabotageBody) -> SabotageBody:
        if check_id not in CHECKS:
            raise ValueError(f"sabotage {what!r} names {check_id}, which no check above it declares")
        wanted = (names,) if isinstance(names, str) else names
        SABOTAGES.append(Sabotage(check_id, what, wanted, body))
        return body

    return declare


def _area_of(module: str) -> str:
    return PARTS.get(module, module)


def load_checks() -> Mapping[str, Check]:
    """Import every control area and return all checks by id."""
    for area in (*AREAS, *PARTS):
        importlib.import_module(f"checks.{area}")
    return CHECKS


def scope_digest(scope: Scope) -> str:
    """SHA-256 (hex) of a scope's canonical JSON: what a verdict was judged over."""
    return hashlib.sha256(canonical_bytes(encode(scope))).hexdigest()


def conclude(
    deviations: Iterable[Deviation], *, facts: Mapping[str, int | str], holds: str, fails: str
) -> Verdict:
    """A verdict from what deviates: failed with `fails` when anything does, else satisfied with `holds`.

    Both sentences may use the facts: ``conclude(found, facts={"tables": 9}, holds="All {tables} …")``.
    """
    found = tuple(deviations)
    state = State.FAILED if found else State.SATISFIED
    named = {**facts, "deviations": len(found)}
    reason = (fails if found else holds).format_map(named)
    return Verdict(check="", claims=(), state=state, reason=reason, facts=named, deviations=found)


def undecided(reason: str) -> Verdict:
    """A verdict for evidence that arrived and shows nothing to judge: `unknown`, never green."""
    return Verdict(check="", claims=(), state=State.UNKNOWN, reason=reason, facts={}, deviations=())


def count_evidence(
    expects: Iterable[Expect], evidence: Evidence, scope: Scope, as_of: datetime
) -> tuple[Completeness, list[tuple[Expect, LoggedRecord]]]:
    """Count what was expected against what arrived, and return what was judged for each expectation."""
    rows: dict[str, list[str]] = {
        name: [] for name in ("expected", "received", "missing", "late", "stale", "refused")
    }
    judged: list[tuple[Expect, LoggedRecord]] = []
    for expect in expects:
        units = scope.over(expect.over)
        if not units:
            rows["missing"].append(f"{expect.kind.kind} over {expect.over}: the scope names none")
        for unit in units:
            found = evidence.of(unit, expect.kind)
            judged.extend((expect, logged) for logged in found)
            _count_unit(rows, expect, unit, found, as_of)
    return Completeness(**{name: tuple(items) for name, items in rows.items()}), judged


def _count_unit(
    rows: Mapping[str, list[str]],
    expect: Expect,
    unit: Unit,
    found: Sequence[LoggedRecord],
    as_of: datetime,
) -> None:
    item = f"{expect.kind.kind} over {unit.id}"
    rows["expected"].append(item)
    headers = [logged.record.header for logged in found]
    refused = [header for header in headers if header.outcome is not Outcome.OBSERVED]
    if not headers:
        rows["missing"].append(item)
    elif refused:
        rows["refused"].append(f"{item}: {refused[0].outcome} ({refused[0].reason})")
    elif any(_speaks_until(expect, logged) <= as_of for logged in found):
        rows["stale"].append(item)
    else:
        rows["received"].append(item)
    if any(header.recorded - header.observed.end > expect.every for header in headers):
        rows["late"].append(item)


def _speaks_until(expect: Expect, logged: LoggedRecord) -> datetime:
    """When an observation is too old to judge by: at its own expiry or at the check's, the earlier."""
    header = logged.record.header
    return min(header.expires, header.observed.end + expect.every)


def _overruled(concluded: Verdict, completeness: Completeness) -> tuple[State, str]:
    if completeness.complete or concluded.state is State.FAILED:
        return concluded.state, concluded.reason
    lacking = {
        "not received": completeness.missing,
        "stale": completeness.stale,
        "refused": completeness.refused,
    }
    named = "; ".join(f"{word}: {', '.join(items)}" for word, items in lacking.items() if items)
    return State.UNKNOWN, f"Evidence is incomplete ({named or 'nothing was expected'})."
