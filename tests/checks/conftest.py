"""A healthy world of evidence, from which each test takes one thing away."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest

from checks.check import load_checks
from checks.populations import (
    CLOUDTRAIL,
    CONFIG,
    DATABASES,
    EBS,
    GUARDDUTY,
    INGESTION,
    INGRESS,
    PLATFORM,
    RDS,
    S3,
    SOURCES,
)
from controls.verdict import Verdict
from evidence.kinds.aws import (
    CloudTrails,
    ConfigRecorders,
    EbsVolume,
    EbsVolumes,
    GuardDutyDetectors,
    RdsInstance,
    RdsInstances,
    S3Bucket,
    S3Buckets,
    Trail,
)
from evidence.kinds.ingress import IngressAttack, IngressAttempt, StreamTenancy, TlsVersions
from evidence.kinds.platform import TenantContext
from evidence.kinds.postgres import (
    Attempt,
    AttemptResult,
    DefinerRoutine,
    Isolation,
    LoginRole,
    Policy,
    RlsWaves,
    RowSecurity,
    Table,
    WaveStep,
)
from evidence.kinds.redaction import BodyHashes, CanarySearch, SearchedPlace
from evidence.kinds.source import (
    AllowedFinding,
    BypassSite,
    BypassUse,
    HandlerEntry,
    LintReport,
    ServiceJoin,
    SourceBypass,
    TenantVisit,
)
from evidence.payload import Payload
from evidence.record import CollectorId, Header, Interval, Outcome, Record
from evidence.scope import Scope, Unit
from evidence.view import Evidence, LoggedRecord

AS_OF = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOUND = "(tenant_id = ( SELECT app.current_tenant() AS current_tenant))"
BYPASS = "(( SELECT app.bypass_scope() AS bypass_scope) = ANY (ARRAY['*'::text, (tenant_id)::text]))"
TABLES = ("identity.app_user", "ai.ai_spend_event", "integration.connection_secret")
REFUSED = (
    "missing_hello",
    "bad_mac",
    "truncated_mac",
    "unknown_key",
    "wrong_tenant",
    "skew_plus_300001",
    "skew_minus_300001",
    "replay",
    "concurrent_replay",
    "foreign_payload_tenant",
    "plaintext",
    "unregistered_agent",
)
ACCEPTED = ("genuine", "skew_plus_300000", "skew_minus_300000")

Kind: TypeAlias = type[Payload]
Change: TypeAlias = Callable[[Any], Payload | Outcome | None]
Changes: TypeAlias = Mapping[Kind, Change]


def _table(name: str) -> Table:
    return Table(
        name=name,
        classification="tenant",
        owner="core_owner",
        tenant_column="tenant_id",
        tenant_column_nullable=False,
        enabled=True,
        forced=True,
        policies=(
            Policy("tenant_isolation", True, "ALL", ("core_app",), BOUND, BOUND),
            Policy("bypass_grant", True, "ALL", ("core_bypass",), BYPASS, BYPASS),
        ),
    )


def _infrastructure(name: str) -> Table:
    return Table(name, "infrastructure", "core_owner", None, False, False, False, ())


def _attempts() -> tuple[Attempt, ...]:
    probes = ("own_rows", "select", "insert", "update", "delete", "unset_tenant")
    return tuple(Attempt(table, probe, AttemptResult.HELD, 0, "") for table in TABLES for probe in probes)


def _source_bypass() -> SourceBypass:
    handler = "app/server.py:Ingress.Stream"
    entries = tuple(
        HandlerEntry(handler, "app/samples.py", line, "store", "run_as_tenant", "verified", "agent", "verify")
        for line in (7, 19)
    )
    return SourceBypass(
        files=40,
        call_sites=2,
        registered=2,
        ceiling=2,
        sweeps=1,
        handlers=1,
        bindings=2,
        verified=2,
        joins=1,
        carried=1,
        allowed=1,
        listings=("identity.tenant",),
        sites=(
            BypassSite("nightly", "app/sweep.py", "sweep", "cron", "all-tenants", "platform", "2027-11-30"),
            BypassSite("offboard", "app/end.py", "end", "cross-service", "one-tenant", "ops", "2027-11-30"),
        ),
        uses=(
            BypassUse(
                path="app/sweep.py",
                line=5,
                function="sweep",
                site="nightly",
                site_kind="cron",
                tenant="ALL_TENANTS",
                tenant_origin="all-tenants",
                shown_by="ALL_TENANTS",
                reads=("identity.tenant",),
                unread=(),
                visits=(TenantVisit(9, "loop", "list_tenants"),),
            ),
            BypassUse(
                path="app/end.py",
                line=30,
                function="end",
                site="offboard",
                site_kind="cross-service",
                tenant="tenant",
                tenant_origin="verified",
                shown_by="tenant: TenantId",
                reads=("identity.tenant", "identity.app_user"),
                unread=(),
                visits=(),
            ),
        ),
        handler_names=(handler,),
        entries=entries,
        opaque=(),
        service_joins=(
            ServiceJoin("app/silent.py", 12, "silent", ("identity.agent", "gpu.stream"), "bypass", ""),
        ),
        allowed_findings=(AllowedFinding("app/audit.py", 3, ("BYP006",), "2027-11-30", "platform"),),
    )


def _healthy() -> tuple[tuple[str, Payload], ...]:
    attempts = _attempts()
    ingress = [IngressAttempt(name, "accept", "accept", "OK") for name in ACCEPTED]
    ingress += [IngressAttempt(name, "refuse", "refuse", "UNAUTHENTICATED") for name in REFUSED]
    places = (
        SearchedPlace("postgres:ai.ai_spend_event", 40_000, 0),
        SearchedPlace("redis:db0", 0, 0),
        SearchedPlace("log:ingestion", 900, 0),
    )
    return (
        (
            DATABASES,
            RowSecurity(
                server_version=150018,
                application_role="core_app",
                tables=(*(_table(name) for name in TABLES), _infrastructure("app.seal_key")),
                roles=(
                    LoginRole("core_app", True, False, False, 0, ()),
                    LoginRole("core_bypass", True, False, False, 0, ()),
                    LoginRole("core_owner", False, False, False, 4, ()),
                    LoginRole("core_backup", False, False, True, 0, ()),
                    LoginRole("postgres", True, True, True, 0, ()),
                ),
                definer_routines=(DefinerRoutine("app.current_tenant()", "core_seal", False, True, ()),),
                views=(),
            ),
        ),
        (
            DATABASES,
            RlsWaves(len(TABLES), tuple(WaveStep(one, 1, "enforce", "r0011", AS_OF) for one in TABLES)),
        ),
        (DATABASES, Isolation(150018, len(attempts), len(attempts), 0, 0, attempts)),
        (SOURCES, LintReport(40, 120, 0, 0, 3, len(TABLES), len(TABLES), TABLES, ())),
        (SOURCES, _source_bypass()),
        (PLATFORM, TenantContext(4, 1, 0, 0, 4, "42501")),
        (INGRESS, IngressAttack(tuple(ingress), "127.0.0.1:50051", ())),
        (
            INGRESS,
            TlsVersions(("TLSv1.3",), ("TLSv1.2", "plaintext"), ("TLSv1.0", "TLSv1.1"), "127.0.0.1:50051"),
        ),
        (INGRESS, StreamTenancy(3, 3, 5, "refuse", "FAILED_PRECONDITION", 0, 0)),
        (INGESTION, CanarySearch(12, 60, 40, 40, ("plain", "base64"), places)),
        (INGESTION, BodyHashes(60, 60, 0, 0, 2)),
        (RDS, RdsInstances(1, (RdsInstance("core-primary", True, True, 35, False),))),
        (S3, S3Buckets(2, (S3Bucket("logs", "AES256"), S3Bucket("exports", "aws:kms")))),
        (EBS, EbsVolumes(1, True, (EbsVolume("vol-1", True),))),
        (CLOUDTRAIL, CloudTrails(1, (Trail("platform-trail", True, True, True),))),
        (GUARDDUTY, GuardDutyDetectors(1, 1)),
        (CONFIG, ConfigRecorders(1, 1)),
    )


@dataclass(frozen=True)
class World:
    """Healthy evidence over one unit of each population, and the checks that judge it."""

    as_of: datetime = AS_OF

    @property
    def scope(self) -> Scope:
        populations = dict.fromkeys(population for population, _ in _healthy())
        units = (Unit(f"{name}/one", name, _subject(name), {}) for name in populations)
        return Scope("core", tuple(units))

    @property
    def empty_scope(self) -> Scope:
        return Scope("core", ())

    def records(self, changes: Changes | None = None) -> list[LoggedRecord]:
        """Each healthy payload as a record, changed: to another payload, an outcome, or nothing."""
        return list(self._records(changes or {}))

    def _records(self, changes: Changes) -> Iterator[LoggedRecord]:
        for entry, (population, payload) in enumerate(_healthy(), start=1):
            change = changes.get(type(payload))
            seen = change(payload) if change else payload
            if seen is not None:
                yield logged(population, type(payload), seen, entry)

    def log(self, changes: Changes | None = None, *more: Payload) -> list[LoggedRecord]:
        """A whole log: the scope, each healthy payload as changed, and `more` records (waivers)."""
        seen = [aside("scope", "project:core", self.scope, 0), *self.records(changes)]
        last = seen[-1].entry + 1
        return seen + [
            aside(f"{one.kind}/{n}", f"{one.kind}:{n}", one, last + n) for n, one in enumerate(more)
        ]

    def judge(self, check: str, changes: Changes | None = None) -> Verdict:
        return self.judge_records(check, self.records(changes))

    def judge_records(
        self,
        check: str,
        records: Iterable[LoggedRecord],
        *,
        scope: Scope | None = None,
        as_of: datetime = AS_OF,
    ) -> Verdict:
        judged = load_checks()[check]
        return judged(Evidence(records, as_of=as_of), self.scope if scope is None else scope, as_of)


def _subject(population: str) -> str:
    return "aws:111122223333/us-east-1" if population.startswith("aws.") else f"{population}:one"


def logged(population: str, kind: Kind, seen: Payload | Outcome, entry: int = 0) -> LoggedRecord:
    """A record of one hour ago: an observation, or the non-observation with that outcome."""
    digest = f"{population}-{kind.kind}"
    return _logged(f"{population}/one", _subject(population), kind, seen, entry, digest)


def aside(unit: str, subject: str, payload: Payload, entry: int) -> LoggedRecord:
    """A record of something that is no observation of a unit: a scope, a waiver."""
    return _logged(unit, subject, type(payload), payload, entry, f"{unit}-{entry}")


def _logged(
    unit: str, subject: str, kind: Kind, seen: Payload | Outcome, entry: int, digest: str
) -> LoggedRecord:
    at = AS_OF - timedelta(hours=1)
    header = Header(
        run="run-1",
        unit=unit,
        kind=kind.kind,
        subject=subject,
        observed=Interval(at, at),
        recorded=at + timedelta(seconds=1),
        expires=at + timedelta(days=7),
        collector=CollectorId("test", "1", "00"),
        outcome=seen if isinstance(seen, Outcome) else Outcome.OBSERVED,
        reason="refused" if isinstance(seen, Outcome) else "",
    )
    record = Record(header, None if isinstance(seen, Outcome) else seen)
    return LoggedRecord(record, digest, entry)


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def with_table() -> Callable[..., Changes]:
    """Change one table of the catalog: ``with_table("identity.app_user", forced=False)``."""

    def change(name: str, /, **fields: Any) -> Changes:
        def changed(seen: RowSecurity) -> RowSecurity:
            return dataclasses.replace(
                seen,
                tables=tuple(
                    dataclasses.replace(table, **fields) if table.name == name else table
                    for table in seen.tables
                ),
            )

        return {RowSecurity: changed}

    return change


@pytest.fixture(scope="session")
def with_attempt() -> Callable[..., Changes]:
    """Change one attempt on the ingress: ``with_attempt("replay", did="accept")``."""

    def change(name: str, /, **fields: Any) -> Changes:
        def changed(seen: IngressAttack) -> IngressAttack:
            attempts = tuple(
                dataclasses.replace(one, **fields) if one.name == name else one for one in seen.attempts
            )
            return dataclasses.replace(seen, attempts=attempts)

        return {IngressAttack: changed}

    return change


@pytest.fixture(scope="session")
def with_fields() -> Callable[..., Changes]:
    """Change fields of one payload: ``with_fields(GuardDutyDetectors, enabled=0)``."""

    def change(kind: Kind, /, **fields: Any) -> Changes:
        return {kind: lambda seen: dataclasses.replace(seen, **fields)}

    return change
